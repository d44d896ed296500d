"""Webhooks, over HTTP to a receiver on this machine; and the sandbox when it is told to do things wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
import stripe

from sigma_app.core.jobs import work
from sigma_app.embedded.stripe import acts, delivery, faults
from sigma_app.embedded.stripe.events import PATH, signing_secret
from sigma_app.settings import Settings
from tests.conftest import settings_for
from tests.settled import settled

pytestmark = pytest.mark.anyio


@dataclass
class Receiver:
    """A webhook endpoint: what it was sent, and what it answers."""

    port: int = 0
    status: int = 200
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    """Path, signature and body of each."""

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = (await reader.readexactly(int(headers["content-length"]))).decode()
        self.requests.append((head.split()[1], headers["stripe-signature"], body))
        writer.write(f"HTTP/1.1 {self.status} So\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    def verified(self, secret: str) -> list[str]:
        """The types of the events that are signed with a secret, in the order in which they came."""
        good = []
        for _, signature, body in self.requests:
            try:
                stripe.WebhookSignature.verify_header(body, signature, secret, 300)
            except stripe.SignatureVerificationError:
                continue
            good.append(json.loads(body)["type"])
        return good


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    server = await asyncio.start_server(made.take, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made


@pytest.fixture
def settings(tmp_path: Path, receiver: Receiver) -> Iterator[Settings]:
    """Those of a server that listens where the receiver does."""
    with settled(settings_for(tmp_path, HOST="127.0.0.1", PORT=receiver.port)) as settings:
        yield settings


@pytest.fixture
def deliver(login_url: str):
    """Does what the sandbox's worker has to do now."""

    async def run() -> None:
        await work(login_url, [delivery.QUEUE], until_idle=True)

    return run


def queued(owner: psycopg.Connection) -> list[tuple]:
    return owner.execute(
        "select status::text, attempts, scheduled_at > now() from procrastinate.procrastinate_jobs"
        " where task_name = 'stripe:deliver' order by id"
    ).fetchall()


async def test_without_an_endpoint_events_go_to_the_server_itself(sdk, receiver, deliver):
    product = await sdk.products.create_async({"name": "Sigma"})
    await deliver()
    ((path, _, body),) = receiver.requests
    assert path == PATH
    assert receiver.verified(await signing_secret()) == ["product.created"]
    told = json.loads(body)
    assert (told["object"], told["data"]["object"]["id"]) == ("event", product.id)
    kept = await sdk.events.retrieve_async(told["id"])
    assert kept.pending_webhooks == 0


async def test_endpoints_get_what_they_want_signed_with_their_own_secret(sdk, receiver, deliver):
    url = f"http://127.0.0.1:{receiver.port}/hook"
    endpoint = await sdk.webhook_endpoints.create_async({"url": url, "enabled_events": ["product.updated"]})
    product = await sdk.products.create_async({"name": "Sigma"})
    await sdk.products.update_async(product.id, {"name": "Sigma+"})
    await deliver()
    assert receiver.verified(endpoint.secret) == ["product.updated"]
    assert [path for path, _, _ in receiver.requests] == ["/hook"]
    known = await sdk.webhook_endpoints.retrieve_async(endpoint.id)
    assert "secret" not in known
    await sdk.webhook_endpoints.update_async(endpoint.id, {"enabled_events": ["*"], "disabled": True})
    await sdk.products.update_async(product.id, {"name": "Sigma"})
    await deliver()
    await sdk.webhook_endpoints.delete_async(endpoint.id)
    assert (await sdk.webhook_endpoints.list_async()).data == []


async def test_what_is_not_acknowledged_is_delivered_again(sdk, receiver, deliver, owner):
    receiver.status = 500
    await sdk.products.create_async({"name": "Sigma"})
    await deliver()
    assert queued(owner) == [("todo", 1, True)]
    (event,) = (await sdk.events.list_async({"delivery_success": False})).data
    assert event.pending_webhooks == 1
    receiver.status = 200
    owner.execute("update procrastinate.procrastinate_jobs set scheduled_at = null")
    await deliver()
    assert (len(receiver.requests), queued(owner)) == (2, [])


