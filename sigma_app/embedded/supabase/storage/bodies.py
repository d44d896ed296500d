"""Reading an upload's body while it arrives: raw bytes with everything else in headers, or a form with one file."""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from sigma_app.embedded.supabase.storage import errors
from sigma_app.embedded.supabase.storage.fields import parse_json
from sigma_app.embedded.supabase.storage.receiving import Incoming
from sigma_app.embedded.supabase.storage.sniff import UNKNOWN, essence

NO_CACHE = "no-cache"
_LARGEST_FIELDS = 1024 * 1024  # bytes of all fields beside the file, or of its metadata in a header
_MOST_FIELDS = 10
_KIND = re.compile(r"[!#$%&'*+.^_`|~A-Za-z0-9-]+/[!#$%&'*+.^_`|~A-Za-z0-9-]+(\s*;[\x20-\x7e]*)?")
_HEADER = re.compile(r"[\x20-\x7e]{0,1000}")


@dataclass(frozen=True)
class Sent:
    """What an upload says about its file."""

    kind: str
    """The media type that it declares."""
    cache_control: str
    user_metadata: dict[str, Any]
    length: int | None = None
    """How many bytes it announces, the form around them counted in; not to be trusted."""


Check = Callable[[Sent], Awaitable[None]]
"""Raises where the file is not wanted, before a byte of it is written."""


async def receive_body(request: Request, incoming: Incoming, most: int, check: Check) -> Sent:
    """Write the file that `request` brings to `incoming`.

    Args:
        request: whose body was not read yet.
        incoming: where to.
        most: bytes.
        check: called once, as soon as it is known what comes.

    Raises:
        StorageError: it is too large, or cannot be understood.
        starlette.requests.ClientDisconnect: the client left before its end.
    """
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return await _receive_form(request, incoming, most, check)
    return await _receive_raw(request, incoming, most, check)


async def _receive_raw(request: Request, incoming: Incoming, most: int, check: Check) -> Sent:
    kind = request.headers.get("content-type") or UNKNOWN
    if not _KIND.fullmatch(kind):
        raise errors.invalid_content_type()
    sent = Sent(
        kind,
        checked_header("Cache-Control", request.headers.get("cache-control") or NO_CACHE),
        metadata_header(request) or {},
        announced_length(request),
    )
    if sent.length is not None and sent.length > most:
        raise errors.too_large()
    await check(sent)
    async for chunk in request.stream():
        await _write(incoming, chunk, most)
    return sent


async def _receive_form(request: Request, incoming: Incoming, most: int, check: Check) -> Sent:
    form = _Form(request)
    checked = False
    async for chunk in request.stream():
        for data in form.feed(chunk):
            if not checked:
                await check(form.sent())
                checked = True
            await _write(incoming, data, most)
    if not checked or not form.is_complete:
        raise errors.no_content()
    return form.sent()


async def _write(incoming: Incoming, data: bytes, most: int) -> None:
    if incoming.size + len(data) > most:
        raise errors.too_large()
    await incoming.write(data)


class _Form:
    """A form in multipart/form-data (RFC 7578), of which one part is the file."""

    def __init__(self, request: Request):
        _, options = parse_options_header(request.headers["content-type"])
        self.is_complete = False
        self._length = announced_length(request)
        self._fields: dict[str, bytearray] = {}
        self._field_bytes = 0
        self._kind: str | None = None
        self._file: list[bytes] = []
        self._headers: dict[str, str] = {}
        self._header = [bytearray(), bytearray()]
        self._field: bytearray | None = None
        callbacks = {
            "on_part_begin": self._begin_part,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_content,
            "on_part_data": self._take,
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(options[b"boundary"], callbacks)  # pyright: ignore[reportArgumentType]
        except (KeyError, FormParserError):
            raise errors.no_content() from None

    def feed(self, chunk: bytes) -> list[bytes]:
        """The file's bytes in this piece of the body; an empty one to say that the file begins."""
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise errors.no_content() from None
        data, self._file = self._file, []
        return data

    def sent(self) -> Sent:
        """What is known so far."""
        seconds = self._text("cacheControl")
        return Sent(
            self._text("contentType") or self._kind or UNKNOWN,
            checked_header("Cache-Control", f"max-age={seconds}" if seconds else NO_CACHE),
            metadata_in(self._text("metadata") or self._text("userMetadata") or ""),
            self._length,
        )

    def _text(self, field: str) -> str:
        return self._fields.get(field, b"").decode(errors="replace")

    def _begin_part(self) -> None:
        self._headers = {}

    def _end_header(self) -> None:
        name, value = (part.decode("latin-1") for part in self._header)
        self._headers[name.lower()] = value
        self._header = [bytearray(), bytearray()]

    def _begin_content(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", ""))
        declared = self._headers.get("content-type", "")
        if b"filename" in options or essence(declared) == UNKNOWN:
            if self._kind is not None:
                raise errors.no_content()  # a second file
            self._kind = essence(declared) or UNKNOWN
            self._field = None
            self._file.append(b"")
            return
        if len(self._fields) >= _MOST_FIELDS:
            raise errors.no_content()
        self._field = self._fields.setdefault(options.get(b"name", b"").decode(errors="replace"), bytearray())

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self._file.append(data[start:end])
            return
        self._field_bytes += end - start
        if self._field_bytes > _LARGEST_FIELDS:
            raise errors.too_large("user_metadata")
        self._field += data[start:end]

    def _end(self) -> None:
        self.is_complete = True


def check_kind(kind: str) -> None:
    """Raise where a media type is none."""
    if not _KIND.fullmatch(kind):
        raise errors.invalid_mime_type(kind)


def checked_header(name: str, value: str) -> str:
    """The value, if a header of an answer may have it.

    Raises:
        StorageError: it may not.
    """
    if not _HEADER.fullmatch(value):
        raise errors.invalid_header(name)
    return value


def announced_length(request: Request) -> int | None:
    """What the header Content-Length says."""
    value = request.headers.get("content-length", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else None


def metadata_header(request: Request) -> dict[str, Any] | None:
    """What somebody wants to be kept beside their file: JSON in base64. What is none counts as nothing."""
    value = request.headers.get("x-metadata")
    if value is None:
        return None
    try:
        return metadata_in(base64.b64decode(value + "===").decode())
    except ValueError:
        return {}


def metadata_in(text: str) -> dict[str, Any]:
    """A JSON object; what is none counts as an empty one."""
    try:
        value = parse_json(text.encode()) if text else None
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}
