"""What would be done to many leads, and to whom not and why, told before anybody agrees to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from psycopg.sql import SQL

from sigma_app.core.addresses import address_digest
from sigma_app.features.console import bulk, importing, leads, reasons
from sigma_app.features.console.leads import Count
from sigma_app.features.console.leads_page import LeadsState
from sigma_app.features.console.service import reading
from sigma_app.session.store import Session
from tests.features.console.operators import shown
from tests.features.console.wishes import state_of, to_its_end, wish

pytestmark = pytest.mark.anyio


@pytest.fixture
def everybody(owner, lead):
    """One lead for each reason not to be invited, and two who are; by what they are."""
    found = {"unconfirmed": lead("joined@example.com")}
    for name in ("ready", "ready too", "left", "account", "suppressed", "invited", "expired"):
        found[name] = lead(f"{name.replace(' ', '-')}@Example.com", confirmed=True)
    owner.execute("update leads set unsubscribed_at = now() where id = %s", [found["left"]])
    owner.execute("update leads set signed_up_at = now() where id = %s", [found["account"]])
    owner.execute(
        "insert into sigma.suppressions (digest, reason) values (%s, 'bounced')",
        [address_digest("suppressed@example.com")],
    )
    for name, days in (("invited", 1), ("expired", -1)):
        owner.execute("select sigma.invite(%s)", [found[name]])
        owner.execute(
            "update sigma.lead_links set expires_at = now() + %s * interval '1 day' where lead_id = %s",
            [days, found[name]],
        )
    return found


REASONS = {"unconfirmed": 1, "left": 1, "account": 1, "suppressed": 1, "invited": 1}


async def test_what_would_be_done_is_what_is_done_and_for_whom_not_is_told_by_reason(operator, owner, everybody, due):
    async with reading(operator) as cursor:
        outlook = await bulk.outlook(cursor, wish("invite"))
    assert (outlook.about.number, outlook.will_do, dict(outlook.passed)) == (8, 3, REASONS)
    run = await bulk.begin(operator, wish("invite"), outlook)
    due()
    await to_its_end(run)
    assert state_of(owner, run) == ("done", 3, 5)
    told = owner.execute(
        "select detail -> 'passed_over_so_far' from sigma.audit_log where subject = %s order by id desc limit 1",
        [str(run)],
    ).fetchone()
    assert told == (REASONS,)


async def test_who_joins_between_the_question_and_the_answer_is_left_out(operator, owner, lead, due):
    lead("ann@example.com")
    async with reading(operator) as cursor:
        outlook = await bulk.outlook(cursor, wish("erase"))
    lead("bob@example.com")
    run = await bulk.begin(operator, wish("erase"), outlook)
    due()
    await to_its_end(run)
    assert owner.execute("select email from leads").fetchall() == [("bob@example.com",)]


async def test_a_few_are_named_and_a_flag_that_is_replaced_is_told(operator, lead, monkeypatch):
    same, other, none = (
        lead(f"{name}@example.com", flag=flag) for name, flag in (("same", "odd"), ("ann", "nice"), ("bob", None))
    )
    fields = {f"pick-{one}": "on" for one in (same, other, none)} | {"action": "flag", "reason": "odd"}
    page = await proposing(operator, monkeypatch, fields)
    assert page.proposal == (
        "2 leads will be flagged: ann@example.com, bob@example.com. 1 will be passed over: 1 has this flag already."
        " 1 of them has a flag, which this one replaces."
    )
    crowd = {f"pick-{lead(f'p{number}@example.com')}": "on" for number in range(bulk.NAMED)}
    page = await proposing(operator, monkeypatch, fields | crowd)
    assert page.proposal.startswith("7 leads will be flagged, 1 will be passed over")


async def test_of_those_picked_who_is_gone_is_told_too(operator, owner, lead, due):
    ids = [lead("ann@example.com", flag="odd"), lead("bob@example.com"), UUID(int=1)]
    async with reading(operator) as cursor:
        outlook = await bulk.outlook(cursor, wish("flag", ids, "odd"))
    assert (outlook.will_do, dict(outlook.passed)) == (1, {"flagged": 1, "gone": 1})
    run = await bulk.begin(operator, wish("flag", ids, "odd"), outlook)
    due()
    await to_its_end(run)
    assert state_of(owner, run) == ("done", 1, 2)


@pytest.mark.parametrize("asked", [{}, {"q": "p"}])
async def test_of_more_than_are_counted_the_first_of_the_list_are_judged(operator, lead, monkeypatch, asked):
    """The newest, or under a search those whose addresses come first; and what is wished is offered all the same."""
    monkeypatch.setattr(leads, "EXACT", 2)
    lead("p9@example.com", created_at="2026-01-01T00:00:00Z", confirmed=True)
    for number in range(2):
        lead(f"p{number}@example.com")
    async with reading(operator) as cursor:
        outlook = await bulk.outlook(cursor, wish("invite", **asked))
    assert (outlook.judged, outlook.will_do, dict(outlook.passed)) == (2, 0, {"unconfirmed": 2})
    page = await proposing(operator, monkeypatch, {"everybody": "on", "action": "invite"}, **asked)
    assert (page.asking, page.said) == ("invite", "")
    assert " leads were picked. Of the first 2, nobody will be invited, 2 will be passed over" in page.proposal
    assert "The others follow" in page.proposal


async def test_where_nobody_is_left_that_it_could_be_done_to_nothing_is_asked(operator, lead, monkeypatch):
    lead("ann@example.com")
    page = await proposing(operator, monkeypatch, {"everybody": "on", "action": "invite"})
    assert (page.asking, page.proposal) == ("", "")
    assert page.said.startswith("Nobody will be invited, 1 will be passed over")


async def test_however_low_the_estimate_is_nobody_takes_those_that_were_judged_for_all(
    operator, owner, lead, monkeypatch
):
    """As the planner's is of a table that was never analyzed."""
    monkeypatch.setattr(leads, "EXACT", 10)
    owner.execute("insert into leads (email) select 'p' || n || '@example.com' from generate_series(1, 30) as n")
    monkeypatch.setattr(leads, "count", lambda *_: estimated(10))
    page = await proposing(operator, monkeypatch, {"everybody": "on", "action": "erase"})
    assert page.proposal.startswith("More than 10 leads were picked. Of the first 10, 10 leads will be erased.")


