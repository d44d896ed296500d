"""`python -m sigma_app stripe-setup`: lays products, prices, the customer portal and the webhook endpoint at Stripe."""

from __future__ import annotations

import asyncio

import click

from sigma_app.cli.database import migrated_database
from sigma_app.cli.obstacles import stripe_answers
from sigma_app.settings import Settings, get_settings


@click.command()
@click.option("--replace-prices", is_flag=True, help="Where Stripe has another price for a plan, make a new one.")
def command(replace_prices: bool) -> None:
    """Lay at Stripe what Sigma sells and needs, and read the catalogue back; a second run changes nothing.

    Prints what was done and, for a webhook endpoint that was made, its signing secret: Stripe tells it this once.
    """
    settings = get_settings()
    with migrated_database(settings, lambda _: None):
        asyncio.run(_set_up(settings, replace_prices))


async def _set_up(settings: Settings, replace_prices: bool) -> None:
    from sigma_app.features.billing.reconcile import Report, back_fill
    from sigma_app.features.billing.setup import set_up
    from sigma_app.gateways.database import serving_requests
    from sigma_app.gateways.payments import reaching_stripe

    with stripe_answers("What was laid until then stays; running it again goes on."):
        async with serving_requests(), reaching_stripe():
            laid = await set_up(replace_prices=replace_prices, webhook=settings.is_hosted("payments"))
            for line in laid.lines:
                print(line)
            report = Report()
            await back_fill(report)
    for line in report.repaired:
        print(f"read back: {line}")
    if laid.secret:
        print(
            f"\nSTRIPE_WEBHOOK_SECRET={laid.secret}\n\nKeep it: Stripe shows it in its dashboard, and here never again."
        )
