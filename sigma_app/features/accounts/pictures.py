"""A person's picture: where it is, how it is changed, and to whom it is shown."""

from __future__ import annotations

import re
import secrets
from contextlib import suppress
from uuid import UUID

from sqlalchemy import update
from sqlmodel import col, select

from sigma_app.core.database import get_database
from sigma_app.core.errors import SigmaError
from sigma_app.features.accounts.image import square_webp
from sigma_app.features.accounts.service import ProfileMissing, read_profile
from sigma_app.gateways import pictures
from sigma_app.gateways.accounts import Tokens
from sigma_app.models import Profile
from sigma_app.session.store import Session

_NAME = re.compile(r"[0-9a-f]{32}")


def name_of(image: str | None, user_id: UUID) -> str:
    """The name of somebody's picture in their folder; "" where `profiles.image`, which its owner may write, is none."""
    prefix, suffix = f"{pictures.BUCKET}/{user_id}/", ".webp"
    if not image or not image.startswith(prefix) or not image.endswith(suffix):
        return ""
    name = image.removeprefix(prefix).removesuffix(suffix)
    return name if _NAME.fullmatch(name) else ""


def address_of(image: str | None, user_id: UUID) -> str:
    """Where somebody's browser finds their picture; "" where there is none."""
    name = name_of(image, user_id)
    return f"/profile/picture?v={name}" if name else ""


async def change(session: Session, tokens: Tokens, data: bytes | None) -> None:
    """Give the profile a picture, or none; the one before is removed once the profile names the new one.

    Args:
        session: whose.
        tokens: what opens their folder.
        data: a picture as it was uploaded; None for no picture.

    Raises:
        NoPicture: it cannot be read as one.
        IdentityRefused, IdentityUnavailable, DatabaseUnavailable, ProfileMissing: nothing was changed.
    """
    name = ""
    if data is not None:
        name = secrets.token_hex(16)
        await pictures.put(tokens, name, await square_webp(data))
    try:
        before = await _name_picture(session, f"{pictures.BUCKET}/{session.user_id}/{name}.webp" if name else None)
    except BaseException:
        if name:
            with suppress(SigmaError):
                await pictures.remove(tokens, name)
        raise
    if old := name_of(before, session.user_id):
        with suppress(SigmaError):  # nobody finds it any more; leaving removes it at the latest
            await pictures.remove(tokens, old)


async def read(session: Session, tokens: Tokens) -> tuple[str, bytes] | None:
    """The name and the bytes of the picture of whoever is signed in; None where there is none.

    Raises:
        IdentityRefused, IdentityUnavailable, DatabaseUnavailable, ProfileMissing: it could not be read.
    """
    name = name_of((await read_profile(session)).image, session.user_id)
    picture = await pictures.read(tokens, name) if name else None
    return (name, picture) if picture else None


async def _name_picture(session: Session, image: str | None) -> str | None:
    """Have the profile name a picture; the one it named before. Of two at once each removes the other's before."""
    async with get_database().transaction(session.actor) as transaction:
        mine = select(Profile.image).where(Profile.id == session.user_id).with_for_update()
        found = (await transaction.exec(mine)).all()
        if not found:
            raise ProfileMissing
        await transaction.exec(update(Profile).where(col(Profile.id) == session.user_id).values(image=image))
    return found[0]
