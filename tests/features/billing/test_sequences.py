"""Random lives of a customer, told badly: access, purchases and the record of access equal a plain model (model.py).

Each life is driven through the sandbox. Its events come twice, late, out of order and at the same time, to workers that
are killed half-way. `SIGMA_LIVES` says how many; a failure is shrunk to the shortest life that shows it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sigma_app.core import clock
from sigma_app.core.database import SERVICE, Database, Step, get_database, serve_requests_from
from sigma_app.embedded.stripe import acts, clocks
from sigma_app.embedded.stripe.books import opened
from sigma_app.embedded.stripe.errors import Refused
from sigma_app.features.billing import checkout, records, work
from sigma_app.features.billing.errors import BoughtAlready, OnItsWay, SubscribedAlready
from sigma_app.features.billing.reconcile import Report, back_fill
from sigma_app.features.billing.setup import set_up
from sigma_app.gateways.payments import reaching_stripe, stripe_client
from sigma_app.session.store import Session
from tests.conftest import settings_for
from tests.features.billing.model import DAY, HOUR, Bill, Person, Purchase, Subscription
from tests.settled import settled

LIVES = int(os.environ.get("SIGMA_LIVES", "150"))
MONTHLY, FOR_GOOD = "sigma_monthly", "sigma_for_good"
_KEEP = "select sigma.keep_stripe_event(%s, %s, %s, to_timestamp(%s), %s::jsonb)"

Act = tuple[str, int]

ACTS = st.tuples(
    st.sampled_from(
        [
            *("subscribe", "subscribe by debit", "buy", "buy by debit", "buy declined", "debit in", "debit back"),
            *(
                "card pays",
                "card declines",
                "card asks",
                "a period",
                "days",
                "days",
                "cancel later",
                "keep",
                "cancel now",
            ),
            *("refund part", "refund all", "refund back", "dispute", "dispute won", "dispute lost", "tell", "tell"),
        ]
    ),
    st.integers(0, 2**16),
)


@dataclass
class Life:
    """A life, as Stripe knows it, as we are told of it, and as the model has it."""

    session: Session
    customer: str
    clock: str
    person: Person
    untold: list[dict[str, Any]] = field(default_factory=list)
    known: set[str] = field(default_factory=set)

    async def hear(self) -> None:
        """Note the events that are new."""
        async with opened() as books:
            news = [one for one in await books.all("event") if one["id"] not in self.known]
        self.known |= {one["id"] for one in news}
        self.untold += news[::-1]

    async def do(self, what: str, number: int) -> None:
        """Do one thing, where it can be done."""
        name = what.replace(" ", "_")
        await getattr(self, f"_{name}")(number)
        clock_time[0] = self.person.now
        await self.hear()

    async def _subscribe(self, _: int, by_debit: bool = False) -> None:
        if (identity := await self._checkout(MONTHLY)) is None:
            return
        assert self.person.living() is None, "two subscriptions at once"
        await (acts.pay_later if by_debit else acts.pay)(identity)
        self.person.card = "pays"
        end = await self._period_end()
        bill = Bill(self.person.now, None) if by_debit else None
        self.person.subscriptions.append(Subscription(identity, end, debit=bill, paid_once=not by_debit))

    async def _subscribe_by_debit(self, number: int) -> None:
        await self._subscribe(number, by_debit=True)

    async def _buy(self, _: int, how: str = "paid") -> None:
        if (identity := await self._checkout(FOR_GOOD)) is None:
            return
        assert not any(one.opens() or one.status == "processing" for one in self.person.purchases), "bought twice"
        if how == "declined":
            await acts.decline(identity)
            return
        await (acts.pay if how == "paid" else acts.pay_later)(identity)
        self.person.card = "pays" if how == "paid" else self.person.card
        self.person.purchases.append(Purchase(identity, 690_00, "paid" if how == "paid" else "processing"))

    async def _buy_by_debit(self, number: int) -> None:
        await self._buy(number, "processing")

    async def _buy_declined(self, number: int) -> None:
        await self._buy(number, "declined")

    async def _debit_in(self, _: int, succeeds: bool = True) -> None:
        for one in self.person.purchases:
            if one.status == "processing":
                await acts.settle_later(one.checkout, succeeds)
                one.status = "paid" if succeeds else "failed"
                return
        for subscription in self.person.subscriptions:
            if subscription.debit and not subscription.over:
                await acts.settle_later(subscription.checkout, succeeds)
                subscription.debit_ends(succeeds, self.person.now)
                return

    async def _debit_back(self, number: int) -> None:
        await self._debit_in(number, succeeds=False)

    async def _card_pays(self, _: int, card: Any = "pays") -> None:
        await acts.set_card(self.customer, card)
        self.person.card = card

    async def _card_declines(self, number: int) -> None:
        await self._card_pays(number, "declines")

    async def _card_asks(self, number: int) -> None:
        await self._card_pays(number, "asks")

    async def _a_period(self, _: int) -> None:
        if subscription := self.person.living():
            await self._let_pass(subscription.period_end + HOUR + 1 - self.person.now)

    async def _days(self, number: int) -> None:
        await self._let_pass((1 + number % 8) * DAY)

    async def _let_pass(self, seconds: int) -> None:
        until = self.person.now + seconds
        await acts.advance(self.clock, until)
        self.person.now = until
        if subscription := self.person.living():
            following = await self._period_end()
            subscription.let_pass(until, self.person.card, following)

    async def _cancel_later(self, _: int, wanted: bool = True) -> None:
        if subscription := self.person.living():
            api = stripe_client().v1.subscriptions
            await api.update_async(await self._subscription(), {"cancel_at_period_end": wanted})
            subscription.ends_with_period = wanted

    async def _keep(self, number: int) -> None:
        await self._cancel_later(number, wanted=False)

    async def _cancel_now(self, _: int) -> None:
        if subscription := self.person.living():
            await stripe_client().v1.subscriptions.cancel_async(await self._subscription())
            subscription.over = True

    async def _refund_part(self, number: int, everything: bool = False) -> None:
        for one in self.person.purchases:
            left = one.amount - sum(one.refunds)
            if one.status != "paid" or one.dispute in ("open", "lost", "won") or left == 0:
                continue
            amount = left if everything else 1 + number % left
            await acts.refund(await self._charge(one.checkout), amount)
            one.refunds.append(amount)
            return

    async def _refund_all(self, number: int) -> None:
        await self._refund_part(number, everything=True)

    async def _refund_back(self, _: int) -> None:
        for one in self.person.purchases:
            if one.refunds:
                found = await stripe_client().v1.refunds.list_async({"charge": await self._charge(one.checkout)})
                back = next((refund for refund in found.data if refund.status == "succeeded"), None)
                if back:
                    await acts.fail_refund(back.id)
                    one.refunds.remove(back.amount)
                return

    async def _dispute(self, _: int) -> None:
        for one in self.person.purchases:
            if one.status == "paid" and one.dispute is None and sum(one.refunds) < one.amount:
                await acts.open_dispute(await self._charge(one.checkout))
                one.dispute = "open"
                return

    async def _dispute_won(self, _: int, outcome: Any = "won") -> None:
        for one in self.person.purchases:
            if one.dispute == "open":
                found = await stripe_client().v1.disputes.list_async({"charge": await self._charge(one.checkout)})
                await acts.close_dispute(found.data[0].id, outcome)
                one.dispute = outcome
                return

    async def _dispute_lost(self, number: int) -> None:
        await self._dispute_won(number, "lost")

    async def _tell(self, number: int) -> None:
        """Tell some of what happened: in any order, some of it twice, to workers of which some are killed."""
        chance = random.Random(number)  # noqa: S311
        chosen = [one for one in self.untold if chance.random() < 0.5]
        told = [*chosen, *(one for one in chosen if chance.random() < 0.3)]
        chance.shuffle(told)
        await asyncio.gather(*map(tell, told))
        workers = [asyncio.create_task(work.work(one["id"])) for one in told]
        for worker in workers:
            if chance.random() < 0.3:
                await asyncio.sleep(chance.random() * 0.01)
                worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await self.check_record()

    async def tell_all(self, number: int) -> None:
        """Tell everything, what was told before as well, until every worker has come to its end."""
        chance = random.Random(number)  # noqa: S311
        told = [*self.untold, *(one for one in self.untold if chance.random() < 0.3)]
        chance.shuffle(told)
        await asyncio.gather(*map(tell, told))
        await asyncio.gather(*(work.work(one["id"]) for one in told))
        async with get_database().transaction(SERVICE) as transaction:  # as the job does that waits for grace to end
            await records.lock_user(transaction, self.session.user_id)
            await records.settle(transaction, self.session.user_id, "time")

    async def check_record(self) -> bool:
        """The record is a chain that ends at what the profile says; the last of it."""
        changes = "select before, after from billing.access_changes where user_id = %s order by id"
        rows = await ask(changes, self.session.user_id)
        ((access,),) = await ask("select has_access from profiles where id = %s", self.session.user_id)
        ends = [False, *(after for _, after in rows)]
        assert [before for before, _ in rows] == ends[:-1]
        assert ends[-1] is bool(access)
        return ends[-1]

    async def check(self) -> None:
        """What we have equals the model."""
        assert await self.check_record() is self.person.has_access()
        purchases = await ask("select id, status, refunded, dispute from billing.purchases")
        assert sorted(purchases) == sorted(
            (one.checkout, one.status, sum(one.refunds), one.dispute) for one in self.person.purchases
        )
        subscriptions = await ask("select status from billing.subscriptions order by created_at, id")
        assert sorted(status for (status,) in subscriptions) == sorted(
            one.status() for one in self.person.subscriptions
        )
        assert await ask("select id from sigma.webhook_events where handled_at is null") == []

    async def _checkout(self, plan: str) -> str | None:
        """A checkout, unless we refuse: what we know may be older than the model, never the other way round."""
        try:
            address = await checkout.open_checkout(self.session, plan)
        except (SubscribedAlready, BoughtAlready, OnItsWay):
            return None
        return address.rpartition("/")[2]

    async def _subscription(self) -> str:
        return (await self._living_subscription()).id

    async def _living_subscription(self) -> Any:
        found = await stripe_client().v1.subscriptions.list_async({"customer": self.customer, "status": "all"})
        return found.data[0]

    async def _period_end(self) -> int:
        return (await self._living_subscription())["items"].data[0].current_period_end

    async def _charge(self, identity: str) -> str:
        sessions = stripe_client().v1.checkout.sessions
        found: Any = await sessions.retrieve_async(identity, {"expand": ["payment_intent"]})
        return found.payment_intent.latest_charge


clock_time = [0]


async def tell(event: dict[str, Any]) -> None:
    """Keep an event, as the webhook does once its signature is checked."""
    about = event["data"]["object"]
    customer = about["id"] if about["object"] == "customer" else about.get("customer")
    values = [event["id"], event["type"], customer, event["created"], json.dumps(event)]
    await get_database().run(Step(SERVICE, _KEEP, values))


async def ask(query: Any, *values: Any) -> list[tuple]:
    return await get_database().run(Step(SERVICE, query, values))


class World:
    """The shop, open for one life after the other."""

    def __init__(self, login_url: str, owner: psycopg.Connection):
        self.runner = asyncio.Runner()
        self._owner = owner
        self._stack = AsyncExitStack()
        self.runner.run(self._open(login_url))

    async def _open(self, login_url: str) -> None:
        database = await self._stack.enter_async_context(Database(login_url, pool_size=6))
        self._stack.enter_context(serve_requests_from(database))
        await self._stack.enter_async_context(reaching_stripe())
        await set_up(webhook=False)
        await back_fill(Report())

    async def _close(self) -> None:
        await self._stack.aclose()

    def close(self) -> None:
        self.runner.run(self._close())
        self.runner.close()

    def forget(self) -> None:
        """Nobody has paid for anything yet."""
        kept = "('product', 'price', 'billing_portal.configuration')"
        self._owner.execute(f"delete from sigma.sandbox_objects where kind not in {kept}".encode())
        self._owner.execute("delete from sigma.sandbox_requests")
        self._owner.execute("delete from sigma.webhook_events")
        self._owner.execute("delete from procrastinate.procrastinate_jobs")
        self._owner.execute("delete from auth.users")

    async def live(self, done: list[Act], seed: int) -> None:
        user, email = uuid4(), f"{uuid4().hex}@example.com"
        self._owner.execute("insert into auth.users (id, email) values (%s, %s)", [user, email])
        now = datetime.now(UTC)
        session = Session(uuid4(), user, email, False, "", now, now)
        customer = await checkout.customer_for(session)
        async with opened() as books:
            found = await books.get("customer", customer)
            time = await clocks.put_on_clock(books, found)
            frozen = (await books.get("test_helpers.test_clock", time))["frozen_time"]
        clock_time[0] = frozen
        life = Life(session, customer, time, Person(frozen))
        for what, number in done:
            try:
                await life.do(what, number)
            except Refused as refused:
                raise AssertionError(f"{what}: {refused}") from refused
        await life.tell_all(seed)
        await life.check()


@pytest.fixture
def world(login_url: str, owner: psycopg.Connection, tmp_path, monkeypatch) -> Iterator[World]:
    monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(clock_time[0], UTC))
    with settled(settings_for(tmp_path)):
        opened_world = World(login_url, owner)
        yield opened_world
        opened_world.close()


@pytest.mark.timeout(3600)
def test_any_life_told_in_any_way_ends_as_the_model_says(world: World):
    @settings(
        max_examples=LIVES,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
    )
    @given(st.lists(ACTS, max_size=12), st.integers(0, 2**16))
    def lives(done: list[Act], seed: int) -> None:
        world.forget()
        world.runner.run(world.live(done, seed))

    lives()
