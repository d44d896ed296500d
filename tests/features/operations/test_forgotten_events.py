"""A whole life with Stripe: each event of it is found as the person's, told to them, and gone with them."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

import sigma_app.worker  # noqa: F401 - which declares the jobs
from sigma_app.core.jobs import work
from sigma_app.embedded import stripe as sandbox
from sigma_app.embedded.stripe import acts
from sigma_app.embedded.stripe.errors import Refused
from sigma_app.features.billing import checkout, kept
from sigma_app.features.mail import service
from sigma_app.features.operations import person
from sigma_app.features.operations.person import erase, export
from sigma_app.gateways.mail import sending_mail
from sigma_app.session.store import Session
from sigma_app.settings import Settings
from tests.features.accounts.people import places_of, signed_in
from tests.features.billing.conftest import FOR_GOOD, MONTHLY, YEARLY, Till, charge_of, subscription_of
from tests.features.operations.test_person import AT_STRIPE
from tests.portal import SignIn

pytestmark = pytest.mark.anyio

NOBODYS = re.compile(r"product\.|price\.|coupon\.|promotion_code\.|test_helpers\.|billing_portal\.configuration")
"""Types of events that are about nobody."""
NAME_THEIR_CUSTOMER = {
    *("customer.deleted", "invoice.voided", "payment_intent.canceled"),
    *(f"customer.subscription.{what}" for what in ("trial_will_end", "paused", "resumed")),
}
"""Types that this life has none of before its end: of trials, which we do not sell, and of the end itself."""
THINGS = (
    *("event", "product", "price", "coupon", "promotion_code"),
    *("billing_portal.configuration", "test_helpers.test_clock"),
)
"""Kinds of objects at Stripe that are nobody's, and events, which Stripe itself keeps."""
OTHERS = "select count(*) from sigma.webhook_events where type not like 'test_helpers.%'"
MANY = """
insert into sigma.webhook_events (source, id, type, customer, body)
select source, 'e' || number, 't', 'cus_' || number, jsonb_build_object('data', jsonb_build_object(
  'to', jsonb_build_array('p' || number || '@example.com'), 'object', jsonb_build_object('id', 'in_' || number)))
from generate_series(1, 30000) as number, unnest(array['stripe', 'resend']) as source
"""
"""Events of thirty thousand people."""
LIFE = ["cus_1", *(f"in_{number}" for number in range(20))]
"""The ids of somebody who paid for years."""
_ID = re.compile(r'"([a-z]+_[0-9A-Za-z]{24})"')


@pytest.mark.parametrize(
    ("index", "statement", "values"),
    [
        ("webhook_events_naming", kept._IDS, {"known": LIFE}),
        ("webhook_events_naming", kept._EVENTS, {"ids": LIFE}),
        ("webhook_events_naming", kept._FORGET.text.replace(":ids", "%(ids)s"), {"ids": LIFE}),
        ("webhook_events_naming", kept._ENDED.text.replace(":ids", "%(ids)s"), {"ids": LIFE}),
        ("webhook_events_to", service._EVENTS.text.replace(":digest", "%(digest)s"), {"digest": b"d"}),
        ("webhook_events_to", service._FORGET.text.replace(":digest", "%(digest)s"), {"digest": b"d"}),
        ("webhook_events_to", person._COUNTS, {"digest": b"d", "address": "", "account": None}),
    ],
    ids=["ids", "events", "forget", "ended", "mails", "forget mails", "counts"],
)
def test_whose_events_are_whose_is_found_without_reading_all_of_them(
    owner: psycopg.Connection, index, statement, values
):
    owner.execute(MANY)
    owner.execute("analyze sigma.webhook_events")
    owner.execute("set role service_role")
    plan = "\n".join(line for (line,) in owner.execute(f"explain {statement}".encode(), values))
    assert f" on {index} " in plan
    assert "Seq Scan on webhook_events" not in plan


async def test_ids_are_found_without_compiling_the_question(serving: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kept, "_IDS", "select current_setting('jit') where %(known)s::text[] is not null")
    assert await kept.ids_of(["cus_1"]) == ["off"]


@pytest.fixture
async def mailing(serving: Settings) -> AsyncIterator[None]:
    async with sending_mail():
        yield


