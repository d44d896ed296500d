"""Errors to Sentry and traces over OTLP, from a running Sigma to a collector of ours: nothing in them is anybody's."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.collector import Collector, collecting
from tests.sigma import Sigma
from tests.tab import ROOT, tab

EMAIL = "alice-of-the-trace@example.com"
COOKIE = "sigma_session=c00kie-of-alice-0123456789012345678901234567"
ADDRESS = "192.0.2.77"
PAGE = f"/admin/leads?q={EMAIL}"
HEADERS = {"cookie": COOKIE, "x-forwarded-for": ADDRESS, "user-agent": "Alice's own browser", "referer": PAGE}
PRIVATE = (EMAIL, "alice-of-the-trace", COOKIE, "c00kie", ADDRESS, "Alice's own browser")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as taking:
        yield taking


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def join(sigma: Sigma) -> httpx.Response:
    form = {"email": EMAIL, "elapsed_ms": "5200", "company_website": ""}
    return httpx.post(
        f"{sigma.base_url}/join?q={EMAIL}", data=form, headers=HEADERS | {"origin": sigma.base_url}, timeout=20
    )


def test_an_error_is_told_with_its_request_and_nothing_of_anybodys(sigma: Sigma, collector: Collector):
    key = "k" * 32
    sigma.variables |= {"SENTRY_DSN": collector.url.replace("http://", f"http://{key}@") + "/7", "TRUSTED_PROXIES": "1"}
    sigma.start()
    with sigma.database() as owner:
        owner.execute("alter table leads rename column email to address")
    answer = join(sigma)
    assert answer.status_code >= 500
    until(lambda: len(collector.at("/api/7/envelope/")) >= 1)
    sigma.stop()
    events = [json.loads(body.splitlines()[2]) for body in collector.at("/api/7/envelope/")]
    of_request = [event for event in events if event.get("tags", {}).get("request") == answer.headers["x-request-id"]]
    assert len(of_request) == 1, events
    assert of_request[0]["logger"].startswith("sigma_app.")
    assert of_request[0]["level"] == "error"
    assert of_request[0]["logentry"]["formatted"].startswith("A visitor could not join: UndefinedColumn 42703")
    told = b"\n".join(body for _, body in collector.told).decode()
    assert [word for word in PRIVATE if word in told] == []
    assert set(of_request[0]) <= {
        *("event_id", "timestamp", "level", "logger", "platform", "environment", "sdk"),
        *("logentry", "fingerprint", "tags", "exception"),
    }
    log = sigma.log.read_text()
    assert [word for word in (key, *PRIVATE) if word in log] == []


def test_a_request_its_statements_and_its_job_are_traced(sigma: Sigma, collector: Collector):
    sigma.variables |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer collector-s3cret",
        "TRUSTED_PROXIES": "1",
    }
    sigma.start()
    answer = join(sigma)
    assert answer.status_code == 303
    with tab(sigma.base_url, str(uuid4())) as opened:
        opened.send(f"{ROOT}.hydrate", PAGE)
        opened.told_until("is_hydrated")
    ready = httpx.get(f"{sigma.base_url}/readyz").headers["x-request-id"]
    until(lambda: "waitlist:send_link" in str([span.name for span in spans(collector)]))
    sigma.stop()
    found = spans(collector)
    identity = answer.headers["x-request-id"]
    request = next(span for span in found if span.name == "POST form" and of(span)["sigma.request"] == identity)
    assert of(request)["http.response.status_code"] == "303"
    looked = next(span for span in found if span.name == "GET page" and of(span)["sigma.request"] == ready)
    inside = [of(span) for span in found if span.parent_span_id == looked.span_id]
    assert {span["db.system.name"] for span in inside} == {"postgresql"}
    assert any("alembic_version" in span["db.query.text"] for span in inside)
    assert any("INSERT INTO" in of(span).get("db.query.text", "") for span in found)
    job = next(span for span in found if span.name == "job waitlist:send_link")
    assert of(job)["sigma.request"] == identity
    told = b"\n".join(body for _, body in collector.told).decode("latin-1")
    assert [word for word in PRIVATE if word in told] == []
    assert any(of(span).get("reflex.event.name") == f"{ROOT}.hydrate" for span in found)
    assert collector.headers[0]["authorization"] == "Bearer collector-s3cret"
    log = sigma.log.read_text()
    assert [word for word in ("collector-s3cret", *PRIVATE) if word in log] == []


def spans(collector: Collector) -> list:
    """All that were told so far."""
    return [
        span
        for body in collector.at("/v1/traces")
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def of(span) -> dict[str, str]:
    """A span's attributes, as text."""
    return {
        one.key: str(getattr(one.value, one.value.WhichOneof("value") or "string_value")) for one in span.attributes
    }


@pytest.mark.parametrize(
    ("variable", "value", "module"),
    [
        ("SENTRY_DSN", "https://key@sentry.example.com/1", "sentry_sdk"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "opentelemetry.sdk"),
    ],
)
def test_what_is_asked_for_and_not_installed_is_said(
    sigma: Sigma, tmp_path: Path, variable: str, value: str, module: str
):
    (tmp_path / "sitecustomize.py").write_text(f"import sys; sys.modules[{module!r}] = None\n")
    sigma.variables |= {variable: value, "PYTHONPATH": str(tmp_path)}
    refused = sigma.run("run")
    assert refused.returncode == 2
    assert f"{variable}: " in refused.stderr
    assert "make observability" in refused.stderr


def test_nothing_of_it_is_imported_unless_asked_for(sigma: Sigma, tmp_path: Path):
    (tmp_path / "sitecustomize.py").write_text(
        "import sys; sys.modules['sentry_sdk'] = sys.modules['opentelemetry.sdk'] = None\n"
    )
    sigma.variables["PYTHONPATH"] = str(tmp_path)
    sigma.start()
    assert sigma.stop() == 0


def test_a_place_that_does_not_answer_disturbs_nothing(sigma: Sigma):
    sigma.variables |= {"SENTRY_DSN": "http://key@127.0.0.1:1/1", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    sigma.start()
    assert join(sigma).status_code == 303
    assert sigma.stop() == 0
    assert sys.getsizeof(sigma.log.read_text()) < 20_000
