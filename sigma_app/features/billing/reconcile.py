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

from sqlmodel import SQLModel, col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core import clock
from sigma_app.core.database import SERVICE, get_database
from sigma_app.features.billing import records
from sigma_app.features.billing.access import decide
from sigma_app.features.billing.checkout import LIVE
from sigma_app.features.billing.turns import Line, turn
from sigma_app.gateways import stripe_objects as stripe
from sigma_app.gateways.payments import NotAtStripe, PaymentsRefused
from sigma_app.models import Customer, Price, Product, Profile, Purchase, Subscription

CAUSE = "compared with Stripe"
_PORTION = 500  # users whose rows are read together

Advance = Callable[[int], object]
"""Told how many more objects were looked at."""


@dataclass
class Report:
    """What was looked at, and each difference that was found, as a line."""

    looked_at: int = 0
    found: list[str] = field(default_factory=list)


async def look_again(user: UUID, cause: str) -> None:
    """Read everything of somebody at Stripe, and decide anew.

    Raises:
        PaymentsUnavailable, DatabaseUnavailable: nothing was changed.
    """
    async with turn(Line.WORKER, str(user)), get_database().transaction(SERVICE) as session:
        for customer in await records.lock_user(session, user):
            await _read_all(session, customer)
        await records.settle(session, user, cause)


async def reconcile(advance: Advance = lambda _: None) -> Report:
    """Compare everything with Stripe and repair what differs.

    Raises:
        PaymentsUnavailable, DatabaseUnavailable: it stopped half-way; what was repaired is.
    """
    report = await back_fill(advance)
    users = await _users()
    differing = {users[customer] for customer in await _compare(report, users, advance) if customer in users}
    for portion in _portions(sorted({*users.values(), *await _with_access()})):
        unsettled = await _unsettled(portion)
        for user in portion:
            _count(report, advance)
            if user in differing or user in unsettled:
                await _put_right(report, user, differs=user in differing)
    return report


async def _put_right(report: Report, user: UUID, *, differs: bool) -> None:
    before = await _access(user)
    try:
        if differs:
            await look_again(user, CAUSE)
        else:
            async with get_database().transaction(SERVICE) as session:
                await records.lock_user(session, user)
                await records.settle(session, user, CAUSE)
    except (PaymentsRefused, ValueError) as error:  # of one, which must not keep it from the others
        report.found.append(f"{user}: could not be compared: {type(error).__name__}")
    after = await _access(user)
    if before != after:
        report.found.append(f"{user}: had {before}, and has {after} by what was paid")


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


async def back_fill(advance: Advance = lambda _: None) -> Report:
    """Read the whole catalogue at Stripe into our copy."""
    report = Report()
    before = await _catalogue()
    read: set[str] = set()
    async for product in stripe.all_products():
        _count(report, advance)
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
        report.found += _difference(identity, before.get(identity), after.get(identity))
    return report


async def _compare(report: Report, users: Mapping[str, UUID], advance: Advance) -> set[str]:
    """The customers with something at Stripe that we have otherwise, or not at all, or that Stripe has no more."""
    ours = await _rows(Subscription) | await _rows(Purchase)
    prices = await _rows(Price)
    differing: set[str] = set()

    def compare(identity: str, customer: str, read: dict[str, Any]) -> None:
        _count(report, advance)
        known = ours.pop(identity, None)
        if read["price_id"] not in prices:
            if known is None:
                return  # nothing of Sigma's
            read = read | {"status": records.OTHER}
        if customer not in users:
            if read["status"] in LIVE:
                report.found.append(f"{identity}: is charged, and its customer {customer} is nobody here: cancel it")
            return
        if lines := _difference(identity, known, read):
            report.found.extend(lines)
            differing.add(customer)

    async for subscription in stripe.all_subscriptions():
        compare(subscription.id, subscription.customer, records.subscription_row(subscription))
    async for checkout in stripe.all_checkouts():
        if records.is_purchase(checkout) and checkout.customer:
            compare(checkout.id, checkout.customer, records.purchase_row(checkout))
    for row in ours.values():  # not in Stripe's lists, as with a customer who was deleted there
        if row["status"] not in (records.GONE, "canceled"):
            differing.add(row["customer_id"])
    return differing


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


async def _access(user: UUID) -> str:
    async with get_database().transaction(SERVICE) as session:
        profile = await session.get(Profile, user)
    return "access" if profile and profile.has_access else "no access"


def _difference(identity: str, known: Mapping[str, Any] | None, read: Mapping[str, Any] | None) -> list[str]:
    """A line on what differs, if anything does."""
    if known is None or read is None:
        return [] if known == read else [f"{identity}: {'missing here' if known is None else 'not at Stripe any more'}"]
    parts = [f"{name} was {known[name]}, is {read[name]}" for name in read if known[name] != read[name]]
    return [f"{identity}: {'; '.join(parts)}"] if parts else []


def _count(report: Report, advance: Advance) -> None:
    report.looked_at += 1
    advance(1)
