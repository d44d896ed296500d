"""What buckets and objects may be called (supabase/storage, src/storage/limits.ts), and reading names from an address.

A name is only ever a value in a row. No path on disk is made of one.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from starlette.requests import Request

from sigma_app.embedded.supabase.storage import errors

LONGEST_KEY = 1024  # S3's
_LONGEST_BUCKET_NAME = 100
_KEY = re.compile(r"[A-Za-z0-9_/!.*'() &$=@;:+,?-]+")
_BUCKET_NAME = re.compile(r"[A-Za-z0-9_!.*'() &$=@;:+,?-]+")
_FOLDER_PLACEHOLDER = ".emptyFolderPlaceholder"


class Place(NamedTuple):
    """An object's bucket and its name in there."""

    bucket: str
    name: str

    def __str__(self) -> str:
        return f"{self.bucket}/{self.name}"


def check_bucket_name(name: str) -> str:
    """The name, if a bucket may have it.

    Raises:
        StorageError: it may not.
    """
    if len(name) > _LONGEST_BUCKET_NAME or not _BUCKET_NAME.fullmatch(name):
        raise errors.invalid_bucket_name()
    return name


def check_key(name: str) -> str:
    """The name, if an object may have it.

    Raises:
        StorageError: it may not.
    """
    if len(name) > LONGEST_KEY or not _KEY.fullmatch(name):
        raise errors.invalid_key(name[:LONGEST_KEY])
    return name


def is_folder_placeholder(name: str) -> bool:
    """Whether an object only keeps an empty folder in sight, as Supabase's dashboard makes them."""
    return name.endswith(_FOLDER_PLACEHOLDER)


def place_in(request: Request, parts_before: int) -> Place:
    """The bucket and the object that an address names.

    Args:
        request: whose path is taken apart before its escapes are resolved, since "%2F" parts nothing.
        parts_before: how many segments come first, such as 2 in "object/public/…".

    Raises:
        StorageError: no bucket can be called so, or an escape stands for no UTF-8.
    """
    parts = path_of(request).lstrip("/").split("/", parts_before + 1)
    bucket, name = [*map(_unescape, parts[parts_before:]), "", ""][:2]
    return Place(check_bucket_name(bucket), name)


def path_of(request: Request) -> str:
    """The path below where the service is mounted, escaped."""
    raw = request.scope.get("raw_path")
    path = raw.decode("latin-1").partition("?")[0] if raw else quote(request.scope["path"])
    return path.removeprefix(quote(request.scope.get("root_path", "")))


def _unescape(part: str) -> str:
    try:
        return unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        raise errors.invalid_request(f"'{part}' is not a valid url component", error="Bad Request") from None
