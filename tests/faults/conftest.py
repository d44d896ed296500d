"""A Sigma of each scenario's own, and the people who use it while something breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.faults.crowd import PASSWORD, Member
from tests.sigma import Sigma, free_port

WIDE = {
    "JOIN_LIMIT_PER_ADDRESS": "100000/minute",
    "JOIN_LIMIT_PER_NETWORK": "100000/minute",
    "ACCOUNT_LIMIT_PER_ADDRESS": "100000/minute",
    "ACCOUNT_LIMIT_PER_NETWORK": "100000/minute",
    "GOTRUE_RATE_LIMIT_TOKEN_REFRESH": "100000",
    "GOTRUE_RATE_LIMIT_VERIFY": "100000",
    "GOTRUE_RATE_LIMIT_OTP": "100000",
}
"""Limits are not what is tested here: the whole crowd comes from one address."""

Members = Callable[[Sigma, int], list[Member]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all that is here, for `-m fault` and `-m "not fault"`, and give each time for what it does."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("fault")
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    """Whether faults last as long as in real life."""
    return request.config.getoption("--faults") == "long"


@pytest.fixture
def sigma(tmp_path: Path) -> Iterator[Sigma]:
    """A scenario's own, not started yet."""
    with alone(tmp_path) as sigma:
        yield sigma


@contextmanager
def alone(directory: Path) -> Iterator[Sigma]:
    """A Sigma, not started yet; taken away at the end, whatever state the fault has left it in."""
    port = free_port()
    sigma = Sigma(directory / "data", port, WIDE | {"BASE_URL": f"http://127.0.0.1:{port}"})
    try:
        yield sigma
    finally:
        end(sigma)


def end(sigma: Sigma) -> None:
    """Take it away at once: how it stops in order is another test's."""
    if sigma.process and sigma.process.poll() is None:
        sigma.process.kill()
        sigma.process.wait()
    sigma.remove()


def members(sigma: Sigma, count: int) -> list[Member]:
    """So many people with an account, signed in."""
    return [sign_in(sigma, *admin(sigma, f"member-{uuid4().hex[:8]}@example.com")) for _ in range(count)]


def admin(supabase: Sigma, email: str) -> tuple[str, str]:
    """Make an account whose address is confirmed; its id, and the address."""
    key = supabase.assignments["SUPABASE_SERVICE_ROLE_KEY"]
    made = httpx.post(
        f"{supabase.assignments['VITE_SUPABASE_URL']}/auth/v1/admin/users",
        json={"email": email, "password": PASSWORD, "email_confirm": True},
        headers={"apikey": key, "authorization": f"Bearer {key}"},
        timeout=30,
    )
    return made.raise_for_status().json()["id"], email


def sign_in(sigma: Sigma, identity: str, email: str) -> Member:
    """Sign somebody in, by the form."""
    entered = httpx.post(
        f"{sigma.base_url}/sign-in",
        data={"email": email, "password": PASSWORD},
        headers={"accept": "application/json"},
        timeout=30,
    ).raise_for_status()
    return Member(identity, email, "; ".join(f"{name}={value}" for name, value in entered.cookies.items()))


def signing_secret(sigma: Sigma) -> str:
    """What the sandbox signs its events with."""
    httpx.post(f"{sigma.base_url}/webhooks/stripe", content=b"{}")  # it is made at the first need
    with sigma.database() as owner:
        ((secret,),) = owner.execute(
            "select value #>> '{}' from sigma.sandbox_settings where name = 'signing secret'"
        ).fetchall()
    return secret
