"""The dashboard and the alerts of docs/operations, against what a running Sigma exposes and by Prometheus' own tool.

Each metric and label is there, each expression can be read, and each alert fires when it should and at no other time.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from reflex_base.constants import Reflex
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from tests.programs import program
from tests.sigma import PROJECT_ROOT, Sigma

OPERATIONS = PROJECT_ROOT / "docs" / "operations"
RULES = OPERATIONS / "alerts.yaml"
SECRET = "whsec_dGVzdHRlc3R0ZXN0dGVzdA=="
OF_PROMETHEUS = {"up": {"job", "instance"}}
ADDED_BY_PROMETHEUS = {"job", "instance", "le"}

Exposed = Mapping[str, set[str]]
"""The labels of each metric, by the names that queries know them by."""


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return json.loads((OPERATIONS / "grafana.json").read_text())["panels"]


@cache
def expressions() -> dict[str, str]:
    """Every query, by whose it is, with something for the variables that Grafana fills in."""
    found = {rule["alert"]: rule["expr"] for rule in alerts()}
    for panel in panels():
        for target in panel["targets"]:
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    return {name: expr.replace("$__rate_interval", "5m").replace("$instance", ".*") for name, expr in found.items()}


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exposed]:
    """By a Sigma where somebody joined, looked at a page, and told an event that nobody signed."""
    sigma = Sigma(tmp_path_factory.mktemp("sigma") / "data", variables={"RESEND_WEBHOOK_SECRET": SECRET})
    try:
        sigma.start()
        with httpx.Client(base_url=sigma.base_url, headers={"origin": sigma.base_url}) as client:
            form = {"email": "alice@example.com", "elapsed_ms": "5200", "company_website": ""}
            assert client.post("/join", data=form).status_code == 303
            for path in ("/", "/webhooks/stripe", "/webhooks/resend"):
                client.request(
                    "POST" if "webhooks" in path else "GET", path, content=b"{}" if "webhooks" in path else None
                )
            assert client.get("/", headers={"host": "another.example.com"}).status_code == 421
            hydrate(sigma)
            deadline = time.monotonic() + 30
            while 'sigma_mails_total{outcome="sent"}' not in (said := client.get("/metrics").text):
                assert time.monotonic() < deadline, said
                time.sleep(0.05)
        labels: dict[str, set[str]] = defaultdict(set)
        for family in text_string_to_metric_families(said):
            for sample in family.samples:
                labels[sample.name] |= set(sample.labels)
        yield labels
    finally:
        sigma.remove()


def hydrate(sigma: Sigma) -> None:
    """Open a page's websocket and send its first event."""
    address = f"{sigma.base_url.replace('http', 'ws', 1)}/_event/?token=tab&EIO=4&transport=websocket"
    with connect(address, origin=Origin(sigma.base_url), subprotocols=[Subprotocol(Reflex.VERSION)]) as socket:
        socket.send("40/_event,")
        event = {
            "name": "reflex___state____state.hydrate",
            "payload": {},
            "router_data": {"pathname": "/", "asPath": "/"},
        }
        socket.send(f"42/_event,{json.dumps(['event', event])}")
        while "is_hydrated" not in str(socket.recv(timeout=15)):
            pass


