"""`python -m sigma_app person`: what is kept about a person, for them to read."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

from sigma_app.cli.database import migrated_database
from sigma_app.cli.obstacles import stripe_answers
from sigma_app.cli.progress import count
from sigma_app.core.errors import SigmaError, StartError
from sigma_app.settings import get_settings


@click.group()
def command() -> None:
    """Look after one person, by their address; to forget them there is erase."""


@command.command("export")
@click.argument("email")
@click.option("--out", "file", type=click.Path(path_type=Path), required=True, help="The ZIP to write.")
def export_command(email: str, file: Path) -> None:
    """Write everything that is kept about whoever has this address: lead, account, profile, devices, files, mails,
    events, payments, and their customer at Stripe.

    Give it to nobody but them: prove first that they are who has the address. Ends with 3, and writes nothing, where
    Sigma has nobody of that address.

    With Supabase elsewhere, an account is known from its first sign-in here on. One whose address changed there is
    found by the new one once it signed in here with it, and by the old one no more.
    """
    if os.path.lexists(file):
        raise StartError(f"{file} is there already. Name a new file.")
    draft = file.with_name(f".{file.name}.draft")
    try:
        with (
            open(draft, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as out,
            migrated_database(get_settings(), lambda _: None),
            nobody_is_told(email),
        ):
            told = asyncio.run(_export(email, out))
        draft.rename(file)
    finally:
        draft.unlink(missing_ok=True)
    print(f"{file}: {told or 'that the address gets no mail'}.")


@contextmanager
def nobody_is_told(email: str) -> Iterator[None]:
    """End the command with 3 where Sigma has nobody of that address; 1 is for what is left, 2 for what to mend."""
    from sigma_app.features.operations.person import Nobody

    try:
        yield
    except Nobody as error:
        print(f"{email.strip()}: {error}", file=sys.stderr)
        sys.exit(3)


async def _export(email: str, out: IO[bytes]) -> str:
    """Put it on record and write the ZIP; how many of each kind are in it, in words."""
    from sigma_app.core.database import SERVICE, get_database
    from sigma_app.features.console.service import record
    from sigma_app.features.operations import person
    from sigma_app.gateways.database import serving_requests
    from sigma_app.gateways.payments import reaching_stripe

    async with serving_requests(), reaching_stripe():
        try:
            with stripe_answers("Nothing was written; call it again."), count("Reading files") as advance:
                account = await person.find(email)
                async with get_database().transaction(SERVICE) as transaction:
                    await record(transaction, "person.export", account)
                return person.in_words(await person.export(email, out, advance))
        except (StartError, person.Nobody):
            raise
        except SigmaError as error:
            raise StartError(f"{error} Nothing was written; call it again.") from None
