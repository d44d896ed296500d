"""What happened to one lead, in sentences that lead to where there is more of it."""

from __future__ import annotations

import pytest

from sigma_app.features.console import story
from sigma_app.features.console.service import acting, reading

pytestmark = pytest.mark.anyio


async def test_a_story_leads_to_account_mail_and_audit_log(operator, owner, lead):
    one = lead("ann@example.com", confirmed=True)
    async with acting(operator, "lead.flag", one):
        pass
    owner.execute("select sigma.send_link(%s, 'invite')", [one])
    owner.execute("update sigma.lead_links set written_at = now() where lead_id = %s", [one])
    mail = owner.execute(
        "insert into sigma.messages (key, kind, recipient, digest) select 'lead-link/' || id, 'waitlist:invite',"
        " 'ann@example.com', sha256('') from sigma.lead_links where lead_id = %s and purpose = 'invite' returning id",
        [one],
    ).fetchone()
    assert mail
    owner.execute("update leads set signed_up_at = now() where id = %s", [one])
    async with reading(operator) as cursor:
        await cursor.execute("select *, %s::uuid as account from leads where id = %s", [operator.user_id, one])
        found = await cursor.fetchone()
        assert found
        told = {happening.words: happening.href for happening in await story.read(cursor, found)}
    assert told["Signed up: there is an account with this address."] == f"/admin/user?id={operator.user_id}"
    assert told["The invitation was written and handed over."] == f"/admin/message?id={mail[0]}"
    assert told[f"{operator.email} flagged this lead."] == f"/admin/audit?subject={one}"
    assert told["Joined the list."] == ""
