"""What the pages of billing know of the one who is signed in. No SQL here; every handler asks first who that is."""

from __future__ import annotations

from contextlib import suppress

import reflex as rx

from sigma_app.core.errors import SigmaError
from sigma_app.features.billing import thanks
from sigma_app.features.billing.standing import Change, Offered, standing
from sigma_app.gateways.payments import PaymentsUnavailable
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session


class BillingState(SessionState):
    """How somebody stands (standing.py), as this tab last heard of it.

    `wanted` is the plan that they chose before they signed in. `checkout` is what became of the one that they come back
    from, "" where they do not; `checkout_url` where an open one goes on. `ready` is whether anything was read yet,
    `trouble` why there is nothing to show.
    """

    ready: bool = False
    access: bool = False
    plan: str = ""
    headline: str = ""
    why: str = ""
    next: str = ""
    warning: str = ""
    subscribed: bool = False
    customer: bool = False
    bought: list[str] = []  # noqa: RUF012 - a Var, copied for each state
    plans: list[Offered] = []  # noqa: RUF012 - a Var, copied for each state
    history: list[Change] = []  # noqa: RUF012 - a Var, copied for each state
    wanted: str = ""
    checkout: str = ""
    checkout_url: str = ""
    trouble: str = ""

    @rx.event
    async def load(self):
        """Show how they stand."""
        await self.show()  # first: it empties what was another session's
        self.checkout = ""
        asked = self.router.url.query_parameters
        self.wanted = asked.get("plan", "")
        if asked.get("said") == "back":  # from Stripe's portal, whose events may be late
            await self._look_if_late()

    @rx.event
    async def load_thanks(self):
        """Show what became of the checkout that the address names, by Stripe's word, and how they stand."""
        await self.show()
        try:
            if session := await self._signed_in():
                await self._ask_stripe(session)
        except PaymentsUnavailable:
            self.checkout = "unseen"
        except SigmaError as error:
            self.trouble = str(error)

    async def show(self) -> None:
        """Read how they stand; nothing where nobody is signed in any more."""
        try:
            if session := await self._signed_in():
                now = await standing(session)
                self.access, self.plan = now.access, now.plan
                self.headline, self.why = now.headline, now.why
                self.next, self.warning = now.next, now.warning
                self.subscribed, self.customer = now.subscribed, now.customer
                self.bought, self.plans, self.history = now.bought, now.plans, now.history
                self.ready, self.trouble = True, ""
                await self._look_for_console(session)
        except SigmaError as error:
            self.trouble = str(error)

    async def _look_if_late(self) -> None:
        with suppress(SigmaError):
            if session := await self._signed_in():
                await thanks.look_if_late(session, "back from the portal")

    async def _ask_stripe(self, session: Session) -> None:
        asked = self.router.url.query_parameters.get("session_id", "")
        found = await thanks.outcome_of(session, asked)
        self.checkout, self.checkout_url = found.outcome, found.url
        if found.outcome == "paid" and not self.access:
            await thanks.look_if_late(session, "back from checkout")
