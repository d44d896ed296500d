"""The error that a form of accounts shows."""

from __future__ import annotations

from sigma_app.core.errors import SigmaError


class NotLikeThat(SigmaError):
    """Something that was typed will not do; the message says what, and `field` where."""

    status = 422

    def __init__(self, message: str, field: str = "") -> None:
        """Take the sentence to show and the name of the field it is about."""
        super().__init__(message)
        self.field = field
