"""Postgres' own programs, from the wheel: psql, pg_dump and pg_restore, for whichever server DATABASE_URL names."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal

from psycopg.conninfo import make_conninfo

from sigma_app.core.connecting import CONNECT_SECONDS, parse
from sigma_app.core.errors import StartError
from sigma_app.embedded.postgres_layout import binaries

_CHUNK = 256 * 1024  # bytes at a time between a program and us
_CONTENTS = 64 * 1024 * 1024  # bytes: at a dump's beginning, some hundred for each object
_NEW_SETTING = b"SET transaction_timeout = 0;\n"
_COMPLAINT = re.compile(r"^.*?error: +", re.IGNORECASE)
_VERSION = re.compile(r"\) (\d+)(?:\.(\d+))?")


class ProgramFailed(StartError):
    """One of Postgres' programs ended with an error; the message is its own."""


def program(name: str) -> Path:
    """Where a program is."""
    return binaries() / name


def version(name: str) -> str:
    """Of a program, such as "18.1"."""
    said = subprocess.run([program(name), "--version"], capture_output=True, text=True, check=True).stdout
    found = _VERSION.search(said)
    return ".".join(filter(None, found.groups())) if found else "unknown"


def address_and_environment(url: str) -> tuple[str, dict[str, str]]:
    """An address for a command line, which every user of the machine can see, and an environment with its password."""
    parameters = {"connect_timeout": str(CONNECT_SECONDS), **parse(url)}
    password = parameters.pop("password", None)
    own = {} if password is None else {"PGPASSWORD": password}
    return make_conninfo(**parameters), {**os.environ, **own}


@contextmanager
def dumping(url: str, *options: str, heard: Callable[[str], None] = lambda _: None) -> Iterator[Iterable[bytes]]:
    """What pg_dump writes, in pieces; the whole of it, if the block ends well.

    Args:
        url: the database.
        options: pg_dump's own.
        heard: told each line of its progress.

    Raises:
        ProgramFailed: what was read until then is no dump.
    """
    with _piped("pg_dump", url, ("--verbose", *options), "stdout", heard) as dump:
        yield iter(lambda: dump.read(_CHUNK), b"")


def restore(url: str, *dumps: tuple[IO[bytes], Sequence[str]], before: str = "") -> None:
    """Put dumps into a database, one after the other in one transaction: pg_restore reads, and psql runs what it says.

    They are two so that the line between can go which only a server from 17 on understands.

    Args:
        url: the database.
        dumps: each in pg_dump's custom format, to be read once, and pg_restore's options for it.
        before: what is run first.

    Raises:
        ProgramFailed: nothing was changed.
    """
    running = ("--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--file=-")
    with _piped("psql", url, running, "stdin") as psql, suppress(BrokenPipeError):  # it has ended, and says why
        psql.write(before.encode())
        for dump, options in dumps:
            for block in _script(dump, options):  # where this fails, psql is ended before it could commit
                psql.write(block)


def _script(dump: IO[bytes], options: Sequence[str]) -> Iterator[bytes]:
    """What pg_restore makes of a dump, in pieces.

    Raises:
        ProgramFailed: what came until then is not all of it.
    """
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(
            [program("pg_restore"), "--file=-", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
        ) as process,
    ):
        feeder = threading.Thread(target=_feed, args=[dump, process.stdin], daemon=True)
        feeder.start()
        script: Any = process.stdout
        try:
            first = script.read(_CHUNK)
            yield first.replace(_NEW_SETTING, b"", 1)
            yield from iter(lambda: script.read(_CHUNK), b"")
        finally:
            script.close()
            feeder.join()
        process.wait()
        complaints.seek(0)
        if process.returncode != 0:
            raise _failure("pg_restore", complaints.read().decode(errors="replace").splitlines(), process.returncode)


def _feed(dump: IO[bytes], pipe: IO[bytes]) -> None:
    with suppress(BrokenPipeError), pipe:  # the program has ended, and says why
        while block := dump.read(_CHUNK):
            pipe.write(block)


def contents(dump: IO[bytes]) -> list[str]:
    """The lines of a dump's table of contents, as pg_restore takes them with --use-list.

    Raises:
        ProgramFailed: it is no dump.
    """
    beginning = dump.read(_CONTENTS)
    done = subprocess.run([program("pg_restore"), "--list"], input=beginning, capture_output=True)
    if done.returncode != 0:
        raise _failure("pg_restore", done.stderr.decode(errors="replace").splitlines(), done.returncode)
    return done.stdout.decode().splitlines()


@contextmanager
def _piped(
    name: str,
    url: str,
    options: Sequence[str],
    end: Literal["stdin", "stdout"],
    heard: Callable[[str], None] = lambda _: None,
) -> Iterator[IO[bytes]]:
    """One end of a program on a database, which is ended with the block, and whose complaint is the error."""
    address, environment = address_and_environment(url)
    complaints: list[str] = []

    def listen(lines: IO[bytes]) -> None:
        for line in lines:
            said = line.decode(errors="replace").strip()
            heard(said)
            if _COMPLAINT.search(said):
                complaints.append(said)

    with subprocess.Popen(
        [program(name), "--dbname", address, *options],
        env=environment,
        stdin=subprocess.PIPE if end == "stdin" else subprocess.DEVNULL,
        stdout=subprocess.PIPE if end == "stdout" else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        listener = threading.Thread(target=listen, args=[process.stderr], daemon=True)
        listener.start()
        pipe: Any = getattr(process, end)
        try:
            yield pipe
        except BaseException:
            process.terminate()
            raise
        finally:
            with suppress(BrokenPipeError):
                pipe.close()
            listener.join()
    if process.returncode != 0:
        raise _failure(name, complaints, process.returncode)


def _failure(name: str, said: Sequence[str], code: int) -> ProgramFailed:
    why = next((line for line in said if _COMPLAINT.search(line)), f"it ended with {code}")
    return ProgramFailed(f"{name}: {_COMPLAINT.sub('', why, count=1).rstrip('.')}.")
