"""How good a new password is: judged by zxcvbn, which knows what people choose and how it is guessed.

NIST SP 800-63B asks for length and a list of known passwords rather than for kinds of characters; zxcvbn estimates how
many guesses a password bears, common ones, names, dates, keyboard walks and one's own address among them.
"""

from __future__ import annotations

from dataclasses import dataclass

from anyio import to_thread
from zxcvbn import zxcvbn

SHORTEST = 8  # characters
LONGEST = 72  # bytes: bcrypt reads no further, and Supabase refuses more
ENOUGH = 2  # of zxcvbn's 0 to 4: withstands an attack over the network that nobody slows down

_WORDS = ("Would be guessed at once.", "Would be guessed soon.", "Will do.", "Good.", "Very good.")


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
        password: its first 72 characters count.
        email: of whose account it is; what is in it makes a poor password.
    """
    if len(password) < SHORTEST:
        return Strength(0, f"{SHORTEST} characters at least.")
    return await to_thread.run_sync(_judge, password[:LONGEST], email)


async def problem_with(password: str, email: str) -> str:
    """Why a new password will not do, in a sentence or two; "" if it does."""
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
    own = [part for part in [*email.replace("@", ".").split("."), email, "sigma"] if len(part) > 2]
    found = zxcvbn(password, user_inputs=own, max_length=LONGEST)
    score = found["score"]
    warning, *suggestions = [found["feedback"]["warning"], *found["feedback"]["suggestions"]]
    advice = (warning or next(iter(suggestions), "")) if score <= ENOUGH else ""
    if advice and not advice.endswith("."):
        advice += "."
    return Strength(score, f"{_WORDS[score]} {advice}".strip())