def used_by(expression: str) -> dict[str, set[str]]:
    """The labels that a query asks of each metric in it."""
    metrics: dict[str, set[str]] = defaultdict(set)
    for name, selector in re.findall(r"\b((?:sigma|process)_[a-z_]+|up)\b(?:\{([^}]*)\})?", expression):
        metrics[name] |= set(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", selector))
    for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
        for name in metrics:
            metrics[name] |= {label.strip() for label in grouped.split(",")}
    return metrics


@pytest.mark.parametrize("name", expressions())
def test_each_metric_and_label_of_a_query_is_exposed(exposed: Exposed, name: str):
    used = used_by(expressions()[name])
    assert used, "It asks for no metric of ours."
    for metric, labels in used.items():
        known = OF_PROMETHEUS.get(metric) or exposed.get(metric)
        assert known is not None, f"{metric} is not exposed"
        assert labels <= known | ADDED_BY_PROMETHEUS, f"{metric} has no label {labels - known}"


def test_each_metric_of_ours_is_on_the_dashboard(exposed: Exposed):
    shown = {metric for panel in panels() for target in panel["targets"] for metric in used_by(target["expr"])}
    suffixes = ("_created", "_sum", "_count")
    assert {name for name in exposed if name.startswith("sigma_") and not name.endswith(suffixes)} <= shown


def test_prometheus_can_read_every_query(tmp_path: Path):
    rules = [{"record": f"query:number{n}", "expr": expr} for n, expr in enumerate(expressions().values())]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    for file in (RULES, tmp_path / "rules.yaml"):
        checked = promtool("check", "rules", str(file))
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_alert_says_how_bad_it_is_and_what_to_do():
    for rule in alerts():
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert set(rule["annotations"]) == {"summary", "do"}, rule["alert"]


# Series that make an alert fire, in Prometheus' notation: from `a`, `+bxn` n times b more, a minute each.
FIRING: dict[str, list[tuple[str, str]]] = {
    "SigmaDown": [('up{job="sigma", instance="a"}', "0x30")],
    "SigmaWorkerDown": [('up{job="sigma-worker", instance="w"}', "0x30")],
    "SigmaNotReady": [('sigma_check_ok{instance="a", check="migrations"}', "0x30")],
    "SigmaNoWorker": [("sigma_workers", "0x30")],
    "SigmaQueueBehind": [("sigma_queue_oldest_seconds", "301+60x30")],
    "SigmaJobsFailed": [('sigma_queue_jobs{status="failed"}', "1x30")],
    "SigmaPaymentsNotApplied": [('sigma_jobs_total{job="billing:apply_event", outcome="failed"}', "0+1x30")],
    "SigmaWebhooksFailing": [('sigma_webhook_deliveries_total{source="stripe", outcome="forged"}', "0+1x30")],
    "SigmaMailFailing": [
        ('sigma_mails_total{outcome="delayed"}', "0+1x30"),
        ('sigma_mails_total{outcome="sent"}', "0+1x30"),
    ],
    "SigmaErrors": [
        ('sigma_requests_total{status="503"}', "0+10x30"),
        ('sigma_requests_total{status="200"}', "0+300x30"),
    ],
    "SigmaSlow": [
        ('sigma_request_seconds_bucket{kind="form", le="1"}', "0+90x30"),
        ('sigma_request_seconds_bucket{kind="form", le="2.5"}', "0+100x30"),
        ('sigma_request_seconds_bucket{kind="form", le="+Inf"}', "0+100x30"),
    ],
    "SigmaPoolExhausted": [('sigma_pool_waiting{instance="a"}', "3x30")],
    "SigmaRedisAway": [('sigma_limits_shared{instance="a"}', "1x5 0x30")],
    "SigmaDiskFills": [('sigma_disk_free_bytes{instance="a"}', "1000000000x30")],
    "SigmaRestarts": [('process_start_time_seconds{job="sigma", instance="a"}', "0+1x30")],
}
# The same things on an ordinary day: none of them fires.
FINE: list[tuple[str, str]] = [
    ('up{job="sigma", instance="a"}', "1x30"),
    ('up{job="sigma-worker", instance="w"}', "1x30"),
    ('sigma_check_ok{instance="a", check="database"}', "1x30"),
    ('sigma_check_ok{instance="a", check="queue"}', "0x30"),
    ("sigma_workers", "2x30"),
    ("sigma_queue_oldest_seconds", "30x30"),
    ('sigma_queue_jobs{status="failed"}', "0x30"),
    ('sigma_jobs_total{job="billing:apply_event", outcome="failed"}', "0 1 1 2x27"),
    ('sigma_webhook_deliveries_total{source="stripe", outcome="forged"}', "0 1 1 2x27"),
    ('sigma_webhook_deliveries_total{source="stripe", outcome="kept"}', "0+9x30"),
    ('sigma_mails_total{outcome="delayed"}', "0+1x30"),
    ('sigma_mails_total{outcome="sent"}', "0+100x30"),
    ('sigma_requests_total{status="503"}', "0+1x30"),
    ('sigma_requests_total{status="200"}', "0+300x30"),
    ('sigma_request_seconds_bucket{kind="form", le="1"}', "0+100x30"),
    ('sigma_request_seconds_bucket{kind="form", le="+Inf"}', "0+100x30"),
    ('sigma_pool_waiting{instance="a"}', "0 5 0 0x27"),
    ('sigma_limits_shared{instance="a"}', "1x30"),
    ('sigma_limits_shared{instance="alone"}', "0x30"),
    ('sigma_disk_free_bytes{instance="a"}', "50000000000x30"),
    ('process_start_time_seconds{job="sigma", instance="a"}', "1x30"),
]


def test_each_alert_fires_when_it_should_and_none_on_an_ordinary_day(tmp_path: Path):
    names = [rule["alert"] for rule in alerts()]
    assert set(FIRING) == set(names)
    tests = [_case(FIRING[name], name, fires=True) for name in names]
    tests += [_case(FINE, name, fires=False) for name in names]
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"rule_files": [str(RULES)], "tests": tests}))
    tried = promtool("test", "rules", str(tmp_path / "test.yaml"))
    assert tried.returncode == 0, tried.stdout + tried.stderr


def _case(series: list[tuple[str, str]], alert: str, *, fires: bool) -> dict[str, Any]:
    """Whether the alert fires after a quarter of an hour and a bit, of these series; what it says is not compared."""
    query = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)'
    return {
        "name": f"{alert} {'fires' if fires else 'is silent'}",
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series],
        "promql_expr_test": [
            {
                "expr": query,
                "eval_time": "18m",
                "exp_samples": [{"labels": "{}", "value": int(fires)}],
            }
        ],
    }


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Prometheus' own checker; skips the test where it cannot be had."""
    return subprocess.run([program("promtool"), *arguments], capture_output=True, text=True, timeout=60)
