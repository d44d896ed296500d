"""`python -m sigma_app stripe-events`: Stripe's events that could not be worked, why, and another try for them."""

from __future__ import annotations

import sys
from datetime import UTC

import click

from sigma_app.cli.database import migrated_database
from sigma_app.cli.jobs import warn_without_worker
from sigma_app.core.connecting import connect
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
_AGAIN = """
    select sigma.queue_stripe_event(id)
    from sigma.webhook_events where source = 'stripe' and handled_at is null and (id = %(id)s or %(id)s is null)
"""
_REWORK = "update sigma.webhook_events set handled_at = null where source = 'stripe' and id = %s"


@click.command()
@click.option("--replay", metavar="ID", help="Work this event again, also one that was worked.")
@click.option("--replay-all", is_flag=True, help="Work again all that wait.")
def command(replay: str | None, replay_all: bool) -> None:
    """Show the events that wait and the dead letters among them, each with its last error.

    To replay one is safe: it says what to look at, and Stripe is asked how that stands.
    """
    settings = get_settings()
    with migrated_database(settings, lambda _: None), connect(owner_url(settings), autocommit=True) as owner:
        if replay or replay_all:
            if replay:
                owner.execute(_REWORK, [replay])
            again = owner.execute(_AGAIN, {"id": replay}).rowcount
            if replay and not again:
                print(f"There is no event {replay}.", file=sys.stderr)
                sys.exit(1)
            print(f"{again} {'event' if again == 1 else 'events'} put back into the queue.")
            warn_without_worker(settings)
            return
        worked, waiting, failed = owner.execute(_COUNTS).fetchone() or (0, 0, 0)
        print(f"{worked} worked, {waiting} waiting, {failed} failed.")
        for event, kind, customer, tries, at, error in owner.execute(_WAITING):
            when = f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            print(f"{when}  {event}  {kind}  {customer or 'nobody'}  {tries} tries: {error}")
