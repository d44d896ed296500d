"""The errors that people may read.

Each class is one way in which things go wrong; its docstring is the message, unless the place that raises it
knows more. A message is one line, says the way out, and never holds a secret.
"""

from __future__ import annotations

import traceback
from inspect import cleandoc


class SigmaError(Exception):
    """Something went wrong on our side. Please try again."""

    status = 500  # the HTTP status of an answer that this error ends

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or " ".join(cleandoc(type(self).__doc__ or "").split()))


class StartError(SigmaError):
    """Sigma could not start."""


class DatabaseUnavailable(SigmaError):
    """The database does not answer right now. Nothing was saved; please try again in a moment."""

    status = 503


class NotLikeThat(SigmaError):
    """Something that was typed will not do; the message says what, and `field` where."""

    status = 422

    def __init__(self, message: str, field: str = "") -> None:
        """Take the sentence to show and the name of the field it is about."""
        super().__init__(message)
        self.field = field


class DatabaseBusy(DatabaseUnavailable):
    """Too many people ask at once right now. Nothing was saved; please try again in a moment."""


def without_message(error: BaseException) -> str:
    """An error for the log: its class, its SQLSTATE if it has one, and where it came from.

    Not its message: Postgres and validators repeat the values that they complain of, and these are people's.
    """
    error = getattr(error, "orig", None) or error  # SQLAlchemy's wraps the driver's
    code = getattr(error, "sqlstate", None)
    name = f"{type(error).__name__} {code}" if code else type(error).__name__
    return f"{name}\n{''.join(traceback.format_tb(error.__traceback__))}"
