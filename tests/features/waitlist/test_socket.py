"""Joining over the websocket, as the page's own client does: the limits hold there too."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.bench import sockets
from tests.bench.joins import state_names
from tests.bench.load import Job, Tally
from tests.sigma import Sigma

pytestmark = pytest.mark.anyio


@pytest.fixture
def sigma(tmp_path: Path) -> Iterator[Sigma]:
    """Behind a proxy, and with room for two joins from each network."""
    limits = {"JOIN_LIMIT_PER_NETWORK": "2/hour", "TRUSTED_PROXIES": "1"}
    sigma = Sigma(tmp_path / "data", variables=limits).start()
    yield sigma
    sigma.remove()


class Answers(Tally):
    """The outcomes of so many tries, in their order."""

    def __init__(self, tries: int):
        super().__init__(deadline=math.inf)
        self.outcomes: list[str] = []
        self._tries = tries

    def note(self, latency: float, kind: str) -> None:
        self.outcomes.append(kind)
        if len(self.outcomes) == self._tries:
            self.deadline = 0


async def test_each_network_has_a_limit_of_its_own(sigma: Sigma):
    event, _ = state_names()  # other tests' states make this process' schema another one than the server's

    async def outcomes(address: str, tries: int) -> list[str]:
        job = Job("socket", sigma.port, 0, marker=uuid4().hex, event=event)
        answers = Answers(tries)
        visitor = sockets.SocketVisitor(job, 0, answers)
        visitor.headers["X-Forwarded-For"] = address
        await visitor.arrive()
        await visitor.ask_until_late()
        return answers.outcomes

    assert await outcomes("198.51.100.1", 3) == ["joined", "joined", "limited"]
    assert await outcomes("198.51.100.2", 1) == ["joined"]
    assert await outcomes("198.51.100.1", 1) == ["limited"]
