"""The way from the portal into the console: sent to those who operate Sigma, and to nobody else."""

from __future__ import annotations

import reflex as rx

from sigma_app.core.errors import SigmaError
from sigma_app.session.guard import CONSOLE
from sigma_app.session.operators import is_operator
from sigma_app.session.state import SessionState
from sigma_app.ui.link import link


class WaysState(SessionState):
    """Where else whoever is signed in may go; "" for nowhere."""

    address: str = ""
    name: str = ""

    @rx.event
    async def look(self):
        """Ask whether they operate Sigma; while that cannot be asked there is no way to be seen."""
        self.address, self.name = "", ""
        try:
            session = await self._signed_in()
            if session and await is_operator(session.user_id):
                self.address, self.name = CONSOLE, "Console"
        except SigmaError:
            return


def console_way() -> rx.Component:
    """A link of the portal's header; neither its address nor its name is in the page of anybody else."""
    return rx.fragment(
        rx.cond(WaysState.address != "", link(WaysState.name, href=WaysState.address)),
        on_mount=WaysState.look,
    )
