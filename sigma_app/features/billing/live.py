"""Keeps open pages true: whenever somebody's billing changes, in whichever process, their tabs here read it again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import reflex as rx

from sigma_app.core.database import get_database
from sigma_app.core.errors import without_message
from sigma_app.features.billing.state import BillingState
from sigma_app.session.tabs import TABS

CHANNEL = "sigma_billing"  # the payload is a session's id (sigma.tell_billing)

logger = logging.getLogger(__name__)


@asynccontextmanager
async def kept_true(app: rx.App) -> AsyncIterator[None]:
    """Refresh the tabs of `app`, inside the block, when what they show has changed."""
    at_work: set[asyncio.Task[None]] = set()

    def heard(payload: str) -> None:
        sessions = [UUID(payload)] if payload else TABS.sessions()  # after a break anything may have been missed
        task = asyncio.get_running_loop().create_task(_refresh(app, sessions))
        at_work.add(task)
        task.add_done_callback(at_work.discard)

    get_database().listen(CHANNEL, heard)
    yield


async def _refresh(app: rx.App, sessions: list[UUID]) -> None:
    for tab in [tab for session in sessions for tab in TABS.of(session)]:
        try:
            async with app.modify_state(rx.BaseStateToken(ident=tab, cls=BillingState)) as root:
                state = await root.get_state(BillingState)
                if state.ready:
                    await state.show()
        except Exception as error:  # one that cannot be told must not keep the others from it
            logger.error("A tab was not told that its billing changed: %s", without_message(error))
