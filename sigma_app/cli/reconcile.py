"""`python -m sigma_app reconcile`: compares everything with Stripe, and repairs what differs."""

from __future__ import annotations

import asyncio
import sys

import click

from sigma_app.cli.database import migrated_database
from sigma_app.cli.obstacles import stripe_answers
from sigma_app.cli.progress import count
from sigma_app.settings import get_settings


@click.command()
def command() -> None:
    """Compare products, prices, subscriptions, purchases and everybody's access with Stripe, and repair what differs.

    Runs every night by itself. A line for each difference: it was an event that got lost, or a change by hand. Exits
    with 1 where something is left that it cannot repair.
    """
    with migrated_database(get_settings(), lambda _: None):
        asyncio.run(_reconcile())


async def _reconcile() -> None:
    from sigma_app.features.billing.reconcile import Report, reconcile
    from sigma_app.gateways.database import serving_requests
    from sigma_app.gateways.payments import reaching_stripe

    report = Report()
    try:
        with stripe_answers("What was repaired until then stays; running it again begins anew."):
            async with serving_requests(), reaching_stripe():
                with count("Comparing with Stripe") as advance:
                    await reconcile(report, advance)
    finally:
        for line in [*report.repaired, *report.left]:
            print(line)
    differ = "1 differed, and is" if len(report.repaired) == 1 else f"{len(report.repaired)} differed, and are"
    print(
        "Compared with Stripe: products, prices, subscriptions, purchases and everybody's access,"
        f" {report.looked_at:,} in all; {f'{differ} repaired' if report.repaired else 'none had to be repaired'}."
    )
    if report.left:
        print(f"{len(report.left)} left to you: the lines above say why.", file=sys.stderr)
        sys.exit(1)
