"""What stands before all three services: the API key, and the answers that browsers of other origins may read.

The key only opens the gate; who somebody is says their bearer token, and where there is none, the service key itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sigma_app.embedded.supabase.keys import Keys

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_NO_KEY = {
    "message": "No API key found in request",
    "hint": "No `apikey` request header or url param was found.",
}
_OTHER_KEY = {
    "message": "Invalid API key",
    "hint": "Double check your Supabase `anon` or `service_role` API key.",
}


@dataclass(frozen=True)
class Service:
    """One of the three, as the gate needs to know it."""

    app: ASGIApp
    open_paths: Sequence[str] = ()
    """The beginnings of paths, below where it is mounted, that need no key."""
    token_suffices: bool = False
    """Whether a request that brings an Authorization header needs no key, as Supabase's gateway has it for storage."""
    exposed_headers: Sequence[str] = ()
    """What scripts of other origins may read of an answer's headers."""


class Gate:
    """Lets requests with a known API key through, and those to open paths."""

    def __init__(self, service: Service, keys: Keys):
        """Stand before `service`."""
        self._app = service.app
        self._open = tuple(service.open_paths)
        self._token_suffices = service.token_suffices
        self._known = frozenset((keys.anon, keys.service_role))
        self._speaks = keys.service_role

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI 3)."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if self._open and path.startswith(self._open):
            await self._app(scope, receive, send)
            return
        key = _key(scope)
        has_token = any(name == b"authorization" for name, _ in scope["headers"])
        if key not in self._known and not (self._token_suffices and has_token and not key):
            refusal = JSONResponse(_OTHER_KEY if key else _NO_KEY, 401)
            await refusal(scope, receive, send)
            return
        # Without a token REST and storage take the anon key for `anon` themselves; auth asks for one, with 401.
        if key == self._speaks and not has_token:
            scope = {**scope, "headers": [*scope["headers"], (b"authorization", f"Bearer {key}".encode())]}
        await self._app(scope, receive, send)


def guarded(service: Service, keys: Keys) -> ASGIApp:
    """`service` behind the gate, answering pages of every origin. No cookie of ours is involved."""
    return CORSMiddleware(
        Gate(service, keys),
        allow_origins=["*"],
        allow_methods=_METHODS,
        allow_headers=["*"],
        allow_private_network=True,  # a page of the web may ask a Sigma on its visitor's machine
        expose_headers=tuple(service.exposed_headers),
    )


def with_line_breaks(*routes: Mount | Route) -> list[BaseRoute]:
    """`routes`, for which a line break is a character as any other: Starlette's own pattern of a path ends at one."""
    for route in routes:
        route.path_regex = re.compile(route.path_regex.pattern, re.DOTALL)
    return list(routes)


def _key(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"apikey":
            return value.decode("latin-1")
    if b"apikey=" in scope["query_string"]:
        return parse_qs(scope["query_string"].decode("latin-1")).get("apikey", [""])[0]
    return ""
