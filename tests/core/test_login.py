"""The login's password, when several processes start at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql

from sigma_app.core import login


@pytest.fixture
def login_without_password(owner: psycopg.Connection) -> Iterator[None]:
    """A role is the whole server's: afterwards the login has no password, as the other tests expect."""
    yield
    owner.execute(sql.SQL("alter role {} password null").format(sql.Identifier(login.LOGIN)))


@pytest.mark.usefixtures("login_without_password")
def test_processes_that_set_the_password_at_once_take_turns(owner_url: str):
    together = threading.Barrier(4)

    def set_password(_: int) -> None:
        with psycopg.connect(owner_url, autocommit=True) as owner:
            together.wait(10)
            for _ in range(25):
                login._set_password(owner, login.LOGIN, "derived")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(set_password, range(4)))  # without turns: "tuple concurrently updated"
