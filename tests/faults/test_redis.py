"""Redis gone, which holds the state of open pages where there are several backends, and back again, empty."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.faults.conftest import members, signing_secret
from tests.faults.crowd import BOUND, crowded, editors, guests, newcomers, tellers, typists
from tests.faults.ledger import all_well
from tests.redis_server import RedisServer
from tests.sigma import Sigma

WITHOUT = ("join", "sign-up", "event")
"""What needs no state of a page."""
GIVES_UP = 8.0  # seconds of silence after which a page of the portal says so, and one of the list has long gone on


def test_redis_is_killed_and_comes_back_empty(sigma: Sigma, tmp_path: Path, long: bool):
    redis = RedisServer(tmp_path).start()
    try:
        sigma.variables["REFLEX_REDIS_URL"] = redis.url
        sigma.start()
        people = members(sigma, 2)
        secret = signing_secret(sigma)
        with crowded(
            sigma, guests(), typists(3, GIVES_UP), newcomers(), editors(people, GIVES_UP), tellers(secret)
        ) as crowd:
            crowd.wait_for(*WITHOUT, "socket", "edit")
            for _ in range(3 if long else 1):
                redis.stop()
                crowd.wait_for(*WITHOUT, count=5)  # the plain forms go on as if nothing were
                for path in ("/", "/healthz", "/readyz", "/pricing"):
                    answer = httpx.get(f"{sigma.base_url}{path}", timeout=BOUND, trust_env=False)
                    assert answer.status_code == httpx.codes.OK
                redis.start()
                crowd.wait_for(*WITHOUT, "socket", "edit")
        all_well(crowd, long=long, cut=True, silent=("socket", "edit"))
    finally:
        redis.stop()
