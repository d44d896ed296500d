"""Nobody in the console holds two connections at a time: under load each would wait for the other's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from uuid import UUID

import psycopg
import pytest

from sigma_app.core.database import Database
from sigma_app.features.console import person
from sigma_app.features.console.event import EventState
from sigma_app.features.console.mail import MailState
from sigma_app.features.console.message import MessageState
from sigma_app.features.console.overview import OverviewState
from sigma_app.features.console.queue import JobsState
from sigma_app.features.console.state import ConsolePage
from sigma_app.features.console.user import UserState
from sigma_app.gateways.payments import reaching_stripe
from sigma_app.session.store import Session
from tests.features.console.operators import shown

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(login_url: str) -> AsyncIterator[Database]:
    """One with a single connection, for which whoever asks for a second waits in vain."""
    async with Database(login_url, pool_size=1) as opened:
        yield opened


@pytest.fixture
def message(owner: psycopg.Connection) -> UUID:
    """A mail that was sent."""
    row = owner.execute(
        "insert into sigma.messages (key, kind, recipient, digest, provider_id, sent_at)"
        " values ('k', 'x', 'ann@example.com', sha256('x'), 're_1', now()) returning id"
    ).fetchone()
    assert row
    return row[0]


@pytest.mark.parametrize("state", [OverviewState, JobsState, MailState, MessageState, UserState, EventState])
async def test_a_page_is_read(operator: Session, message: UUID, state: type[ConsolePage]):
    about = message if state is MessageState else operator.user_id
    page = await shown(state, operator, id=str(about), source="stripe")
    assert getattr(page, "found", True) is (state is not EventState)


async def test_somebody_is_looked_for_and_forgotten(operator: Session, lead: Callable[[str], UUID]):
    lead("ann@example.com")
    assert await person.look_for(operator, "ann@example.com") is None
    async with reaching_stripe():
        assert (await person.forget(operator, "ann@example.com")).erased["lead"] == 1