async def estimated(number: int) -> Count:
    return Count(number, about=True)


async def test_those_of_a_file_are_counted_however_many(operator, owner, monkeypatch):
    monkeypatch.setattr(leads, "EXACT", 10)
    emails = "".join(f"p{number}@example.com\n" for number in range(30))
    file = await importing.take(operator, "in.csv", f"email\n{emails}".encode(), allow_test_domains=True)
    await importing.begin(operator, file, False)
    while await importing.carry_on(file):
        pass
    page = await proposing(operator, monkeypatch, {"everybody": "on", "action": "erase"}, file=str(file))
    assert page.total == "30 leads of one imported file"
    assert page.proposal.startswith("30 leads were picked. Of the first 10, 10 leads will be erased.")


async def test_those_of_a_search_are_judged_by_the_index_that_lists_them(operator, owner, monkeypatch):
    monkeypatch.setattr(leads, "EXACT", 100)
    owner.execute(
        "insert into leads (email) select 'p' || n || '@example.com' from generate_series(1, 20000) as n; analyze leads"
    )
    statement, values = bulk.judging(wish("erase", q="p9"))
    async with reading(operator) as cursor:
        await cursor.execute(SQL("explain (costs off) {}").format(statement), values)
        plan = "\n".join(row["QUERY PLAN"] for row in await cursor.fetchall())
    assert "Index Cond: ((lower(email) ~>=~ " in plan, plan
    assert "Sort Key: (lower(" not in plan, plan


async def proposing(operator, monkeypatch, fields: dict[str, str], **asked: str):
    """The page of leads, once its form was sent."""

    async def signed_in(_) -> Session:
        return operator

    monkeypatch.setattr(LeadsState, "_signed_in", signed_in)
    page = await shown(LeadsState, operator, **asked)
    await LeadsState.propose.fn(page, fields)  # pyright: ignore[reportAttributeAccessIssue] - an event handler
    return page


async def test_one_lead_alone_is_told_why_it_is_not_invited_with_the_dates(operator, owner, everybody):
    today, tomorrow = (f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}" for days in (0, 1))
    words = {
        "ready": "",
        "expired": "",
        "unconfirmed": "not confirmed",
        "left": f"unsubscribed on {today}",
        "account": f"signed up on {today}",
        "suppressed": f"no mail since {today} (bounced)",
        "invited": f"Invited on {today}, and the invitation is good until {tomorrow}",
    }
    async with reading(operator) as cursor:
        for name, said in words.items():
            await cursor.execute(
                SQL("select lead.*, {} from leads as lead where id = %s").format(reasons.KNOWN_OF_ONE),
                [everybody[name]],
            )
            found = await cursor.fetchone()
            assert found
            why = reasons.why_not_invited(found)
            assert (bool(why), said in why) == (bool(said), True), (name, why)


def test_reasons_are_sentences_of_one_and_of_many():
    assert reasons.told({}) == ""
    assert reasons.told({"left": 1, "unconfirmed": 1200, "gone": 1}) == (
        "1,200 have not confirmed their address, 1 is not on the list any more, 1 has unsubscribed"
    )
