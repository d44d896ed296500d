"""Which names Sigma answers by: those it was configured with, and on a developer's machine that machine's own.

`Host` is whatever a client writes. Sigma makes no link from it (those are made from BASE_URL), but compares it with
`Origin` (core/origin.py): a page of another site whose name was pointed at this machine (DNS rebinding) would pass for
ours. An address in numbers or `localhost` cannot be such a name, so in development they will do.

Monitors and balancers ask by whatever address they know, and get nothing that depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from sigma_app.core.refusals import refusal
from sigma_app.settings import Settings

_ASKED_BY_ADDRESS = ("/healthz", "/readyz", "/metrics")
_UNKNOWN = (
    "Sigma does not answer by this name. Whoever runs it sets its names: BASE_URL, and further ones in"
    " SIGMA_ALLOWED_HOSTS; a proxy in front has to pass Host on."
)
_UNCLEAR = "A request has one Host header, which names a host."


def answering_to_its_names(app: ASGIApp, settings: Settings) -> ASGIApp:
    """`app`, for requests that name it rightly; others are told so, with 421 or, where no name can be read, 400."""
    base = urlsplit(settings.base_url).hostname or ""
    names = frozenset((base, *settings.allowed_hosts))
    own_machine = settings.env == "development" or settings.is_loopback

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in _ASKED_BY_ADDRESS:
            await app(scope, receive, send)
            return
        name = _named([value for name, value in scope["headers"] if name == b"host"])
        if name in names or (own_machine and _is_own_machine(name)):
            await app(scope, receive, send)
            return
        answer = refusal(scope, "host", 421, _UNKNOWN) if name else refusal(scope, "host", 400, _UNCLEAR)
        await answer(scope, receive, send)

    return answering


def _named(hosts: Sequence[bytes]) -> str:
    """The name in a request's Host headers, without a port, in small letters; "" where there is not exactly one."""
    if len(hosts) != 1:
        return ""
    host = hosts[0].decode("latin-1")
    try:
        parts = urlsplit(f"//{host}")
        return (parts.hostname or "") if parts.netloc == host and "@" not in host else ""
    except ValueError:  # such as a bracket that is not closed
        return ""


def _is_own_machine(name: str) -> bool:
    try:
        return bool(ip_address(name))
    except ValueError:
        return name == "localhost"
