"""What the waitlist pages know of one visitor: the outcome of their last try to join. No SQL here."""

from __future__ import annotations

from typing import Any

import reflex as rx

from sigma_app.features.waitlist import intake

_LONGEST_ATTEMPT = 64


class WaitlistState(rx.State):
    """The outcome of the visitor's last try; nothing in it reveals whether an address was known before.

    `outcome` is "" before the first try, else as in `intake.Answer`; `message` is the sentence to show; `attempt` is
    the name that the page gave the try, so that its script knows which one has been answered, and from which form. A
    state outlives a reload, and what it said to the page before must not be taken for an answer.
    """

    outcome: str = ""
    message: str = ""
    attempt: str = ""

    @rx.event
    async def join(self, form_data: dict[str, Any]):
        """Join the waitlist with the fields of a form."""
        fields = form_data if isinstance(form_data, dict) else {}  # a client may send anything
        answer = await intake.accept(fields, self.router.session.client_ip)
        self.attempt = str(fields.get("attempt", ""))[:_LONGEST_ATTEMPT]
        self.outcome = answer.outcome
        self.message = answer.message