async def test_nothing_is_told_of_what_was_not_done(sdk, receiver, deliver):
    with pytest.raises(stripe.InvalidRequestError):
        await sdk.products.create_async({"name": "Sigma", "active": "perhaps"})
    await deliver()
    assert receiver.requests == []


async def test_an_event_is_sent_again_on_demand(sdk, receiver, deliver):
    await sdk.products.create_async({"name": "Sigma"})
    await deliver()
    (event,) = (await sdk.events.list_async()).data
    await acts.resend(event.id)
    await deliver()
    first, second = receiver.requests
    assert json.loads(first[2])["id"] == json.loads(second[2])["id"] == event.id


async def test_the_secret_stays_the_same(wire):
    assert await signing_secret() == await signing_secret()
    assert (await signing_secret()).startswith("whsec_")


async def test_time_is_let_pass_by_a_job(sdk, checkout, monthly, owner):
    opened = await checkout(monthly, mode="subscription")
    await delivery.let_time_pass(0)
    assert (await sdk.checkout.sessions.retrieve_async(opened.id)).status == "open"
    over = "update sigma.sandbox_objects set body = body || jsonb_build_object('expires_at', %s::bigint) where id = %s"
    owner.execute(over, [opened.created - 1, opened.id])
    await delivery.let_time_pass(0)
    assert (await sdk.checkout.sessions.retrieve_async(opened.id)).status == "expired"


