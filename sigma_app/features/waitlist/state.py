"""What the waitlist pages know of one visitor: the outcome of their last try to join. No SQL here."""

from __future__ import annotations

from typing import Any

import reflex as rx

from sigma_app.features.waitlist import intake

FORMS = ("hero", "closing", "page")


class WaitlistState(rx.State):
    """The outcome of the visitor's last try; nothing in it reveals whether an address was known before.

    `outcome` is "" before the first try, else as in `intake.Answer`; `message` is the sentence to show; `form` says
    which form on the page was sent; `attempt` counts tries, so that the page's script knows that an answer has come.
    """

    outcome: str = ""
    message: str = ""
    form: str = ""
    attempt: int = 0

    @rx.event
    async def join(self, form_data: dict[str, Any]):
        """Join the waitlist with the fields of a form."""
        fields = form_data if isinstance(form_data, dict) else {}  # a client may send anything
        answer = await intake.accept(fields, self.router.session.client_ip)
        self.form = fields["form"] if fields.get("form") in FORMS else FORMS[0]
        self.outcome = answer.outcome
        self.message = answer.message
        self.attempt += 1
