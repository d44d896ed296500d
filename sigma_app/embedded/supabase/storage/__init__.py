"""Supabase Storage's HTTP API: buckets and objects, their rows in schema `storage`, their bytes on disk.

Not served, and answered as by a server that has it switched off: image transformation, S3, resumable uploads.
"""

from __future__ import annotations

import logging

import psycopg
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sigma_app.core.database import get_database
from sigma_app.core.errors import DatabaseUnavailable, without_message
from sigma_app.embedded.supabase.gate import Service, with_line_breaks
from sigma_app.embedded.supabase.keys import Keys
from sigma_app.embedded.supabase.storage import errors
from sigma_app.embedded.supabase.storage.buckets import Buckets
from sigma_app.embedded.supabase.storage.content import Content
from sigma_app.embedded.supabase.storage.errors import StorageError
from sigma_app.embedded.supabase.storage.listing import Listing
from sigma_app.embedded.supabase.storage.names import path_of
from sigma_app.embedded.supabase.storage.objects import Objects
from sigma_app.embedded.supabase.storage.serve import Reading
from sigma_app.embedded.supabase.storage.signing import Signer
from sigma_app.embedded.supabase.storage.uploads import Uploads
from sigma_app.settings import Settings

_OPEN_PATHS = (
    "/object/public/",
    "/object/sign/",
    "/object/upload/sign/",
    "/object/info/public/",
    "/render/image/",
    "/status",
)
_CLOSED_REQUEST = 499  # nobody reads it
logger = logging.getLogger(__name__)


def service(settings: Settings, keys: Keys) -> Service:
    """The service, to be mounted; its files are in `storage` of the data directory."""
    content = Content(settings.data_dir / "storage")
    signer = Signer(keys.secret)
    families = (
        Buckets(content, keys.secret, settings.storage_file_bytes),
        Listing(keys.secret),
        Objects(content, keys.secret, signer),
        Reading(content, keys.secret, signer),
        Uploads(content, keys.secret, signer, settings.storage_file_bytes),
    )
    app = Starlette(
        routes=with_line_breaks(
            Route("/status", lambda _: Response()),
            Route("/version", lambda _: PlainTextResponse("0.0.0")),
            Route("/health", _health),
            *(route for family in families for route in family.routes()),
        ),
        exception_handlers={
            StorageError: _refused,
            psycopg.Error: _refused_by_postgres,
            DatabaseUnavailable: _database_away,
            ClientDisconnect: _left,
            404: _not_served,
            405: _not_served,
        },
    )
    app.router.redirect_slashes = False
    return Service(
        app,
        open_paths=_OPEN_PATHS,
        token_suffices=True,
        exposed_headers=("Accept-Ranges", "Content-Disposition", "Content-Length", "Content-Range", "ETag"),
    )


async def _health(_: Request) -> Response:
    try:
        await get_database().ping()
    except DatabaseUnavailable:
        return JSONResponse({"healthy": False})
    return JSONResponse({"healthy": True})


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, StorageError)  # noqa: S101 - for the type checker; this is its handler
    return error.answer()


async def _refused_by_postgres(_: Request, error: Exception) -> Response:
    assert isinstance(error, psycopg.Error)  # noqa: S101 - for the type checker; this is its handler
    refusal = errors.from_postgres(error)
    if refusal.http >= 500:
        logger.error("Storage: %s", without_message(error))
    return refusal.answer()


async def _database_away(_: Request, __: Exception) -> Response:
    return errors.database_away().answer()


async def _left(_: Request, __: Exception) -> Response:
    return StorageError(_CLOSED_REQUEST, "Aborted", "Request aborted", http=_CLOSED_REQUEST).answer()


async def _not_served(request: Request, _: Exception) -> Response:
    query = request.url.query
    return errors.no_such_route(request.method, path_of(request) + (f"?{query}" if query else "")).answer()
