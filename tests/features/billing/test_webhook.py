"""The door that Stripe tells events at: what it takes, what it refuses, and that each is kept once."""

from __future__ import annotations

import asyncio
import json
import time

import psycopg
import pytest

from tests.counted import deliveries
from tests.features.billing.conftest import Till, sign

pytestmark = pytest.mark.anyio

EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "customer.updated",
    "created": 1_800_000_000,
    "data": {"object": {"id": "cus_1", "object": "customer"}},
}
OURS, OLDER, OTHERS = "whsec_b3Vycw==", "whsec_b2xkZXI=", "whsec_b3RoZXJz"
HOSTED = {"STRIPE_SECRET_KEY": "sk_test_1", "STRIPE_WEBHOOK_SECRET": f"{OURS}, {OLDER}"}


def kept(owner: psycopg.Connection) -> list[tuple]:
    return owner.execute("select id, type, customer from sigma.webhook_events order by id").fetchall()


def queued(owner: psycopg.Connection) -> list[str]:
    rows = owner.execute(
        "select args ->> 'event_id' from procrastinate.procrastinate_jobs where task_name = 'billing:apply_event'"
    )
    return [event for (event,) in rows.fetchall()]


async def test_an_event_is_kept_with_its_job_and_acknowledged(shop: Till, owner):
    assert (await shop.tell(EVENT)).status_code == 200
    assert kept(owner) == [("evt_1", "customer.updated", "cus_1")]
    assert queued(owner) == ["evt_1"]


async def test_a_type_that_means_nothing_to_us_is_kept_and_acknowledged(shop: Till, owner):
    assert (await shop.tell({**EVENT, "type": "something.new"})).status_code == 200
    await shop.catch_up([{**EVENT, "type": "something.new"}])
    assert owner.execute("select handled_at is not null from sigma.webhook_events").fetchall() == [(True,)]


