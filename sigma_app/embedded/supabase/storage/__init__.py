"""Supabase Storage's HTTP API: buckets and objects, their rows in schema `storage`, their bytes on disk."""

from starlette.applications import Starlette

from sigma_app.embedded.supabase.gate import Service
from sigma_app.embedded.supabase.keys import Keys
from sigma_app.settings import Settings


def service(settings: Settings, keys: Keys) -> Service:
    """The service, to be mounted."""
    return Service(
        Starlette(),
        open_paths=("/object/public/", "/object/sign/", "/object/upload/sign/", "/object/info/public/"),
    )