class TestFaults:
    async def test_copies(self, sdk, receiver, deliver):
        await faults.spoil_deliveries(copies=3)
        await sdk.products.create_async({"name": "Sigma"})
        await deliver()
        assert receiver.verified(await signing_secret()) == ["product.created"] * 3

    async def test_forgeries_are_not_signed_with_our_secret(self, sdk, receiver, deliver, owner):
        await faults.spoil_deliveries(forge=True)
        receiver.status = 400
        await sdk.products.create_async({"name": "Sigma"})
        await deliver()
        assert len(receiver.requests) == 3
        assert receiver.verified(await signing_secret()) == ["product.created"]
        assert len({json.loads(body)["id"] for _, _, body in receiver.requests}) == 2
        assert len(queued(owner)) == 1  # the true one is tried again, the forged ones are not

    async def test_a_delay_and_another_order(self, sdk, receiver, deliver, owner):
        await faults.spoil_deliveries(delay=60, shuffle=600, seed=7)
        for number in range(4):
            await sdk.products.create_async({"name": f"Product {number}"})
        await deliver()
        assert receiver.requests == []
        times = owner.execute(
            "select scheduled_at from procrastinate.procrastinate_jobs"
            " where queue_name = 'sandbox' and not args ? 'timestamp' order by id"  # but for what runs by the clock
        ).fetchall()
        assert len(times) == 4
        assert times != sorted(times)

    async def test_some_are_dropped_the_same_ones_for_a_seed(self, sdk, owner):
        dropped = []
        for _ in range(2):
            await faults.spoil_deliveries(drop=0.5, seed=4)
            before = len(queued(owner))
            counts = []
            for number in range(6):
                await sdk.products.create_async({"name": f"Product {number}"})
                counts.append(len(queued(owner)) - before)
            dropped.append(counts)
        assert dropped[0] == dropped[1]
        assert 0 < dropped[0][-1] < 6

    async def test_the_next_ones_are_dropped(self, sdk, owner):
        await faults.spoil_deliveries(drop_next=2)
        for number in range(3):
            await sdk.products.create_async({"name": f"Product {number}"})
        assert len(queued(owner)) == 1

    async def test_all_is_right_again(self, sdk, receiver, deliver):
        await faults.spoil_deliveries(drop=1)
        await faults.spoil_answers("500", times=5)
        await faults.stop()
        await sdk.products.create_async({"name": "Sigma"})
        await deliver()
        assert len(receiver.requests) == 1

    @pytest.mark.parametrize(
        ("how", "error"),
        [("429", stripe.RateLimitError), ("500", stripe.APIError), ("silence", stripe.APIConnectionError)],
    )
    async def test_requests_that_are_refused_or_not_answered_do_nothing(self, sdk, how, error):
        await faults.spoil_answers(how, times=2)
        for _ in range(2):
            with pytest.raises(error):
                await sdk.products.create_async({"name": "Sigma"})
        assert (await sdk.products.list_async()).data == []

    async def test_too_many_requests_say_when_to_come_again(self, wire):
        await faults.spoil_answers("429", seconds=3)
        answer = await wire.get("/v1/products", headers={"authorization": "Bearer any"})
        assert (answer.headers["retry-after"], answer.json()["error"]["code"]) == ("3", "rate_limit")

    async def test_silence_lasts_as_long_as_the_client_waits(self, sdk, wire):
        await faults.spoil_answers("silence", seconds=3600)
        with pytest.raises(stripe.APIConnectionError):
            await sdk.products.list_async()

    async def test_an_answer_that_is_lost_is_got_by_asking_again_with_the_same_key(self, sdk):
        await faults.spoil_answers("lost")
        with pytest.raises(stripe.APIConnectionError):
            await sdk.products.create_async({"name": "Sigma"}, {"idempotency_key": "k"})
        again = await sdk.products.create_async({"name": "Sigma"}, {"idempotency_key": "k"})
        assert [one.id for one in (await sdk.products.list_async()).data] == [again.id]

    async def test_an_answer_that_was_kept_is_lost_as_well(self, sdk):
        made = await sdk.products.create_async({"name": "Sigma"}, {"idempotency_key": "k"})
        await faults.spoil_answers("lost")
        with pytest.raises(stripe.APIConnectionError):
            await sdk.products.create_async({"name": "Sigma"}, {"idempotency_key": "k"})
        again = await sdk.products.create_async({"name": "Sigma"}, {"idempotency_key": "k"})
        assert again.id == made.id

    async def test_a_500_is_the_answer_under_its_key_for_a_day_and_the_sdk_is_told_not_to_ask_again(
        self, sdk, connections, owner
    ):
        await faults.spoil_answers("500")
        for _ in range(2):
            with pytest.raises(stripe.APIError):
                await sdk.products.create_async({"name": "Sigma"}, {"idempotency_key": "k"})
        first, second = connections.headers
        assert ("idempotent-replayed" in first, second["idempotent-replayed"]) == (False, "true")
        assert first["stripe-should-retry"] == second["stripe-should-retry"] == "false"
        assert (await sdk.products.list_async()).data == []
        assert (await sdk.products.create_async({"name": "Sigma"}, {"idempotency_key": "other"})).name == "Sigma"
        owner.execute("update sigma.sandbox_requests set created_at = created_at - interval '25 hours'")
        assert (await sdk.products.create_async({"name": "Sigma"}, {"idempotency_key": "k"})).name == "Sigma"

    async def test_a_500_changes_nothing_about_what_a_key_was_answered_before(self, sdk):
        made = await sdk.products.create_async({"name": "Sigma"}, {"idempotency_key": "k"})
        await faults.spoil_answers("500")
        assert (await sdk.products.create_async({"name": "Sigma"}, {"idempotency_key": "k"})).id == made.id

    async def test_a_500_to_a_reading_is_worth_another_try(self, sdk, connections):
        await faults.spoil_answers("500")
        with pytest.raises(stripe.APIError):
            await sdk.products.list_async()
        assert "stripe-should-retry" not in connections.headers[-1]

    @pytest.mark.parametrize(("how", "error"), [("429", stripe.RateLimitError), ("silence", stripe.APIConnectionError)])
    async def test_what_stripe_never_began_is_not_kept_under_its_key(self, sdk, how, error):
        await faults.spoil_answers(how)
        with pytest.raises(error):
            await sdk.products.create_async({"name": "Sigma"}, {"idempotency_key": "k"})
        assert (await sdk.products.create_async({"name": "Sigma"}, {"idempotency_key": "k"})).name == "Sigma"
