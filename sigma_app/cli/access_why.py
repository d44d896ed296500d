"""`python -m sigma_app access-why`: why somebody has access, or why not: what they pay for, and each change since."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import click
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from sigma_app.cli.database import migrated_database
from sigma_app.gateways.database import owner_url
from sigma_app.settings import get_settings

_WHO = """
    select account.id, profile.has_access, profile.customer_id, profile.price_id
    from auth.users as account left join public.profiles as profile on profile.id = account.id
    where lower(account.email) = lower(%(who)s) or account.id::text = %(who)s
      or account.id = (select user_id from billing.customers where id = %(who)s)
"""


@click.command()
@click.argument("who")
def command(who: str) -> None:
    """Show what somebody pays for, as it was last read at Stripe, and every change of their access: before, after, the
    rule, what it is about, and what caused it.

    WHO is an address, the id of an account, or Stripe's of a customer.
    """
    settings = get_settings()
    with migrated_database(settings, lambda _: None):
        known = asyncio.run(_print(owner_url(settings), who.strip()))
    if not known:
        print(f"{who.strip()}: nobody with an account.", file=sys.stderr)
        sys.exit(1)


async def _print(url: str, who: str) -> bool:
    """Write what there is to tell of somebody; whether there is such an account."""
    lines = [line async for line in _lines(url, who)]
    for line in lines:
        print(line)
    return bool(lines)


async def _lines(url: str, who: str) -> AsyncIterator[str]:
    from sigma_app.features.billing.service import access_changes, paid_for

    async with await AsyncConnection.connect(url, autocommit=True) as owner:
        cursor = owner.cursor(row_factory=dict_row)
        await cursor.execute(_WHO, {"who": who})
        if (found := await cursor.fetchone()) is None:
            return
        access = "has access" if found["has_access"] else "no access"
        at_stripe = f"customer {found['customer_id'] or 'none'}, price {found['price_id'] or 'none'}"
        yield f"{found['id']}: {access}, {at_stripe}"
        for one in await paid_for(cursor, found["id"]):
            what = ", ".join(filter(None, (one.what, one.price)))
            yield f"{_when(one.at)}  {one.kind} {one.id} ({what}): {', '.join([one.status, *one.told])}"
        for one in await access_changes(cursor, found["id"]):
            change = f"{_WORDS[one.before]} → {_WORDS[one.after]}"
            why = filter(None, (f"{one.rule},", one.price, one.subject, f"by {one.cause}", one.event))
            yield f"{_when(one.at)}  {change:<9}  {' '.join(why)}"


_WORDS = {True: "yes", False: "no"}


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
