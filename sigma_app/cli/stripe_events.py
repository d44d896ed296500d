"""`python -m sigma_app stripe-events`: Stripe's events that could not be worked, why, and another try for them."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC

import click

from sigma_app.cli.database import migrated_database
from sigma_app.cli.jobs import warn_without_worker
from sigma_app.core.connecting import connect
from sigma_app.core.words import counted
from sigma_app.gateways.database import owner_url
from sigma_app.settings import get_settings

_WAITING = """
    select id, type, coalesce(customer, ''), tries, received_at, coalesce(error, 'waits for its turn')
    from sigma.webhook_events where source = 'stripe' and handled_at is null
    order by received_at desc limit 100
"""
_COUNTS = """
    select count(*) filter (where handled_at is not null),
      count(*) filter (where handled_at is null and error is null),
      count(*) filter (where handled_at is null and error is not null)
    from sigma.webhook_events where source = 'stripe'
"""


@click.command()
@click.option("--replay", metavar="ID", help="Work this event again, also one that was worked.")
@click.option("--replay-all", is_flag=True, help="Work again all that wait.")
def command(replay: str | None, replay_all: bool) -> None:
    """Show the events that wait and the dead letters among them, each with its last error.

    To replay one is safe: it says what to look at, and Stripe is asked how that stands.
    """
    settings = get_settings()
    with migrated_database(settings, lambda _: None):
        if replay or replay_all:
            again = asyncio.run(_replay(replay))
            if replay and not again:
                print(f"There is no event {replay}.", file=sys.stderr)
                sys.exit(1)
            print(f"{counted(again, 'event')} put back into the queue.")
            warn_without_worker()
            return
        _show(owner_url(settings))


async def _replay(event: str | None) -> int:
    """Have one event worked again, or all that wait; how many."""
    from sigma_app.core.database import SERVICE, get_database
    from sigma_app.features.billing import service as billing
    from sigma_app.features.console.service import record
    from sigma_app.gateways.database import serving_requests

    async with serving_requests(), get_database().transaction(SERVICE) as transaction:
        again = int(await billing.replay(transaction, event)) if event else await billing.replay_waiting(transaction)
        if again:
            await record(transaction, "event.replay", event, source="stripe", events=again)
    return again


def _show(url: str) -> None:
    with connect(url, autocommit=True) as owner:
        worked, waiting, failed = owner.execute(_COUNTS).fetchone() or (0, 0, 0)
        print(f"{worked} worked, {waiting} waiting, {failed} failed.")
        for event, kind, customer, tries, at, error in owner.execute(_WAITING):
            when = f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            print(f"{when}  {event}  {kind}  {customer or 'nobody'}  {tries} tries: {error}")
