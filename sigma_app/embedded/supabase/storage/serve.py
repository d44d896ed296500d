"""Reading objects: their bytes, and what is known about them.

Whatever somebody uploaded is handed out as what it is called, and yet never trusted: browsers are told to guess, to run
and to ask for nothing (`_GUARDED`), and to save it to disk, unless it is an image of pixels by its name and by its
content.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from email.utils import format_datetime, formatdate, parsedate_to_datetime
from typing import Any, BinaryIO
from urllib.parse import quote

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from sigma_app.core.database import SERVICE, Actor
from sigma_app.embedded.supabase.storage import errors, rows
from sigma_app.embedded.supabase.storage.acting import acting
from sigma_app.embedded.supabase.storage.actor import Asker, asker, asker_or_stranger
from sigma_app.embedded.supabase.storage.content import Content
from sigma_app.embedded.supabase.storage.fields import query_of
from sigma_app.embedded.supabase.storage.names import Place, check_key, place_in
from sigma_app.embedded.supabase.storage.shown import about, shown_time
from sigma_app.embedded.supabase.storage.signing import Signer
from sigma_app.embedded.supabase.storage.sniff import HEAD_BYTES, UNKNOWN, is_safe_image

_GUARDED = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "x-robots-tag": "none",
    "accept-ranges": "bytes",
}
_READ_BYTES = 1024 * 1024
_TRIES = 3  # to open a file whose row is replaced while it is looked for
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_UNFIT = re.compile(r"[^\x20-\x7e]")
_LAST_MOMENT = 253402300799  # of the year 9999, later than which no date can be written


class Reading:
    """What hands objects out."""

    def __init__(self, content: Content, secret: str, signer: Signer):
        """Serve the files of `content`."""
        self._content = content
        self._secret = secret
        self._signer = signer

    def routes(self) -> list[Route]:
        """Where; GET is HEAD as well."""
        return [
            Route("/object/public/{rest:path}", self.get_public),
            Route("/object/sign/{rest:path}", self.get_signed),
            Route("/object/authenticated/{rest:path}", self.get_authenticated),
            Route("/object/info/public/{rest:path}", self.info_public),
            Route("/object/info/authenticated/{rest:path}", self.info_authenticated),
            Route("/object/info/{bucket}/{rest:path}", self.info),
            Route("/object/{bucket}/{rest:path}", self.get),
        ]

    async def get(self, request: Request) -> Response:
        """GET /object/{bucket}/{name}: SELECT, or a public bucket."""
        who = asker_or_stranger(request, self._secret)
        return await self._serve(request, place_in(request, 1), await self._reader(who, place_in(request, 1)))

    async def get_authenticated(self, request: Request) -> Response:
        """GET /object/authenticated/{bucket}/{name}: SELECT, or a public bucket; never without a token."""
        who = asker(request, self._secret)
        return await self._serve(request, place_in(request, 2), await self._reader(who, place_in(request, 2)))

    async def get_public(self, request: Request) -> Response:
        """GET /object/public/{bucket}/{name}: a public bucket."""
        place = place_in(request, 2)
        if not await _is_public(place.bucket):
            raise errors.no_such_bucket()
        return await self._serve(request, place, SERVICE)

    async def get_signed(self, request: Request) -> Response:
        """GET /object/sign/{bucket}/{name}?token=…: what the token's maker was allowed to."""
        place = place_in(request, 2)
        claims = self._signer.read(query_of(request).text("token"), place, "download")
        return await self._serve(request, place, SERVICE, until=claims["exp"])

    async def info(self, request: Request) -> Response:
        """GET /object/info/{bucket}/{name}: SELECT, or a public bucket."""
        place = place_in(request, 2)
        return await _info(place, await self._reader(asker_or_stranger(request, self._secret), place))

    async def info_authenticated(self, request: Request) -> Response:
        """GET /object/info/authenticated/{bucket}/{name}: the same, never without a token."""
        place = place_in(request, 3)
        return await _info(place, await self._reader(asker(request, self._secret), place))

    async def info_public(self, request: Request) -> Response:
        """GET /object/info/public/{bucket}/{name}: a public bucket."""
        place = place_in(request, 3)
        if not await _is_public(place.bucket):
            raise errors.no_such_bucket()
        return await _info(place, SERVICE)

    async def _reader(self, who: Asker, place: Place) -> Actor:
        """As whom `who` reads in a bucket.

        Raises:
            StorageError: there is none, or none that a stranger may know of.
        """
        is_public = await _is_public(place.bucket)
        if is_public is None or not (is_public or who.is_known):
            raise errors.no_such_bucket()
        return SERVICE if is_public else who.actor

    async def _serve(self, request: Request, place: Place, reader: Actor, until: int | None = None) -> Response:
        check_key(place.name)
        row, file = await self._open(place, reader)
        try:
            head = await run_sync(os.pread, file.fileno(), HEAD_BYTES, 0)
            size = (await run_sync(os.fstat, file.fileno())).st_size
            headers = _headers(row, until) | _disposition(request, row, head)
            if _is_known(request, row):
                file.close()
                return Response(status_code=304, headers=headers)
            begin, end = _range(request, row, size)
            headers["content-length"] = str(end - begin)
            is_part = end - begin < size or _is_asked_for_part(request, row)
            if is_part:
                headers["content-range"] = f"bytes {begin}-{end - 1}/{size}"
        except BaseException:
            file.close()
            raise
        return _Bytes(file, begin, end, 206 if is_part else 200, headers)

    async def _open(self, place: Place, reader: Actor) -> tuple[dict[str, Any], BinaryIO]:
        """An object's row and its file, which the caller closes."""
        for _ in range(_TRIES - 1):
            row = await rows.find(reader, place, "storage.object.get_authenticated")
            try:
                return row, await self._content.open(row["version"])
            except errors.StorageError:  # it was replaced in between
                continue
        row = await rows.find(reader, place, "storage.object.get_authenticated")
        return row, await self._content.open(row["version"])


