"""SessionState: who is signed in, as a page's state knows it. Every state with something of a person's extends it."""

from __future__ import annotations

from uuid import UUID

import reflex as rx

from sigma_app.session import store
from sigma_app.session.cookie import read_cookie
from sigma_app.session.store import Session
from sigma_app.session.tabs import TABS


class SessionState(rx.State):
    """Whose page this is.

    `phase` is "" until the session was looked up, "in" while somebody is signed in, "out" from then on: session.js then
    leads to the sign-in page. `email` is theirs. Nothing of a person's may be in a state that does not extend this one:
    its end resets them all.
    """

    phase: str = ""
    email: str = ""

    _session_id: str = ""

    async def signed_in(self) -> Session | None:
        """Who is signed in; None for nobody any more, and then nothing of theirs is left in this tab.

        Every event handler that shows or changes something of a person's asks first. The cookie is that of the
        websocket's handshake, which never leaves the server (design/architecture.md, "Sessions are the backend's").

        Raises:
            DatabaseUnavailable: it could not be looked up.
        """
        session = await store.find(self._cookie)
        shared = await self.get_state(SessionState)
        if session and shared._session_id != str(session.id):
            shared.reset()
            shared._session_id = str(session.id)
            TABS.add(session.id, self.router.session.client_token)
            session = await store.find(self._cookie)  # it may have ended before this tab was known to be its
        if session is None:
            shared.close()
            return None
        shared.phase, shared.email = "in", session.email
        return session

    def close(self) -> None:
        """Forget whose page this was, and what it showed."""
        self.reset()
        self.phase = "out"

    @property
    def _cookie(self) -> str | None:
        return read_cookie(self.router.headers.cookie)


def emptying(app: rx.App):
    """What empties a tab of `app`: for `Tabs.watched`."""

    async def empty(tab: str, session_id: UUID) -> None:
        async with app.modify_state(rx.BaseStateToken(ident=tab, cls=SessionState)) as root:
            shared = await root.get_state(SessionState)
            if shared._session_id == str(session_id):  # somebody else may be signed in there by now
                shared.close()

    return empty
