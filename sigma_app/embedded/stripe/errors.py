"""Stripe's errors (https://docs.stripe.com/api/errors): raised anywhere in the sandbox, answered as Stripe does."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """A request that Stripe would refuse."""

    def __init__(
        self, message: str, *, status: int = 400, kind: str = "invalid_request_error", code: str = "", param: str = ""
    ):
        super().__init__(message)
        self.status = status
        error = {"type": kind, "message": message, "code": code, "param": param}
        self.body: dict[str, Any] = {"error": {name: value for name, value in error.items() if value}}


def missing(kind: str, identity: str, param: str = "id") -> Refused:
    """There is no such object."""
    name = kind.rpartition(".")[2]
    return Refused(f"No such {name}: '{identity}'", status=404, code="resource_missing", param=param)


def required(param: str) -> Refused:
    """A parameter is missing."""
    return Refused(f"Missing required param: {param}.", code="parameter_missing", param=param)


def invalid(param: str, message: str) -> Refused:
    """A parameter holds what it cannot."""
    return Refused(message, code="parameter_invalid", param=param)


class Declined(Refused):
    """A payment that was tried and failed; unlike after any other refusal, what was done stays done."""

    def __init__(self) -> None:
        super().__init__("Your card was declined.", status=402, kind="card_error", code="card_declined")
