"""One moment: what is written while a backup is made is in none of its parts, and what makes it every day."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import psycopg
import pytest

from sigma_app.core import clock
from sigma_app.features.operations import jobs
from sigma_app.features.operations.backup import making, tables
from sigma_app.features.operations.backup.errors import BackupError, Differs
from sigma_app.features.operations.backup.keeping import backups_in, name_of
from sigma_app.features.operations.jobs import BackupFailed, back_up
from sigma_app.gateways import programs
from sigma_app.settings import Settings
from tests.conftest import settings_for
from tests.settled import settled

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(owner_url: str, tmp_path: Path) -> Settings:
    return settings_for(tmp_path / "data", DATABASE_URL=owner_url, SIGMA_BACKUP_DIR=tmp_path / "backups")


def test_what_is_written_meanwhile_is_in_no_part_of_it(
    settings: Settings, owner: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    owner.execute("insert into leads (email) values ('before@example.com')")
    dumping = programs.dumping

    def write_first(*arguments: Any, **named: Any) -> Any:
        """Before pg_dump begins, which is after the moment of the backup."""
        owner.execute("insert into leads (email) values ('meanwhile@example.com')")
        return dumping(*arguments, **named)

    monkeypatch.setattr(programs, "dumping", write_first)
    made = making.make(settings, tmp_path / "backups", None)
    assert owner.execute("select count(*) from leads").fetchone() == (2,)
    assert made.manifest.tables["public.leads"].rows == 1
    with ZipFile(made.path) as archive:
        assert b"meanwhile" not in archive.read("leads_backup.csv")
        with archive.open("database.dump") as dump:
            (tmp_path / "dump").write_bytes(dump.read())
    command = [programs.program("pg_restore"), "--file=-", "--data-only", tmp_path / "dump"]
    said = subprocess.run(command, capture_output=True, check=True).stdout
    assert b"before@example.com" in said
    assert b"meanwhile@example.com" not in said


def test_a_server_newer_than_pg_dump_is_refused_in_plain_words(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(programs, "version", lambda _: "17.4")
    with pytest.raises(BackupError, match="cannot read it"):
        making.make(settings, tmp_path / "backups", None)
    assert list((tmp_path / "backups").iterdir()) == []


def test_the_hash_of_a_table_counts_neither_order_of_rows_nor_of_columns(owner: psycopg.Connection, owner_url: str):
    owner.execute("create table one (a int, b text, c jsonb, d timestamptz, e bytea, f float8)")
    owner.execute("create table two (f float8, e bytea, d timestamptz, c jsonb, b text, a int)")
    values = (
        "select n, E'a\\n\\t\\\\' || n, jsonb_build_object('n', n), to_timestamp(n), int4send(n), n / 3.0::float8"
        " from generate_series(1, 100) as n"
    )
    owner.execute(f"insert into one (a, b, c, d, e, f) {values} order by n".encode())
    owner.execute(f"insert into two (a, b, c, d, e, f) {values} order by -n".encode())
    with tables.snapshot(owner_url) as connection:
        found = {place.name: tables.digest(connection, place) for place in tables.places(connection)}
    assert found["one"] == found["two"]
    assert found["one"].rows == 100
    owner.execute("update two set b = 'other' where a = 50")
    with tables.snapshot(owner_url) as connection:
        with pytest.raises(Differs, match=r"public\.two holds other rows"):
            tables.compare(connection, {"public.two": found["one"]})
        with pytest.raises(Differs, match=r"public\.gone is not there"):
            tables.compare(connection, {"public.gone": found["one"]})
        tables.compare(connection, {"public.one": found["one"]})


class TestEveryDay:
    """The job, whose backup is a process of its own."""

    @pytest.fixture
    def newest(self, daily: Path) -> datetime:
        """When the only backup there is was made."""
        made_at = datetime(2026, 11, 28, 2, 40, 9, tzinfo=UTC)
        daily.mkdir()
        (daily / name_of(made_at, sealed=True)).touch()
        return made_at

    @pytest.fixture
    def no_directory(self, daily: Path) -> None:
        """A file is in its place."""
        daily.touch()

    @pytest.fixture
    def daily(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        assert settings.database_url
        assert settings.backup_dir
        monkeypatch.setenv("DATABASE_URL", settings.database_url.get_secret_value())
        monkeypatch.setenv("SIGMA_DATA_DIR", str(settings.data_dir))
        monkeypatch.setenv("SIGMA_BACKUP_DIR", str(settings.backup_dir))
        with settled(settings):
            yield settings.backup_dir

    async def test_makes_one_a_day(self, daily: Path):
        await back_up(0)
        (first,) = backups_in(daily)
        await back_up(0)
        assert backups_in(daily) == [first]
        old = daily / name_of(datetime.now(UTC) - timedelta(days=1), sealed=False)
        first.path.rename(old)
        await back_up(0)
        assert len(backups_in(daily)) == 2

    async def test_looks_again_within_the_hour_and_not_before(self, newest: datetime, monkeypatch: pytest.MonkeyPatch):
        started = []

        async def start(*arguments: str, **_: object) -> None:
            started.append(arguments)
            raise InterruptedError

        monkeypatch.setattr(jobs.asyncio, "create_subprocess_exec", start)
        monkeypatch.setattr(clock, "now", lambda: newest + timedelta(hours=23))
        await back_up(0)
        assert started == []
        monkeypatch.setattr(clock, "now", lambda: newest + timedelta(days=1))
        with pytest.raises(InterruptedError):
            await back_up(0)
        assert started == [(sys.executable, "-m", "sigma_app", "backup")]

    async def test_one_that_fails_says_why_and_is_tried_again(self, no_directory: None):
        with pytest.raises(BackupFailed, match=r"backups: File exists\. Name a directory that can be made\.") as failed:
            await back_up(0)
        assert failed.value.retry

    async def test_without_a_directory_there_is_none(self, owner_url: str, tmp_path: Path):
        with settled(settings_for(tmp_path, DATABASE_URL=owner_url)):
            await back_up(0)
        assert os.listdir(tmp_path) == []
