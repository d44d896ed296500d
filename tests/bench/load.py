"""The load generator, a process of its own: N visitors who each wait for an answer before they ask again.

`run(job)` starts it and returns what it saw. HTTP visitors speak over raw keep-alive connections, with little more than
a look at the status and the length of each answer, so that asking costs a fraction of answering; `sockets.py` has those
of the websocket.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Protocol, cast
from urllib.parse import urlencode

import uvloop

from tests.bench.machine import children_on
from tests.sigma import PROJECT_ROOT, clean_environment

LANDING_PATH = "/"
REFERRER = "https://news.example.com/item"
MARKER = "MARKER"  # in the body of a "request"
PATIENCE_SECONDS = 30  # for the last answers, after the time is up

_BROWSER = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.9\r\n"
)


@dataclass(frozen=True)
class Job:
    """What a load generator is asked to do."""

    kind: str
    """"page", "join", "socket", "webhook", one of `signers.KINDS`, or "request": `request`, as it is."""
    port: int
    seconds: float
    visitors: int = 16
    marker: str = ""
    """Begins every address that joins."""
    event: str = ""
    """"socket": the full name of the event handler that joins."""
    schema: str = ""
    """"socket": the hash of the state tree that the frontend was built for."""
    database: str = ""
    """Signers: the login's address."""
    directory: str = ""
    """Signers: where the keys lie."""
    request: str = ""
    """"request": its first line and its headers, without the body's length."""
    body: str = ""
    """"request", "webhook": its body; MARKER in it is another word each time."""
    secret: str = ""
    """"webhook": what signs it."""


@dataclass
class Outcome:
    """What a load generator saw."""

    answers: int
    seconds: float
    p50_ms: float
    p99_ms: float
    busy: float
    """The share of its time in which the generator itself computed."""
    kinds: dict[str, int]
    """How often each status, with its content encoding, was answered."""
    size: float = 0
    """Bytes of one answer, headers included."""
    server_us: float = 0
    """Microseconds that the serving process computed for one answer."""
    postgres_us: float = 0
    """Microseconds that Postgres computed for one answer."""

    @property
    def rate(self) -> float:
        """Answers in a second."""
        return self.answers / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Milliseconds that the generator itself computed for one answer."""
        return 1000 * self.busy * self.seconds / self.answers


def run(job: Job, cores: set[int] | None) -> Outcome:
    """Do `job` in a process of its own on `cores`."""
    with children_on(cores):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.load"],
            cwd=PROJECT_ROOT,
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    try:
        output, _ = process.communicate(json.dumps(asdict(job)), timeout=job.seconds + 2 * PATIENCE_SECONDS)
    finally:
        process.kill()
        process.wait()
    if process.returncode != 0:
        raise RuntimeError("The load generator failed; its reason is above.")
    return Outcome(**json.loads(output))


@dataclass
class Tally:
    """What the visitors of one process saw, and until when they go on."""

    deadline: float = 0.0
    latencies: list[float] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    received: int = 0

    def note(self, latency: float, kind: str) -> None:
        self.latencies.append(latency)
        self.kinds[kind] += 1

    def outcome(self, seconds: float, cpu_seconds: float) -> Outcome:
        ordered = sorted(self.latencies)
        if not ordered:
            raise RuntimeError("Nobody was answered.")

        def at(share: float) -> float:
            return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]

        size = self.received / len(ordered)
        return Outcome(len(ordered), seconds, at(0.5), at(0.99), cpu_seconds / seconds, dict(self.kinds), size)


class Visitor(Protocol):
    """Somebody who asks, waits for the answer and asks again, until the time is up."""

    async def arrive(self) -> None:
        """Open the connection; not part of what is measured."""

    async def ask_until_late(self) -> None:
        """Ask until the tally's deadline."""


