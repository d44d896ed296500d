"""Each secret that is configured, at a Sigma whose services are elsewhere and do not answer: none shows anywhere."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.conftest import Server
from tests.safety.secrets import Run, look_around
from tests.sigma import Sigma, free_port

PASSWORD = "canary one-pass phrase"
ALICE, FOUNDER = "alice@example.com", "founder@example.com"
CANARIES = {
    "STRIPE_SECRET_KEY": "sk_test_canaryOfStripe",
    "STRIPE_WEBHOOK_SECRET": "whsec_canaryOfStripesWebhook",
    "RESEND_API_KEY": "re_canary_of_resend",
    "RESEND_WEBHOOK_SECRET": "whsec_Y2FuYXJ5b2ZyZXNlbmRz",
    "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_canary_of_supabase",
    "SIGMA_METRICS_TOKEN": "canary-of-the-metrics-token",
}


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory, embedded_server: Server, template: str) -> Iterator[Run]:
    name, port, closed = embedded_server.create(template), free_port(), free_port()
    password, redis_password = "canary-of-the-database", "canary-of-redis"
    embedded_server.run(f"create role canary superuser login password '{password}'")
    address = embedded_server.address(name).replace("postgresql://postgres@", f"postgresql://canary:{password}@")
    variables = CANARIES | {
        "BASE_URL": f"http://127.0.0.1:{port}",
        "DATABASE_URL": address,
        "VITE_SUPABASE_URL": f"http://127.0.0.1:{closed}",
        "VITE_SUPABASE_ANON_KEY": "sb_publishable_not_secret",
        "RESEND_API_URL": f"http://127.0.0.1:{closed}",
        "REFLEX_REDIS_URL": f"redis://:{redis_password}@127.0.0.1:{closed}/0",
        "MAIL_FROM": "hello@sigma.example.com",
        "HTTPS_PROXY": f"http://127.0.0.1:{closed}",  # Stripe's SDK has no other address; nothing leaves this machine
    }
    sigma = Sigma(tmp_path_factory.mktemp("away") / "data", port, variables)
    try:
        run = Run(sigma.start())
        for variable, canary in CANARIES.items():
            run.keep(variable, canary)
        run.keep("DATABASE_URL", password)
        run.keep("REFLEX_REDIS_URL", redis_password)
        with run.client("Alice") as alice:
            for path in ("/sign-in", "/sign-up"):
                alice.post(path, data={"email": ALICE, "password": run.keep("a password", PASSWORD)})
            alice.post("/forgot", data={"email": ALICE})
            alice.post("/join", data={"email": FOUNDER, "form": "hero"})
            alice.post("/billing/checkout", data={"plan": "sigma_monthly"})
            for hook in ("/webhooks/stripe", "/webhooks/resend"):
                alice.post(hook, json={}, headers={"stripe-signature": "t=1,v1=a", "svix-id": "1"})
        with run.client("a stranger") as stranger:
            look_around(run, stranger)
        for command in (["status"], ["stripe-setup"], ["reconcile"], ["jobs"]):
            done = sigma.run(*command)
            run.told.append((f"the command {command[0]}", done.stdout + done.stderr))
        yield run
    finally:
        if sigma.process and sigma.process.poll() is None:
            sigma.stop()
        embedded_server.drop(name)
        embedded_server.run("drop role canary")


def test_the_log_has_none(away: Run):
    assert any("Redis does not answer" in line for _, line in away.log())
    assert away.find(away.log()) == []


def test_no_answer_and_no_command_has_one(away: Run):
    assert away.find(away.told) == []


def test_no_table_and_no_file_has_one(away: Run):
    assert away.find(away.files()) == []
    with psycopg.connect(away.sigma.variables["DATABASE_URL"]) as database:
        rows = list(away.rows(database))
    assert "table procrastinate.procrastinate_jobs" in {where for where, _ in rows}  # which wait, or failed
    assert away.find(rows) == []


def test_no_process_shows_one(away: Run):
    assert away.find(away.processes()) == []
