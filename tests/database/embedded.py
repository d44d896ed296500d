"""An embedded Postgres of a test's own: its checkout, and what is written to it and read from it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psycopg

from sigma_app.embedded import postgres
from tests.conftest import settings_for

ROOT = os.geteuid() == 0


def checkout(data_dir: Path):
    made = settings_for(data_dir)
    yield made
    cluster = postgres.locate(made)
    cluster.stop()
    if ROOT:
        shutil.rmtree(cluster.layout.home, ignore_errors=True)
    if cluster.layout.sockets.parent != cluster.layout.home:
        shutil.rmtree(cluster.layout.sockets, ignore_errors=True)


def write(cluster: postgres.Cluster, text: str = "kept") -> None:
    with psycopg.connect(cluster.owner_url(), autocommit=True) as connection:
        connection.execute("create table if not exists notes (note text)")
        connection.execute("insert into notes values (%s)", [text])


def notes(cluster: postgres.Cluster) -> list[str]:
    with psycopg.connect(cluster.owner_url()) as connection:
        return [note for (note,) in connection.execute("select note from notes")]


def ask(cluster: postgres.Cluster, setting: str) -> str:
    with psycopg.connect(cluster.owner_url()) as connection:
        row = connection.execute(f"show {setting}".encode()).fetchone()
        return row[0] if row else ""


def end_and_remove(cluster: postgres.Cluster) -> None:
    """Take a cluster away whose data directory no longer leads to it."""
    pid = cluster.pid
    if pid is not None:
        postgres._end(cluster.layout, pid)
    shutil.rmtree(cluster.layout.home)
