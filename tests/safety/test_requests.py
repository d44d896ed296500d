"""Requests that no browser sends: too large, malformed, or two readings of one and the same (request smuggling)."""

from __future__ import annotations

import base64
import itertools
import json

import psutil
import pytest

from tests.safety.raw import body_of, chunk, connect, hear, hear_one, post, send, status_of, talk
from tests.sigma import Sigma

pytestmark = pytest.mark.usefixtures("unharmed")

MEBIBYTE = 1024 * 1024
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
END = b"\r\n\r\n"


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    return {"RESEND_WEBHOOK_SECRET": "whsec_" + base64.b64encode(bytes(24)).decode()}


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost" + END, 414),
        (b"GET /?" + b"a" * 200_000, 414),
        (GET + b"X: " + b"a" * 33_000 + END, 431),
        (GET + b"".join(b"X-%d: a\r\n" % number for number in range(101)) + END, 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # the beginning of TLS
        (b"hello\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: local\x00host" + END, 400),
        (b"GET / HTTP/1.1\r\nHost : localhost" + END, 400),
        (b"GET http:// HTTP/1.1\r\nHost: localhost" + END, 400),
        (b"GET /\xff HTTP/1.1\r\nHost: localhost" + END, 400),
        (post("/join", "Content-Length: 5", "Transfer-Encoding: chunked") + b"0" + END, 400),
        (post("/join", "Content-Length: 5", "Content-Length: 6") + b"hello", 400),
        (post("/join", "Content-Length: -1"), 400),
        (post("/join", "Content-Length: +5") + b"hello", 400),
        (post("/join", "Content-Length: 99999999999999999999999"), 400),
        (post("/join", "Transfer-Encoding: chunked, identity") + b"0" + END, 400),
        (post("/join", "Transfer-Encoding: xchunked") + b"0" + END, 400),
        (post("/join", "Transfer-Encoding: chunked") + b"zz\r\n", 400),
        (post("/join", "Transfer-Encoding: chunked") + b"5\r\nhelloX" + END, 400),
    ],
)
def test_what_is_too_large_or_no_http_is_answered_and_hung_up_on(sigma: Sigma, request_: bytes, status: int):
    answer = talk(sigma.port, request_)
    assert status_of(answer) == status
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answer


def test_a_header_that_does_not_end_is_not_kept_for_long(sigma: Sigma):
    with connect(sigma.port) as connection:
        sent = send(connection, [GET + b"X: ", *itertools.repeat(b"a" * 65536, 1000)])
        assert status_of(hear(connection)) in (431, 0)  # 0: reset, while we still sent
    assert sent < 16 * MEBIBYTE  # what the system's own buffers hold


def test_what_follows_a_chunked_body_has_an_end_too(sigma: Sigma):
    with connect(sigma.port) as connection:
        head = post("/join", "Transfer-Encoding: chunked") + chunk(b"email=a") + b"0\r\n"
        sent = send(connection, [head, *itertools.repeat(b"X-More: " + b"a" * 60_000 + b"\r\n", 1000)])
        hear(connection)
    assert sent < 16 * MEBIBYTE


def test_so_many_requests_may_be_sent_ahead(sigma: Sigma):
    answers = talk(sigma.port, (GET + b"\r\n") * 5000)
    assert answers.count(b"HTTP/1.1 200 OK") < 100


def test_a_length_that_is_too_short_makes_no_second_form(sigma: Sigma):
    form = b"email=too-short@example.com&form=hero"
    hidden = post("/join", f"Content-Length: {len(form)}") + form
    answer = talk(sigma.port, post("/join", "Content-Length: 7", "Connection: close") + b"email=x" + hidden)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert sigma.leads("too-short@example.com") == []


@pytest.mark.parametrize("path", ["/join", "/sign-in", "/webhooks/stripe", "/_upload", "/nothing/there", "/"])
def test_a_body_that_says_it_is_too_large_is_refused_unread(sigma: Sigma, path: str):
    with connect(sigma.port) as connection:
        send(connection, [post(path, f"Content-Length: {10_000 * MEBIBYTE}")])
        answer = hear_one(connection)
    assert status_of(answer) == 413
    said = json.loads(body_of(answer))
    assert set(said) >= {"message", "error", "details", "hint", "code"}
    assert said["code"] == "413"
    assert b"x-request-id: " in answer


def test_a_browser_reads_words(sigma: Sigma):
    with connect(sigma.port) as connection:
        send(connection, [post("/join", f"Content-Length: {10 * MEBIBYTE}", "Accept: text/html")])
        answer = hear_one(connection)
    assert status_of(answer) == 413
    assert body_of(answer) == b"That is more than is taken here. Nothing of it was kept."


@pytest.mark.parametrize(
    "path", ["/join", "/sign-in", "/webhooks/stripe", "/webhooks/resend", "/password-strength", "/dev/stripe"]
)
def test_a_body_that_does_not_say_its_length_is_read_no_further_than_it_may_go(sigma: Sigma, path: str):
    with connect(sigma.port) as connection:
        send(connection, [post(path, "Transfer-Encoding: chunked"), *itertools.repeat(chunk(b"a" * 65536), 32)])
        assert status_of(hear_one(connection)) == 413


def test_nothing_of_what_is_too_large_is_held(sigma: Sigma):
    assert sigma.process
    server = psutil.Process(sigma.process.pid)
    before = server.memory_info().rss
    with connect(sigma.port) as connection:
        send(connection, [post("/join", "Transfer-Encoding: chunked"), *itertools.repeat(chunk(b"a" * 65536), 2000)])
        assert status_of(hear(connection)) == 413
    assert server.memory_info().rss - before < 32 * MEBIBYTE


@pytest.mark.parametrize(
    ("path", "kind", "shape"),
    [
        ("/auth/v1/signup", "application/json", {"code", "error_code", "msg"}),
        ("/rest/v1/leads", "application/json", {"code", "message", "details", "hint"}),
        ("/storage/v1/bucket", "application/json", {"statusCode", "error", "message"}),
    ],
)
def test_the_api_has_limits_of_its_own_in_supabases_words(sigma: Sigma, path: str, kind: str, shape: set[str]):
    key = sigma.assignments["SUPABASE_SERVICE_ROLE_KEY"]
    head = post(path, f"apikey: {key}", f"Authorization: Bearer {key}", "Transfer-Encoding: chunked")
    head = head.replace(b"application/x-www-form-urlencoded", kind.encode())
    with connect(sigma.port) as connection:
        send(connection, [head, *itertools.repeat(chunk(b" " * 65536), 161)])  # 10 MiB and a little
        answer = hear_one(connection)
    assert status_of(answer) == 413
    assert set(json.loads(body_of(answer))) >= shape
