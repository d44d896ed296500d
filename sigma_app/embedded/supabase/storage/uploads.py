"""Uploads: `POST` and `PUT /object/{bucket}/{name}`, and the same by a signed address."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sigma_app.core.database import SERVICE
from sigma_app.embedded.supabase.storage import errors, rows
from sigma_app.embedded.supabase.storage.acting import acting
from sigma_app.embedded.supabase.storage.actor import Asker, asker
from sigma_app.embedded.supabase.storage.bodies import (
    Sent,
    announced_length,
    check_kind,
    metadata_header,
    receive_body,
)
from sigma_app.embedded.supabase.storage.content import Content
from sigma_app.embedded.supabase.storage.fields import query_of
from sigma_app.embedded.supabase.storage.names import Place, check_key, is_folder_placeholder, place_in
from sigma_app.embedded.supabase.storage.receiving import Incoming
from sigma_app.embedded.supabase.storage.shown import shown_time
from sigma_app.embedded.supabase.storage.signing import UPLOAD_SECONDS, Signer
from sigma_app.embedded.supabase.storage.sniff import HEAD_BYTES, essence, judge


class Uploads:
    """What takes files in."""

    def __init__(self, content: Content, secret: str, signer: Signer, largest_file: int):
        """Store in `content`, nothing larger than `largest_file` bytes."""
        self._content = content
        self._secret = secret
        self._signer = signer
        self._largest_file = largest_file

    def routes(self) -> list[Route]:
        """Where."""
        return [
            Route("/object/upload/sign/{rest:path}", self.sign, methods=["POST"]),
            Route("/object/upload/sign/{rest:path}", self.upload_signed, methods=["PUT"]),
            Route("/object/{bucket}/{rest:path}", self.create, methods=["POST"]),
            Route("/object/{bucket}/{rest:path}", self.update, methods=["PUT"]),
        ]

    async def create(self, request: Request) -> Response:
        """POST /object/{bucket}/{name}: INSERT, and with `x-upsert: true` SELECT and UPDATE."""
        who = asker(request, self._secret)
        upload = _Upload(place_in(request, 1), who, _wants_upsert(request), "storage.object.upload")
        return _stored(await self._store(request, upload))

    async def update(self, request: Request) -> Response:
        """PUT /object/{bucket}/{name}: the same as POST with `x-upsert: true`."""
        who = asker(request, self._secret)
        upload = _Upload(place_in(request, 1), who, True, "storage.object.upload_update")
        return _stored(await self._store(request, upload))

    async def sign(self, request: Request) -> Response:
        """POST /object/upload/sign/{bucket}/{name}: an address to upload to, for whoever may do so themselves."""
        who = asker(request, self._secret)
        place = place_in(request, 3)
        check_key(place.name)
        upsert = _wants_upsert(request)
        metadata = {"mimetype": request.headers.get("content-type"), "contentLength": announced_length(request)}
        row = rows.NewRow(place, who, "1", metadata, metadata_header(request))
        await rows.check_may_write(row, "storage.object.sign_upload_url", upsert=upsert)
        token = self._signer.sign(place, "upload", UPLOAD_SECONDS, owner=who.owner_id, upsert=upsert)
        return JSONResponse({"url": f"/object/upload/sign/{address_of(place)}?token={token}", "token": token})

    async def upload_signed(self, request: Request) -> Response:
        """PUT /object/upload/sign/{bucket}/{name}?token=…: what the token's maker was allowed to."""
        place = place_in(request, 3)
        claims = self._signer.read(query_of(request).text("token"), place, "upload")
        who = Asker(SERVICE, claims.get("owner"))
        upload = _Upload(place, who, bool(claims.get("upsert")), "storage.object.upload_signed")
        row = await self._store(request, upload)
        return JSONResponse({"Key": f"{row['bucket_id']}/{row['name']}"})

    async def _store(self, request: Request, upload: _Upload) -> dict[str, Any]:
        """Receive a file and write its row; nothing stays of what does not end well."""
        largest, allowed = await rows.limits_of(upload.place.bucket, upload.operation)
        check_key(upload.place.name)
        if is_folder_placeholder(upload.place.name):
            most, allowed = 0, []
        else:
            most = self._largest_file if largest is None else min(largest, self._largest_file)

        async def check(sent: Sent) -> None:
            check_kind(sent.kind)
            _check_allowed(sent.kind, allowed)
            await rows.check_may_write(upload.tried_row(sent), upload.operation, upsert=upload.upsert)

        async with self._content.receive() as incoming:
            sent = await receive_body(request, incoming, most, check)
            await incoming.finish()
            if allowed:
                _check_allowed(judge(sent.kind, await incoming.head(HEAD_BYTES)), allowed)
            return await self._keep(incoming, upload.row(sent, incoming), upload)

    async def _keep(self, incoming: Incoming, row: rows.NewRow, upload: _Upload) -> dict[str, Any]:
        async with self._content.changing() as change, acting(SERVICE, upload.operation) as cursor:
            replaced = await rows.take_turn(cursor, row.place)
            if replaced and not upload.upsert:
                raise errors.already_exists("KeyAlreadyExists")
            await change.add(incoming, cursor)
            written = await rows.write(cursor, row)
            if replaced:
                await change.remove([replaced["version"]])
        return written


class _Upload:
    """One upload: where to, whose, and whether it may replace what is there."""

    def __init__(self, place: Place, who: Asker, upsert: bool, operation: str):
        self.place = place
        self.who = who
        self.upsert = upsert
        self.operation = operation

    def tried_row(self, sent: Sent) -> rows.NewRow:
        """The row by which policies decide, before the file is there."""
        metadata = {"mimetype": sent.kind, "contentLength": sent.length}
        return rows.NewRow(self.place, self.who, "1", metadata, sent.user_metadata)

    def row(self, sent: Sent, incoming: Incoming) -> rows.NewRow:
        """The row of a finished file."""
        metadata = {
            "eTag": f'"{incoming.digest}"',
            "size": incoming.size,
            "mimetype": sent.kind,
            "cacheControl": sent.cache_control,
            "lastModified": shown_time(datetime.now(UTC)),
            "contentLength": incoming.size,
            "httpStatusCode": 200,
        }
        return rows.NewRow(self.place, self.who, incoming.digest, metadata, sent.user_metadata)


def address_of(place: Place) -> str:
    """A place as it stands in a signed address: clients escape the rest, but would take "?" for the query."""
    return str(place).replace("?", "%3F")


def _wants_upsert(request: Request) -> bool:
    return request.headers.get("x-upsert") == "true"


def _stored(row: dict[str, Any]) -> Response:
    return JSONResponse({"Id": str(row["id"]), "Key": f"{row['bucket_id']}/{row['name']}"})


def _check_allowed(kind: str, allowed: list[str]) -> None:
    """Raise where a bucket that takes only some media types does not take this one."""
    plain = essence(kind)
    family = plain.partition("/")[0]
    if allowed and not any(one in ("*", "*/*", f"{family}/*", kind) or essence(one) == plain for one in allowed):
        raise errors.invalid_mime_type(kind)
