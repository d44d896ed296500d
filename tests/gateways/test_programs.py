"""Postgres' own programs: what they say is told in a line, and what fails half way changes nothing."""

from __future__ import annotations

import io
from collections.abc import Iterator

import psycopg
import pytest

from sigma_app.gateways import programs
from sigma_app.gateways.programs import ProgramFailed
from tests.conftest import Server


@pytest.fixture
def empty_url(server: Server) -> Iterator[str]:
    name = server.create()
    yield server.address(name)
    server.drop(name)


def dump(url: str) -> io.BytesIO:
    with programs.dumping(url, "--format=custom") as blocks:
        return io.BytesIO(b"".join(blocks))


def tables(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("select tablename::text from pg_tables where schemaname !~ '^pg_|^inf' order by 1")
        return [name for (name,) in found]


def test_several_dumps_are_one_transaction(owner_url: str, empty_url: str):
    whole = (dump(owner_url), ["--no-owner"])
    with pytest.raises(ProgramFailed, match=r"^pg_restore: input file does not appear to be a valid archive"):
        programs.restore(empty_url, whole, (io.BytesIO(b"This is no dump."), []))
    assert tables(empty_url) == []
    programs.restore(empty_url, (dump(owner_url), ["--no-owner"]))
    assert tables(empty_url) == tables(owner_url)


def test_what_the_database_refuses_is_its_own_line_and_changes_nothing(owner_url: str, empty_url: str):
    with pytest.raises(ProgramFailed, match=r"^psql: division by zero\.$"):
        programs.restore(empty_url, (dump(owner_url), ["--no-owner"]), before="create table t (); select 1 / 0;\n")
    assert tables(empty_url) == []


def test_a_dump_whose_reader_fails_is_ended(owner_url: str):
    with pytest.raises(ZeroDivisionError), programs.dumping(owner_url, "--format=custom"):
        raise ZeroDivisionError
    with (
        pytest.raises(ProgramFailed, match=r"^pg_dump: no matching tables were found\.$"),
        programs.dumping(owner_url, "--table=no_such") as blocks,
    ):
        assert list(blocks) == []


def test_no_password_is_in_an_argument():
    address, environment = programs.address_and_environment("postgresql://owner:s3cret@db.example.com/sigma")
    assert "s3cret" not in address
    assert environment["PGPASSWORD"] == "s3cret"
