"""The rules of a profile: what its owner reads and changes. Every query runs as the owner, so RLS judges it.

What other features may know of accounts, and do with them, is in kept.py, leaving.py and devices.py.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from sqlalchemy import func, update
from sqlmodel import col, select

from sigma_app.core.database import get_database
from sigma_app.core.errors import NotLikeThat, SigmaError
from sigma_app.features.accounts.devices import ago as ago
from sigma_app.features.accounts.devices import describe as describe
from sigma_app.features.accounts.kept import address_of as address_of
from sigma_app.features.accounts.kept import contents_of as contents_of
from sigma_app.features.accounts.kept import files_of as files_of
from sigma_app.features.accounts.kept import find_account as find_account
from sigma_app.features.accounts.kept import is_here as is_here
from sigma_app.features.accounts.kept import known_by as known_by
from sigma_app.features.accounts.kept import tell_downloaded as tell_downloaded
from sigma_app.features.accounts.kept import what_is_kept as what_is_kept
from sigma_app.features.accounts.leaving import NotGoneYet as NotGoneYet
from sigma_app.features.accounts.leaving import begin as begin_leaving
from sigma_app.features.accounts.leaving import delete_account as delete_account
from sigma_app.features.accounts.leaving import finish_now as finish_leaving
from sigma_app.models import Profile
from sigma_app.session.store import Session

__all__ = [
    "LONGEST_NAME",
    "NotGoneYet",
    "ProfileMissing",
    "Renamed",
    "ago",
    "begin_leaving",
    "describe",
    "finish_leaving",
    "read_name",
    "read_profile",
    "rename",
]

LONGEST_NAME = 100  # characters

# What breaks a line, a header or the order of reading: control characters, line and paragraph separators, halves of
# surrogate pairs, and the marks that turn text around (UAX 9)
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")

_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Renamed:
    """What became of a new name."""

    name: str
    """As it is stored now."""
    conflict: bool
    """Whether it is another one than the page knew, and nothing was changed."""


class ProfileMissing(SigmaError):
    """Your profile is not there. Please sign out and in again, or write to us."""

    status = 404


async def read_profile(session: Session) -> Profile:
    """The profile of whoever is signed in.

    Raises:
        ProfileMissing: there is none.
        DatabaseUnavailable: it could not be read.
    """
    async with get_database().transaction(session.actor) as transaction:
        profile = (await transaction.exec(select(Profile).where(Profile.id == session.user_id))).first()
    if profile is None:
        raise ProfileMissing
    return profile


async def rename(session: Session, before: str, name: str) -> Renamed:
    """Give the profile a name, unless it has another one by now than `before`: a stale page overwrites nothing unseen.

    Args:
        session: whose.
        before: the name that the page knew; "" for none.
        name: the new one; blank for none.

    Raises:
        NotLikeThat: it cannot be a name.
        ProfileMissing, DatabaseUnavailable: nothing was changed.
    """
    wanted = read_name(name) or None
    known = "" if _UNSTORABLE.search(before) else before  # no page of ours ever showed such a name
    async with get_database().transaction(session.actor) as transaction:
        changed = await transaction.exec(
            update(Profile)
            .where(col(Profile.id) == session.user_id)
            .where(func.coalesce(Profile.name, "") == known)
            .values(name=wanted)
        )
        if changed.rowcount:
            return Renamed(wanted or "", conflict=False)
        found = (await transaction.exec(select(Profile.name).where(Profile.id == session.user_id))).all()
    if not found:
        raise ProfileMissing
    stored = found[0] or ""
    return Renamed(stored, conflict=stored != (wanted or ""))


def read_name(text: str) -> str:
    """A name as it is stored: trimmed, single spaces, Unicode in NFC; "" for none.

    Raises:
        NotLikeThat: it is too long, or holds what no name holds.
    """
    name = unicodedata.normalize("NFC", text.strip())
    if _UNFIT.search(name):
        raise NotLikeThat("There is a character in this name that cannot be shown. Please type it anew.", "name")
    name = re.sub(r"\s+", " ", name)
    if len(name) > LONGEST_NAME:
        raise NotLikeThat(f"That is a long name: {LONGEST_NAME} characters at most.", "name")
    return name
