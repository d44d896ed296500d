"""Serves the finished pages and assets from memory: no file read, no thread, no formatting per request.

Everything is loaded, addressed, compressed and given its headers once, at start; a request is a dictionary look-up
and two ASGI messages. A well-kept library (servestatic, Starlette's StaticFiles) opens a file for each request, which
is what this exists to avoid: docs/decisions/0005-pages-from-memory.md has the measurement.

Hashed assets are immutable for a year (RFC 8246); everything else is revalidated with its ETag (RFC 9110, 8.8.3).
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import brotli
from starlette.types import Scope, Send

from sigma_app.core.marks import OPEN
from sigma_app.core.origin import PLACEHOLDER_ORIGIN
from sigma_app.frontend.policy import policy_of

Headers = list[tuple[bytes, bytes]]

_IMMUTABLE = b"public, max-age=31536000, immutable"
_LONG = b"public, max-age=604800"  # a week; typefaces change by another file name
_REVALIDATED = b"no-cache"
_CACHING = {"assets": _IMMUTABLE, "fonts": _LONG}
ADDRESSED = {".html", ".xml", ".txt", ".webmanifest"}  # may name the public address
_COMPRESSIBLE = ADDRESSED | {".js", ".css", ".svg", ".json", ".ico"}
_NEVER_SERVED = {"__spa-fallback.html"}

_BROTLI_QUALITY = 5  # the best quality saves a tenth more and costs each start a quarter of a second


@dataclass(frozen=True, slots=True)
class Variant:
    """One file in one encoding, ready to send. Each has an ETag of its own, since its bytes are its own."""

    body: bytes
    etag: bytes
    headers: Headers
    not_modified: Headers


@dataclass(frozen=True, slots=True)
class MemoryFile:
    """One file in every encoding worth having: "" is the file as it is."""

    variants: dict[str, Variant]

    def choose(self, accept_encoding: bytes) -> Variant:
        """The smallest variant that the client accepts."""
        for encoding in _preference(accept_encoding):
            if encoding in self.variants:
                return self.variants[encoding]
        return self.variants[""]


class MemoryFiles:
    """The finished frontend, by request path; pages that are filled in per request (templates.py) are not served."""

    def __init__(self, directory: Path, origin: str):
        """Load every file.

        Args:
            directory: a finished build.
            origin: the public address, without a slash at the end, to put where pages name their own address.
        """
        self._files: dict[str, MemoryFile] = {}
        self._templates: dict[str, str] = {}
        for path in sorted(directory.rglob("*")):
            relative = path.relative_to(directory)
            if not path.is_file() or path.suffix in {".gz", ".br"} or relative.name in _NEVER_SERVED:
                continue
            body = _addressed(path, origin)
            if path.suffix == ".html" and OPEN.encode() in body:
                self._templates[_request_path(relative)] = body.decode()
            else:
                self._files[_request_path(relative)] = _load(path, relative, body)

    def find(self, path: str) -> MemoryFile | None:
        """The file served at the request path `path`."""
        return self._files.get(path)

    def text(self, path: str) -> str:
        """The file at `path` as text, for pages that the server fills in.

        Raises:
            KeyError: there is no such file.
        """
        return self._templates.get(path) or self._files[path].variants[""].body.decode()


async def respond(file: MemoryFile, scope: Scope, send: Send, status: int = 200) -> None:
    """Answer a GET or HEAD request with `file`."""
    accept_encoding = if_none_match = b""
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            accept_encoding = value
        elif name == b"if-none-match":
            if_none_match = value
    variant = file.choose(accept_encoding)
    if status == 200 and if_none_match and _matches(if_none_match, variant.etag):
        await send({"type": "http.response.start", "status": 304, "headers": variant.not_modified})
        await send({"type": "http.response.body", "body": b""})
        return
    await send({"type": "http.response.start", "status": status, "headers": variant.headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else variant.body})


def _request_path(relative: Path) -> str:
    """`index.html` is at `/`, `join.html` and `join/index.html` both at `/join`, the rest at its own path."""
    if relative.suffix != ".html":
        return f"/{relative.as_posix()}"
    page = relative.parent if relative.name == "index.html" else relative.with_suffix("")
    return "/" if page == Path() else f"/{page.as_posix()}"


def _addressed(path: Path, origin: str) -> bytes:
    body = path.read_bytes()
    return body.replace(PLACEHOLDER_ORIGIN.encode(), origin.encode()) if path.suffix in ADDRESSED else body


def _load(path: Path, relative: Path, body: bytes) -> MemoryFile:
    caching = _CACHING.get(relative.parts[0], _REVALIDATED)
    policy = policy_of(body.decode()) if path.suffix == ".html" else None
    bodies = {"": body, **(_compressed(path, body) if path.suffix in _COMPRESSIBLE else {})}
    kind = _media_type(path)
    return MemoryFile({name: _variant(content, name, kind, caching, policy) for name, content in bodies.items()})


def _variant(content: bytes, encoding: str, media_type: bytes, caching: bytes, policy: str | None) -> Variant:
    etag = b'"' + hashlib.sha256(content).hexdigest()[:24].encode() + b'"'
    common = [
        (b"cache-control", caching),
        (b"etag", etag),
        (b"vary", b"accept-encoding"),
    ]
    headers = [(b"content-type", media_type), (b"content-length", str(len(content)).encode()), *common]
    if policy:
        headers.append((b"content-security-policy", policy.encode()))
    if encoding:
        headers.append((b"content-encoding", encoding.encode()))
    return Variant(content, etag, headers, common)


def _media_type(path: Path) -> bytes:
    known = {".js": "text/javascript", ".webmanifest": "application/manifest+json", ".ico": "image/x-icon"}
    media_type = known.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    textual = media_type.startswith("text/") or media_type.endswith(("json", "xml"))
    return (f"{media_type}; charset=utf-8" if textual else media_type).encode()


def _compressed(path: Path, body: bytes) -> dict[str, bytes]:
    """`body` compressed: taken from the build where it is the same, made now where the address was filled in."""
    built = {"br": path.with_name(path.name + ".br"), "gzip": path.with_name(path.name + ".gz")}
    if path.suffix not in ADDRESSED and all(sidecar.is_file() for sidecar in built.values()):
        found = {encoding: sidecar.read_bytes() for encoding, sidecar in built.items()}
    else:
        found = {
            "br": brotli.compress(body, quality=_BROTLI_QUALITY),
            "gzip": gzip.compress(body, 6, mtime=0),
        }
    return {encoding: content for encoding, content in found.items() if len(content) < len(body)}


@lru_cache(maxsize=256)
def _preference(accept_encoding: bytes) -> tuple[str, ...]:
    """Our encodings that the header accepts, best first (RFC 9110, 12.5.3)."""
    accepted = {}
    for item in accept_encoding.decode("latin-1").lower().split(","):
        name, _, parameters = item.strip().partition(";")
        quality = parameters.replace(" ", "").removeprefix("q=") if parameters else "1"
        try:
            accepted[name.strip()] = float(quality)
        except ValueError:
            accepted[name.strip()] = 0.0
    anything = accepted.get("*", 0.0)
    return tuple(encoding for encoding in ("br", "gzip") if accepted.get(encoding, anything) > 0)


def _matches(if_none_match: bytes, etag: bytes) -> bool:
    if if_none_match == etag:
        return True
    candidates = (candidate.strip().removeprefix(b"W/") for candidate in if_none_match.split(b","))
    return any(candidate in (b"*", etag) for candidate in candidates)
