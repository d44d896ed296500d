"""What time does: with a test clock, and by the real one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import stripe

from sigma_app.embedded.stripe import acts
from sigma_app.embedded.stripe.periods import end_of_period

pytestmark = pytest.mark.anyio

START = int(datetime(2027, 1, 31, 12, tzinfo=UTC).timestamp())
DAY, HOUR = 86400, 3600  # seconds
CHARGED = ["charge.succeeded", "payment_intent.succeeded"]
PAID = ["invoice_payment.paid", "invoice.paid", "invoice.payment_succeeded"]
FAILED = ["charge.failed", "payment_intent.payment_failed", "invoice.payment_failed"]
ASKED = ["payment_intent.requires_action", "invoice.payment_failed", "invoice.payment_action_required"]


def moment(*date: int) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp())  # pyright: ignore[reportArgumentType]


@pytest.fixture
async def clock(sdk):
    return await sdk.test_helpers.test_clocks.create_async({"frozen_time": START})


@pytest.fixture
async def bob(sdk, clock):
    """A customer on the clock."""
    made = await sdk.customers.create_async({"email": "bob@example.com", "test_clock": clock.id})
    await acts.set_card(made.id, "pays")
    return made


@pytest.fixture
def turn(sdk, clock):
    """Turns the clock to a moment."""

    async def advance(until: int) -> None:
        turned = await sdk.test_helpers.test_clocks.advance_async(clock.id, {"frozen_time": until})
        assert (turned.frozen_time, turned.status) == (until, "ready")

    return advance


@pytest.fixture
def subscribe(sdk, bob, monthly, told):
    async def subscribe(**params):
        wanted = {"customer": bob.id, "items": [{"price": monthly.id}]} | params
        made = await sdk.subscriptions.create_async(wanted)
        told()
        return made

    return subscribe


@pytest.fixture
def now_of(sdk):
    async def read(subscription):
        return await sdk.subscriptions.retrieve_async(subscription.id, {"expand": ["latest_invoice"]})

    return read


async def test_a_renewal(sdk, subscribe, turn, told, now_of):
    made = await subscribe()
    (item,) = made["items"].data
    assert (made.created, item.current_period_end) == (START, moment(2027, 2, 28, 12))
    await turn(moment(2027, 2, 21, 12))
    assert told() == ["invoice.upcoming"]
    await turn(moment(2027, 2, 28, 12))
    assert told() == ["invoice.created", "customer.subscription.updated"]
    drawn = await now_of(made)
    assert (drawn.latest_invoice.status, drawn.latest_invoice.billing_reason) == ("draft", "subscription_cycle")
    assert drawn["items"].data[0].current_period_end == moment(2027, 3, 31, 12)
    await turn(moment(2027, 2, 28, 13))
    assert told() == ["invoice.finalized", "payment_intent.created", *CHARGED, *PAID]
    assert (await now_of(made)).latest_invoice.status == "paid"
    events = await sdk.events.list_async({"type": "invoice.paid", "limit": 1})
    assert events.data[0].created == moment(2027, 2, 28, 13)


async def test_many_renewals_at_once_come_in_their_order(subscribe, turn, told, sdk, bob):
    await subscribe()
    await turn(moment(2028, 1, 31, 13))
    assert told().count("invoice.paid") == 12
    bills = await sdk.invoices.list_async({"customer": bob.id, "status": "paid", "limit": 100})
    numbers = [bill.number for bill in bills.data]
    assert (len(numbers), numbers) == (13, sorted(numbers, reverse=True))


async def test_a_card_that_is_declined_is_tried_again_three_five_and_seven_days_later(
    subscribe, turn, told, now_of, bob
):
    made = await subscribe()
    await acts.set_card(bob.id, "declines")
    first = moment(2027, 2, 28, 13)
    await turn(first)
    assert told()[-4:] == [*FAILED, "customer.subscription.updated"]
    late = await now_of(made)
    assert (late.status, late.latest_invoice.next_payment_attempt) == ("past_due", first + 3 * DAY)
    await turn(first + 3 * DAY)
    assert told() == FAILED
    await turn(first + 8 * DAY)
    assert told() == FAILED
    await turn(first + 15 * DAY)
    assert told() == [*FAILED, "customer.subscription.deleted"]
    over = await now_of(made)
    assert (over.status, over.cancellation_details.reason) == ("canceled", "payment_failed")
    assert (over.latest_invoice.status, over.latest_invoice.next_payment_attempt) == ("open", None)


async def test_a_card_that_pays_again_ends_what_is_past_due(subscribe, turn, told, now_of, bob):
    made = await subscribe()
    await acts.set_card(bob.id, "declines")
    await turn(moment(2027, 2, 28, 13))
    await acts.set_card(bob.id, "pays")
    told()
    await turn(moment(2027, 3, 3, 13))
    assert told() == [*CHARGED, *PAID, "customer.subscription.updated"]
    assert (await now_of(made)).status == "active"


@pytest.mark.parametrize("then", ["unpaid", "past_due"])
async def test_after_the_last_try_it_may_stay(subscribe, turn, now_of, bob, then):
    await acts.after_last_try(then)
    made = await subscribe()
    await acts.set_card(bob.id, "declines")
    await turn(moment(2027, 3, 15, 13))
    assert (await now_of(made)).status == then


async def test_a_bank_that_asks_at_a_renewal_is_answered_at_the_invoices_page(subscribe, turn, told, now_of, bob):
    made = await subscribe()
    await acts.set_card(bob.id, "asks")
    await turn(moment(2027, 2, 28, 13))
    assert told()[-4:] == [*ASKED, "customer.subscription.updated"]
    asked = await now_of(made)
    assert asked.status == "past_due"
    assert asked.latest_invoice.hosted_invoice_url.endswith(f"/sandbox/invoice/{asked.latest_invoice.id}")
    await acts.pay_invoice(asked.latest_invoice.id, "pays")
    assert (await now_of(made)).status == "active"


async def test_a_trial_is_announced_to_end_and_then_paid(subscribe, turn, told, now_of):
    made = await subscribe(trial_period_days=14)
    assert made.status == "trialing"
    await turn(START + 11 * DAY)
    assert told() == ["customer.subscription.trial_will_end"]
    await turn(START + 14 * DAY)
    assert told() == ["invoice.created", "customer.subscription.updated"]
    await turn(START + 14 * DAY + HOUR)
    assert told()[-1] == "invoice.payment_succeeded"
    now = await now_of(made)
    assert (now.status, now.latest_invoice.amount_paid) == ("active", 1900)


@pytest.mark.parametrize(
    ("behaviour", "status", "event"),
    [
        ("pause", "paused", "customer.subscription.paused"),
        ("cancel", "canceled", "customer.subscription.deleted"),
        ("create_invoice", "past_due", "invoice.payment_failed"),
    ],
)
async def test_a_trial_that_ends_without_a_card(sdk, subscribe, turn, told, now_of, bob, behaviour, status, event):
    await acts.set_card(bob.id, None)
    ends = {"end_behavior": {"missing_payment_method": behaviour}}
    made = await subscribe(trial_period_days=14, trial_settings=ends)
    await turn(START + 14 * DAY + HOUR)
    assert event in told()
    assert (await now_of(made)).status == status
    if status != "paused":
        return
    await acts.set_card(bob.id, "pays")
    resumed = await sdk.subscriptions.resume_async(made.id)
    assert (resumed.status, told()[-1]) == ("active", "customer.subscription.resumed")
    with pytest.raises(stripe.InvalidRequestError):
        await sdk.subscriptions.resume_async(made.id)


async def test_one_that_was_to_end_with_its_period_does(sdk, subscribe, turn, told, now_of):
    made = await subscribe(cancel_at_period_end=True)
    await turn(moment(2027, 3, 31, 12))
    assert told() == ["customer.subscription.deleted"]
    over = await now_of(made)
    assert (over.status, over.ended_at) == ("canceled", moment(2027, 2, 28, 12))


async def test_a_first_invoice_that_nobody_pays_within_a_day_is_void(subscribe, turn, told, now_of, bob):
    await acts.set_card(bob.id, "declines")
    made = await subscribe()
    await turn(START + 23 * HOUR)
    assert told() == ["payment_intent.canceled", "invoice.voided", "customer.subscription.updated"]
    now = await now_of(made)
    assert (now.status, now.latest_invoice.status) == ("incomplete_expired", "void")


async def test_a_clock_turns_forward_only_and_takes_its_customers_with_it(sdk, subscribe, turn, told, clock, bob):
    await subscribe()
    with pytest.raises(stripe.InvalidRequestError):
        await turn(START)
    await sdk.test_helpers.test_clocks.delete_async(clock.id)
    assert told() == ["customer.subscription.deleted", "customer.deleted"]
    assert (await sdk.customers.retrieve_async(bob.id)).deleted


async def test_somebody_by_the_real_time_is_renewed_once_it_is_time(sdk, alice, monthly, told, owner):
    await acts.set_card(alice.id, "pays")
    made = await sdk.subscriptions.create_async({"customer": alice.id, "items": [{"price": monthly.id}]})
    await acts.advance_all()
    told()
    await acts.advance_all()
    assert told() == []
    owner.execute(
        "update sigma.sandbox_objects set body = replace(body::text, '\"current_period_end\": ' ||"
        " (body #>> '{items,data,0,current_period_end}'), '\"current_period_end\": 1700000000')::jsonb where id = %s",
        [made.id],
    )
    await acts.advance_all()
    assert "invoice.created" in told()


async def test_a_period_passes_for_one_customer_alone(sdk, alice, monthly, told):
    await acts.set_card(alice.id, "pays")
    made = await sdk.subscriptions.create_async({"customer": alice.id, "items": [{"price": monthly.id}]})
    told()
    for _ in range(2):
        await acts.let_a_period_pass(made.id)
        assert told().count("invoice.paid") == 1
    assert (await sdk.customers.retrieve_async(alice.id)).test_clock


async def test_what_is_not_to_be_collected_stays_a_draft(sdk, subscribe, turn, now_of):
    made = await subscribe()
    with pytest.raises(stripe.InvalidRequestError):
        await sdk.subscriptions.update_async(made.id, {"pause_collection": {"behavior": "void"}})
    await sdk.subscriptions.update_async(made.id, {"pause_collection": {"behavior": "keep_as_draft"}})
    await turn(moment(2027, 3, 5))
    held = await now_of(made)
    assert (held.status, held.latest_invoice.status) == ("active", "draft")
    await sdk.subscriptions.update_async(made.id, {"pause_collection": ""})
    await turn(moment(2027, 4, 1))
    assert (await now_of(made)).latest_invoice.status == "paid"


async def test_an_end_on_another_day_and_a_trial_that_is_made_longer(sdk, subscribe, turn, now_of, monthly):
    ending = await subscribe()
    await sdk.subscriptions.update_async(ending.id, {"cancel_at": START + DAY})
    trying = await subscribe(trial_end=START + 5 * DAY)
    with pytest.raises(stripe.InvalidRequestError):
        await sdk.subscriptions.update_async(ending.id, {"trial_end": START + 9 * DAY})
    await sdk.subscriptions.update_async(trying.id, {"trial_end": START + 9 * DAY})
    await turn(START + 6 * DAY)
    assert ((await now_of(ending)).status, (await now_of(trying)).status) == ("canceled", "trialing")
    await turn(START + 10 * DAY)
    assert (await now_of(trying)).status == "active"


def test_months_have_the_last_day_where_they_lack_the_first_ones_day():
    month = {"interval": "month", "interval_count": 1}
    ends = [START]
    for _ in range(4):
        ends.append(end_of_period(START, ends[-1], month))
    assert [datetime.fromtimestamp(end, UTC).strftime("%m-%d") for end in ends] == [
        "01-31", "02-28", "03-31", "04-30", "05-31",
    ]  # fmt: skip
    assert end_of_period(START, START, {"interval": "week", "interval_count": 2}) == START + 14 * DAY
    assert end_of_period(START, START, {"interval": "year", "interval_count": 1}) == moment(2028, 1, 31, 12)
