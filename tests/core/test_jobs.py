"""The job queue, on a real database: with its cause or not at all, again when it fails, kept when it fails for good."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString
from unittest.mock import patch

import psycopg
import pytest
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from procrastinate.periodic import PeriodicDeferrer, PeriodicRegistry

from sigma_app.core import jobs
from sigma_app.core.connecting import parse, session_address
from sigma_app.core.database import ANONYMOUS, SERVICE, Database, Step, serve_requests_from
from sigma_app.core.jobs import Backoff, JobError, queue_job, work, working
from sigma_app.settings import PROJECT_ROOT
from tests.waiting import until

pytestmark = pytest.mark.anyio


def queueing(name: str, **arguments: object) -> tuple[LiteralString, list[str]]:
    """The statement that queues a job from SQL, as triggers do."""
    return "select sigma.queue_job(%s, %s)", [name, json.dumps(arguments)]


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """What was logged: level and message."""
    return [(record.levelname, record.getMessage()) for record in caplog.records]


class Refused(JobError):
    """The other side says no."""

    retry = False


class Busy(JobError):
    """The other side asks to wait."""

    retry_after = timedelta(hours=1)


@pytest.fixture
def declare() -> Iterator[Callable]:
    """Declare a job for the length of a test."""
    declared: list[str] = []

    def add(name: str, function: Callable, **options: Any) -> None:
        jobs.job(name, **options)(function)
        declared.append(name)

    yield add
    for name in declared:
        del jobs.queue.tasks[name]


@pytest.fixture
async def database(database: Database):
    """As everywhere, and the one that this process uses."""
    with serve_requests_from(database):
        yield database


@pytest.fixture
def ran(declare) -> list[str]:
    """What the job `test:note` was given, in the order in which it ran."""
    given: list[str] = []

    async def note(word: str) -> None:
        given.append(word)

    declare("test:note", note)
    return given


def waiting(owner: psycopg.Connection) -> list[tuple]:
    return owner.execute(
        "select task_name, status::text, attempts, scheduled_at from procrastinate.procrastinate_jobs"
        " where task_name like 'test:%' order by id"
    ).fetchall()


async def test_a_job_runs_once_and_leaves_nothing_behind(database, login_url, owner, ran):
    await database.run(Step(SERVICE, *queueing("test:note", word="it's \\ 100%s")))
    await work(login_url, until_idle=True)
    await work(login_url, until_idle=True)
    assert ran == ["it's \\ 100%s"]
    assert waiting(owner) == []


async def test_a_job_is_there_if_its_cause_commits_and_only_then(database, login_url, ran):
    with pytest.raises(psycopg.errors.DivisionByZero):
        await database.run(Step(SERVICE, *queueing("test:note", word="lost")), Step(SERVICE, "select 1/0"))
    async with database.transaction(SERVICE) as session:
        await queue_job(session, "test:note", word="kept")
    await work(login_url, until_idle=True)
    assert ran == ["kept"]


async def test_visitors_queue_nothing(database):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await database.run(Step(ANONYMOUS, *queueing("test:note", word="mischief")))


async def test_a_failure_is_kept_and_tried_again_later(database, login_url, owner, declare, caplog):
    async def fail() -> None:
        raise JobError("The other side is away.")

    declare("test:fail", fail)
    await database.run(Step(SERVICE, *queueing("test:fail")))
    before = datetime.now(UTC)
    await work(login_url, until_idle=True)
    ((name, status, attempts, at),) = waiting(owner)
    assert (name, status, attempts) == ("test:fail", "todo", 1)
    assert timedelta(seconds=3) < at - before < timedelta(seconds=20)
    assert owner.execute("select error from sigma.job_errors").fetchall() == [("JobError: The other side is away.",)]
    assert ("WARNING", "Job test:fail failed: The other side is away.") in told(caplog)


async def test_what_can_never_work_is_a_dead_letter_with_its_reason(database, login_url, owner, declare, caplog):
    async def refuse() -> None:
        raise Refused

    declare("test:refuse", refuse)
    await database.run(Step(SERVICE, *queueing("test:refuse")))
    await work(login_url, until_idle=True)
    assert [row[:3] for row in waiting(owner)] == [("test:refuse", "failed", 1)]
    assert owner.execute("select error from sigma.job_errors").fetchall() == [("Refused: The other side says no.",)]
    assert ("ERROR", "Job test:refuse failed for good: The other side says no.") in told(caplog)


async def test_an_unexpected_error_is_kept_without_the_values_in_its_message(database, login_url, owner, declare):
    typed = "alice@example.com"

    async def break_down() -> None:
        raise ValueError(typed)

    declare("test:break_down", break_down)
    await database.run(Step(SERVICE, *queueing("test:break_down")))
    await work(login_url, until_idle=True)
    ((error,),) = owner.execute("select error from sigma.job_errors").fetchall()
    assert error.startswith("ValueError")
    assert "break_down" in error  # where it came from
    assert "alice" not in error


def tried(attempts: int) -> Job:
    return Job(id=1, queue="default", lock=None, queueing_lock=None, task_name="test:any", attempts=attempts)


def wait_after(attempts: int, error: BaseException) -> timedelta | None:
    decision = Backoff().get_retry_decision(exception=error, job=tried(attempts))
    if decision is None:
        return None
    assert decision.retry_at
    return decision.retry_at - datetime.now(UTC)


def test_each_try_waits_longer_with_a_bound_and_with_jitter():
    waits = [wait_after(attempts, JobError()) for attempts in range(Backoff.TRIES - 1)]
    expected = [5 * 3**attempts for attempts in range(8)] + [6 * 3600]
    for wait, seconds in zip(waits, expected, strict=True):
        assert wait is not None
        assert 0.7 * seconds <= wait.total_seconds() <= 1.3 * seconds
    assert len({round(wait_after(5, JobError()).total_seconds()) for _ in range(20)}) > 1  # pyright: ignore[reportOptionalMemberAccess]
    assert wait_after(Backoff.TRIES - 1, JobError()) is None


def test_how_long_it_is_tried_is_what_the_documents_say():
    docs = "".join((PROJECT_ROOT / "docs" / name).read_text() for name in ("operating.md", "payments.md"))
    told = re.findall(r"(?:ten times\s+in|tried again\s+for)\s+about\s+(\w+)\s+hours", docs)
    assert told == ["eleven"] * 4
    assert (Backoff.TRIES, round(Backoff.altogether() / timedelta(hours=1))) == (10, 11)


def test_a_service_that_asks_for_more_time_gets_it():
    wait = wait_after(0, Busy())
    assert wait
    assert wait > timedelta(minutes=59)


async def ended_between_jobs(owner: psycopg.Connection) -> None:
    """End all connections of the worker while it has no job in hand, nor can take one."""
    while True:
        with owner.transaction():
            owner.execute("lock table procrastinate.procrastinate_jobs in exclusive mode")
            if not owner.execute("select from procrastinate.procrastinate_jobs").fetchall():
                owner.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'authenticator'")
                return
        await asyncio.sleep(0.01)


async def test_two_workers_share_the_queue_and_run_each_job_once(database, login_url, ran):
    for number in range(20):
        await database.run(Step(SERVICE, *queueing("test:note", word=str(number))))
    # One queue object carries one connector, so the second worker is a bare one
    await asyncio.gather(work(login_url, until_idle=True), second_worker(login_url))
    assert sorted(ran, key=int) == [str(number) for number in range(20)]


async def second_worker(login_url: str) -> None:
    app = jobs.App(
        connector=jobs.PsycopgConnector(conninfo=login_url, configure=jobs._become_worker, min_size=1, max_size=2)
    )
    app.tasks = jobs.queue.tasks
    async with app.open_async():
        await app.run_worker_async(wait=False, listen_notify=False, install_signal_handlers=False)


async def test_a_running_worker_takes_a_new_job_up_at_once(database, login_url, declare):
    done = asyncio.Event()

    async def finish() -> None:
        done.set()

    declare("test:finish", finish)
    async with working(login_url):
        await database.run(Step(SERVICE, *queueing("test:finish")))
        await asyncio.wait_for(done.wait(), 10)


async def test_a_worker_that_stops_finishes_the_job_in_hand(database, login_url, owner, declare):
    started, finished = asyncio.Event(), []

    async def take_a_while() -> None:
        started.set()
        await asyncio.sleep(0.2)
        finished.append(True)

    declare("test:take_a_while", take_a_while)
    await database.run(Step(SERVICE, *queueing("test:take_a_while")))
    async with working(login_url):
        await asyncio.wait_for(started.wait(), 10)
    assert finished
    assert waiting(owner) == []


async def test_a_job_too_long_for_the_grace_goes_back_into_the_queue(
    database, login_url, owner, declare, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(jobs, "GRACE", timedelta(milliseconds=50))
    started = asyncio.Event()

    async def take_for_ever() -> None:
        started.set()
        await asyncio.Event().wait()

    declare("test:take_for_ever", take_for_ever)
    await database.run(Step(SERVICE, *queueing("test:take_for_ever")))
    async with working(login_url):
        await asyncio.wait_for(started.wait(), 10)
    assert [row[:2] for row in waiting(owner)] == [("test:take_for_ever", "todo")]


async def test_the_jobs_of_a_worker_that_died_run_again(database, login_url, owner, ran):
    await database.run(Step(SERVICE, *queueing("test:note", word="again")))
    owner.execute("set search_path = procrastinate")
    (dead,) = owner.execute("select worker_id from procrastinate_register_worker_v1()").fetchone() or (None,)
    owner.execute("select procrastinate_fetch_job_v2(null, %s)", [dead])
    await work(login_url, until_idle=True)
    assert ran == []  # it may be alive
    owner.execute("update procrastinate_workers set last_heartbeat = now() - interval '1 minute' where id = %s", [dead])
    await work(login_url, until_idle=True)
    assert ran == ["again"]


async def test_a_worker_survives_the_loss_of_its_connections(database, login_url, owner, declare, monkeypatch):
    monkeypatch.setattr(jobs, "RECONNECT", timedelta(milliseconds=50))
    monkeypatch.setattr(jobs, "HEARTBEAT", timedelta(milliseconds=50))
    first, second = asyncio.Event(), asyncio.Event()

    async def tell(which: int) -> None:
        (first if which == 1 else second).set()

    declare("test:tell", tell)
    async with working(login_url):
        await database.run(Step(SERVICE, *queueing("test:tell", which=1)))
        await asyncio.wait_for(first.wait(), 10)
        await asyncio.wait_for(ended_between_jobs(owner), 10)
        owner.execute("select sigma.queue_job('test:tell', '{\"which\": 2}')")
        await asyncio.wait_for(second.wait(), 30)


async def test_a_worker_that_could_not_say_that_it_lives_leaves_no_queue_without_one(
    database, login_url, owner, declare, monkeypatch
):
    monkeypatch.setattr(jobs, "RECONNECT", timedelta(milliseconds=50))
    monkeypatch.setattr(jobs, "HEARTBEAT", timedelta(milliseconds=50))
    said: list[int] = []

    async def fail_for_the_second(self: JobManager, worker_id: int) -> None:
        said.append(worker_id)
        if worker_id == max(said) and len(set(said)) == 2:
            raise ConnectorException

    ran: set[str] = set()

    async def note(queue: str) -> None:
        ran.add(queue)

    declare("test:note", note)
    with patch.object(JobManager, "update_heartbeat", fail_for_the_second):
        async with working(login_url, ["default"], apart=["apart"]):
            await until(lambda: len(set(said)) == 4)  # both have begun anew
            for queue in ("default", "apart"):
                owner.execute("select sigma.queue_job('test:note', jsonb_build_object('queue', %s::text))", [queue])
                owner.execute(
                    "update procrastinate.procrastinate_jobs set queue_name = %s where args ->> 'queue' = %s",
                    [queue, queue],
                )
            await until(lambda: ran == {"default", "apart"})


async def test_a_job_whose_end_was_never_told_runs_again(database, login_url, owner, ran):
    await database.run(Step(SERVICE, *queueing("test:note", word="again")))
    owner.execute("set search_path = procrastinate")
    (alive,) = owner.execute("select worker_id from procrastinate_register_worker_v1()").fetchone() or (None,)
    owner.execute("select procrastinate_fetch_job_v2(null, %s)", [alive])
    owner.execute("update procrastinate_events set at = at - interval '11 minutes' where type = 'started'")
    await work(login_url, until_idle=True)
    assert ran == ["again"]


async def test_one_whose_end_was_never_told_gives_way_to_one_of_its_kind_that_waits(
    database, login_url, owner, declare
):
    ran: list[int] = []

    async def note() -> None:
        ran.append(1)

    declare("test:single", note, queueing_lock="test:single", lock="test:single")
    single = (
        "select procrastinate.procrastinate_defer_jobs_v1(array[row('default', 'test:single', 0, 'test:single',"
        " 'test:single', '{}', null)::procrastinate.procrastinate_job_to_defer_v1])"
    )
    owner.execute(single)
    owner.execute("set search_path = procrastinate")
    (alive,) = owner.execute("select worker_id from procrastinate_register_worker_v1()").fetchone() or (None,)
    owner.execute("select procrastinate_fetch_job_v2(null, %s)", [alive])
    owner.execute("update procrastinate_events set at = at - interval '11 minutes' where type = 'started'")
    owner.execute(single)
    await work(login_url, until_idle=True)
    assert ran == [1]
    assert owner.execute("select count(*) from procrastinate_jobs where task_name = 'test:single'").fetchone() == (0,)


async def test_a_queue_apart_keeps_no_other_waiting(database, login_url, owner, declare):
    over, done = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        await over.wait()

    async def quick() -> None:
        done.set()

    declare("test:slow", slow, queue="slow")
    declare("test:quick", quick)
    job = "row('slow', 'test:slow', 0, null, null, '{}', null)::procrastinate.procrastinate_job_to_defer_v1"
    many = ", ".join([job] * (jobs.CONCURRENCY + 5))
    async with working(login_url, [jobs.QUEUE], apart=["slow"]):
        owner.execute(f"select procrastinate.procrastinate_defer_jobs_v1(array[{many}])".encode())
        under_way = "select count(*) from procrastinate.procrastinate_jobs where status = 'doing'"
        while owner.execute(under_way).fetchone() != (jobs.CONCURRENCY,):  # noqa: ASYNC110 - the server's condition
            await asyncio.sleep(0.01)
        owner.execute("select sigma.queue_job('test:quick', '{}')")
        await asyncio.wait_for(done.wait(), 30)
        over.set()


async def test_a_job_that_may_take_hours_is_not_begun_beside_itself(database, login_url, owner, declare):
    ran: list[int] = []

    async def note() -> None:
        ran.append(1)

    declare("test:long", note, longest=timedelta(hours=1))
    await database.run(Step(SERVICE, *queueing("test:long")))
    owner.execute("set search_path = procrastinate")
    (alive,) = owner.execute("select worker_id from procrastinate_register_worker_v1()").fetchone() or (None,)
    owner.execute("select procrastinate_fetch_job_v2(null, %s)", [alive])
    owner.execute("update procrastinate_events set at = at - interval '50 minutes' where type = 'started'")
    await work(login_url, until_idle=True)
    assert ran == []
    owner.execute("update procrastinate_events set at = at - interval '11 minutes' where type = 'started'")
    await work(login_url, until_idle=True)
    assert ran == [1]


@pytest.mark.parametrize("host", ["aws-0-eu.pooler.supabase.com", "db.abcdef.supabase.co"])
def test_supabases_poolers_have_sessions_on_another_port(host: str):
    session = parse(session_address(f"postgresql://u.ref:6543%40@{host}:6543/postgres?sslmode=require"))
    assert session == {
        "user": "u.ref", "password": "6543@", "host": host, "port": "5432", "dbname": "postgres", "sslmode": "require"
    }  # fmt: skip


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@db.example.com:6543/postgres",
        "postgresql://u:p@aws-0-eu.pooler.supabase.com:5432/postgres",
        "postgresql://u@/d?host=%2Ftmp%2Fs",
        "postgresql://u:p@h1:5432,h2:5433/db",
    ],
)
def test_other_addresses_stay_as_they_are(url: str):
    assert session_address(url) == url


async def test_a_worker_that_ends_for_whatever_reason_starts_again(login_url, caplog, monkeypatch):
    monkeypatch.setattr(jobs, "RECONNECT", timedelta(0))
    began = asyncio.Semaphore(0)

    async def work(*_: object) -> None:
        began.release()
        raise ValueError("something nobody thought of")

    monkeypatch.setattr(jobs, "work", work)
    async with working(login_url):
        for _ in range(3):
            await asyncio.wait_for(began.acquire(), 10)
    assert "The worker ended and starts again: ValueError" in caplog.text


async def test_a_job_that_its_workers_die_of_is_a_dead_letter_in_the_end(database, login_url, owner, ran):
    await database.run(Step(SERVICE, *queueing("test:note", word="deadly")))
    owner.execute("set search_path = procrastinate")
    owner.execute("update procrastinate_jobs set status = 'doing', attempts = %s", [Backoff.TRIES - 1])
    await work(login_url, until_idle=True)
    assert [row[:2] for row in waiting(owner)] == [("test:note", "failed")]
    assert "at every try" in owner.execute("select error from sigma.job_errors").fetchone()[0]
    assert ran == []


async def test_a_periodic_job_is_queued_once_however_many_workers_are_due_to(database, login_url, owner, declare):
    async def tick(timestamp: int) -> None:
        pass

    declare("test:tick", tick)
    registry = PeriodicRegistry()
    due = registry.register_task(
        task=jobs.queue.tasks["test:tick"], cron="* * * * *", periodic_id="", configure_kwargs={}
    )
    connector = jobs.PsycopgConnector(conninfo=login_url, configure=jobs._become_worker, min_size=1, max_size=2)
    with jobs.queue.replace_connector(connector):
        async with jobs.queue.open_async():
            workers = [PeriodicDeferrer(registry) for _ in range(3)]
            await asyncio.gather(*(worker.defer_jobs([(due, 1_800_000_000)]) for worker in workers))
    assert [row[0] for row in waiting(owner)] == ["test:tick"]


async def test_a_worker_of_one_queue_leaves_the_others_to_theirs_and_cares_for_the_queue(
    database, login_url, owner, ran
):
    await database.run(Step(SERVICE, *queueing("test:note", word="ours")))
    await database.run(Step(SERVICE, *queueing("test:note", word="theirs")))
    owner.execute("set search_path = procrastinate")
    owner.execute("update procrastinate_jobs set queue_name = 'supabase' where args ->> 'word' = 'theirs'")
    upkeep = owner.execute(
        "select (procrastinate_defer_jobs_v1(array[row('upkeep', 'core:retry_stalled_jobs', 0, null, null,"
        """ '{"timestamp": 0}', null)::procrastinate_job_to_defer_v1]))[1]"""
    ).fetchone()
    await work(login_url, ["supabase"], until_idle=True)
    assert ran == ["theirs"]
    assert owner.execute("select from procrastinate_jobs where id = %s", upkeep).fetchall() == []
    assert [row[0] for row in waiting(owner)] == ["test:note"]
    await work(login_url, until_idle=True)
    assert ran == ["theirs", "ours"]
