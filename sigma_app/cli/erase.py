"""`python -m sigma_app erase`: forgets a lead, as its own button does."""

from __future__ import annotations

import asyncio
import sys

import click

from sigma_app.cli.database import migrated_database
from sigma_app.settings import get_settings


@click.command()
@click.argument("email")
def command(email: str) -> None:
    """Forget the lead with this address: its entry, its place, its consents, and the mails and events that name it.

    Cannot be undone. Mails and events are removed by a job, while the server or a worker runs.
    """
    with migrated_database(get_settings(), lambda _: None):
        erased = asyncio.run(_erase(email.strip()))
    print(f"{email.strip()}: {'erased' if erased else 'is not on the list'}.")
    sys.exit(0 if erased else 1)


async def _erase(email: str) -> bool:
    from sigma_app.core.database import SERVICE, get_database
    from sigma_app.features.waitlist import line
    from sigma_app.gateways.database import serving_requests

    async with serving_requests(), get_database().transaction(SERVICE) as session:
        await line.hold(session)
        if lead := await line.find(session, email):
            await line.erase(session, lead)
        return lead is not None
