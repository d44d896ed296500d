"""The load of `reference`, a process of its own: pages that stay open on their websockets, and people who join at a
steady rate, whether or not those before them were answered. Speaks JSON on stdin and stdout."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field

import uvloop

from tests.bench.load import Job, Tally, join_request
from tests.bench.sockets import SocketVisitor

CONNECTIONS = 64  # keep-alive, for those who join; more than 100 joins a second ever need at once
AT_A_TIME = 20  # pages that open together
PATIENCE_SECONDS = 60
READY = "ready"


@dataclass(frozen=True)
class Crowd:
    """What is asked for."""

    port: int
    pages: int
    per_second: int
    seconds: int
    schema: str
    marker: str


@dataclass
class Seen:
    """What the joins were like, in milliseconds from when each was due; and what the generator itself computed."""

    statuses: dict[str, int] = field(default_factory=dict)
    p50_ms: float = 0
    p99_ms: float = 0
    longest_ms: float = 0
    busy: float = 0
    """The share of one core."""
    pages_left: int = 0
    """Open to the end."""


async def perform(crowd: Crowd) -> Seen:
    """Open the pages, say so in a line on stdout, wait for one on stdin, and join."""
    tally = Tally()
    job = Job("socket", crowd.port, crowd.seconds, schema=crowd.schema)
    pages = [SocketVisitor(job, number, tally) for number in range(crowd.pages)]
    for first in range(0, crowd.pages, AT_A_TIME):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*(page.arrive() for page in pages[first : first + AT_A_TIME]))
    open_pages = [asyncio.create_task(page.stay()) for page in pages]
    print(READY, flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    seen = await _join(crowd)
    seen.pages_left = sum(not page.done() for page in open_pages)
    for page in open_pages:
        page.cancel()
    return seen


async def _join(crowd: Crowd) -> Seen:
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", crowd.port))
    took: list[float] = []
    statuses: Counter[str] = Counter()

    async def one(number: int, due: float) -> None:
        reader, writer = await free.get()
        writer.write(join_request(crowd.port, f"{crowd.marker}-{number}@example.com"))
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length or 0))
        took.append(1000 * (time.perf_counter() - due))
        statuses[head[9:12].decode()] += 1
        free.put_nowait((reader, writer))

    begun, cpu = time.perf_counter(), time.process_time()
    async with asyncio.timeout(crowd.seconds + PATIENCE_SECONDS), asyncio.TaskGroup() as joining:
        for number in range(crowd.per_second * crowd.seconds):
            due = begun + number / crowd.per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            joining.create_task(one(number, due))
    busy = (time.process_time() - cpu) / (time.perf_counter() - begun)
    ordered = sorted(took)
    return Seen(dict(statuses), ordered[len(ordered) // 2], ordered[int(0.99 * len(ordered))], ordered[-1], busy)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(asdict(runner.run(perform(Crowd(**json.loads(sys.stdin.readline())))))), flush=True)