async def live(shop: Till, session: Session) -> str:
    """Everything that somebody can do, and that can happen to what they pay for; their customer."""
    abandoned = await opened(shop, session, MONTHLY)
    await acts.decline(abandoned)
    await shop.api.checkout.sessions.expire_async(abandoned)
    await shop.buy(session, MONTHLY)
    customer = await checkout.customer_for(session)
    subscription = await subscription_of(shop)
    await shop.api.billing_portal.sessions.create_async({"customer": customer})
    await shop.api.customers.update_async(customer, {"name": "Somebody"})
    await acts.let_a_period_pass(subscription)
    await acts.set_card(customer, "asks")
    await acts.let_a_period_pass(subscription)
    (invoice,) = (await shop.api.invoices.list_async({"customer": customer, "status": "open"})).data
    await acts.pay_invoice(invoice.id, "pays")
    refund = await acts.refund(await charge_of(shop), 100)
    await acts.fail_refund(refund["id"])
    dispute = await acts.open_dispute(await charge_of(shop))
    await acts.close_dispute(dispute["id"], "won")
    await shop.catch_up()
    await acts.set_card(customer, "declines")  # until Stripe gives it up
    for _ in range(2):
        with suppress(Refused):
            await acts.let_a_period_pass(subscription)
    await shop.catch_up()
    assert (await shop.api.subscriptions.retrieve_async(subscription)).status == "canceled"
    debit = await shop.buy(session, FOR_GOOD, acts.pay_later)
    await acts.settle_later(debit, succeeds=False)
    await shop.catch_up()
    debit = await shop.buy(session, FOR_GOOD, acts.pay_later)
    await acts.settle_later(debit, succeeds=True)
    await acts.refund(await charge_of(shop))
    await shop.catch_up()
    await shop.buy(session, YEARLY)
    await shop.catch_up()
    return customer


async def opened(shop: Till, session: Session, plan: str) -> str:
    return (await checkout.open_checkout(session, plan)).rpartition("/")[2]


def things_of(owner: psycopg.Connection, customer: str) -> set[str]:
    """The id of every object at Stripe that has to do with a customer, and of those inside of them."""
    rows = owner.execute("select id, kind, body::text from sigma.sandbox_objects").fetchall()
    nobodys = {identity for identity, kind, _ in rows if kind in THINGS}
    theirs = {customer}
    while True:
        more = {
            named
            for _, kind, body in rows
            if kind not in THINGS and theirs & (ids := set(_ID.findall(body)))
            for named in ids - nobodys
        }
        if more <= theirs:
            return theirs
        theirs |= more


def types_emitted() -> set[str]:
    """Every type of event that stands in the sandbox's source."""
    source = " ".join(file.read_text() for file in Path(str(sandbox.__file__)).parent.glob("*.py"))
    return set(re.findall(r'emit\(\s*"([a-z_.]+)"', source))


def types_kept(owner: psycopg.Connection) -> set[str]:
    return {kind for (kind,) in owner.execute("select distinct type from sigma.webhook_events where source = 'stripe'")}


async def test_a_whole_life_is_told_and_nothing_of_it_stays(
    shop: Till, session: Session, sign_in: SignIn, mailing: None, owner: psycopg.Connection, login_url: str
):
    bob, _ = await signed_in(sign_in, "bob")
    bobs = await live(shop, bob)
    of_bob = owner.execute(OTHERS).fetchone()
    customer = await live(shop, session)
    theirs = things_of(owner, customer)
    assert not theirs & things_of(owner, bobs)
    assert len(theirs) > 40
    packed = io.BytesIO()
    counted = await export(session.email, packed)
    with zipfile.ZipFile(packed) as archive:
        told = {event["type"] for event in json.loads(archive.read("data.json"))["stripe_events"]}
    assert {kind for kind in types_kept(owner) if not NOBODYS.match(kind)} == told
    assert {kind for kind in types_emitted() if not NOBODYS.match(kind)} - told == NAME_THEIR_CUSTOMER

    receipt = await erase(session.email, "the founder")
    assert receipt.complete
    assert receipt.erased["events"] == counted["events"] > 100
    await shop.catch_up()  # what follows from the customer's end
    assert "sigma.webhook_events" in places_of(owner, customer)
    owner.execute("delete from procrastinate.procrastinate_jobs where task_name = 'stripe:deliver'")
    for _ in ("what was queued", "what that queues"):
        owner.execute("update procrastinate.procrastinate_jobs set scheduled_at = null where status = 'todo'")
        await work(login_url, until_idle=True)
    assert set(places_of(owner, session.email, *theirs)) <= AT_STRIPE
    assert owner.execute(OTHERS).fetchone() == of_bob


async def test_what_is_told_of_a_payment_of_long_ago_is_found_by_asking_stripe_whose_it_is(
    shop: Till, session: Session, mailing: None, owner: psycopg.Connection
):
    await shop.buy(session, MONTHLY)
    await shop.catch_up()
    owner.execute("delete from sigma.webhook_events")
    await acts.open_dispute(await charge_of(shop))
    await shop.catch_up()
    kept = "select distinct type from sigma.webhook_events where customer is null order by type"
    disputes = [("charge.dispute.created",), ("charge.dispute.funds_withdrawn",)]
    assert owner.execute(kept).fetchall() == disputes
    assert (await export(session.email, io.BytesIO()))["events"] == len(disputes)
    assert (await erase(session.email, "the founder")).erased["events"] == len(disputes)
    assert owner.execute(kept).fetchall() == []
