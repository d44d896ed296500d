"""What a backup says of itself: `manifest.json`, its last member."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from sigma_app.features.operations.backup.errors import Damaged

FORMAT = 1
"""Raised when an older Sigma could not read what a newer one writes."""
NAME = "manifest.json"

Kind = Literal["whole", "project"]
"""Whether everything of a database was dumped, or of a Supabase project what is Sigma's and the rows of its users."""


@dataclass(frozen=True)
class Member:
    """A file in the backup."""

    size: int
    """In bytes."""
    sha256: str
    """Of its content, in hexadecimal digits."""


@dataclass(frozen=True)
class Table:
    """A table as it was."""

    rows: int
    sha256: str
    """Of its rows, as `tables.py` writes them."""
    columns: dict[str, str]
    """The type of each, by name, in the order of their names."""


@dataclass(frozen=True)
class Versions:
    """Of what made the backup."""

    sigma: str
    """The commit that was checked out, or "unknown"."""
    schema: str
    """The migration that the database was at."""
    postgres: str
    """Of the server, such as "18.1"."""
    pg_dump: str


@dataclass(frozen=True)
class Manifest:
    """Everything but the members' contents."""

    format: int
    kind: Kind
    made_at: datetime
    """The moment that database and lists are of."""
    versions: Versions
    tables: dict[str, Table]
    """By name, such as "public.leads"."""
    members: dict[str, Member]
    """All but the manifest itself, by name."""
    files: int
    """How many stored files the database names."""
    missing: list[str]
    """Those, as bucket/name, whose content was gone by the time it was copied."""

    def as_json(self) -> bytes:
        """For the file."""
        return json.dumps(asdict(self), indent=1, default=datetime.isoformat).encode() + b"\n"


def read(content: bytes) -> Manifest:
    """The manifest in `content`.

    Raises:
        Damaged: it is none, or a newer Sigma's.
    """
    try:
        found = json.loads(content)
        if found["format"] > FORMAT:
            raise Damaged(
                f"The backup was made by a newer Sigma ({found['versions']['sigma']}), in a format that this one does"
                " not know. Check that version out, then try again."
            )
        return Manifest(
            **found
            | {
                "made_at": datetime.fromisoformat(found["made_at"]),
                "versions": Versions(**found["versions"]),
                "tables": {name: Table(**table) for name, table in found["tables"].items()},
                "members": {name: Member(**member) for name, member in found["members"].items()},
            }
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Damaged(
            "The backup's manifest cannot be read: this file is no backup of Sigma's, or was damaged."
        ) from None
