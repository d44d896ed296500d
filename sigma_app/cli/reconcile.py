"""`python -m sigma_app reconcile`: compares everything with Stripe, and repairs what differs."""

from __future__ import annotations

import asyncio

import click

from sigma_app.cli.database import migrated_database
from sigma_app.cli.obstacles import stripe_answers
from sigma_app.cli.progress import count
from sigma_app.settings import get_settings


@click.command()
def command() -> None:
    """Compare products, prices, subscriptions, purchases and everybody's access with Stripe, and repair what differs.

    Runs every night by itself. A line for each difference: it was an event that got lost, or a change by hand.
    """
    with migrated_database(get_settings(), lambda _: None):
        asyncio.run(_reconcile())


async def _reconcile() -> None:
    from sigma_app.features.billing.reconcile import reconcile
    from sigma_app.gateways.database import serving_requests
    from sigma_app.gateways.payments import reaching_stripe

    with stripe_answers("What was repaired until then stays; running it again begins anew."):
        async with serving_requests(), reaching_stripe():
            with count("Comparing with Stripe") as advance:
                report = await reconcile(advance)
    for line in report.found:
        print(line)
    differ = "1 differed, and is" if len(report.found) == 1 else f"{len(report.found)} differed, and are"
    print(f"{report.looked_at} looked at, {f'{differ} repaired' if report.found else 'none differed'}.")
