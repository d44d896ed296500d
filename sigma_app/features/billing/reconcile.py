"""Reading all of somebody at Stripe, and all of Stripe: for events that were lost, and for whoever wants to be sure.

`look_again` is one user, `reconcile` everything, page by page: each difference is a line, and is repaired by the same
reading under the same lock that an event causes. So a run beside events does no harm, and a second one finds nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel, col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core import clock
from sigma_app.core.database import SERVICE, get_database
from sigma_app.core.errors import SigmaError
from sigma_app.features.billing import records
from sigma_app.features.billing.access import decide
from sigma_app.features.billing.checkout import LIVE
from sigma_app.features.billing.turns import Line, turn
from sigma_app.gateways import stripe_objects as stripe
from sigma_app.gateways.payments import NotAtStripe
from sigma_app.models import Customer, Price, Product, Profile, Purchase, Subscription

CAUSE = "compared with Stripe"
_PORTION = 500  # users whose rows are read together

Advance = Callable[[int], object]
"""Told how many more objects were looked at."""


@dataclass
class Report:
    """What was looked at, and each difference that was found, as a line: those that are repaired, and those that are
    left to a person, or to the next time."""

    looked_at: int = 0
    repaired: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


async def look_again(user: UUID, cause: str) -> None:
    """Read everything of somebody at Stripe, and decide anew.

    Raises:
        PaymentsUnavailable, DatabaseUnavailable: nothing was changed.
    """
    async with turn(Line.WORKER, str(user)), get_database().transaction(SERVICE) as session:
        for customer in await records.lock_user(session, user):
            await _read_all(session, customer)
        await records.settle(session, user, cause)


async def reconcile(report: Report, advance: Advance = lambda _: None) -> None:
    """Compare everything with Stripe and repair what differs.

    Args:
        report: to fill in, also where it stops half-way.
        advance: told of each object that was looked at.

    Raises:
        PaymentsUnavailable, DatabaseUnavailable: it stopped half-way; what was repaired is.
    """
    await back_fill(report, advance)
    differing = await _compare(report, advance)
    for portion in _portions(sorted({*(await _users()).values(), *await _with_access()})):
        unsettled = await _unsettled(portion)
        for user in portion:
            _count(report, advance)
            if user in differing or user in unsettled:
                await _put_right(report, user, differing.get(user))


async def _put_right(report: Report, user: UUID, lines: Sequence[str] | None) -> None:
    """Repair one user: what differs from Stripe, as `lines` say, or else what their profile says."""
    before = await _held(user)
    try:
        if lines is not None:
            await look_again(user, CAUSE)
        else:
            async with get_database().transaction(SERVICE) as session:
                await records.lock_user(session, user)
                await records.settle(session, user, CAUSE)
    except (SigmaError, DBAPIError, ValueError) as error:  # of one, which must not keep it from the others
        report.left += [*(lines or []), f"{user}: could not be repaired: {type(error).__name__}"]
        return
    report.repaired += lines or []
    after = await _held(user)
    if before != after:
        report.repaired.append(f"{user}: had {before}, and has {after} by what was paid")


async def _unsettled(users: Sequence[UUID]) -> set[UUID]:
    """Those whose profile says something else than follows from the rows that we have."""
    async with get_database().transaction(SERVICE) as session:
        profiles = (await session.exec(select(Profile).where(col(Profile.id).in_(users)))).all()
        customers = (await session.exec(select(Customer).where(col(Customer.user_id).in_(users)))).all()
        ids = [one.id for one in customers]
        bought = (await session.exec(select(Purchase).where(col(Purchase.customer_id).in_(ids)))).all()
        running = (await session.exec(select(Subscription).where(col(Subscription.customer_id).in_(ids)))).all()
    whose = {one.id: one.user_id for one in customers}
    living = {one.user_id: one.id for one in customers if one.deleted_at is None}
    purchases, subscriptions = defaultdict(list), defaultdict(list)
    for one in bought:
        purchases[whose[one.customer_id]].append(one)
    for one in running:
        subscriptions[whose[one.customer_id]].append(one)
    found = set()
    for profile in profiles:
        decision = decide(purchases[profile.id], subscriptions[profile.id], clock.now())
        follows = (decision.access, decision.price if decision.access else None, living.get(profile.id))
        if (bool(profile.has_access), profile.price_id, profile.customer_id) != follows:
            found.add(profile.id)
    return found


def _portions(users: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    return (users[start : start + _PORTION] for start in range(0, len(users), _PORTION))


async def back_fill(report: Report, advance: Advance = lambda _: None) -> None:
    """Read the whole catalogue at Stripe into our copy."""
    before = await _catalogue()
    read: set[str] = set()
    async for product in stripe.all_products():
        _count(report, advance)
        if not product.mark and product.id not in before:
            continue  # somebody else's, of the same Stripe account
        async with get_database().transaction(SERVICE) as session:
            if not await records.read_product(session, product.id):  # once nobody else reads it
                continue
            read.add(product.id)
            async for price in stripe.all_prices(product.id):
                _count(report, advance)
                await records.store_price(session, price)
                read.add(price.id)
    for gone in before.keys() - read:
        await _read_missing(gone)
    after = await _catalogue()
    for identity in sorted(before.keys() | after.keys()):
        report.repaired += _difference(identity, before.get(identity), after.get(identity))


async def _compare(report: Report, advance: Advance) -> dict[UUID, list[str]]:
    """Whoever has something at Stripe that we have otherwise, or not at all, or that Stripe has no more, with what."""
    users = await _users()
    ours = await _rows(Subscription) | await _rows(Purchase)
    prices = await _rows(Price)
    differing: dict[str, list[str]] = defaultdict(list)
    strangers: dict[str, str] = {}

    def compare(identity: str, customer: str, read: dict[str, Any]) -> None:
        _count(report, advance)
        known = ours.pop(identity, None)
        if read["price_id"] not in prices:
            if known is None:
                return  # nothing of Sigma's
            read = read | {"status": records.OTHER}
        if customer not in users:
            if read["status"] in LIVE:
                strangers[identity] = customer
        elif lines := _difference(identity, known, read):
            differing[customer] += lines

    async for subscription in stripe.all_subscriptions():
        compare(subscription.id, subscription.customer, records.subscription_row(subscription))
    async for checkout in stripe.all_checkouts():
        if records.is_purchase(checkout) and checkout.customer:
            compare(checkout.id, checkout.customer, records.purchase_row(checkout))
    for row in ours.values():  # not in Stripe's lists, as with a customer who was deleted there
        if row["status"] not in (records.GONE, "canceled"):
            differing[row["customer_id"]] += []
    users = await _users()  # some have come meanwhile
    for identity, customer in strangers.items():
        if customer not in users:
            report.left.append(f"{identity}: is charged, and its customer {customer} is nobody here: cancel it")
    of_users: dict[UUID, list[str]] = defaultdict(list)
    for customer, lines in differing.items():
        if customer in users:
            of_users[users[customer]] += lines
    return dict(of_users)


async def _read_all(session: AsyncSession, customer: Customer) -> None:
    """Read all that a customer, who is locked, has at Stripe, and what we have of them besides."""
    read: set[str] = set()
    try:
        known = await stripe.is_customer(customer.id)
    except NotAtStripe:
        known = False
    if known:
        await _revive(session, customer)
        async for subscription in stripe.all_subscriptions(customer.id):
            await records.store_subscription(session, customer, subscription)
            read.add(subscription.id)
        async for checkout in stripe.all_checkouts(customer.id):
            await records.store_checkout(session, customer, checkout)
            read.add(checkout.id)
    elif customer.deleted_at is None:
        await records.mark_deleted(session, customer)
    for purchase in (await session.exec(select(Purchase.id).where(Purchase.customer_id == customer.id))).all():
        if purchase not in read:
            await records.read_checkout(session, customer, purchase)
    stored = select(Subscription.id).where(Subscription.customer_id == customer.id)
    for subscription in (await session.exec(stored)).all():
        if subscription not in read:
            await records.read_subscription(session, customer, subscription)


async def _revive(session: AsyncSession, customer: Customer) -> None:
    """A customer that was taken for deleted, by another key say, is one again, unless another has taken its place."""
    if customer.deleted_at is None:
        return
    others = await records.lock_user(session, customer.user_id)
    if all(one.deleted_at for one in others):
        customer.deleted_at = None
        session.add(customer)
        await session.flush()


async def _read_missing(identity: str) -> None:
    """Read a product or a price that Stripe did not list."""
    async with get_database().transaction(SERVICE) as session:
        if (await session.exec(select(Product.id).where(Product.id == identity))).first():
            await records.read_product(session, identity)
        elif (await session.exec(select(Price.id).where(Price.id == identity))).first():
            await records.read_price(session, identity)


async def _catalogue() -> dict[str, dict[str, Any]]:
    return await _rows(Product) | await _rows(Price)


async def _rows(model: type[SQLModel]) -> dict[str, dict[str, Any]]:
    """Every row by its id, without the time of its reading."""
    async with get_database().transaction(SERVICE) as session:
        rows = (await session.exec(select(model))).all()
    return {row.id: row.model_dump(exclude={"read_at"}) for row in rows}  # pyright: ignore[reportAttributeAccessIssue]


async def _users() -> dict[str, UUID]:
    """Whose each customer is."""
    async with get_database().transaction(SERVICE) as session:
        return dict((await session.exec(select(Customer.id, Customer.user_id))).all())


async def _with_access() -> set[UUID]:
    """Whose profile says that they have access, or are a customer."""
    async with get_database().transaction(SERVICE) as session:
        found = select(Profile.id).where(or_(col(Profile.has_access).is_(True), col(Profile.customer_id).is_not(None)))
        return set((await session.exec(found)).all())


async def _held(user: UUID) -> str:
    """What the profile of somebody says, in words."""
    async with get_database().transaction(SERVICE) as session:
        profile = await session.get(Profile, user)
    if profile is None:
        return "no profile"
    parts = ["access" if profile.has_access else "no access", profile.price_id, profile.customer_id]
    return ", ".join(part for part in parts if part)


def _difference(identity: str, known: Mapping[str, Any] | None, read: Mapping[str, Any] | None) -> list[str]:
    """A line on what differs, if anything does."""
    if known is None or read is None:
        return [] if known == read else [f"{identity}: {'missing here' if known is None else 'not at Stripe any more'}"]
    parts = [f"{name} was {known[name]}, is {read[name]}" for name in read if known[name] != read[name]]
    return [f"{identity}: {'; '.join(parts)}"] if parts else []


def _count(report: Report, advance: Advance) -> None:
    report.looked_at += 1
    advance(1)
