"""What is kept about an account, for whoever has to tell its owner or to forget it: by its id, as the service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from sigma_app.core import clock
from sigma_app.core.database import SERVICE, Step, get_database
from sigma_app.core.jobs import queue_job
from sigma_app.gateways import pictures
from sigma_app.gateways.accounts import address_of as address_of
from sigma_app.gateways.keys import seal
from sigma_app.models import Profile
from sigma_app.session import store

File = tuple[str, str]
"""A bucket, and a name in it."""


async def known_by(email: str) -> UUID | None:
    """The account that this database knows by an address, whether or not it still has it; None for none.

    Raises:
        DatabaseUnavailable: it could not be asked.
    """
    ((found,),) = await get_database().run(Step(SERVICE, "select sigma.find_account(%s)", [email]))
    return found


async def find_account(email: str, *, gone: bool = False) -> UUID | None:
    """Whose account this is the address of, by auth and not by a profile, which its owner writes; None for nobody's.

    Accounts of a Supabase project elsewhere are known here from their first sign-in on, by the address of the latest
    one. Since then it may have become somebody else's, so auth is asked whether the account still has it. One that
    has it only since then is not found before it signs in here again: auth cannot be asked who has an address.

    Args:
        email: in any case.
        gone: find also one that auth has no more and that left something here. Such a one may be forgotten, and is
            told to nobody: whose the address was in the end, nobody knows.

    Raises:
        DatabaseUnavailable, IdentityBusy, IdentityRefused, IdentityUnavailable: it could not be asked.
    """
    found = await known_by(email)
    if found is None:
        return None
    address = await address_of(found)
    theirs = gone if address is None else address.lower() == email.lower()
    return found if theirs else None


async def is_here(user_id: UUID) -> bool:
    """Whether this database still has an account.

    Raises:
        DatabaseUnavailable: it could not be asked.
    """
    return await get_database().run(Step(SERVICE, "select sigma.account_record(%s) is not null", [user_id])) == [
        (True,)
    ]


async def what_is_kept(user_id: UUID) -> dict[str, Any]:
    """The account as auth has it, the profile, and the devices.

    Raises:
        DatabaseUnavailable: it could not be read.
    """
    ((account,),) = await get_database().run(Step(SERVICE, "select sigma.account_record(%s)", [user_id]))
    async with get_database().transaction(SERVICE) as transaction:
        profile = await transaction.get(Profile, user_id)
    return {
        "account": account,
        "profile": profile.model_dump() if profile else None,
        "devices": [
            {"browser": one.user_agent, "signed_in_at": one.created_at, "last_seen_at": one.seen_at}
            for one in await store.sessions_of(user_id)
        ],
    }


async def tell_downloaded(email: str) -> None:
    """Mail somebody that all of it was downloaded by whoever is signed in to their account.

    Raises:
        DatabaseUnavailable: nobody was told.
    """
    async with get_database().transaction(SERVICE) as transaction:
        at = clock.now().isoformat()
        await queue_job(transaction, "accounts:send_data_downloaded", sealed=seal(email), at=at)


async def files_of(user_id: UUID) -> list[File]:
    """Every file of somebody's: those in their folder of pictures, and those of other buckets that they uploaded.

    Raises:
        DatabaseUnavailable, IdentityRefused, IdentityUnavailable: it could not be asked.
    """
    theirs = {(pictures.BUCKET, name) for name in await pictures.names_of(user_id)}
    rows = await get_database().run(Step(SERVICE, _OWNED, {"user": user_id}))
    return sorted(theirs | {(bucket, name) for bucket, name in rows})


async def contents_of(files: list[File]) -> AsyncIterator[tuple[File, bytes]]:
    """The bytes of files, one after the other; one that was removed meanwhile is left out.

    Raises:
        IdentityRefused, IdentityUnavailable: one could not be read.
    """
    for file in files:
        content = await pictures.read_as_service(*file)
        if content is not None:
            yield file, content


async def remove_owned(user_id: UUID) -> None:
    """Remove every file that somebody uploaded to buckets of other people's making.

    Raises:
        DatabaseUnavailable, IdentityRefused, IdentityUnavailable: some are still there.
    """
    rows = await get_database().run(Step(SERVICE, _OWNED, {"user": user_id}))
    for bucket in {bucket for bucket, _ in rows}:
        await pictures.remove_as_service(bucket, [name for its, name in rows if its == bucket])


_OWNED = "select bucket_id, name from storage.objects where owner_id = %(user)s::text or owner = %(user)s order by 1, 2"
