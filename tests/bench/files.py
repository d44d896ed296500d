"""A file of 50 MB to and from the embedded Storage over HTTP, against copying it.

The copy for uploads is as lasting as what Storage does: written under another name, flushed (fsync), linked to its own,
its directory flushed. Storage also takes the SHA-256 of what comes, so there is a copy that does this as well.
Downloads are saved without flushing, and so is their copy.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import os
import secrets
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from sigma_app.core.login import login_url
from sigma_app.core.migrations import migrate
from tests.api.storage.served import Served, served
from tests.bench.report import Ratio, Report, Row, Sample
from tests.bench.rounds import interleaved
from tests.bench.scratch import scratch_cluster

ROUNDS = 9
FILE_BYTES = 50 * 1024 * 1024
PIECE_BYTES = 1024 * 1024
COPY = "copying, flushed"
HASHED_COPY = "copying, flushed, with SHA-256"
UPLOAD = "upload"
PLAIN_COPY = "copying"
DOWNLOAD = "download"
_OBJECT = "/storage/v1/object/bench/file"


def measure(options: argparse.Namespace) -> Report:
    """Copy, upload and download the same file in turn."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sigma-bench-")))
        owner_url = stack.enter_context(scratch_cluster(scratch))
        migrate(owner_url)
        running = stack.enter_context(served(login_url(owner_url), scratch / "served"))
        file = scratch / "file"
        file.write_bytes(secrets.token_bytes(FILE_BYTES))
        turns = _turns(running, file, scratch)
        for turn in turns.values():
            turn("warm")
        seconds = interleaved(turns, options.rounds or ROUNDS, "Moving 50 MB")
    rates = {name: Sample([FILE_BYTES / 1e6 / value for value in values]) for name, values in seconds.items()}
    compared = {UPLOAD: (COPY, HASHED_COPY), DOWNLOAD: (PLAIN_COPY,)}
    rows = [
        Row(
            name,
            rates[name],
            "MB/s",
            ratios=[Ratio(other, rates[name].over(rates[other])) for other in compared.get(name, ())],
            details={"ms": Sample([value * 1000 for value in seconds[name]])},
        )
        for name in turns
    ]
    notes = ["One at a time; the client, the server and its Postgres share all cores; the disk is the temporary one's."]
    return Report("files", "50 MB over HTTP against copying the file", rows, notes)


def _turns(running: Served, file: Path, scratch: Path) -> dict[str, Callable[[str], float]]:
    """What is done in turn; each gives its seconds."""
    keys = {"apikey": running.keys.service_role, "content-type": "application/octet-stream", "x-upsert": "true"}
    httpx.post(f"{running.url}/storage/v1/bucket", headers=keys | {"content-type": "application/json"}, json=_BUCKET)
    connection = http.client.HTTPConnection(urlsplit(running.url).netloc, blocksize=PIECE_BYTES)

    def upload(_: str) -> float:
        _renew(file)
        begin = time.perf_counter()
        with file.open("rb") as source:
            connection.request("POST", _OBJECT, source, keys | {"content-length": str(FILE_BYTES)})
            answer = connection.getresponse()
            said = answer.read()
        if answer.status != 200:
            raise RuntimeError(said)
        return time.perf_counter() - begin

    def download(_: str) -> float:
        begin = time.perf_counter()
        connection.request("GET", _OBJECT, headers=keys)
        answer = connection.getresponse()
        with (scratch / "downloaded").open("wb") as target:
            while piece := answer.read(PIECE_BYTES):
                target.write(piece)
        if (scratch / "downloaded").stat().st_size != FILE_BYTES:
            raise RuntimeError(answer.status)
        return time.perf_counter() - begin

    return {
        COPY: lambda _: _copy(file, scratch, is_flushed=True),
        HASHED_COPY: lambda _: _copy(file, scratch, is_flushed=True, is_hashed=True),
        UPLOAD: upload,
        PLAIN_COPY: lambda _: _copy(file, scratch),
        DOWNLOAD: download,
    }


_BUCKET = {"name": "bench"}


def _renew(file: Path) -> None:
    """Make it another content, which Storage has not."""
    with file.open("r+b") as opened:
        opened.write(secrets.token_bytes(64))


def _copy(file: Path, scratch: Path, *, is_flushed: bool = False, is_hashed: bool = False) -> float:
    """Copy by pieces, as a program does that looks at what it copies; its seconds."""
    _renew(file)
    begun, copied = scratch / "begun", scratch / "copied"
    begin = time.perf_counter()
    summed = hashlib.sha256()
    with file.open("rb") as source, begun.open("wb") as target:
        while piece := source.read(PIECE_BYTES):
            if is_hashed:
                summed.update(piece)
            target.write(piece)
        if is_flushed:
            target.flush()
            os.fsync(target.fileno())
    if is_flushed:
        os.link(begun, copied)
        directory = os.open(scratch, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
    took = time.perf_counter() - begin
    begun.unlink()
    copied.unlink(missing_ok=True)
    return took
