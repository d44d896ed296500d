"""Limits whose counters are in Redis: all processes count together, and none falls with it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from sigma_app.core import limits
from sigma_app.core.limits import Limiter, _Shared
from sigma_app.core.metrics import REGISTRY
from tests.redis_server import PASSWORD, RedisServer
from tests.sigma import Sigma

pytestmark = pytest.mark.anyio


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path).start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no Redis that is away: one that was ended refuses at once."""
    monkeypatch.setattr(limits, "_ANSWER_SECONDS", 10)


@pytest.fixture
async def shared(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[_Shared]:
    """This process counts in Redis."""
    shared = _Shared(redis_server.url)
    monkeypatch.setattr(limits, "_shared_counters", lambda: shared)
    yield shared
    await shared.window.storage.bridge.storage.aclose()  # pyright: ignore[reportAttributeAccessIssue]


def is_shared() -> float | None:
    return REGISTRY.get_sample_value("sigma_limits_shared")


async def test_limiters_of_one_name_count_together_and_keys_are_no_addresses(
    shared: _Shared, redis_server: RedisServer
):
    one, other, another_thing = (
        Limiter("join", "2/minute;3/hour"),
        Limiter("join", "2/minute;3/hour"),
        Limiter("a", "1/hour"),
    )
    assert [await one.wait("alice@example.com"), await other.wait("alice@example.com")] == [0, 0]
    assert 0 < await one.wait("alice@example.com") <= 60
    assert await other.wait("bob@example.com") == 0
    assert await another_thing.wait("alice@example.com") == 0
    await other.forget("alice@example.com")
    assert await one.wait("alice@example.com") == 0
    with redis_server.client() as client:
        keys = client.keys()
    assert isinstance(keys, list)
    assert keys
    assert all(key.startswith(b"sigma:limit:") and b"@" not in key for key in keys)
    assert is_shared() == 1


@pytest.mark.usefixtures("shared")
async def test_while_redis_is_away_each_process_counts_for_itself_and_says_so_once(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(limits, "_AWAY_SECONDS", 0)
    limiter = Limiter("join", "2/minute")
    assert await limiter.wait("alice") == 0
    redis_server.stop()
    with caplog.at_level(logging.WARNING):
        assert [await limiter.wait("alice"), await limiter.wait("alice")] == [0, 0]
        assert await limiter.wait("alice") > 0
        await limiter.forget("alice")
        assert await limiter.wait("alice") == 0
        assert is_shared() == 0
        redis_server.start()
        assert [await limiter.wait("bob"), await limiter.wait("bob")] == [0, 0]
        assert await limiter.wait("bob") > 0
    assert is_shared() == 1
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "Redis does not answer (ConnectionError)",
        "Redis answers again",
    ]


@pytest.mark.usefixtures("shared")
async def test_a_redis_that_is_away_is_not_asked_each_time(redis_server: RedisServer):
    redis_server.stop()
    limiter = Limiter("join", "2/minute")
    assert await limiter.wait("alice") == 0
    redis_server.start()
    assert await limiter.wait("alice") == 0
    with redis_server.client() as client:
        assert client.keys() == []


async def test_a_password_that_is_wrong_is_said_and_not_shown(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    wrong = _Shared(redis_server.url.replace(PASSWORD, "another-secret"))
    monkeypatch.setattr(limits, "_shared_counters", lambda: wrong)
    assert await Limiter("join", "2/minute").wait("alice") == 0
    assert "AuthenticationError" in caplog.text
    assert "another-secret" not in caplog.text
    await wrong.window.storage.bridge.storage.aclose()  # pyright: ignore[reportAttributeAccessIssue]


def test_two_backends_share_their_limits_and_go_on_without_redis(tmp_path: Path, redis_server: RedisServer):
    variables = {"REFLEX_REDIS_URL": redis_server.url, "JOIN_LIMIT_PER_NETWORK": "3/hour"}
    one = Sigma(tmp_path / "data", variables=variables).start()
    other = Sigma(one.data_dir, variables=variables)

    def join(sigma: Sigma, email: str) -> int:
        return httpx.post(f"{sigma.base_url}/join", data={"email": email, "form": "hero"}).status_code

    def sign_in(sigma: Sigma) -> int:
        key = sigma.assignments["VITE_SUPABASE_ANON_KEY"]
        body = {"email": "alice@example.com", "password": "wrong"}
        address = f"{sigma.base_url}/auth/v1/token?grant_type=password"
        return httpx.post(address, json=body, headers={"apikey": key}).status_code

    try:
        other.start()
        assert [join(one, "a@example.com"), join(other, "b@example.com"), join(one, "c@example.com")] == [303] * 3
        assert join(other, "d@example.com") == 429
        assert join(one, "d@example.com") == 429
        assert {sign_in(sigma) for sigma in (one, other) * 15} == {400}
        assert sign_in(one) == sign_in(other) == 429  # thirty tries, whichever heard them
        redis_server.stop()
        assert join(one, "d@example.com") == 303
        assert "Redis does not answer" in one.log.read_text()
        assert PASSWORD not in one.log.read_text() + other.log.read_text()
    finally:
        other.remove()
        one.remove()
