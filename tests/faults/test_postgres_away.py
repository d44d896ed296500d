"""Postgres away for a while: stopped in order and started again, and frozen in the middle of everything."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.faults.conftest import alone
from tests.faults.crowd import BOUND, Crowd
from tests.faults.ledger import all_well
from tests.faults.processes import Elsewhere, frozen, postgres_elsewhere
from tests.faults.test_kills import EVERYBODY, Coming, coming_to
from tests.sigma import Sigma

AWAY = 30  # seconds, in the long form


@pytest.fixture(scope="module")
def sigma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sigma]:
    """One for both."""
    with alone(tmp_path_factory.mktemp("away")) as sigma:
        yield sigma


@pytest.fixture(scope="module")
def elsewhere(sigma: Sigma, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    """Its Postgres."""
    with postgres_elsewhere(sigma, tmp_path_factory.mktemp("elsewhere")) as found:
        yield found


@pytest.fixture(scope="module")
def come(sigma: Sigma, elsewhere: Elsewhere) -> Coming:
    """Has everybody come there."""
    return coming_to(sigma)


def test_postgres_is_stopped_and_comes_back(come: Coming, elsewhere: Elsewhere, long: bool):
    with come() as crowd:
        crowd.wait_for(*EVERYBODY)
        elsewhere.cluster.stop()
        stays_away(crowd, long)
        elsewhere.start()
        crowd.wait_for(*EVERYBODY)
    all_well(crowd, long=long)


def test_postgres_freezes_and_goes_on(come: Coming, elsewhere: Elsewhere, long: bool):
    with come() as crowd:
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
