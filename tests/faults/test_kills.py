"""`kill -9` under load: of the server, of a worker, of Postgres and of one of its backends."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psutil
import pytest

from sigma_app.embedded import postgres
from tests.conftest import settings_for
from tests.faults.conftest import alone, members, signing_secret
from tests.faults.crowd import Crowd, buyers, crowded, editors, guests, newcomers, tellers, typists
from tests.faults.ledger import all_well
from tests.sigma import Sigma

EVERYBODY = ("join", "socket", "sign-up", "edit", "event")
"""But for who pays: once for each member."""


Coming = Callable[[], AbstractContextManager[Crowd]]


def everybody(sigma: Sigma, before: Crowd | None = None) -> AbstractContextManager[Crowd]:
    """One crowd of each kind."""
    people = members(sigma, 8)
    secret = signing_secret(sigma)
    kinds = [guests(), typists(), newcomers(), editors(people[:2]), buyers(people[2:]), tellers(secret)]
    return crowded(sigma, *kinds, before=before)


def coming_to(sigma: Sigma) -> Coming:
    """Has everybody come to a Sigma, again and again; each crowd answers for those before it as well."""
    crowds: list[Crowd] = []

    @contextmanager
    def come() -> Iterator[Crowd]:
        if not sigma.process or sigma.process.poll() is not None:
            sigma.start()
        with everybody(sigma, crowds[-1] if crowds else None) as crowd:
            crowds.append(crowd)
            yield crowd

    return come


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sigma]:
    """A Sigma that several things are done to, one after the other."""
    with alone(tmp_path_factory.mktemp("shared")) as sigma:
        yield sigma


@pytest.fixture(scope="module")
def come(shared: Sigma) -> Coming:
    """Has everybody come there."""
    return coming_to(shared)


def test_nobody_notices_nothing(come: Coming, long: bool):
    """What the others are compared with: without a fault everything is acknowledged and so."""
    with come() as crowd:
        crowd.wait_for(*EVERYBODY, "pay")
    all_well(crowd, long=long)
    assert {one.outcome for one in crowd.told} == {"done"}


def test_the_server_is_killed(come: Coming, shared: Sigma, long: bool):
    with come() as crowd:
        for _ in range(3 if long else 1):
            crowd.wait_for(*EVERYBODY)
            kill(shared)
            crowd.wait_for("join", "socket", outcome="cut", count=1)
            shared.start()
            crowd.wait_for(*EVERYBODY)
    all_well(crowd, long=long, cut=True)


def test_a_worker_of_its_own_is_killed(sigma: Sigma, long: bool):
    sigma.variables["SIGMA_WORKER"] = "off"
    sigma.start()
    worker = Worker(sigma.data_dir, sigma.port, sigma.variables).start()
    try:
        with everybody(sigma) as crowd:
            for _ in range(3 if long else 1):
                crowd.wait_for(*EVERYBODY)
                kill(worker)
                crowd.wait_for(*EVERYBODY)
                worker.start()
                crowd.wait_for(*EVERYBODY)
        all_well(crowd, long=long)
        assert {one.outcome for one in crowd.told} == {"done"}  # nobody noticed
    finally:
        if worker.process:
            worker.stop()


def test_postgres_is_killed_and_started_again(come: Coming, shared: Sigma, long: bool):
    times = 3 if long else 1
    told = shared.log.read_text().count("was started again") if shared.log.exists() else 0
    with come() as crowd:
        for _ in range(times):
            crowd.wait_for(*EVERYBODY)
            killed = postmaster(shared)
            killed.kill()
            crowd.wait_for(*EVERYBODY)
            assert postmaster(shared) != killed
    all_well(crowd, long=long)
    assert shared.log.read_text().count("was started again") == told + times


def test_a_backend_of_postgres_is_killed(come: Coming, shared: Sigma, long: bool):
    """Postgres then ends all others, and recovers."""
    with come() as crowd:
        for _ in range(5 if long else 2):
            crowd.wait_for(*EVERYBODY)
            a_backend(shared).kill()
            crowd.wait_for(*EVERYBODY)
    all_well(crowd, long=long)


class Worker(Sigma):
    """`python -m sigma_app worker` beside a server, on the same data directory."""

    command = ("worker",)

    def start(self) -> Worker:
        begun = self.log.read_text().count("Working.")
        self.launch()
        deadline = time.monotonic() + 30
        while self.log.read_text().count("Working.") == begun:
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        return self


def kill(sigma: Sigma) -> None:
    assert sigma.process
    sigma.process.send_signal(signal.SIGKILL)
    sigma.process.wait()


def postmaster(sigma: Sigma) -> psutil.Process:
    pid = postgres.locate(settings_for(sigma.data_dir)).pid
    assert pid
    return psutil.Process(pid)


def a_backend(sigma: Sigma) -> psutil.Process:
    """One that serves requests."""
    with sigma.database() as owner:
        ((pid,),) = owner.execute(
            "select pid from pg_stat_activity where usename = 'authenticator' and query not ilike 'listen%' limit 1"
        ).fetchall()
    return psutil.Process(pid)
