"""Rows as the API shows them (supabase/storage, src/storage/schemas)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

_TEXTS = frozenset({"owner", "owner_id", "version", "bucket_id"})  # which its schemas have as strings: null becomes ""
_HIDDEN = frozenset({"path_tokens"})


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON."""
    return {name: _shown(name, value) for name, value in row.items() if name not in _HIDDEN}


def shown_time(moment: datetime) -> str:
    """A time as JavaScript writes it: UTC, milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def about(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a row says of its file; rows that were not written here may say anything."""
    return row["metadata"] if isinstance(row["metadata"], dict) else {}


def _shown(name: str, value: Any) -> Any:
    if value is None and name in _TEXTS:
        return ""
    if isinstance(value, datetime):
        return shown_time(value)
    return str(value) if isinstance(value, UUID) else value
