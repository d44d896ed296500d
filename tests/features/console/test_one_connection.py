"""Nobody in the console holds two connections at a time: under load each would wait for the other's."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from uuid import UUID

import psycopg
import pytest

from sigma_app.core.database import Database
from sigma_app.features.console import lead_page, person
from sigma_app.features.console.service import NothingToDo
from sigma_app.features.console.state import ConsolePage
from sigma_app.features.operations import service as operations
from sigma_app.gateways.payments import reaching_stripe
from sigma_app.session.store import Session
from tests.features.console.operators import deeds, shown
from tests.features.console.pages import PAGES

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(login_url: str) -> AsyncIterator[Database]:
    """One with a single connection, for which whoever asks for a second waits in vain."""
    async with Database(login_url, pool_size=1) as opened:
        yield opened


@pytest.fixture
def ids(owner: psycopg.Connection, operator: Session, lead: Callable[..., UUID]) -> dict[str, object]:
    """Of something that each page of one thing shows, by the page's name."""

    def laid(statement: str) -> object:
        row = owner.execute(f"{statement} returning id".encode()).fetchone()
        assert row
        return row[0]

    return {
        "EventState": laid(
            "insert into sigma.webhook_events (source, id, type, body) values ('stripe', 'evt_1', 'x', '{}')"
        ),
        "JobState": laid(
            "insert into procrastinate.procrastinate_jobs (queue_name, task_name, args)"
            " values ('default', 'core:x', '{}')"
        ),
        "LeadState": lead("ben@example.com", confirmed=True),
        "MessageState": laid(
            "insert into sigma.messages (key, kind, recipient, digest, provider_id, sent_at)"
            " values ('k', 'x', 'ann@example.com', sha256('x'), 're_1', now())"
        ),
        "UserState": operator.user_id,
    }


@pytest.mark.parametrize("state", PAGES, ids=lambda page: page.__name__)
async def test_a_page_is_read(operator: Session, ids: dict[str, object], state: type[ConsolePage]):
    identity = ids.get(state.__name__)
    page = await shown(state, operator, **({"id": str(identity), "source": "stripe"} if identity else {}))
    assert getattr(page, "found", getattr(page, "lead", True))  # a page of one thing has found it


async def test_somebody_is_looked_for_and_forgotten(operator: Session, lead: Callable[[str], UUID]):
    lead("ann@example.com")
    assert await person.look_for(operator, "ann@example.com") is None
    async with reaching_stripe():
        assert (await person.forget(operator, "ann@example.com")).erased["lead"] == 1


async def test_what_is_kept_of_somebody_is_told(operator: Session, ids: dict[str, object], lead: Callable[[str], UUID]):
    lead("ann@example.com")
    async with reaching_stripe():
        assert (await operations.export_person("ann@example.com", io.BytesIO()))["lead"] == 1


async def test_why_a_deed_was_not_done_is_said_and_it_is_not_on_record(
    operator: Session, owner: psycopg.Connection, lead: Callable[[str], UUID]
):
    ann = lead("ann@example.com")
    with pytest.raises(NothingToDo, match="have not confirmed"):
        await lead_page.act_on(operator, "invite", ann)
    with pytest.raises(NothingToDo, match="has no flag"):
        await lead_page.act_on(operator, "unflag", ann)
    with pytest.raises(NothingToDo, match="not on the list"):
        await lead_page.act_on(operator, "erase", operator.user_id)
    assert deeds(owner) == []
    await lead_page.act_on(operator, "flag", ann, "odd")
    assert [action for action, _, _ in deeds(owner)] == ["lead.flag"]
