"""The clock of Sigma's process jumps, an hour ahead and an hour back, while Postgres' goes on.

What the process reads as the time of day is turned (clock.c); what it measures intervals with stays as it is, as with a
clock that is set. Jumped so are tokens, Stripe's tolerance, rate limits, jobs by the clock, and one-time codes.
Sessions and the queue's own times are Postgres', and are not.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.faults.conftest import members, signing_secret
from tests.faults.crowd import BOUND, buyers, crowded, editors, guests, newcomers, tellers, typists
from tests.faults.ledger import all_well
from tests.sigma import Sigma

SOURCE = Path(__file__).with_name("clock.c")
HOUR = 3600
UNTOUCHED = ("join", "socket", "sign-up", "edit")


@pytest.fixture(scope="module")
def turning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that turns the clock."""
    compiler, made = shutil.which("cc"), tmp_path_factory.mktemp("clock") / "clock.so"
    if not compiler:
        pytest.skip("There is no C compiler here, to make what turns a process's clock: apt-get install gcc libc6-dev")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", made, SOURCE, "-ldl"], check=True)
    return made


def test_the_clock_jumps_ahead_and_back(sigma: Sigma, turning: Path, tmp_path: Path, long: bool):
    dial = tmp_path / "dial"
    turn(dial, 0)
    sigma.variables |= {"LD_PRELOAD": str(turning), "CLOCK_TURNED_BY": str(dial)}
    sigma.start()
    people = members(sigma, 6)
    secret = signing_secret(sigma)
    stripe = tellers(secret, clocks_differ=True)
    with crowded(sigma, guests(), typists(), newcomers(), editors(people[:2]), buyers(people[2:]), stripe) as crowd:
        crowd.wait_for(*UNTOUCHED, "event", "pay", count=1)
        for seconds in (HOUR, -HOUR) * (3 if long else 1):
            turn(dial, seconds)
            crowd.wait_for(*UNTOUCHED)
            if seconds > 0:
                crowd.wait_for("event", outcome="later", count=1)  # Stripe tells it again, for three days
            else:
                crowd.wait_for("event")  # Stripe's rule is one of age alone
            for member in people:  # who is signed in stays so
                with httpx.Client(base_url=sigma.base_url, headers={"cookie": member.cookie}) as visitor:
                    assert visitor.get("/profile", timeout=BOUND).status_code == httpx.codes.OK
            turn(dial, 0)
            crowd.wait_for(*UNTOUCHED, "event")
    all_well(crowd, long=long)


def turn(dial: Path, seconds: int) -> None:
    """Set the clock that many seconds ahead of the right time."""
    fresh = dial.with_suffix(".new")
    fresh.write_text(f"{seconds}\n")
    fresh.rename(dial)
