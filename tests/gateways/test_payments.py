"""What of Stripe is served here, and what its refusals become: errors of ours, which repeat nothing of what it says."""

from __future__ import annotations

import logging
from pathlib import Path

import httpx
import pytest
from starlette.routing import Route

from sigma_app.core.errors import SigmaError
from sigma_app.embedded.stripe import app as sandbox
from sigma_app.embedded.stripe import pages
from sigma_app.gateways.payments import (
    NotAtStripe,
    PaymentsRefused,
    PaymentsUnavailable,
    asking,
    reaching_stripe,
    routes,
    stripe_client,
)
from tests.conftest import settings_for
from tests.settled import settled

DASHBOARD = "/dev/stripe"


class TestPages:
    """The dashboard gives money back to whoever asks: it is for who develops Sigma on this machine, and nobody else."""

    def paths(self, data_dir: Path, **variables: str) -> list[str]:
        return [route.path for route in routes(settings_for(data_dir, **variables)) if isinstance(route, Route)]

    def test_who_develops_has_the_dashboard_and_the_pages(self, tmp_path: Path):
        served = self.paths(tmp_path)
        assert any(path.startswith(DASHBOARD) for path in served)
        assert any(path.startswith("/sandbox/checkout/") for path in served)
        assert len(served) == len(pages.ROUTES) + len(pages.DASHBOARD_ROUTES)

    def test_in_production_there_is_no_dashboard(self, tmp_path: Path):
        served = self.paths(tmp_path, SIGMA_ENV="production")
        assert any(path.startswith("/sandbox/checkout/") for path in served)
        assert [path for path in served if not path.startswith("/sandbox/")] == []

    @pytest.mark.parametrize("env", ["development", "production"])
    def test_beside_stripe_itself_there_is_nothing(self, tmp_path: Path, env: str):
        assert self.paths(tmp_path, SIGMA_ENV=env, STRIPE_SECRET_KEY="sk_test_1") == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "code", "ours", "is_logged"),
    [
        (401, "", PaymentsUnavailable, True),
        (403, "", PaymentsUnavailable, True),
        (409, "idempotency_key_in_use", PaymentsUnavailable, False),  # our own try before this one is under way still
        (429, "rate_limit", PaymentsUnavailable, False),
        (500, "", PaymentsUnavailable, False),
        (400, "parameter_invalid", PaymentsRefused, False),
        (402, "card_declined", PaymentsRefused, False),
        (404, "resource_missing", NotAtStripe, False),
    ],
)
async def test_a_refusal_becomes_one_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog, status: int, code: str, ours: type[SigmaError], is_logged
):
    """The sandbox refuses no key and is never asked twice at once, so that Stripe's answers are made up here."""
    error = {"type": "invalid_request_error", "message": "No, alice@example.com!", "code": code, "param": "customer"}

    def refuse(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json={"error": error}, headers={"stripe-should-retry": "false"})

    monkeypatch.setattr(sandbox, "Transport", lambda: httpx.MockTransport(refuse))
    caplog.set_level(logging.INFO)
    with settled(settings_for(tmp_path)):
        async with reaching_stripe():
            with pytest.raises(ours) as raised, asking():
                await stripe_client().v1.customers.create_async({"email": "alice@example.com"})
    assert type(raised.value) is ours
    if isinstance(raised.value, PaymentsRefused):
        assert (raised.value.code, raised.value.param) == (code, "customer")
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert [str(status) in line for line in said] == [True] * is_logged
    assert "alice" not in f"{raised.value} {caplog.text}"
