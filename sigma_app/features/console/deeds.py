"""What an operator does on a page: a button, a question first where there is no way back, and what became of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import reflex as rx

from sigma_app.core.errors import SigmaError
from sigma_app.features.console.parts import field
from sigma_app.features.console.state import Arriving
from sigma_app.session.store import Session
from sigma_app.ui.parts import QUIET

_MOMENT = 1.0  # seconds; the second half of a double click comes within half of one, by the setting of most systems


class Deeds(Arriving, mixin=True):
    """Of a page with buttons that act, mixed in beside `ConsolePage`.

    `asking` is the deed that asks whether it is meant, `mistyped` what is wrong with the word that was typed for it,
    `busy` the deed under way, `outcome` what became of the last, `refusal` why it was not done.
    """

    asking: str = ""
    mistyped: str = ""
    busy: str = ""
    outcome: str = ""
    refusal: str = ""

    _last: tuple[str, float] = ("", 0.0)  # the deed that was done last, and when
    _said_at: str = ""  # the address of the page on which something was asked or done last

    @rx.event
    async def ask(self, deed: str):
        """Ask whether it is meant."""
        self.asking, self.mistyped, self._said_at = str(deed), "", self._here()
        self.outcome = self.refusal = ""

    @rx.event
    async def leave_it(self):
        """Ask no more."""
        self.asking = ""

    def _arrive(self) -> None:
        """Forget what was asked and done last, if that was on another page; one that connects again still says it."""
        if self._said_at != self._here():
            self.asking = self.outcome = self.refusal = ""

    def _here(self) -> str:
        return str(self.router.url)

    async def _do(
        self, deed: str, do: Callable[[Session], Awaitable[str]], *, asked: bool = True
    ) -> AsyncIterator[None]:
        """Do it as the operator who is signed in, and show what is so then; a second click finds nothing to do.

        Args:
            deed: its name.
            do: does it; what became of it in words.
            asked: whether it is only done where it was asked whether it is meant.
        """
        if (asked and self.asking != deed) or self._is_second_click(deed):
            return
        self.asking, self.mistyped, self.outcome, self.refusal, self.busy = "", "", "", "", deed
        self._said_at = self._here()
        yield
        try:
            if session := await self._signed_in():  # pyright: ignore[reportAttributeAccessIssue] - of SessionState
                self.outcome = await do(session)
                self._last = (deed, time.time())
        except SigmaError as error:
            self.refusal = str(error)
        finally:
            self.busy = ""
        await self._show()  # pyright: ignore[reportAttributeAccessIssue] - of ConsolePage

    def _is_second_click(self, deed: str) -> bool:
        """Whether it was done a moment ago: the page had not said so yet when it was clicked once more."""
        last, at = self._last
        return deed == last and 0 <= time.time() - at < _MOMENT

    def _means(self, form_data: Any, word: str) -> bool:
        """Whether the word was typed that a question asks for; else it is said, and the question stays."""
        fields = form_data if isinstance(form_data, dict) else {}  # a client may send anything
        meant = str(fields.get("word", "")).strip().lower() == word
        self.mistyped = "" if meant else f"That is not the word. Type {word} to go on."
        return meant


def button(state: Any, deed: str, label: Any, do: Any, look: str = QUIET, **attrs: Any) -> rx.Component:
    """A button that acts at once: for what can be undone, or harms nobody."""
    return rx.el.button(
        rx.cond(state.busy == deed, "One moment …", label),
        type="button",
        on_click=do,
        disabled=state.busy != "",
        class_name=look,
        custom_attrs={"data-deed": deed},
        **attrs,
    )


def asking(
    state: Any,
    deed: str,
    label: Any,
    happens: Any,
    do: Any,
    *,
    yes: str,
    look: str = QUIET,
    word: str = "",
    **attrs: Any,
) -> rx.Component:
    """A button that asks first.

    Args:
        state: of the page, with `Deeds`.
        deed: the name of what is done, also a Var.
        label: of the button.
        happens: what will be so afterwards.
        do: the event that does it.
        yes: the label of the button that means it.
        look: of the button that means it.
        word: that has to be typed first, where nothing can be undone; `do` then gets the form, and asks `_means`.
        attrs: of the button that asks.
    """
    return rx.cond(
        state.asking == deed,
        question(state, deed, label, happens, do, yes=yes, look=look, word=word),
        button(state, deed, label, state.ask(deed), **attrs),
    )


def question(
    state: Any,
    deed: str,
    label: Any,
    happens: Any,
    do: Any,
    *,
    yes: str,
    look: str = QUIET,
    word: str = "",
    leave: Any = None,
) -> rx.Component:
    """The question whether something is meant, as `asking` takes it; `leave` is the event that means no."""
    no = leave or state.leave_it
    # Whoever presses return once more has meant nothing yet.
    leaving = rx.el.button(
        "Leave it",
        type="button",
        on_click=no,
        auto_focus=not word,
        class_name=QUIET,
        custom_attrs={"data-leave": deed},
    )
    if not word:
        meant = rx.el.button(yes, type="button", on_click=do, class_name=look)
        answers = [rx.el.div(meant, leaving, class_name="console-actions")]
    else:
        typed = field(f"Type “{word}” to go on", "word", "", auto_complete="off", auto_focus=True)
        meant = rx.el.button(yes, type="submit", class_name=look)
        answers = [
            rx.el.form(
                typed,
                rx.el.p(state.mistyped, role="alert", class_name="said"),
                rx.el.div(meant, leaving, class_name="console-actions"),
                on_submit=do,
                class_name="console-answer",
            )
        ]
    return rx.el.div(rx.el.p(happens), *answers, role="group", aria_label=label, class_name="console-ask")


def outcome(state: Any) -> rx.Component:
    """What became of the last deed; the room for it is there from the first, so that it is read out."""
    return rx.el.div(
        rx.el.p(state.outcome, role="status", class_name="console-outcome"),
        rx.el.p(state.refusal, role="alert", class_name="console-refusal"),
        class_name="frame console-outcomes",
        custom_attrs={"tabIndex": -1},
    )
