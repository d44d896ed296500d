"""`python -m sigma_app access-why`: why somebody has access, or why not: what they pay for, and each change since."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click

from sigma_app.cli.database import migrated_database
from sigma_app.core.connecting import connect
from sigma_app.gateways.database import owner_url
from sigma_app.settings import get_settings

_WHO = """
    select account.id, profile.has_access, profile.customer_id, profile.price_id
    from auth.users as account left join public.profiles as profile on profile.id = account.id
    where lower(account.email) = lower(%(who)s) or account.id::text = %(who)s
      or account.id = (select user_id from billing.customers where id = %(who)s)
"""
_PAID_FOR = """
    select one.created_at, kind, one.id, coalesce(price.lookup_key, one.price_id), status, told
    from billing.customers as customer
    cross join lateral (
      select created_at, 'subscription' as kind, id, price_id, status, array_remove(array[
        to_char(current_period_end at time zone 'utc', '"period ends" YYYY-MM-DD'),
        to_char(cancel_at at time zone 'utc', '"canceled for" YYYY-MM-DD'),
        to_char(past_due_since at time zone 'utc', '"past due since" YYYY-MM-DD'),
        'for ' || end_reason
      ], null) as told
      from billing.subscriptions where customer_id = customer.id
      union all
      select created_at, 'purchase', id, price_id, status, array_remove(array[
        format('%%s %%s', amount, currency),
        case when refunded > 0 then format('refunded %%s', refunded) end,
        'dispute ' || dispute
      ], null)
      from billing.purchases where customer_id = customer.id
    ) as one
    left join billing.prices as price on price.id = one.price_id
    where customer.user_id = %s order by one.created_at
"""
_CHANGES = """
    select at, before, after, rule, coalesce(price_id, ''), coalesce(subject, ''), cause, coalesce(event_id, '')
    from billing.access_changes where user_id = %s order by id
"""


@click.command()
@click.argument("who")
def command(who: str) -> None:
    """Show what somebody pays for, as it was last read at Stripe, and every change of their access: before, after, the
    rule, what it is about, and what caused it. Amounts are in the smallest unit of their currency.

    WHO is an address, the id of an account, or Stripe's of a customer.
    """
    settings = get_settings()
    with migrated_database(settings, lambda _: None), connect(owner_url(settings), autocommit=True) as owner:
        found = owner.execute(_WHO, {"who": who.strip()}).fetchone()
        if found is None:
            print(f"{who.strip()}: nobody with an account.", file=sys.stderr)
            sys.exit(1)
        account, has_access, customer, price = found
        access = "has access" if has_access else "no access"
        print(f"{account}: {access}, customer {customer or 'none'}, price {price or 'none'}")
        for at, kind, identity, what, status, told in owner.execute(_PAID_FOR, [account]):
            print(f"{_when(at)}  {kind} {identity} ({what}): {', '.join([status, *told])}")
        for at, before, after, rule, *about, cause, event in owner.execute(_CHANGES, [account]):
            change = f"{_WORDS[before]} → {_WORDS[after]}"
            print(f"{_when(at)}  {change:<9}  {' '.join(filter(None, (f'{rule},', *about, f'by {cause}', event)))}")


_WORDS = {True: "yes", False: "no"}


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
