"""A request as the modules here need it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote

from starlette.requests import Request as StarletteRequest
from starlette.requests import cookie_parser
from starlette.types import Receive, Scope

from sigma_app.core.body import BodyTooLarge, read_body
from sigma_app.embedded.supabase.rest import media, preferences
from sigma_app.embedded.supabase.rest.errors import Refusal
from sigma_app.embedded.supabase.rest.preferences import Preferences

MOST_ADDRESS_BYTES = 64 * 1024  # of a path and its query string; what uvicorn itself takes


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    path: str
    """Below where the service is mounted, as it came."""
    query_string: bytes
    headers: Mapping[str, str]
    """By name in small letters."""
    preferences: Preferences
    scope: Scope
    receive: Receive

    @classmethod
    def of(cls, scope: Scope, receive: Receive) -> Request:
        """Read all but the body."""
        headers: dict[str, str] = {}
        prefer = []
        for name, value in scope["headers"]:
            headers[name.decode("latin-1")] = text = value.decode("latin-1")
            if name == b"prefer":
                prefer.append(text)
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        return cls(
            method=scope["method"],
            path=path.removeprefix(scope.get("root_path", "")) or "/",
            query_string=scope["query_string"],
            headers=headers,
            preferences=preferences.read(prefer),
            scope=scope,
            receive=receive,
        )

    @property
    def segments(self) -> Sequence[str]:
        """The parts of the path between slashes, decoded; none for the root."""
        return [unquote(part) for part in self.path[1:].split("/")] if self.path != "/" else []

    @property
    def is_reading(self) -> bool:
        """Whether it may change nothing."""
        return self.method in ("GET", "HEAD")

    @cached_property
    def accepted(self) -> Sequence[str]:
        """The media types of the answer, the most wanted first."""
        return media.accepted(self.headers.get("accept"))

    @property
    def media_type(self) -> str:
        """That of the body."""
        return media.sent(self.headers.get("content-type"))

    @property
    def range_header(self) -> str | None:
        """Of a GET; for another method it says nothing."""
        return self.headers.get("range") if self.method == "GET" else None

    @property
    def profile(self) -> str | None:
        """The schema that is asked for, if one is."""
        writes = self.method in ("POST", "PATCH", "PUT", "DELETE")
        return self.headers.get("content-profile" if writes else "accept-profile")

    def headers_setting(self) -> str:
        """What functions read as `request.headers`."""
        return json.dumps({name: value for name, value in self.headers.items() if name != "cookie"})

    def cookies_setting(self) -> str:
        """What functions read as `request.cookies`."""
        cookies = self.headers.get("cookie")
        return json.dumps(cookie_parser(cookies)) if cookies else "{}"

    async def body(self, most: int) -> bytes:
        """The body.

        Raises:
            Refusal: 413, it has more bytes than `most`.
            starlette.requests.ClientDisconnect: the client left.
        """
        try:
            return await read_body(StarletteRequest(self.scope, self.receive), most)
        except BodyTooLarge:
            raise Refusal("413", 413, f"The body has more than {most} bytes") from None
