"""What the waitlist pages know of one visitor: the outcome of their last try to join. No SQL here."""

import reflex as rx


class WaitlistState(rx.State):
    """The outcome of the visitor's last try; nothing in it reveals whether an address was known before.

    `outcome` is one of "" (none yet), "joined", "invalid", "limited", "automated", "unavailable";
    `message` is the sentence to show; `form` says which form on the page was sent ("hero", "closing", "page");
    `attempt` counts tries, so that the page's script knows that an answer has come.
    """

    outcome: str = ""
    message: str = ""
    form: str = ""
    attempt: int = 0

    @rx.event
    async def join(self, form_data: dict):
        """Join the waitlist with the fields of a form."""
        self.attempt += 1
