"""What an operator sees of events and of the queue, and does to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

import psycopg
import pytest

from sigma_app.core.database import SERVICE, get_database
from sigma_app.features.billing import service as billing
from sigma_app.features.billing.access import RULES
from sigma_app.features.console import event, queue
from sigma_app.features.console.event import EventState
from sigma_app.features.console.events import EventsState
from sigma_app.features.console.job import JobState
from sigma_app.features.console.job_words import ARGUMENTS, JOBS
from sigma_app.features.console.queue import STATES, JobsState
from sigma_app.features.console.service import NotAnOperator, reading
from sigma_app.session.store import Session
from tests.features.accounts.people import signed_in
from tests.features.console.operators import cells, deeds, fact, make_operator, scanned, shown
from tests.portal import SignIn

pytestmark = pytest.mark.anyio

Told = Callable[..., None]
Queued = Callable[..., int]


@pytest.fixture
async def bob(sign_in: SignIn, owner: psycopg.Connection) -> Session:
    """An operator."""
    return make_operator(owner, (await signed_in(sign_in, "bob"))[0])


@pytest.fixture
def told(owner: psycopg.Connection) -> Told:
    """Keeps an event as if it had been told; its job is not queued."""

    def keep(identity: str, source: str = "stripe", kind: str = "invoice.paid", customer=None, **columns) -> None:
        body = columns.pop("body", {"id": identity, "type": kind})
        owner.execute(
            "insert into sigma.webhook_events (source, id, type, body, customer, handled_at, error, tries)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s)",
            [source, identity, kind, json.dumps(body), customer]
            + [columns.get(name) for name in ("handled_at", "error")]
            + [columns.get("tries", 0)],
        )

    return keep


@pytest.fixture
def queued(owner: psycopg.Connection) -> Queued:
    """Puts a job into the queue as if it had come to a status."""
    owner.execute("delete from procrastinate.procrastinate_jobs")

    def put(task: str = "mail:forget", status: str = "failed", lock: str | None = None, **args: str) -> int:
        (job,) = owner.execute(
            "insert into procrastinate.procrastinate_jobs"
            " (queue_name, task_name, status, args, attempts, queueing_lock)"
            " values ('default', %s, %s, %s, 10, %s) returning id",
            [task, status, json.dumps(args), lock],
        ).fetchone() or (0,)
        if status == "failed":
            owner.execute("insert into sigma.job_errors (job_id, error) values (%s, 'MailRefused: no')", [job])
        return job

    return put


def status_of(owner: psycopg.Connection, job: int) -> str | None:
    found = owner.execute("select status::text from procrastinate.procrastinate_jobs where id = %s", [job]).fetchone()
    return found[0] if found else None


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["evt_4", "evt_3", "evt_2", "evt_1"]),
        ({"source": "resend"}, ["evt_4"]),
        ({"source": "nobody"}, ["evt_4", "evt_3", "evt_2", "evt_1"]),
        ({"state": "failed"}, ["evt_3"]),
        ({"state": "waiting"}, ["evt_4", "evt_2"]),
        ({"state": "worked"}, ["evt_1"]),
        ({"type": "invoice."}, ["evt_3", "evt_1"]),
        ({"type": "invoice_"}, []),
        ({"type": "\0\ud800invoice.paid"}, ["evt_3", "evt_1"]),
        ({"customer": "cus_1"}, ["evt_1"]),
        ({"customer": "cus_"}, []),
        ({"source": "stripe", "state": "waiting", "type": "customer"}, ["evt_2"]),
    ],
)
async def test_events_are_listed_newest_first_and_filtered(bob: Session, told: Told, asked, expected):
    told("evt_1", handled_at="2026-11-01", customer="cus_1")
    told("evt_2", kind="customer.deleted")
    told("evt_3", error="PaymentsRefused: no", tries=10)
    told("evt_4", "resend", "email.bounced")
    page = await shown(EventsState, bob, **asked)
    assert cells(page.rows) == expected
    assert [row.id for row in page.rows if row.tone == "bad"] == ["stripe-evt_3"] * ("evt_3" in expected)


async def test_an_event_shows_what_it_says_what_became_of_it_and_whose_it_is(
    bob: Session, session: Session, told: Told, owner: psycopg.Connection
):
    owner.execute("insert into billing.customers (id, user_id) values ('cus_1', %s)", [session.user_id])
    told("evt_1", customer="cus_1", error="PaymentsRefused: no", tries=3, body={"id": "evt_1", "object": "für Ünal"})
    page = await shown(EventState, bob, source="stripe", id="evt_1")
    assert page.found
    assert json.loads(page.payload) == {"id": "evt_1", "object": "für Ünal"}
    assert "für Ünal" in page.payload
    assert fact(page.about, "State") == "failed"
    assert fact(page.about, "Last error") == "PaymentsRefused: no"
    assert fact(page.about, "Whose") == session.email
    assert next(one.href for one in page.about if one.name == "Whose") == f"/admin/user?id={session.user_id}"


@pytest.mark.parametrize("source", ["stripe", "resend"])
@pytest.mark.parametrize(
    ("job", "error", "expected"),
    [
        ("todo", None, "It waits for its turn."),
        ("doing", None, "It waits for its turn."),
        ("todo", "No", "It could not be worked so far, after 3 failed tries. Its job tries again by itself."),
        ("doing", "No", "It could not be worked so far, after 3 failed tries. Its job is at it right now."),
        ("failed", "No", "It was not worked, and is not tried again by itself: its job failed for good. See why"),
        ("failed", None, "It was not worked, and is not tried again by itself: its job failed for good. See why"),
        (None, "No", "It was not worked, and is not tried again by itself: no job of it is in the queue any more."),
        ("succeeded", None, "It was not worked, and is not tried again by itself: no job of it is in the queue"),
    ],
)
async def test_an_event_is_only_said_to_be_tried_again_while_its_job_waits(
    bob: Session, told: Told, queued: Queued, source: str, job: str | None, error: str | None, expected: str
):
    told("evt_1", source, error=error, tries=3)
    tasks = {"stripe": "billing:apply_event", "resend": "mail:apply_event"}
    queued("mail:forget", "todo", event_id="evt_1")
    queued(tasks[source], "todo", event_id="evt_2")
    if job:
        queued(tasks[source], job, event_id="evt_1")
    assert (await shown(EventState, bob, source=source, id="evt_1")).became.startswith(expected)


async def test_jobs_are_only_looked_through_for_an_event_that_may_have_one(
    bob: Session, told: Told, owner: psycopg.Connection
):
    told("evt_1")
    assert await scanned(bob, event._ONE, ("stripe", "evt_1"), "procrastinate_jobs job") == [True]
    owner.execute("update sigma.webhook_events set handled_at = now()")
    assert await scanned(bob, event._ONE, ("stripe", "evt_1"), "procrastinate_jobs job") == [False]


async def test_a_failed_event_waits_again_once_it_was_replayed(bob: Session, told: Told, queued: Queued):
    for source, error in (("stripe", "No"), ("resend", "No")):
        told("evt_1", source, error=error, tries=3)
        await event.replay(bob, source, "evt_1")
        page = await shown(EventState, bob, source=source, id="evt_1")
        assert page.became == "It waits for its turn."
        assert "Last error" not in [one.name for one in page.about]
    assert cells((await shown(EventsState, bob, state="failed")).rows) == []


async def test_failed_events_wait_again_once_all_were_replayed(bob: Session, told: Told, queued: Queued):
    told("evt_1", error="No", tries=3)
    told("evt_2")
    async with get_database().transaction(SERVICE) as transaction:
        assert await billing.replay_waiting(transaction) == 2
    for identity in ("evt_1", "evt_2"):
        assert (await shown(EventState, bob, source="stripe", id=identity)).became == "It waits for its turn."


async def test_an_event_says_what_it_did_to_somebodys_access_and_what_they_pay(
    bob: Session, session: Session, told: Told, owner: psycopg.Connection
):
    owner.execute("insert into billing.customers (id, user_id) values ('cus_1', %s)", [session.user_id])
    owner.execute("insert into billing.products (id, name, active) values ('prod_1', 'Sigma', true)")
    owner.execute(
        "insert into billing.prices (id, product_id, active, currency, amount, every)"
        " values ('price_1', 'prod_1', true, 'usd', 2900, 'month')"
    )
    owner.execute(
        "insert into billing.subscriptions (id, customer_id, price_id, status, current_period_end, created_at)"
        " values ('sub_1', 'cus_1', 'price_1', 'active', '2026-12-28+00', '2026-11-28+00')"
    )
    told("evt_1", customer="cus_1", handled_at="2026-11-28")
    told("evt_2", customer="cus_1", handled_at="2026-11-28", tries=1)
    owner.execute(
        "select sigma.set_access(%s, true, 'cus_1', 'price_1', 'subscribed', 'sub_1', 'event', 'evt_1')",
        [session.user_id],
    )
    page = await shown(EventState, bob, source="stripe", id="evt_1")
    assert page.became == f"It was worked at the first try. It opened their access: {RULES['subscribed']}"
    assert [row.cells[2:] for row in page.paid] == [["$29.00 a month", "active", "renews on 2026-12-28"]]
    other = await shown(EventState, bob, source="stripe", id="evt_2")
    assert other.became == "It was worked, after 1 failed try. It changed nobody's access."


async def test_an_event_of_a_mail_says_how_the_mail_stands(bob: Session, told: Told, owner: psycopg.Connection):
    told("msg_1", "resend", handled_at="2026-11-28", body={"data": {"email_id": "re_1"}})
    owner.execute(
        "insert into sigma.messages (key, kind, recipient, digest, provider_id, bounced_at)"
        " values ('k', 'x', 'ann@example.com', sha256('x'), 're_1', now())"
    )
    page = await shown(EventState, bob, source="resend", id="msg_1")
    assert page.became == "It was worked at the first try. The mail is bounced: it came back."
    assert not page.payer
    told("msg_2", "resend", handled_at="2026-11-28")
    assert "No mail of ours" in (await shown(EventState, bob, source="resend", id="msg_2")).became


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        (
            "handled_at = '2026-11-28 10:00:01+00'",
            ("It was worked again at 10:00:01 UTC. It changed nobody's access.", ""),
        ),
        ("tries = 4, error = 'No'", ("", "It failed again: No")),
        ("tries = 3", ("It is in the queue.", "")),
    ],
)
async def test_what_working_an_event_again_came_to_is_told_when_it_has(
    bob: Session, told: Told, owner: psycopg.Connection, then: str, expected: tuple[str, str]
):
    told("evt_1", tries=3, error="No")
    page = EventState()  # pyright: ignore[reportCallIssue] - of rx.State, outside of an app
    page.outcome, page._before = "It is in the queue.", await event.replay(bob, "stripe", "evt_1")
    owner.execute(f"update sigma.webhook_events set {then}".encode())
    async with reading(bob) as cursor:
        await page._read(cursor, {"source": "stripe", "id": "evt_1"}, bob)
    assert (page.outcome, page.refusal) == expected


async def test_what_working_an_event_again_changed_is_told_apart_from_what_it_had_changed_before(
    bob: Session, session: Session, told: Told, owner: psycopg.Connection
):
    def access(granted: bool, rule: str, cause: str) -> None:
        owner.execute(
            "select sigma.set_access(%s, %s, 'cus_1', 'price_1', %s, 'sub_1', 'event', %s)",
            [session.user_id, granted, rule, cause],
        )

    owner.execute("insert into billing.customers (id, user_id) values ('cus_1', %s)", [session.user_id])
    told("evt_1", customer="cus_1", handled_at="2026-11-01", tries=2)
    access(True, "subscribed", "evt_1")
    access(False, "nothing", "evt_2")
    page = EventState()  # pyright: ignore[reportCallIssue] - of rx.State, outside of an app

    async def worked_again(*, changing: bool) -> str:
        page._before = await event.replay(bob, "stripe", "evt_1")
        assert page._before.tries == 2
        if changing:
            access(True, "bought", "evt_1")
        owner.execute("update sigma.webhook_events set handled_at = '2026-11-28 10:00:01+00'")
        async with reading(bob) as cursor:
            await page._read(cursor, {"source": "stripe", "id": "evt_1"}, bob)
        return page.outcome.removeprefix("It was worked again at 10:00:01 UTC. ")

    assert await worked_again(changing=False) == "It changed nobody's access."
    assert await worked_again(changing=True) == f"It opened their access: {RULES['bought']}"
    assert await worked_again(changing=False) == "It changed nobody's access."


@pytest.mark.parametrize(
    "asked", [{}, {"id": "evt_1"}, {"source": "resend", "id": "evt_1"}, {"id": "\0", "source": "'"}]
)
async def test_an_event_that_is_not_there_shows_nothing(bob: Session, told: Told, asked: dict[str, str]):
    told("evt_1")
    page = await shown(EventState, bob, **asked)
    assert (page.found, page.payload, page.about) == (False, "", [])


@pytest.mark.parametrize(("source", "task"), [("stripe", "billing:apply_event"), ("resend", "mail:apply_event")])
async def test_an_event_is_worked_once_more(bob: Session, told: Told, queued: Queued, owner, source: str, task: str):
    told("evt_1", source, handled_at="2026-11-01")
    await event.replay(bob, source, "evt_1")
    jobs = owner.execute("select task_name, args ->> 'event_id' from procrastinate.procrastinate_jobs").fetchall()
    assert jobs == [(task, "evt_1")]
    assert owner.execute("select handled_at from sigma.webhook_events").fetchall() == [(None,)]
    assert deeds(owner) == [("event.replay", "evt_1", {"source": source})]


@pytest.mark.parametrize("source", ["stripe", "resend", "nobody"])
async def test_an_event_that_is_not_there_is_not_replayed_nor_is_that_on_record(bob: Session, owner, source: str):
    with pytest.raises(event.NoEvent):
        await event.replay(bob, source, "evt_1")
    assert deeds(owner) == []


async def test_the_queue_is_told_by_status_and_what_failed_by_kind(bob: Session, queued: Queued):
    for task in ("mail:forget", "mail:forget", "billing:look_again"):
        queued(task)
    queued("core:x", "todo")
    page = await shown(JobsState, bob)
    assert [fact(page.now, name) for name in STATES.values()] == ["3", "1", "0", "0"]
    forgets, looks = JOBS["mail:forget"], JOBS["billing:look_again"]
    assert [(one.task, one.words, one.count) for one in page.failed] == [
        ("mail:forget", forgets, "2 failed"),
        ("billing:look_again", looks, "1 failed"),
    ]
    assert cells(page.rows, 1) == ["core:x", looks, forgets, forgets]  # the first this version does not know
    assert cells((await shown(JobsState, bob, state="failed", task="mail:forget")).rows, 1) == [forgets, forgets]
    assert cells((await shown(JobsState, bob, state="due")).rows, 5) == ["now"]


async def test_what_is_scheduled_for_later_is_no_backlog(bob: Session, queued: Queued, owner: psycopg.Connection):
    later, due, never = queued("mail:forget", "todo"), queued("core:due", "todo"), queued("core:now", "todo")
    for job, at in ((later, "2100-01-02 03:04+00"), (due, "2020-01-02 03:04+00"), (never, None)):
        owner.execute("update procrastinate.procrastinate_jobs set scheduled_at = %s where id = %s", [at, job])
    page = await shown(JobsState, bob)
    assert [(one.name, one.value) for one in page.now[:4]] == [
        *(("failed for good", "0"), ("due now", "2"), ("running", "0"), ("scheduled for later", "1")),
    ]
    for one in page.now[:4]:
        listed = await shown(JobsState, bob, **dict(parse_qsl(urlsplit(one.href).query)))
        assert f"{len(listed.rows):,}" == one.value
    assert cells(page.rows, 2) == ["due now", "due now", "scheduled for later"]
    assert cells(page.rows, 5) == ["now", "now", "2100-01-02 03:04"]
    assert [row.tone for row in page.rows] == ["", "", ""]
    assert fact((await shown(JobState, bob, id=str(later))).about, "State") == "scheduled for later"


async def test_it_is_told_when_nobody_works(bob: Session, owner: psycopg.Connection):
    page = await shown(JobsState, bob)
    assert page.idle
    assert page.worked == "No worker is running, so nothing is done."
    owner.execute("insert into procrastinate.procrastinate_workers default values")
    page = await shown(JobsState, bob)
    assert (page.idle, page.worked, fact(page.now, "workers")) == (False, "", "1")
    owner.execute("update procrastinate.procrastinate_workers set last_heartbeat = '2026-01-02 03:04Z'")
    assert "2026-01-02 03:04 UTC" in (await shown(JobsState, bob)).worked


async def test_a_job_shows_ids_and_errors_and_no_address(bob: Session, queued: Queued):
    secrets = {"sealed": "c2VhbGVk", "digest": "abc123", "to": "alice@example.com"}
    job = queued(user="5f", _request="req-1", long="x" * 500, **secrets)
    page = await shown(JobState, bob, id=str(job))
    assert (page.found, page.failed) == (True, True)
    assert (page.name, fact(page.about, "In the code")) == (JOBS["mail:forget"], "mail:forget")
    assert [fact(page.about, ARGUMENTS.get(name, name)) for name in secrets] == ["not shown"] * 3
    assert fact(page.about, "Account") == "5f"
    assert fact(page.about, "Request") == "req-1"
    assert len(fact(page.about, "long")) == 81
    assert cells(page.errors, 1) == ["MailRefused: no"]
    listed = (await shown(JobsState, bob)).rows[0].cells[3]
    assert not [secret for secret in (*secrets.values(), "req-1") if secret in listed]


@pytest.mark.parametrize("wrong", ["", "x", "-1", "0", "9" * 18, "9" * 40, "1e3", "\0", "٣"])
async def test_a_number_that_is_no_job_shows_nothing(bob: Session, queued: Queued, wrong: str):
    queued()
    assert not (await shown(JobState, bob, id=wrong)).found


async def test_a_failed_job_is_tried_again_once(bob: Session, queued: Queued, owner: psycopg.Connection):
    job, other = queued(), queued()
    assert await queue.try_again(bob, job) == 1
    assert (status_of(owner, job), status_of(owner, other)) == ("todo", "failed")
    with pytest.raises(queue.NoFailedJob):  # a second click
        await queue.try_again(bob, job)
    assert deeds(owner) == [("job.retry", str(job), {})]


async def test_all_failed_jobs_of_a_kind_are_tried_again_and_of_those_that_exclude_each_other_one(
    bob: Session, queued: Queued, owner: psycopg.Connection
):
    plain = [queued("mail:forget"), queued("mail:forget")]
    locked = [queued("mail:forget", lock="a"), queued("mail:forget", lock="a")]
    blocked, other = queued("mail:forget", lock="b"), queued("billing:look_again")
    queued("mail:forget", "todo", lock="b")
    assert await queue.try_again(bob, task="mail:forget") == 3
    assert [status_of(owner, job) for job in (*plain, *locked)] == ["todo", "todo", "failed", "todo"]
    assert [status_of(owner, job) for job in (blocked, other)] == ["failed", "failed"]
    assert deeds(owner) == [("job.retry", None, {"task": "mail:forget"})]


async def test_a_failed_job_is_deleted_and_no_other(bob: Session, queued: Queued, owner: psycopg.Connection):
    failed, waiting = queued(), queued(status="todo")
    assert await queue.drop(bob, failed) == "mail:forget"
    assert status_of(owner, failed) is None
    assert owner.execute("select count(*) from sigma.job_errors").fetchone() == (0,)
    for job in (failed, waiting):
        with pytest.raises(queue.NoFailedJob):
            await queue.drop(bob, job)
    assert status_of(owner, waiting) == "todo"
    assert deeds(owner) == [("job.drop", str(failed), {})]


async def test_whoever_is_no_operator_does_nothing_to_jobs_and_events(
    session: Session, queued: Queued, told: Told, owner
):
    job = queued()
    told("evt_1", handled_at="2026-11-01")
    for deed in (queue.try_again(session, job), queue.drop(session, job), event.replay(session, "stripe", "evt_1")):
        with pytest.raises(NotAnOperator):
            await deed
    for state in (JobsState, JobState, EventsState, EventState):
        with pytest.raises(NotAnOperator):
            await shown(state, session)
    assert status_of(owner, job) == "failed"
    assert deeds(owner) == []
