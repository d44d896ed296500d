"""`python -m sigma_app invite`: mails invitations to those whose turn it is."""

from __future__ import annotations

import asyncio
import sys

import click

from sigma_app.cli import signals
from sigma_app.cli.database import migrated_database
from sigma_app.cli.jobs import warn_without_worker
from sigma_app.cli.progress import bar
from sigma_app.settings import get_settings


@click.command()
@click.option("--next", "count", type=click.IntRange(min=1), help="Invite so many, from the front of the line.")
@click.option(
    "--email", "emails", multiple=True, help="Invite this lead, wherever in line. Can be given several times."
)
def command(count: int | None, emails: tuple[str, ...]) -> None:
    """Invite leads who wait in line: by their place, or by address.

    Each is invited in a transaction of its own together with its mail, so the command can be interrupted and called
    again: nobody is invited twice. Whoever gets no mail is passed over, as in the console. The mails go out while the
    server or a worker runs.
    """
    if (count is None) == (not emails):
        raise click.UsageError("Say either how many, as in --next 50, or whom, as in --email ann@example.com.")
    settings = get_settings()
    with migrated_database(settings, lambda _: None):
        warn_without_worker()
        sys.exit(asyncio.run(_invite_next(count) if count else _invite(emails)))


async def _invite_next(count: int) -> int:
    from sigma_app.core.database import SERVICE, get_database
    from sigma_app.features.console.service import record
    from sigma_app.features.waitlist import line
    from sigma_app.gateways.database import serving_requests

    invited = 0
    async with serving_requests():
        with bar("Inviting", count) as advance, signals.told_to_stop() as stop:
            while invited < count and not stop.is_set():
                async with get_database().transaction(SERVICE) as session:
                    if (lead := await line.invite_next(session)) is None:
                        break
                    await record(session, "lead.invite", lead)
                invited += 1
                advance(1)
    if stop.is_set() and invited < count:
        print(f"Stopped. {invited} of {count} are invited; --next {count - invited} goes on.", file=sys.stderr)
        return 130
    print(f"{invited} invited." if invited == count else f"{invited} invited; nobody else waits who gets mail.")
    return 0


async def _invite(emails: tuple[str, ...]) -> int:
    from sigma_app.core.database import SERVICE, get_database
    from sigma_app.features.console import bulk, reasons
    from sigma_app.features.console.service import record
    from sigma_app.features.waitlist import line
    from sigma_app.gateways.database import serving_requests

    missed = 0
    async with serving_requests():
        for email in map(str.strip, emails):
            async with get_database().transaction(SERVICE) as session:
                await line.hold(session)
                lead = await line.find(session, email)
                if lead is None or lead.id is None:
                    said = "is not on the list"
                elif await bulk.invite(session, lead.id):
                    await record(session, "lead.invite", lead.id)
                    said = "invited"
                else:
                    said = reasons.of_one(await bulk.why_not_invited(session, lead.id) or reasons.MEANWHILE)
            print(f"{email}: {said}.")
            missed += said != "invited"
    return 1 if missed else 0