class HttpVisitor(asyncio.Protocol, Visitor):
    """One keep-alive connection."""

    def __init__(self, job: Job, number: int, tally: Tally):
        self._job = job
        self._number = number
        self._tally = tally
        self._asked = 0
        self._asked_at = 0.0
        self._buffer = b""
        self._missing = -1  # bytes of the answer's body still to come; -1: its head is not complete
        self._kind = ""
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def arrive(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._job.port)

    async def ask_until_late(self) -> None:
        self._ask()
        await self._done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"The server closed the connection: {exc or 'without a word'}.")

    def data_received(self, data: bytes) -> None:
        self._tally.received += len(data)
        if self._missing < 0:
            self._buffer += data
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            self._read_head(head)
            self._missing -= len(rest)
            self._buffer = b""
        else:
            self._missing -= len(data)
        if self._missing == 0:
            self._answered()

    def _fail(self, reason: str) -> None:
        if not self._done.done():
            self._done.set_exception(RuntimeError(reason))

    def _ask(self) -> None:
        self._asked += 1
        if self._job.kind == "join":
            request = join_request(self._job.port, f"{self._job.marker}-{self._number}-{self._asked}@example.com")
        elif self._job.kind == "webhook":
            request = signed_event(self._job, f"{self._job.marker}{self._number}x{self._asked}")
        elif self._job.kind == "request":
            request = any_request(self._job, f"{self._job.marker}-{self._number}-{self._asked}")
        else:
            request = page_request(self._job.port)
        self._asked_at = time.perf_counter()
        self._transport.write(request)

    def _read_head(self, head: bytes) -> None:
        head = head.lower()
        length = b"0" if head[9:12] == b"204" else head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        if not length:
            self._fail(f"An answer without a length: {head!r}")
        self._missing = int(length or 0)
        encoding = head.partition(b"\r\ncontent-encoding:")[2].partition(b"\r\n")[0]
        self._kind = (head[9:12] + b" " + encoding.strip()).decode().strip()

    def _answered(self) -> None:
        now = time.perf_counter()
        self._missing = -1
        self._tally.note(now - self._asked_at, self._kind)
        if now < self._tally.deadline:
            self._ask()
        else:
            self._done.set_result(None)
            self._transport.close()


def join_request(port: int, email: str) -> bytes:
    """The form as join.js sends it, with the headers of a browser."""
    body = urlencode(join_form(port, email))
    return (
        f"POST /join HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n{_BROWSER}"
        f"Referer: http://127.0.0.1:{port}{LANDING_PATH}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def join_form(port: int, email: str) -> dict[str, str]:
    """The fields of a visitor who came from another site, took five seconds and is no robot."""
    landing_url = f"http://127.0.0.1:{port}{LANDING_PATH}"
    named = {"email": email, "attempt": "hero-1767225600000", "landing_url": landing_url, "referrer": REFERRER}
    return named | {"elapsed_ms": "5200", "company_website": ""}


def any_request(job: Job, word: str) -> bytes:
    """What the job says, with `word` in its body."""
    body = job.body.replace(MARKER, word)
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{job.request}\r\nHost: 127.0.0.1:{job.port}\r\n{length}\r\n{body}".encode()


def signed_event(job: Job, word: str) -> bytes:
    """An event with `word` in it, signed now as Stripe does."""
    body = job.body.replace(MARKER, word)
    at = int(time.time())
    mac = hmac.new(job.secret.encode(), f"{at}.{body}".encode(), sha256).hexdigest()
    return (
        f"POST /webhooks/stripe HTTP/1.1\r\nHost: 127.0.0.1:{job.port}\r\nContent-Type: application/json\r\n"
        f"Stripe-Signature: t={at},v1={mac}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def page_request(port: int) -> bytes:
    """The landing page, as a browser asks for it the first time."""
    return f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{_BROWSER}\r\n".encode()


def _kind_of_visitor(kind: str) -> Callable[[Job, int, Tally], Visitor]:
    if kind in ("page", "join", "request", "webhook"):
        return HttpVisitor
    if kind == "socket":
        from tests.bench.sockets import SocketVisitor

        return SocketVisitor
    from tests.bench.signers import KINDS

    return KINDS[kind]


async def perform(job: Job) -> Outcome:
    """Do `job` in this process."""
    tally = Tally()
    kind = _kind_of_visitor(job.kind)
    visitors = [kind(job, number, tally) for number in range(job.visitors)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.gather(*(visitor.arrive() for visitor in visitors))
    begin, cpu = time.perf_counter(), time.process_time()
    tally.deadline = begin + job.seconds
    async with asyncio.timeout(job.seconds + PATIENCE_SECONDS):
        await asyncio.gather(*(visitor.ask_until_late() for visitor in visitors))
    return tally.outcome(time.perf_counter() - begin, time.process_time() - cpu)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(asdict(runner.run(perform(Job(**json.loads(sys.stdin.read())))))))
