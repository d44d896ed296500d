"""What is done with objects that are there: remove, move, copy, and sign addresses of them."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sigma_app.core.database import SERVICE
from sigma_app.embedded.supabase.storage import errors, rows
from sigma_app.embedded.supabase.storage.acting import acting, trying
from sigma_app.embedded.supabase.storage.actor import Asker, asker
from sigma_app.embedded.supabase.storage.bodies import checked_header, metadata_header
from sigma_app.embedded.supabase.storage.content import Content, hold, is_digest
from sigma_app.embedded.supabase.storage.fields import Fields, body_of
from sigma_app.embedded.supabase.storage.names import Place, check_bucket_name, check_key, place_in
from sigma_app.embedded.supabase.storage.shown import about, shown
from sigma_app.embedded.supabase.storage.signing import Signer
from sigma_app.embedded.supabase.storage.uploads import address_of

_MOST = 1000  # objects in one request
_NOT_THERE = "Either the object does not exist or you do not have access to it"
_MOVE = (
    "update storage.objects set bucket_id = %s, name = %s, owner = coalesce(%s, owner),"
    " owner_id = coalesce(%s, owner_id) where bucket_id = %s and name = %s returning id"
)


class Objects:
    """What `/object` serves beside reading and uploading."""

    def __init__(self, content: Content, secret: str, signer: Signer):
        """Serve over the files of `content`."""
        self._content = content
        self._secret = secret
        self._signer = signer

    def routes(self) -> list[Route]:
        """Where."""
        return [
            Route("/object/move", self.move, methods=["POST"]),
            Route("/object/copy", self.copy, methods=["POST"]),
            Route("/object/sign/{bucket}", self.sign_many, methods=["POST"]),
            Route("/object/sign/{rest:path}", self.sign, methods=["POST"]),
            Route("/object/{bucket}", self.remove_many, methods=["DELETE"]),
            Route("/object/{rest:path}", self.remove, methods=["DELETE"]),
        ]

    async def remove_many(self, request: Request) -> Response:
        """DELETE /object/{bucket}: SELECT and DELETE; those that one may not remove are left out of the answer."""
        who = asker(request, self._secret)
        bucket = place_in(request, 1).bucket
        names = (await body_of(request)).texts("prefixes")
        if len(names) > _MOST:
            raise errors.invalid_request(f"Bulk object requests are limited to {_MOST} objects per request.")
        statement = "delete from storage.objects where bucket_id = %s and name = any(%s) returning *"
        async with self._content.changing() as change, acting(who.actor, "storage.object.delete_many") as cursor:
            await cursor.execute(statement, [bucket, names])
            removed = await cursor.fetchall()
            await change.remove(row["version"] for row in removed)
        return JSONResponse([shown(row) for row in removed])

    async def remove(self, request: Request) -> Response:
        """DELETE /object/{bucket}/{name}: SELECT and DELETE."""
        who = asker(request, self._secret)
        place = place_in(request, 1)
        check_key(place.name)
        await rows.find(SERVICE, place, "storage.object.delete")
        statement = "delete from storage.objects where bucket_id = %s and name = %s returning version"
        async with self._content.changing() as change, acting(who.actor, "storage.object.delete") as cursor:
            await cursor.execute(statement, place)
            removed = await cursor.fetchone()
            if removed is None:
                raise errors.access_denied()
            await change.remove([removed["version"]])
        return JSONResponse({"message": "Successfully deleted"})

    async def move(self, request: Request) -> Response:
        """POST /object/move: SELECT and UPDATE."""
        who = asker(request, self._secret)
        source, target = _places(await body_of(request))
        values = [*target, who.owner, who.owner_id, *source]
        async with trying(who.actor, "storage.object.move") as cursor:
            await cursor.execute(_MOVE, values)
            if not cursor.rowcount:
                raise errors.no_such_key()
        if source != target:
            async with acting(SERVICE, "storage.object.move") as cursor:
                for place in sorted((source, target)):  # in one order, or two would wait for each other
                    await rows.take_turn(cursor, place)
                await cursor.execute(_MOVE, values)
                if not cursor.rowcount:  # somebody else was faster
                    raise errors.no_such_key()
        return JSONResponse({"message": "Successfully moved"})

    async def copy(self, request: Request) -> Response:
        """POST /object/copy: SELECT and INSERT, and with `x-upsert: true` UPDATE. Both point to the same bytes then."""
        who = asker(request, self._secret)
        fields = await body_of(request)
        source, target = _places(fields)
        upsert = request.headers.get("x-upsert") == "true"
        original = await rows.find(who.actor, source, "storage.object.copy")
        row = _copied_row(original, target, who, fields, metadata_header(request))
        await rows.check_may_write(row, "storage.object.copy", upsert=upsert)
        async with self._content.changing() as change, acting(SERVICE, "storage.object.copy") as cursor:
            replaced = await rows.take_turn(cursor, target)
            if replaced and not upsert:
                raise errors.already_exists("KeyAlreadyExists")
            if is_digest(row.version):
                await hold(cursor, [row.version])
            await cursor.execute(
                "select from storage.objects where bucket_id = %s and name = %s and version = %s",
                [*source, row.version],
            )
            if not cursor.rowcount:  # somebody else was faster
                raise errors.no_such_key()
            written = await rows.write(cursor, row)
            if replaced:
                await change.remove([replaced["version"]])
        return JSONResponse({"Id": str(written["id"]), "Key": str(target), **shown(written)})

    async def sign(self, request: Request) -> Response:
        """POST /object/sign/{bucket}/{name}: SELECT."""
        who = asker(request, self._secret)
        place = place_in(request, 2)
        seconds = (await body_of(request)).integer("expiresIn", least=1)
        check_key(place.name)
        await rows.find(who.actor, place, "storage.object.sign")
        return JSONResponse({"signedURL": self._signed(place, seconds)})

    async def sign_many(self, request: Request) -> Response:
        """POST /object/sign/{bucket}: SELECT; says for each whether it may be."""
        who = asker(request, self._secret)
        bucket = place_in(request, 2).bucket
        fields = await body_of(request)
        seconds = fields.integer("expiresIn", least=1)
        names = fields.texts("paths", most=_MOST)
        async with acting(who.actor, "storage.object.sign_many") as cursor:
            await cursor.execute(
                "select name from storage.objects where bucket_id = %s and name = any(%s)", [bucket, names]
            )
            known = {row["name"] for row in await cursor.fetchall()}
        return JSONResponse(
            [
                {
                    "error": None if name in known else _NOT_THERE,
                    "path": name,
                    "signedURL": self._signed(Place(bucket, name), seconds) if name in known else None,
                }
                for name in names
            ]
        )

    def _signed(self, place: Place, seconds: int) -> str:
        return f"/object/sign/{address_of(place)}?token={self._signer.sign(place, 'download', seconds)}"


def _places(fields: Fields) -> tuple[Place, Place]:
    """From where and to where."""
    bucket = check_bucket_name(fields.text("bucketId"))
    source = Place(bucket, fields.text("sourceKey"))
    target = Place(fields.text("destinationBucket", "") or bucket, check_key(fields.text("destinationKey")))
    return source, target


def _copied_row(
    original: dict[str, Any], target: Place, who: Asker, fields: Fields, user_metadata: dict[str, Any] | None
) -> rows.NewRow:
    metadata = dict(about(original))
    if fields.boolean("copyMetadata", True):
        user_metadata = original["user_metadata"]
    else:
        given = fields.inner("metadata")
        for name in ("cacheControl", "mimetype"):
            if given.has(name):
                metadata[name] = checked_header(name, given.text(name))
    return rows.NewRow(target, who, original["version"], metadata, user_metadata)
