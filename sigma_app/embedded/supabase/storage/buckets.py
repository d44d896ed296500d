"""Buckets: `/bucket`."""

from __future__ import annotations

import re
from typing import Any

from psycopg.errors import UniqueViolation
from psycopg.sql import SQL, Identifier, Placeholder
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sigma_app.core.database import SERVICE
from sigma_app.embedded.supabase.storage import errors
from sigma_app.embedded.supabase.storage.acting import acting
from sigma_app.embedded.supabase.storage.actor import asker
from sigma_app.embedded.supabase.storage.content import Content
from sigma_app.embedded.supabase.storage.fields import Fields, body_of, query_of
from sigma_app.embedded.supabase.storage.names import check_bucket_name
from sigma_app.embedded.supabase.storage.shown import shown

_COLUMNS = SQL("id, name, owner, public, created_at, updated_at, file_size_limit, allowed_mime_types")
_GET = SQL("select {} from storage.buckets where id = %s").format(_COLUMNS)
_SORTABLE = ("id", "name", "created_at", "updated_at")
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)(gb|mb|kb|b)", re.IGNORECASE)
_UNITS = {"b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3}
_KIND = re.compile(r"[a-zA-Z0-9\-+.]+/(\*|[a-zA-Z0-9\-+.]+(;\s*charset=[a-zA-Z0-9\-]+)?)|\*(/\*)?")
_LONGEST_KIND = 1000
_EMPTY_ROWS = 1000  # in one transaction


class Buckets:
    """What `/bucket` serves."""

    def __init__(self, content: Content, secret: str, largest_file: int):
        """Serve over the files of `content`; no bucket may take larger ones than `largest_file` bytes."""
        self._content = content
        self._secret = secret
        self._largest_file = largest_file

    def routes(self) -> list[Route]:
        """Where."""
        return [
            Route("/bucket", self.create, methods=["POST"]),
            Route("/bucket/", self.create, methods=["POST"]),
            Route("/bucket", self.list, methods=["GET"]),
            Route("/bucket/", self.list, methods=["GET"]),
            Route("/bucket/{id}", self.get, methods=["GET"]),
            Route("/bucket/{id}", self.update, methods=["PUT"]),
            Route("/bucket/{id}", self.delete, methods=["DELETE"]),
            Route("/bucket/{id}/empty", self.empty, methods=["POST"]),
        ]

    async def create(self, request: Request) -> Response:
        """POST /bucket: INSERT."""
        who = asker(request, self._secret)
        fields = await body_of(request)
        name = fields.text("name")
        bucket = {
            "id": check_bucket_name(fields.text("id", "") or name),
            "name": check_bucket_name(name),
            "owner": who.owner,
            "owner_id": who.owner_id,
            "public": fields.boolean("public", False),
            **self._limits(fields),
        }
        if name != name.strip():
            raise errors.invalid_bucket_name()
        if fields.has("type") and fields.text("type", among=("STANDARD", "ANALYTICS")) == "ANALYTICS":
            message = "The feature iceberg_catalog is not enabled for this resource"
            raise errors.StorageError(409, "FeatureNotEnabled", message)
        names = SQL(", ").join(map(Identifier, bucket))
        values = SQL(", ").join(map(Placeholder, bucket))
        try:
            async with acting(who.actor, "storage.bucket.create") as cursor:
                await cursor.execute(SQL("insert into storage.buckets ({}) values ({})").format(names, values), bucket)
        except UniqueViolation:
            raise errors.already_exists("BucketAlreadyExists") from None
        return JSONResponse({"name": name})

    async def list(self, request: Request) -> Response:
        """GET /bucket: SELECT."""
        who = asker(request, self._secret)
        query = query_of(request)
        values: dict[str, Any] = {
            "search": f"%{escape_like(query.text('search', ''))}%",
            "limit": query.integer("limit", least=1) if query.has("limit") else None,
            "offset": query.integer("offset", 0, least=0),
        }
        column = query.text("sortColumn", "name", among=_SORTABLE)
        order = query.text("sortOrder", "asc", among=("asc", "desc"))
        statement = SQL(
            "select {}, type from storage.buckets where name ilike %(search)s"
            " order by {} {}, id limit %(limit)s offset %(offset)s"
        ).format(_COLUMNS, Identifier(column), SQL("desc" if order == "desc" else "asc"))
        async with acting(who.actor, "storage.bucket.list") as cursor:
            await cursor.execute(statement, values)
            return JSONResponse([shown(row) for row in await cursor.fetchall()])

    async def get(self, request: Request) -> Response:
        """GET /bucket/{id}: SELECT."""
        who = asker(request, self._secret)
        async with acting(who.actor, "storage.bucket.get") as cursor:
            await cursor.execute(_GET, [_id(request)])
            row = await cursor.fetchone()
        if row is None:
            raise errors.no_such_bucket()
        return JSONResponse(shown(row))

    async def update(self, request: Request) -> Response:
        """PUT /bucket/{id}: SELECT and UPDATE."""
        who = asker(request, self._secret)
        fields = await body_of(request)
        changes = self._limits(fields)
        if fields.has("public"):
            changes["public"] = fields.boolean("public", False)
        if not changes:
            raise errors.invalid_request("body must have required property 'public'", error="Error")
        pairs = SQL(", ").join(SQL("{} = {}").format(Identifier(name), Placeholder(name)) for name in changes)
        statement = SQL("update storage.buckets set {} where id = %(id)s returning id").format(pairs)
        async with acting(who.actor, "storage.bucket.update") as cursor:
            await cursor.execute(statement, changes | {"id": check_bucket_name(_id(request))})
            if not cursor.rowcount:
                raise errors.no_such_bucket()
        return JSONResponse({"message": "Successfully updated"})

    async def delete(self, request: Request) -> Response:
        """DELETE /bucket/{id}: SELECT and DELETE, of a bucket in which nothing is."""
        who = asker(request, self._secret)
        bucket = _id(request)
        async with acting(SERVICE, "storage.bucket.delete") as cursor:
            await cursor.execute("select from storage.buckets where id = %s", [bucket])
            if not cursor.rowcount:
                raise errors.no_such_bucket()
            await cursor.execute("select from storage.objects where bucket_id = %s limit 1", [bucket])
            if cursor.rowcount:
                raise errors.bucket_not_empty()
        async with acting(who.actor, "storage.bucket.delete") as cursor:
            await cursor.execute("delete from storage.buckets where id = %s", [bucket])
            if not cursor.rowcount:
                raise errors.no_such_bucket()
        return JSONResponse({"message": "Successfully deleted"})

    async def empty(self, request: Request) -> Response:
        """POST /bucket/{id}/empty, for the service role alone. Done when it answers, whatever the real one's words."""
        who = asker(request, self._secret)
        if who.actor.role != SERVICE.role:
            raise errors.access_denied("Access denied: Invalid role", http=403)
        bucket = _id(request)
        async with acting(who.actor, "storage.bucket.empty") as cursor:
            await cursor.execute("select now() as until from storage.buckets where id = %s", [bucket])
            row = await cursor.fetchone()
        if row is None:
            raise errors.no_such_bucket()
        while await self._remove_some(bucket, row["until"]):
            pass
        return JSONResponse({"message": "Empty bucket has been queued. Completion may take up to an hour."})

    async def _remove_some(self, bucket: str, until: Any) -> int:
        """Remove some of the objects that were there at `until`; how many."""
        async with self._content.changing() as change, acting(SERVICE, "storage.bucket.empty") as cursor:
            await cursor.execute(
                "delete from storage.objects where id in (select id from storage.objects"
                " where bucket_id = %s and created_at <= %s limit %s) returning version",
                [bucket, until, _EMPTY_ROWS],
            )
            await change.remove(row["version"] for row in await cursor.fetchall())
            return cursor.rowcount

    def _limits(self, fields: Fields) -> dict[str, Any]:
        """What a bucket shall take, as far as `fields` say."""
        limits: dict[str, Any] = {}
        if fields.has("file_size_limit"):
            limits["file_size_limit"] = self._size(fields)
        if fields.has("allowed_mime_types"):
            kinds = fields.raw("allowed_mime_types")
            limits["allowed_mime_types"] = None if kinds is None else _kinds(fields)
        return limits

    def _size(self, fields: Fields) -> int | None:
        """A size in bytes, or with a unit as in "50MB"."""
        value = fields.raw("file_size_limit")
        if value is None:
            return None
        if isinstance(value, str) and (sized := _SIZE.fullmatch(value)):
            size = int(float(f"{float(sized[1]):.3g}") * _UNITS[sized[2].lower()])
        else:
            size = fields.integer("file_size_limit", least=0)
        if size > self._largest_file:
            raise errors.too_large()
        return size


def escape_like(text: str) -> str:
    """`text` as a pattern of LIKE that stands for itself."""
    return text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")


def _id(request: Request) -> str:
    bucket = request.path_params["id"]
    if "\0" in bucket:
        raise errors.invalid_bucket_name()
    return bucket


def _kinds(fields: Fields) -> list[str]:
    """Media types, such as "image/png" or "image/*"."""
    if fields.raw("allowed_mime_types") == []:
        return []
    kinds = [kind for kind in fields.texts("allowed_mime_types") if kind]
    for kind in kinds:
        if len(kind) > _LONGEST_KIND or not _KIND.fullmatch(kind):
            raise errors.invalid_mime_type(kind[:_LONGEST_KIND])
    return kinds
