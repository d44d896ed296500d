"""SessionState: who is signed in, as a page's state knows it. Every state with something of a person's extends it."""

from __future__ import annotations

from uuid import UUID

import reflex as rx
from reflex.middleware.middleware import Middleware
from reflex.state import BaseState, StateUpdate
from reflex_base.event import Event

from sigma_app.core.errors import SigmaError
from sigma_app.core.links import digest
from sigma_app.core.metrics import EVENTS, event_label
from sigma_app.session import store
from sigma_app.session.guard import CONSOLE
from sigma_app.session.handshake import sealed_cookie
from sigma_app.session.operators import is_operator
from sigma_app.session.store import Session
from sigma_app.session.tabs import TABS


class SessionState(rx.State):
    """Whose page this is.

    `phase` is "" until the session was looked up, "in" while somebody is signed in, "out" from then on: portal.js then
    leads to the sign-in page. `email` is theirs, `console` the console's address for those who operate Sigma. Nothing
    of a person's may be in a state that does not extend this one: its end resets them all.
    """

    phase: str = ""
    email: str = ""
    console: str = ""

    _session_id: str = ""
    _owner: bytes = b""  # the digest of the cookie whose session this shows

    async def _signed_in(self) -> Session | None:
        """Who is signed in; None for nobody any more, and then nothing of theirs is left in this tab.

        Every event handler that shows or changes something of a person's asks first. The cookie is that of the
        websocket's handshake, which never leaves the server (design/architecture.md, "Sessions are the backend's").

        Raises:
            DatabaseUnavailable: it could not be looked up.
        """
        cookie = self._cookie
        session = await store.find(cookie)
        shared = await self.get_state(SessionState)
        if session and cookie:
            if shared._session_id != str(session.id):
                shared.reset()
                shared._session_id, shared._owner = str(session.id), digest(cookie)
            # A tab that comes back after a restart, or from another process, is new here though its state is not.
            if TABS.add(session.id, self.router.session.client_token):
                session = await store.find(cookie)  # it may have ended before this tab was known to be its
        if session is None:
            shared._close()
            return None
        shared.phase, shared.email = "in", session.email
        return session

    async def _look_for_console(self, session: Session) -> None:
        """Note the way to the console, for operators alone, and for nobody while that cannot be asked."""
        shared = await self.get_state(SessionState)
        try:
            shared.console = CONSOLE if await is_operator(session.user_id) else ""
        except SigmaError:
            shared.console = ""

    def _close(self) -> None:
        """Forget whose page this was, and what it showed."""
        self.reset()
        self.phase = "out"

    @property
    def _cookie(self) -> str | None:
        return sealed_cookie(self.router.headers.cookie)


class OwnersOnly(Middleware):
    """Empties a tab's state before an event of a browser that is not the one whose session it shows.

    A tab is named by a token that scripts can read, and whoever names it is answered with what its state holds, before
    any handler of ours is asked.
    """

    async def preprocess(self, app: rx.App, state: BaseState, event: Event) -> StateUpdate | None:
        """Compare the handshake's cookie with that of the session; never answers an event itself."""
        EVENTS.labels(event_label(event.name)).inc()  # only those that have a handler come as far as this
        shared = await state.get_state(SessionState)
        if shared._owner and shared._owner != digest(shared._cookie or ""):
            shared.reset()
        return None


def emptying(app: rx.App):
    """What empties a tab of `app`: for `Tabs.watched`."""

    async def empty(tab: str, session_id: UUID) -> None:
        async with app.modify_state(rx.BaseStateToken(ident=tab, cls=SessionState)) as root:
            shared = await root.get_state(SessionState)
            if shared._session_id == str(session_id):  # somebody else may be signed in there by now
                shared._close()

    return empty
