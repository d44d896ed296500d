"""The service: from an ASGI request to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from sigma_app.core.database import get_database
from sigma_app.core.errors import DatabaseBusy, DatabaseUnavailable
from sigma_app.embedded.supabase.keys import Keys
from sigma_app.embedded.supabase.rest import openapi, payload, query, read, rpc, transaction, write
from sigma_app.embedded.supabase.rest.answer import Answer
from sigma_app.embedded.supabase.rest.catalog import SCHEMA, Catalog, Catalogs, Function, Table
from sigma_app.embedded.supabase.rest.errors import Refusal, database_busy, no_catalog, unknown_table
from sigma_app.embedded.supabase.rest.identity import Identities, Identity
from sigma_app.embedded.supabase.rest.payload import Payload
from sigma_app.embedded.supabase.rest.plan import Plan
from sigma_app.embedded.supabase.rest.request import MOST_ADDRESS_BYTES, Request
from sigma_app.settings import Settings

# What a change of the tables that we have not heard of yet looks like
_OUTDATED = ("42P01", "42703", "42883", "42804", "42P10", "PGRST202", "PGRST204", "PGRST205")
_LARGE_BODY = 256 * 1024  # bytes; larger ones are read in a thread, since others wait meanwhile


class Rest:
    """PostgREST's API as an ASGI application."""

    def __init__(self, settings: Settings, keys: Keys):
        """Connect to nothing yet."""
        self._settings = settings
        self._identities = Identities(keys.secret)
        self._catalogs: Catalogs | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI 3)."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        request = Request.of(scope, receive)
        try:
            answer = await self._answer(request)
        except Refusal as refusal:
            answer = Answer.refused(refusal)
        except ClientDisconnect:
            return
        await answer.send(send, with_body=request.method != "HEAD")

    async def _answer(self, request: Request) -> Answer:
        if len(request.path) + len(request.query_string) > MOST_ADDRESS_BYTES:
            raise Refusal("414", 414, f"The address has more than {MOST_ADDRESS_BYTES} bytes")
        identity = self._identities.of(request.headers.get("authorization"))
        catalogs = self._catalogs_of_this_database()
        try:
            catalog = await catalogs.current()
        except DatabaseBusy:
            raise database_busy() from None
        except DatabaseUnavailable:
            raise no_catalog() from None
        work = await self._prepare(request, identity)
        try:
            return await work.do(catalog)
        except Refusal as refusal:
            if refusal.code not in _OUTDATED:
                raise
            newer = await self._newer(catalog)
            if newer is None:
                raise
        return await work.do(newer)

    def _catalogs_of_this_database(self) -> Catalogs:
        try:
            database = get_database()
        except DatabaseUnavailable:
            raise no_catalog() from None
        if self._catalogs is None or self._catalogs.database is not database:
            self._catalogs = Catalogs(database)
        return self._catalogs

    async def _newer(self, catalog: Catalog) -> Catalog | None:
        try:
            return await self._catalogs_of_this_database().newer(catalog)
        except DatabaseUnavailable:
            return None

    async def _prepare(self, request: Request, identity: Identity) -> Work:
        """Read all of a request that needs no catalog."""
        kind, name = _resource(request)
        if request.profile not in (None, SCHEMA):
            hint = f"Only the following schemas are exposed: {SCHEMA}"
            raise Refusal("PGRST106", 406, f"Invalid schema: {request.profile}", hint=hint)
        calls_by_query = kind == "function" and request.method != "POST"
        asked = query.read(request.query_string, with_arguments=calls_by_query)
        sent = await self._payload(request, kind, asked)
        return Work(self._settings, request, identity, kind, name, asked, sent)

    async def _payload(self, request: Request, kind: str, asked: query.Query) -> Payload | None:
        if request.method not in ("POST", "PATCH", "PUT"):
            return None
        body = await request.body(self._settings.rest_body_bytes)
        parse = payload.arguments if kind == "function" else payload.rows
        columns = asked.columns if request.method != "PUT" else None
        if len(body) > _LARGE_BODY:
            return await asyncio.to_thread(parse, body, request.media_type, columns)
        return parse(body, request.media_type, columns)


class Work:
    """A request that was read, to be done with a catalog."""

    def __init__(
        self,
        settings: Settings,
        request: Request,
        identity: Identity,
        kind: str,
        name: str,
        asked: query.Query,
        sent: Payload | None,
    ):
        """`kind` is that of the resource: root, table or function."""
        self._settings = settings
        self._request = request
        self._identity = identity
        self._kind = kind
        self._name = name
        self._query = asked
        self._sent = sent

    async def do(self, catalog: Catalog) -> Answer:
        """Answer it.

        Raises:
            Refusal: what PostgREST says of it.
        """
        request = self._request
        if request.method == "OPTIONS":
            return self._options(catalog)
        if self._kind == "root":
            return await openapi.answer(get_database(), request, self._identity, catalog, self._settings)
        return await transaction.run(
            get_database(), request, self._identity, self._plan(catalog), self._settings.rest_statement_seconds
        )

    def _plan(self, catalog: Catalog) -> Plan:
        request, most_rows = self._request, self._settings.rest_most_rows
        if self._kind == "function":
            return rpc.plan(request, catalog, self._name, self._query, self._sent, most_rows)
        table = self._table(catalog)
        if request.is_reading:
            return read.plan(request, catalog, table, self._query, most_rows)
        safe = self._settings.rest_safe_update
        return write.plan(write.Write(request, catalog, table, self._query, self._sent or Payload("[]"), safe))

    def _table(self, catalog: Catalog) -> Table:
        table = catalog.tables.get(self._name)
        if table is None:
            raise unknown_table(self._name, catalog.table_like(self._name))
        return table

    def _options(self, catalog: Catalog) -> Answer:
        if self._kind == "root":
            allowed = "OPTIONS,GET,HEAD"
        elif self._kind == "function":
            keys = [key for key, _ in self._query.arguments]
            allowed = _allowed_of_function(rpc.find(catalog, self._name, keys, None))
        else:
            allowed = _allowed_of_table(self._table(catalog))
        return Answer(200, {"allow": allowed, "access-control-allow-origin": "*"})


def _resource(request: Request) -> tuple[str, str]:
    """What kind of thing a path names, and its name; only with a method that such a thing has."""
    segments = request.segments
    if not segments:
        kind, name, methods = "root", "", ("GET", "HEAD", "OPTIONS")
    elif len(segments) == 1:
        kind, name = "table", segments[0]
        methods = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS")
    elif len(segments) == 2 and segments[0] == "rpc":
        if request.method not in ("GET", "HEAD", "POST", "OPTIONS"):
            raise Refusal("PGRST101", 405, f"Cannot use the {request.method} method on RPC")
        return "function", segments[1]
    else:
        raise Refusal("PGRST125", 404, "Invalid path specified in request URL")
    if request.method not in methods:
        raise Refusal("PGRST117", 405, f"Unsupported HTTP method: {request.method}")
    return kind, name


def _allowed_of_table(table: Table) -> str:
    methods: Sequence[tuple[str, bool]] = (
        ("POST", table.insertable),
        ("PUT", table.insertable and table.updatable and bool(table.keys)),
        ("PATCH", table.updatable),
        ("DELETE", table.deletable),
    )
    return ",".join(["OPTIONS,GET,HEAD", *(name for name, allowed in methods if allowed)])


def _allowed_of_function(function: Function) -> str:
    return "OPTIONS,POST" if function.volatile else "OPTIONS,GET,HEAD,POST"