@pytest.mark.parametrize("copies", [100])
async def test_a_hundred_deliveries_at_once_are_one_event_with_one_job(shop: Till, owner, copies):
    answers = await asyncio.gather(*(shop.tell(EVENT) for _ in range(copies)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(kept(owner)) == 1
    assert queued(owner) == ["evt_1"]


class TestSignature:
    async def test_without_one_it_is_refused(self, shop: Till, owner):
        answer = await shop.door.post("/webhooks/stripe", content=json.dumps(EVENT))
        assert answer.status_code == 400
        assert (kept(owner), queued(owner)) == ([], [])

    @pytest.mark.parametrize("signature", ["", "t=1", "v1=1", "t=x,v1=y", "t=1,v1=", "nonsense", "t=1=2,v1=3=4"])
    async def test_nonsense_is_refused(self, shop: Till, owner, signature):
        answer = await shop.tell_raw(json.dumps(EVENT), signature)
        assert answer.status_code == 400
        assert kept(owner) == []

    async def test_of_somebody_else_it_is_refused(self, shop: Till, owner):
        body = json.dumps(EVENT)
        assert (await shop.tell_raw(body, await sign(body, OTHERS))).status_code == 400
        assert kept(owner) == []

    async def test_of_another_body_it_is_refused(self, shop: Till, owner):
        body = json.dumps(EVENT)
        answer = await shop.tell_raw(body.replace("cus_1", "cus_2"), await sign(body))
        assert answer.status_code == 400
        assert kept(owner) == []

    async def test_older_than_five_minutes_it_is_refused(self, shop: Till, owner):
        body = json.dumps(EVENT)
        assert (await shop.tell_raw(body, await sign(body, at=int(time.time()) - 301))).status_code == 400
        assert (await shop.tell_raw(body, await sign(body, at=int(time.time()) - 290))).status_code == 200
        assert len(kept(owner)) == 1

    async def test_a_replay_within_five_minutes_changes_nothing(self, shop: Till, owner):
        body = json.dumps(EVENT)
        signature = await sign(body)
        assert [(await shop.tell_raw(body, signature)).status_code for _ in range(3)] == [200] * 3
        assert queued(owner) == ["evt_1"]

    async def test_a_refusal_is_logged_without_what_was_sent(self, shop: Till, caplog):
        await shop.tell_raw(json.dumps({**EVENT, "id": "evt_forged"}), "t=1,v1=2")
        (line,) = [
            record.getMessage() for record in caplog.records if record.name.startswith("sigma_app.features.billing")
        ]
        assert "did not sign" in line
        assert "evt_forged" not in line

    @pytest.mark.parametrize("variables", [HOSTED])
    @pytest.mark.parametrize(("secret", "status"), [(OURS, 200), (OLDER, 200), (OTHERS, 400)])
    async def test_while_secrets_are_rotated_both_are_good(self, door: Till, secret, status):
        body = json.dumps(EVENT)
        assert (await door.tell_raw(body, await sign(body, secret))).status_code == status


class TestBody:
    @pytest.mark.parametrize(
        "body",
        [
            "",
            "nonsense",
            "[]",
            "null",
            "{}",
            json.dumps({**EVENT, "id": None}),
            json.dumps({**EVENT, "id": ["evt"]}),
            json.dumps({**EVENT, "type": 1}),
            json.dumps({**EVENT, "created": "now"}),
            json.dumps({**EVENT, "created": True}),
            json.dumps({**EVENT, "created": 10**30}),
            json.dumps({**EVENT, "data": None}),
            json.dumps({**EVENT, "data": {"object": None}}),
            json.dumps({**EVENT, "id": "evt\0"}),
            json.dumps({**EVENT, "data": {"object": {"id": "\0"}}}),
            json.dumps({**EVENT, "data": {"object": {"id": "\ud800"}}}),
            "[" * 100_000,
        ],
    )
    async def test_what_is_no_event_is_refused_although_it_is_signed(self, shop: Till, owner, body):
        assert (await shop.tell_raw(body, await sign(body))).status_code == 400
        assert kept(owner) == []

    async def test_what_is_too_large_is_not_read(self, shop: Till, owner):
        body = json.dumps({**EVENT, "padding": "x" * 300_000})
        assert (await shop.tell_raw(body, await sign(body))).status_code == 413
        assert kept(owner) == []

    async def test_a_customer_is_one_only_where_it_is_a_text(self, shop: Till, owner):
        event = {**EVENT, "data": {"object": {"id": "in_1", "object": "invoice", "customer": {"id": "cus_1"}}}}
        assert (await shop.tell(event)).status_code == 200
        assert kept(owner) == [("evt_1", "customer.updated", None)]


async def test_while_the_database_is_away_stripe_is_asked_to_come_again(shop: Till, database):
    signature = await sign(json.dumps(EVENT))
    await database.close()
    answer = await shop.tell(EVENT, signature)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


async def test_what_becomes_of_each_is_counted(shop: Till, database):
    before = deliveries("stripe")
    signature = await sign(json.dumps(EVENT))
    for _ in range(2):
        await shop.tell(EVENT)
    await shop.tell(EVENT, "t=1,v1=2")
    for body in ("nonsense", json.dumps({**EVENT, "id": "evt\0"})):  # no event, and one that no row can hold
        await shop.tell_raw(body, await sign(body))
    await database.close()
    await shop.tell(EVENT, signature)
    told = {outcome: count - before[outcome] for outcome, count in deliveries("stripe").items()}
    assert told == {"kept": 1, "known": 1, "forged": 1, "refused": 2, "failed": 1}


async def test_what_is_kept_names_nobody(shop: Till, owner):
    about = {"id": "ch_1", "object": "charge", "customer": "cus_1", "payment_intent": "pi_1"}
    private = {"billing_details": {"email": "alice@example.com", "name": "Alice"}, "receipt_url": "https://pay.example"}
    await shop.tell({**EVENT, "type": "charge.refunded", "data": {"object": about | private}, "account": "acct_1"})
    ((body,),) = owner.execute("select body from sigma.webhook_events").fetchall()
    assert body["data"] == {"object": about}
    assert set(body) == {"id", "type", "created", "data"}
