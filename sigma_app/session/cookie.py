"""The cookie that names a session (RFC 6265bis): opaque, for this host alone, out of reach of every script."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable

from starlette.responses import Response

from sigma_app.settings import get_settings

_BYTES = 32
_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")


def new_cookie() -> str:
    """A value that nobody can guess: 256 bits, as 43 characters of the URL-safe alphabet."""
    return secrets.token_urlsafe(_BYTES)


def cookie_name() -> str:
    """The name of the session's cookie."""
    return host_cookie("sigma_session")


def host_cookie(name: str) -> str:
    """With https the name itself makes browsers refuse it from other hosts and from plain http (RFC 6265bis, 4.1.3)."""
    return f"__Host-{name}" if _is_secure() else name


def read_cookie(header: str) -> str | None:
    """The session's cookie in the value of a Cookie header; None where there is none, or what none of ours looks like.

    Of several with this name none counts: only something that is not us sets a second one.
    """
    name = cookie_name()
    pairs = (pair.strip().partition("=") for pair in header.split(";"))
    values = [value for found, _, value in pairs if found == name]
    return values[0] if len(values) == 1 and _VALUE.fullmatch(values[0]) else None


def cookie_of(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The session's cookie of a request, from its headers as ASGI gives them."""
    return read_cookie("; ".join(value.decode("latin-1") for name, value in headers if name == b"cookie"))


def give_cookie(response: Response, value: str) -> None:
    """Sign a browser in with this answer."""
    set_cookie(response, cookie_name(), value, get_settings().session_seconds)


def take_cookie(response: Response) -> None:
    """Sign a browser out with this answer."""
    set_cookie(response, cookie_name(), "", 0)


def set_cookie(response: Response, name: str, value: str, seconds: int) -> None:
    """Set a cookie that no script can read and no other site's form brings along, for so many seconds."""
    response.set_cookie(name, value, max_age=seconds, path="/", secure=_is_secure(), httponly=True, samesite="lax")


def _is_secure() -> bool:
    return get_settings().base_url.startswith("https:")
