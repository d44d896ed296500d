"""A person's picture: where it is, and to whom it may be shown."""

from __future__ import annotations

import re
from uuid import UUID

BUCKET = "pictures"
_NAME = re.compile(r"[0-9a-f]{32}")


def name_of(image: str | None, user_id: UUID) -> str:
    """The name of somebody's picture in their folder; "" where `profiles.image`, which its owner may write, is none."""
    prefix, suffix = f"{BUCKET}/{user_id}/", ".webp"
    if not image or not image.startswith(prefix) or not image.endswith(suffix):
        return ""
    name = image.removeprefix(prefix).removesuffix(suffix)
    return name if _NAME.fullmatch(name) else ""


def address_of(image: str | None, user_id: UUID) -> str:
    """Where somebody's browser finds their picture; "" where there is none."""
    name = name_of(image, user_id)
    return f"/profile/picture?v={name}" if name else ""
