"""What is secret in a run of Sigma, and every place in which it must not be.

A `Run` notes what it makes and what it is told while it does what people do; `find` says where a secret was seen.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import psutil
import psycopg
from PIL import Image
from psycopg import sql

from sigma_app.core.links import digest
from sigma_app.session.sealing import unseal
from tests.sigma import PROJECT_ROOT, Sigma

_SCHEMAS = ("pg_catalog", "information_schema", "pg_toast")
_LINK = re.compile(r"^\s*(https?://\S+)$", re.MULTILINE)
_CODE = re.compile(r"^ +(\d{6})$", re.MULTILINE)
PATIENCE = 30  # seconds
_LEAST = 6  # characters; a shorter one would be found everywhere


@dataclass
class Run:
    """A Sigma, the secrets of its run by name, and what its clients were told."""

    sigma: Sigma
    secrets: dict[str, str] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)
    """Where, and what: the answers of every client, with their headers."""

    def keep(self, name: str, value: str) -> str:
        """Note a secret; the same value is noted once."""
        assert len(value) >= _LEAST, name
        if value not in self.secrets.values():
            self.secrets[f"{name} {len(self.secrets)}"] = value
        return value

    def client(self, who: str) -> httpx.Client:
        """A browser, whose answers are noted."""

        def note(answer: httpx.Response) -> None:
            answer.read()
            headers = [f"{name}: {value}" for name, value in answer.headers.multi_items() if name != "set-cookie"]
            self.told.append(
                (f"{who}: {answer.request.method} {answer.request.url.path}", "\n".join([*headers, answer.text]))
            )

        own = {"origin": self.sigma.base_url}
        return httpx.Client(base_url=self.sigma.base_url, headers=own, event_hooks={"response": [note]}, timeout=30)

    def mail_to(self, database: psycopg.Connection, email: str, more_than: int = 0) -> tuple[str, str]:
        """The link and the code of the newest mail to an address, once there are more than so many with a link."""
        query = "select body from sigma.mailbox where recipients @> array[%s] order by created_at desc"

        def mails() -> list[str]:
            return [text for (text,) in database.execute(query, [email]) if _LINK.search(text)]

        self.wait_until(lambda: len(mails()) > more_than)
        text = mails()[0]
        link, code = _LINK.findall(text)[0], _CODE.findall(text)
        parts = urlsplit(link)
        asked = parse_qs(parts.query)
        self.keep(
            "the token of a link", asked["token_hash"][0] if "token_hash" in asked else parts.path.rpartition("/")[2]
        )
        return link, self.keep("a code", code[0]) if code else ""

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Return once what the server does in the background is done."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.sigma.log.read_text()[-3000:]
            time.sleep(0.05)

    def keep_session(self, database: psycopg.Connection, client: httpx.Client) -> None:
        """Note the session of a browser: its cookie, and the tokens that only the cookie opens."""
        cookie = client.cookies["sigma_session"]
        self.keep("a cookie", cookie)
        row = database.execute("select tokens from sigma.sessions where digest = %s", [digest(cookie)]).fetchone()
        assert row
        for token in unseal(cookie, row[0]):
            self.keep("a token", token)

    def find(self, seen: Iterable[tuple[str, str]], *, but: Iterable[str] = ()) -> list[str]:
        """Which secret is where, in words; empty is right.

        Args:
            seen: where, and what was there.
            but: beginnings of the names of secrets that may be there.
        """
        names = {name: value for name, value in self.secrets.items() if not name.startswith(tuple(but))}
        return sorted(
            {f"{name} in {where}" for where, what in seen for name, value in names.items() if _has(what, value)}
        )

    # The places

    def rows(self, database: psycopg.Connection) -> Iterator[tuple[str, str]]:
        """Every row of every table, but for what is told of it in `tests/safety/test_secrets.py`."""
        tables = database.execute(
            "select schemaname, tablename from pg_tables where not schemaname = any(%s)", [list(_SCHEMAS)]
        ).fetchall()
        for schema, table in tables:
            query = sql.SQL("select t::text from {} t").format(sql.Identifier(schema, table))
            for (row,) in database.execute(query):
                yield f"table {schema}.{table}", _readable(row)

    def files(self) -> Iterator[tuple[str, str]]:
        """Every file of the data directory and of the build, but for the database's own."""
        for directory in (self.sigma.data_dir, PROJECT_ROOT / ".sigma" / "frontend"):
            for path in directory.rglob("*"):
                inside = path.relative_to(directory).parts
                if path.is_file() and not inside[0].startswith("postgres"):
                    yield f"file {path.relative_to(directory)}", path.read_bytes().decode("latin-1")

    def log(self) -> Iterator[tuple[str, str]]:
        """Everything that the process wrote."""
        for line in self.sigma.log.read_text().splitlines():
            yield f"log: {line[:160]}", line

    def processes(self) -> Iterator[tuple[str, str]]:
        """The command line of each process, which every user of the machine may read, and what each child was given."""
        assert self.sigma.process
        server = psutil.Process(self.sigma.process.pid)
        yield "the command line", " ".join(server.cmdline())
        with self.sigma.database() as database:
            backend = psutil.Process(database.info.backend_pid)
            postmaster = backend.parent()
            assert postmaster
            for child in [*server.children(recursive=True), postmaster, *postmaster.children()]:
                with suppress(psutil.NoSuchProcess):
                    yield f"the command line of {child.name()}", " ".join(child.cmdline())
                    yield f"the environment of {child.name()}", repr(child.environ())


def picture() -> bytes:
    """A small PNG."""
    kept = io.BytesIO()
    Image.new("RGB", (40, 40), "tomato").save(kept, "PNG")
    return kept.getvalue()


def _static_files(directory: Path) -> list[str]:
    """The paths of all pages and assets of a build."""
    return [
        f"/{path.relative_to(directory)}".removesuffix("index.html") for path in directory.rglob("*") if path.is_file()
    ]


def _has(text: str, secret: str) -> bool:
    if secret.isdigit():  # six digits may also be a part of a number that means something else
        return re.search(rf"(?<![\d.:-]){secret}(?![\d])", text) is not None
    return secret in text


def _readable(row: str) -> str:
    """A row as text, with what is stored as bytes beside it."""
    blobs = [bytes.fromhex(found) for found in re.findall(r"\\x((?:[0-9a-f]{2})+)", row)]
    return "\n".join([row, *(blob.decode("latin-1") for blob in blobs)])


def look_around(run: Run, stranger: httpx.Client) -> None:
    """Every page and file that anybody may see."""
    (build,) = (path for path in (PROJECT_ROOT / ".sigma" / "frontend").iterdir() if path.is_dir())
    for path in _static_files(build):
        stranger.get(path)
    for path in (
        "/",
        "/profile",
        "/founders.json",
        "/healthz",
        "/readyz",
        "/metrics",
        "/ping",
        "/nothing",
        "/auth/v1/settings",
    ):
        stranger.get(path, headers={"accept": "text/html"})
