"""What GoTrue answers when something is wrong: one error with two forms, which the client chooses by its version."""

from __future__ import annotations

import logging
import re
from datetime import date
from typing import Any
from uuid import uuid4

import psycopg
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from sigma_app.core.errors import DatabaseUnavailable, without_message
from sigma_app.embedded.supabase.auth.limits import TooMany, TooManyMails
from sigma_app.embedded.supabase.auth.passwords import Busy

logger = logging.getLogger(__name__)

VERSION_HEADER = "X-Supabase-Api-Version"
_NEWER_FORM = date(2024, 1, 1)  # clients of this version and later are told code and message
_VERSION = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UNEXPECTED = "Unexpected failure, please check server logs for more information"
_TOO_SLOW = "Processing this request timed out, please retry after a moment."


class AuthError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, code: str, message: str, **more: Any):
        """Say what is wrong.

        Args:
            status: of HTTP.
            code: what clients tell cases apart by.
            message: for people.
            more: further members of the body.
        """
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.more = more


class OAuthError(Exception):
    """An answer in OAuth's own form (RFC 6749, 5.2), which GoTrue gives in few places; status 400."""

    def __init__(self, error: str, description: str):
        """Say what is wrong."""
        super().__init__(description)
        self.body = {"error": error, "error_description": description}


def invalid(message: str) -> AuthError:
    """The error of a request that misses something, or says too much."""
    return AuthError(400, "validation_failed", message)


def _form(request: Request, error: AuthError, headers: dict[str, str] | None = None) -> Response:
    """The answer that `error` is, in the form of the request's version."""
    headers = {"x-sb-error-code": error.code} | (headers or {})
    if _wants_newer_form(request):
        headers[VERSION_HEADER] = _NEWER_FORM.isoformat()
        body = {"code": error.code, "message": error.message}
    else:
        body = {"code": error.status, "error_code": error.code, "msg": error.message}
        if error.status >= 500:
            body["error_id"] = str(uuid4())
    return JSONResponse(body | error.more, error.status, headers)


def _wants_newer_form(request: Request) -> bool:
    version = request.headers.get(VERSION_HEADER, "")
    try:
        return _VERSION.fullmatch(version) is not None and date.fromisoformat(version) >= _NEWER_FORM
    except ValueError:
        return False


async def _answer(request: Request, error: Exception) -> Response:
    match error:
        case AuthError():
            return _form(request, error)
        case OAuthError():
            return JSONResponse(error.body, 400)
        case HTTPException():  # as Go's router answers: a sentence for an unknown path, nothing for a wrong method
            text = "404 page not found\n" if error.status_code == 404 else ""
            return PlainTextResponse(text, error.status_code, headers=dict(error.headers or {}))
        case TooMany() | TooManyMails():
            return _form(request, AuthError(error.status, error.code, str(error)))
        case Busy():
            busy = AuthError(error.status, "unexpected_failure", str(error))
            return _form(request, busy, {"Retry-After": str(error.retry_after)})
        case DatabaseUnavailable():
            return _form(request, AuthError(error.status, "unexpected_failure", str(error)), {"Retry-After": "1"})
        case psycopg.OperationalError():  # a statement or a wait for a lock took too long, or two waited for each other
            return _form(request, AuthError(504, "request_timeout", _TOO_SLOW))
        case psycopg.DataError():  # such as a NUL, or a role of 256 characters
            return _form(request, invalid("A value cannot be stored"))
    if not isinstance(error, ClientDisconnect):
        logger.error("Auth could not answer: %s", without_message(error))
    return _form(request, AuthError(500, "unexpected_failure", _UNEXPECTED))


HANDLERS = dict.fromkeys(
    (
        *(AuthError, OAuthError, HTTPException, TooMany, TooManyMails, Busy, DatabaseUnavailable),
        psycopg.Error,
        Exception,
    ),
    _answer,
)
"""Which error is answered how; for Starlette's `exception_handlers`."""
