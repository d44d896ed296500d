"""How good a new password is: judged by zxcvbn, which knows what people choose and how it is guessed.

NIST SP 800-63B asks for length and a list of known passwords rather than for kinds of characters; zxcvbn estimates how
many guesses a password bears, common ones, names, dates, keyboard walks and one's own address among them.
"""

from __future__ import annotations

from dataclasses import dataclass

from anyio import CapacityLimiter, to_thread
from zxcvbn import zxcvbn

from sigma_app.core.errors import SigmaError

SHORTEST = 8  # characters
LONGEST = 72  # bytes: bcrypt reads no further, and Supabase refuses more
ENOUGH = 2  # of zxcvbn's 0 to 4: withstands an attack over the network that nobody slows down

AT_LEAST = f"{SHORTEST} characters at least."

_JUDGED = 32  # characters: for a long one full of signs that stand for letters zxcvbn takes seconds
_OWN = 8  # words
_WAITING = 20

_one_at_a_time = CapacityLimiter(1)  # it is work for the processor alone; the others wait

_WORDS = ("Would be guessed at once.", "Would be guessed soon.", "Will do.", "Good.", "Very good.")


class TooBusy(SigmaError):
    """Too many people are choosing a password at this moment. Please try again in a few seconds."""

    status = 429


@dataclass(frozen=True, slots=True)
class Strength:
    """How strong a password is, and what to say about it."""

    score: int
    """0 to 4."""
    words: str
    """One or two sentences: a judgement and, where it helps, advice."""


async def strength(password: str, email: str = "") -> Strength:
    """Judge a password.

    Args:
        password: its first 32 characters count.
        email: of whose account it is; what is in it makes a poor password.

    Raises:
        TooBusy: 20 others wait for a judgement already.
    """
    if len(password) < SHORTEST:
        return Strength(0, AT_LEAST)
    if _one_at_a_time.statistics().tasks_waiting >= _WAITING:
        raise TooBusy
    return await to_thread.run_sync(_judge, password[:_JUDGED], email, limiter=_one_at_a_time)


async def problem_with(password: str, email: str) -> str:
    """Why a new password will not do, in a sentence or two; "" if it does.

    Raises:
        TooBusy: it could not be judged now.
    """
    if not password:
        return "Please choose a password."
    if len(password) < SHORTEST:
        return f"A few characters more, please: {SHORTEST} at least."
    if len(password.encode("utf-8", "replace")) > LONGEST:
        return f"That is longer than we can keep: {LONGEST} bytes at most."
    if "\x00" in password or any("\ud800" <= sign <= "\udfff" for sign in password):
        return "There is a character in it that cannot be kept. Please leave it out."
    judged = await strength(password, email)
    return "" if judged.score >= ENOUGH else judged.words


def _judge(password: str, email: str) -> Strength:
    name, _, domain = email.partition("@")
    own = [part for part in ["sigma", email, name, *name.split("."), *domain.split(".")] if len(part) > 2]
    found = zxcvbn(password, user_inputs=own[:_OWN])
    score = found["score"]
    warning, *suggestions = [found["feedback"]["warning"], *found["feedback"]["suggestions"]]
    advice = (warning or next(iter(suggestions), "")) if score <= ENOUGH else ""
    if advice and not advice.endswith("."):
        advice += "."
    return Strength(score, f"{_WORDS[score]} {advice}".strip())
