"""Whatever an operator reads of mails and jobs has words of its own, and so has each new kind of them."""

from __future__ import annotations

import doctest
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import psycopg
import pytest

from sigma_app import worker  # noqa: F401 - it declares the jobs
from sigma_app.core import words
from sigma_app.core.jobs import queue
from sigma_app.features import accounts, billing, waitlist
from sigma_app.features.accounts import letters
from sigma_app.features.billing import jobs as billing_jobs
from sigma_app.features.console import job_words, mail_words
from sigma_app.features.operations import person

OURS = {name: task for name, task in queue.tasks.items() if "procrastinate." not in name}


def written(*features: ModuleType) -> Iterator[str]:
    """Every text of these features that looks like the name of a kind or of a job."""
    for feature in features:
        for file in Path(next(iter(feature.__path__))).glob("*.py"):
            yield from re.findall(r'"((?:accounts|billing|waitlist):[a-z_]+)"', file.read_text())


def test_every_kind_of_mail_has_words_and_nothing_else_has(owner: psycopg.Connection):
    (rule,) = owner.execute(
        "select pg_get_constraintdef(oid) from pg_constraint"
        " where conrelid = 'sigma.lead_links'::regclass and pg_get_constraintdef(oid) like '%purpose%'"
    ).fetchone() or ("",)
    kinds = {f"waitlist:{purpose}" for purpose in re.findall(r"'([a-z]+)'::text", rule)}
    kinds |= {f"accounts:{kind}" for kind in letters._WORDS}
    kinds |= {f"billing:{about}" for about in billing_jobs._NOTICES}
    kinds |= set(written(accounts, billing, waitlist)) - set(OURS)
    assert kinds == set(mail_words.KINDS)


def test_every_job_has_words_and_nothing_else_has():
    assert set(OURS) == set(job_words.JOBS)


def test_every_argument_of_a_job_has_words_and_nothing_else_has():
    taken = {name for task in OURS.values() for name in inspect.signature(task.func).parameters}
    assert taken == set(job_words.ARGUMENTS)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({"kind": "signup"}, {"Which mail": mail_words.KINDS["accounts:signup"]}),
        ({"about": "renewal"}, {"Which mail": mail_words.KINDS["billing:renewal"]}),
        ({"ids": ["cus_1", "sub_1"]}, {"Ids at Stripe": "cus_1, sub_1"}),
        ({"sealed": "c2VhbGVk"}, {"Address, sealed": "not shown"}),
        ({"of_before": 1, "_request": "r"}, {"of_before": "1"}),
    ],
)
def test_an_argument_is_told_in_words(args: dict, expected: dict[str, str]):
    assert job_words.arguments(args) == expected


@pytest.mark.parametrize("module", [words, job_words, person])
def test_the_examples_are_true(module: ModuleType):
    done = doctest.testmod(module)
    assert (bool(done.attempted), done.failed) == (True, 0)
