"""What every page of the console does: asks who is there, reads, and reads again when something changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import reflex as rx
from psycopg import AsyncCursor

from sigma_app.core.errors import SigmaError
from sigma_app.features.console.live import WATCHING, Watcher
from sigma_app.features.console.service import NotAnOperator, reading
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session


class Arriving(rx.State, mixin=True):
    """Of a page that somebody comes to, from another one or by connecting again."""

    def _arrive(self) -> None:
        """Forget what another page left behind: nothing, unless a page keeps more than it reads."""


class ConsolePage(Arriving, mixin=True):
    """Of a page for operators, mixed into a state that extends `SessionState`; all it shows is read by `_read`.

    `ready` is whether anything was read yet, `read_for` the query of the address that it was read for, `trouble` why
    there is nothing to show, `revoked` whether that is because whoever looks is no operator any more.
    """

    ready: bool = False
    read_for: str = ""
    trouble: str = ""
    revoked: bool = False

    _topics: ClassVar[frozenset[str]] = frozenset()
    """What has to change for the page to be read again: payloads of sigma.tell_console."""
    _unread: frozenset[str] = frozenset()
    """What has changed since the page was last read, also by a reading that failed; "" for anything."""

    @rx.event
    async def load(self):
        """Show what is so, and nothing any more of another page."""
        self._arrive()
        await self._show()

    async def refresh(self, changed: frozenset[str]) -> None:
        """These topics changed, some of which the page shows, or, without any, who may see it; called by live.py."""
        await self._show(changed)

    async def _show(self, changed: frozenset[str] | None = None) -> None:
        """Read everything, or what changed, or ask only who looks; nothing stays for whoever may see it no more.

        Args:
            changed: the topics that changed; none where only who may see the page may be another; None for everything.
        """
        self._unread |= frozenset({""}) if changed is None else changed
        try:
            if session := await self._signed_in():  # pyright: ignore[reportAttributeAccessIssue] - of SessionState
                watcher = Watcher(self.router.url.path, session.id, type(self), self._topics)
                WATCHING.add(self.router.session.client_token, watcher)
                await self._look(session, self.router.url.query_parameters, changed)
        except NotAnOperator as error:
            await self._leave_the_console(str(error))
        except SigmaError as error:
            self.trouble = str(error)

    async def _leave_the_console(self, why: str) -> None:
        """Have nothing in this tab of what any page of the console read, nor the way there; all parts of it say why."""
        for page in ConsolePage.__subclasses__():
            state = await self.get_state(page)
            state.reset()
            state.trouble, state.revoked = why, True
        (await self.get_state(SessionState)).console = ""

    async def _look(self, session: Session, asked: Mapping[str, str], changed: frozenset[str] | None = None) -> None:
        """Read as this operator what an address asks for, as `_show` does.

        Raises:
            NotAnOperator: it is none, or no more.
            SigmaError: as `_read`.
        """
        async with reading(session) as cursor:
            if self.ready and not self.trouble and not self._unread:
                return
            if changed is None or not self.ready or "" in self._unread:
                await self._read(cursor, asked, session)
            else:
                await self._read_again(cursor, asked, session, self._unread)
        await self._read_besides()
        self.ready, self.read_for = True, self.router.url.query
        self.trouble, self.revoked, self._unread = "", False, frozenset()

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        """Read what the address asks for into the Vars.

        Raises:
            SigmaError: it could not be read; the page says why.
        """
        raise NotImplementedError

    async def _read_besides(self) -> None:
        """Read what takes a connection of its own, after the cursor of `_read` went back: nobody holds two at a time.

        Raises:
            SigmaError: as `_read`.
        """

    async def _read_again(
        self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session, changed: frozenset[str]
    ) -> None:
        """Read what `changed`, "" for anything, as `_read`; everything, unless a page knows better."""
        await self._read(cursor, asked, session)