class _Bytes(StreamingResponse):
    """A part of a file, which is closed whatever happens."""

    def __init__(self, file: BinaryIO, begin: int, end: int, status: int, headers: Mapping[str, str]):
        super().__init__(_pieces(file, begin, end), status, headers)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] == "HEAD":
                await Response(status_code=self.status_code, headers=dict(self.headers))(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)
        finally:
            self._file.close()


async def _pieces(file: BinaryIO, begin: int, end: int) -> AsyncIterator[bytes]:
    while begin < end:
        piece = await run_sync(os.pread, file.fileno(), min(_READ_BYTES, end - begin), begin)
        if not piece:
            raise EOFError("a file is shorter than it was")
        begin += len(piece)
        yield piece


async def _is_public(bucket: str) -> bool | None:
    """Whether everybody may read in a bucket; None where there is none."""
    async with acting(SERVICE, "storage.object.get_public") as cursor:
        await cursor.execute("select public from storage.buckets where id = %s", [bucket])
        row = await cursor.fetchone()
    return None if row is None else bool(row["public"])


async def _info(place: Place, reader: Actor) -> Response:
    row = await rows.find(reader, Place(place.bucket, check_key(place.name)), "object.get_authenticated_info")
    metadata = about(row)
    body = {
        "id": str(row["id"]),
        "name": row["name"],
        "version": row["version"],
        "bucket_id": row["bucket_id"],
        "size": metadata.get("size"),
        "content_type": metadata.get("mimetype"),
        "cache_control": metadata.get("cacheControl"),
        "etag": metadata.get("eTag"),
        "metadata": row["user_metadata"],
        "last_modified": shown_time(row["updated_at"]),
        "created_at": shown_time(row["created_at"]),
    }
    return JSONResponse(body, headers={"etag": _etag(row), "last-modified": _http_date(row["updated_at"])})


def _headers(row: Mapping[str, Any], until: int | None) -> dict[str, str]:
    """What an answer with an object's bytes says of them."""
    kind = _kind(row)
    headers = _GUARDED | {
        "content-type": "text/plain" if "text/html" in kind.lower() else kind,  # as the real server does
        "etag": _etag(row),
        "last-modified": _http_date(row["updated_at"]),
    }
    if until is None:
        return headers | {"cache-control": _fit(about(row).get("cacheControl")) or "no-cache"}
    return headers | {"expires": formatdate(min(until, _LAST_MOMENT), usegmt=True)}


def _disposition(request: Request, row: Mapping[str, Any], head: bytes) -> dict[str, str]:
    """Whether a browser shows an object or saves it, and under which name (RFC 6266)."""
    name = request.query_params.get("download")
    if name:
        escaped = quote(name.encode(errors="replace"), safe="")
        return {"content-disposition": f"attachment; filename={escaped}; filename*=UTF-8''{escaped}"}
    if name == "":
        return {"content-disposition": "attachment;"}
    return {} if is_safe_image(_kind(row), head) else {"content-disposition": "attachment"}


def _kind(row: Mapping[str, Any]) -> str:
    return _fit(about(row).get("mimetype")) or UNKNOWN


def _fit(value: Any) -> str | None:
    """A value for a header; None where it is none."""
    return value if isinstance(value, str) and value and not _UNFIT.search(value) else None


def _etag(row: Mapping[str, Any]) -> str:
    return f'"{row["version"]}"'


def _http_date(moment: datetime) -> str:
    return format_datetime(moment.replace(microsecond=0), usegmt=True)


def _is_known(request: Request, row: Mapping[str, Any]) -> bool:
    """Whether the client has these bytes already (RFC 9110, section 13.2.2)."""
    if tags := request.headers.get("if-none-match"):
        return tags.strip() == "*" or _etag(row) in (tag.strip().removeprefix("W/") for tag in tags.split(","))
    since = _date(request.headers.get("if-modified-since"))
    return since is not None and row["updated_at"].replace(microsecond=0) <= since


def _date(value: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value or "")
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo else None


def _is_asked_for_part(request: Request, row: Mapping[str, Any]) -> bool:
    """Whether the request has a range that counts."""
    condition = request.headers.get("if-range")
    if condition not in (None, _etag(row), _http_date(row["updated_at"])):
        return False
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    return bool(asked and (asked[1] or asked[2]))


def _range(request: Request, row: Mapping[str, Any], size: int) -> tuple[int, int]:
    """From which byte up to which, the latter left out. Several ranges at once, and other units, count as none.

    Raises:
        StorageError: there is no such byte.
    """
    if not _is_asked_for_part(request, row):
        return 0, size
    first, last = request.headers["range"].removeprefix("bytes=").split("-")
    begin = int(first) if first else max(size - int(last), 0)
    end = min(int(last) + 1, size) if first and last else size
    if begin >= end:
        raise errors.invalid_range(size)
    return begin, end
