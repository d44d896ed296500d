"""The machine: its facts for the record, and which processes run on which core."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

from sigma_app.embedded.postgres_layout import binaries

_PACKAGES = ("reflex", "starlette", "uvicorn", "uvloop", "httptools", "psycopg", "sqlmodel", "fastapi", "websockets")


def facts() -> dict[str, str]:
    """What a reader must know to compare figures with their own."""
    postgres = subprocess.run([str(binaries() / "postgres"), "--version"], capture_output=True, text=True, check=True)
    return {
        "cores": str(os.cpu_count()),
        "cpu": _cpu_model(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgres": postgres.stdout.split()[-1],
        "load": f"{psutil.getloadavg()[0]:.1f}",  # above 0 before anything was measured: others are at work
    } | {name: _version(name) for name in _PACKAGES}


@dataclass(frozen=True)
class Cores:
    """Where servers (with their Postgres) and load generators run; None where the system decides."""

    servers: set[int] | None
    load: set[int] | None

    def __str__(self) -> str:
        if self.servers is None or self.load is None:
            return "Servers, Postgres and the load generator share all cores, for every contender alike."
        return (
            f"Each contender and its Postgres share core {min(self.servers)}; the load generator has core"
            f" {min(self.load)} to itself. So a rate says what an answer costs in all, the database's part included."
        )


def cores(*, floating: bool = False) -> Cores:
    """One core for whoever serves and one for whoever asks, where there are two and they can be had."""
    if floating or not hasattr(os, "sched_getaffinity"):
        return Cores(None, None)
    available = sorted(os.sched_getaffinity(0))
    return Cores({available[1]}, {available[0]}) if len(available) > 1 else Cores(None, None)


@contextmanager
def children_on(allowed: set[int] | None) -> Iterator[None]:
    """Have processes that are started in the block, and those that they start, run on `allowed` cores only."""
    if allowed is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, allowed)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int, *, with_children: bool = False) -> float:
    """What a process has computed so far, and what those that it started have, ended ones included."""
    process = psutil.Process(pid)
    times = process.cpu_times()
    total = times.user + times.system
    if with_children:
        total += times.children_user + times.children_system  # of those that have ended
        for child in process.children():
            with suppress(psutil.NoSuchProcess):
                total += sum(child.cpu_times()[:2])
    return total


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
            return next(line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
