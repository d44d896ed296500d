"""Failed jobs on the command line: shown, tried again, deleted; and what is on record of that."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from tests.sigma import Sigma


@pytest.fixture
def laid(owner_url: str, tmp_path: Path) -> Sigma:
    """A Sigma with the test's database, which nothing works on."""
    return Sigma(tmp_path / "data", variables={"DATABASE_URL": owner_url})


@pytest.fixture
def failed(owner: psycopg.Connection) -> list[int]:
    """Two jobs that failed for good."""
    rows = owner.execute(
        "insert into procrastinate.procrastinate_jobs (queue_name, task_name, status, args, attempts)"
        " select 'default', 'mail:forget', 'failed', '{\"digest\": \"a secret\"}', 10 from generate_series(1, 2)"
        " returning id"
    ).fetchall()
    return [job for (job,) in rows]


def statuses(owner: psycopg.Connection) -> dict[int, str]:
    return dict(owner.execute("select id, status::text from procrastinate.procrastinate_jobs").fetchall())


def on_record(owner: psycopg.Connection) -> list[tuple]:
    return owner.execute("select operator_name, action, subject from sigma.audit_log order by id").fetchall()


def test_they_are_listed_with_their_last_error_and_one_is_tried_again(
    laid: Sigma, owner: psycopg.Connection, failed: list[int]
):
    for error in ("DatabaseUnavailable: first", "MailRefused: last\nand a second line"):
        owner.execute("insert into sigma.job_errors (job_id, error) values (%s, %s)", [failed[0], error])
    shown = laid.run("jobs")
    assert shown.stdout.startswith("2 failed\n")
    assert "MailRefused: last" in shown.stdout
    assert "this version knows no such job" in shown.stdout
    assert not [hidden for hidden in ("first", "second line", "a secret") if hidden in shown.stdout]
    assert "No worker is running" in shown.stderr

    done = laid.run("jobs", "--retry", str(failed[0]))
    assert done.stdout == "1 job put back into the queue.\n"
    assert statuses(owner) == {failed[0]: "todo", failed[1]: "failed"}
    assert laid.run("jobs", "--retry", str(failed[0])).returncode == 1
    assert on_record(owner) == [("the command line", "job.retry", str(failed[0]))]


def test_one_is_deleted_and_that_is_on_record(laid: Sigma, owner: psycopg.Connection, failed: list[int]):
    done = laid.run("jobs", "--drop", str(failed[1]))
    assert (done.returncode, done.stdout) == (0, f"mail:forget, job {failed[1]}: deleted.\n")
    assert statuses(owner) == {failed[0]: "failed"}
    again = laid.run("jobs", "--drop", str(failed[1]))
    assert (again.returncode, again.stderr) == (1, f"There is no failed job {failed[1]}.\n")
    assert on_record(owner) == [("the command line", "job.drop", str(failed[1]))]
