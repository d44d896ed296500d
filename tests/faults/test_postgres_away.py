"""Postgres away for a while: stopped in order and started again, and frozen in the middle of everything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.faults.crowd import BOUND, Crowd
from tests.faults.ledger import all_well
from tests.faults.processes import Elsewhere, frozen, postgres_elsewhere
from tests.faults.test_kills import EVERYBODY, everybody
from tests.sigma import Sigma

AWAY = 30  # seconds, in the long form


@pytest.fixture
def elsewhere(sigma: Sigma, tmp_path: Path) -> Iterator[Elsewhere]:
    """The Postgres of a Sigma that serves."""
    with postgres_elsewhere(sigma, tmp_path / "elsewhere") as found:
        sigma.start()
        yield found


def test_postgres_is_stopped_and_comes_back(sigma: Sigma, elsewhere: Elsewhere, long: bool):
    with everybody(sigma) as crowd:
        crowd.wait_for(*EVERYBODY)
        elsewhere.cluster.stop()
        stays_away(crowd, long)
        elsewhere.start()
        crowd.wait_for(*EVERYBODY)
    all_well(crowd, long=long)


def test_postgres_freezes_and_goes_on(sigma: Sigma, elsewhere: Elsewhere, long: bool):
    with everybody(sigma) as crowd:
        crowd.wait_for(*EVERYBODY)
        with frozen(elsewhere.postmaster):
            stays_away(crowd, long)
        crowd.wait_for(*EVERYBODY)
    all_well(crowd, long=long)


def stays_away(crowd: Crowd, long: bool) -> None:
    """While it is away everybody is told so, pages are there, and the operator's doors say what is missing."""
    begun = time.monotonic()
    crowd.wait_for(*EVERYBODY, outcome="later", count=1)
    base = crowd.sigma.base_url
    with httpx.Client(base_url=base, timeout=BOUND, trust_env=False) as visitor:
        assert visitor.get("/").status_code == httpx.codes.OK
        assert visitor.get("/healthz").status_code == httpx.codes.OK
        profile = visitor.get("/profile", headers={"cookie": f"sigma_session={'x' * 43}"})
        assert profile.status_code == httpx.codes.OK  # an empty page, which says so itself
        asked = visitor.get("/readyz")
        assert asked.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert asked.json()["checks"]["database"] == {"ok": False, "says": "It does not answer."}
        pricing = visitor.get("/pricing")
        assert pricing.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert "please try again in a moment." in pricing.text
    while long and time.monotonic() - begun < AWAY:
        crowd.wait_for("join", outcome="later", count=1)
