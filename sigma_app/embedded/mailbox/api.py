"""Speaks Resend's `POST /emails` (https://resend.com/docs/api-reference/emails/send-email) and keeps what it is sent.

The gateway reaches it in process, never over the network: it takes any key, so it must not be served.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sigma_app.embedded.mailbox import store

_MOST_RECIPIENTS = 50
_LONGEST_KEY = 256  # characters
_ADDRESS = re.compile(r"[^<>@\s]+@[^<>@\s]+|[^<>\r\n]*<[^<>@\s]+@[^<>@\s]+>|\"[^\"\r\n]+\"@[^<>@\s]+")


class Refused(Exception):
    """A request that Resend would refuse, in its own shape (https://resend.com/docs/api-reference/errors)."""

    def __init__(self, status: int, name: str, message: str):
        super().__init__(message)
        self.status = status
        self.answer = {"statusCode": status, "name": name, "message": message}


async def send_email(request: Request) -> Response:
    """Keep a mail: `{"id": …}`."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or not key:
        raise Refused(401, "missing_api_key", "There is no API key in the authorization header.")
    idempotency_key = request.headers.get("idempotency-key")
    if idempotency_key is not None and not 1 <= len(idempotency_key) <= _LONGEST_KEY:
        raise Refused(400, "invalid_idempotency_key", f"The key must have between 1 and {_LONGEST_KEY} characters.")
    try:
        mail = json.loads(await request.body())
    except ValueError:
        raise Refused(400, "validation_error", "The body is not JSON.") from None
    try:
        kept = await store.keep(_checked(mail), idempotency_key)
    except store.OtherPayload:
        reason = "This idempotency key was used for a request with another body."
        raise Refused(409, "invalid_idempotent_request", reason) from None
    return JSONResponse({"id": kept})


def _checked(mail: Any) -> Mapping[str, Any]:
    """The mail with `to` as a list.

    Raises:
        Refused: a field is missing, or is not what it must be.
    """
    if not isinstance(mail, dict):
        raise Refused(422, "validation_error", "The body must be an object.")
    for name in ("from", "to", "subject"):
        if not mail.get(name):
            raise Refused(422, "missing_required_field", f"The field `{name}` is missing.")
    if not mail.get("html") and not mail.get("text"):
        raise Refused(422, "missing_required_field", "One of the fields `html` and `text` is needed.")
    for name in ("from", "subject", "html", "text"):
        if not isinstance(mail.get(name, ""), str):
            raise Refused(422, "validation_error", f"The field `{name}` must be text.")
    recipients = mail["to"] if isinstance(mail["to"], list) else [mail["to"]]
    if len(recipients) > _MOST_RECIPIENTS:
        raise Refused(422, "validation_error", f"The field `to` holds more than {_MOST_RECIPIENTS} addresses.")
    for name, addresses in (("from", [mail["from"]]), ("to", recipients)):
        if not all(isinstance(one, str) and _ADDRESS.fullmatch(one) for one in addresses):
            raise Refused(422, "validation_error", f"The field `{name}` is no address.")
    headers = mail.get("headers") or {}
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise Refused(422, "validation_error", "The field `headers` must hold a text for each name.")
    return mail | {"to": recipients}


async def _refuse(_: Request, refused: Any) -> Response:
    return JSONResponse(refused.answer, refused.status)


app = Starlette(routes=[Route("/emails", send_email, methods=["POST"])], exception_handlers={Refused: _refuse})
