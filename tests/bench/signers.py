"""Visitors who sign in to the embedded Supabase and refresh their sessions, and what they are measured against.

All happens in the load generator's own process: requests reach the application over ASGI, without a socket, so that a
rate says what an answer costs in all. Everybody has an account of their own, made when they arrive.
"""

from __future__ import annotations

import asyncio
import json
import time
from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bcrypt
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette

from sigma_app.core.database import Database, serve_requests_from
from sigma_app.embedded.supabase.app import routes
from sigma_app.embedded.supabase.auth import passwords, sessions, users
from sigma_app.embedded.supabase.keys import Keys, keys_in
from tests.bench.contenders import POOL_SIZE
from tests.bench.load import Job, Tally, Visitor
from tests.conftest import settings_for

WARM_UP = 6  # questions of each visitor: a statement is prepared at its sixth use of a connection
PASSWORD = "correct horse battery staple"
BECOME = "begin; select set_config('role', 'supabase_auth_admin', true), set_config('request.jwt.claims', '{}', true)"


@dataclass(frozen=True)
class Served:
    """What the visitors of this process share."""

    app: Starlette
    keys: Keys
    pool: AsyncConnectionPool[AsyncConnection]
    """For those who do without the application."""


_until_the_end = ExitStack()
_opening: asyncio.Task[Served] | None = None


async def served(job: Job) -> Served:
    """The application over its database, made for whoever arrives first."""
    global _opening
    _opening = _opening or asyncio.create_task(_open(job))
    return await _opening


async def _open(job: Job) -> Served:
    settings = settings_for(Path(job.directory))
    keys = keys_in(settings.data_dir)
    database = Database(job.database, POOL_SIZE)
    _until_the_end.enter_context(serve_requests_from(database))
    await database.open()
    pool = AsyncConnectionPool[AsyncConnection](
        job.database, min_size=POOL_SIZE, kwargs={"autocommit": True}, open=False
    )
    await pool.open(wait=True)
    return Served(Starlette(routes=routes(settings, keys)), keys, pool)


async def post(app: Starlette, path: str, query: str, body: dict[str, Any], key: str) -> tuple[int, dict[str, Any]]:
    """The status and the body of an answer."""
    sent = json.dumps(body).encode()
    headers = [(b"apikey", key.encode()), (b"content-type", b"application/json"), (b"user-agent", b"sigma-bench")]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 3000),
    }
    status, received = 0, b""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": sent, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status, received
        status = message.get("status", status)
        received += message.get("body", b"")

    await app(scope, receive, send)
    return status, json.loads(received)


class Signer(Visitor):
    """Somebody with an account."""

    def __init__(self, job: Job, number: int, tally: Tally):
        self.job = job
        self.tally = tally
        self.credentials = {"email": f"{job.marker}-{number}@example.com", "password": PASSWORD}

    async def arrive(self) -> None:
        self.served = await served(self.job)
        account = self.credentials | {"email_confirm": True}
        keys = self.served.keys
        status, body = await post(self.served.app, "/auth/v1/admin/users", "", account, keys.service_role)
        if status != 200:
            raise RuntimeError(f"No account was made: {status} {body}")
        await self.begin()
        for _ in range(WARM_UP):
            await self.ask()

    async def begin(self) -> None:
        """What comes before asking."""

    async def ask_until_late(self) -> None:
        while (asked_at := time.perf_counter()) < self.tally.deadline:
            kind = await self.ask()
            self.tally.note(time.perf_counter() - asked_at, kind)

    @abstractmethod
    async def ask(self) -> str:
        """Ask once; what was answered."""

    async def token(self, grant: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Ask for a token."""
        return await post(self.served.app, "/auth/v1/token", f"grant_type={grant}", body, self.served.keys.anon)


class SignInVisitor(Signer):
    """Signs in with a password, again and again."""

    async def ask(self) -> str:
        status, _ = await self.token("password", self.credentials)
        return str(status)


class RefreshVisitor(Signer):
    """Signs in once, and then refreshes."""

    async def begin(self) -> None:
        _, body = await self.token("password", self.credentials)
        self.refresh_token: str = body["refresh_token"]
        self.user = body["user"]["id"]

    async def ask(self) -> str:
        status, body = await self.token("refresh_token", {"refresh_token": self.refresh_token})
        self.refresh_token = body["refresh_token"]
        return str(status)


class SqlVisitor(RefreshVisitor):
    """Sends what refreshing sends to the database, and nothing else."""

    async def ask(self) -> str:
        values = {"token": self.refresh_token, "made": sessions._new_token(), "user": self.user}
        values |= {"now": datetime.now(UTC), "instance": users.INSTANCE, "agent": "sigma-bench", "ip": "127.0.0.1"}
        async with self.served.pool.connection() as connection:
            await connection.execute(BECOME.encode())
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(sessions._HOLD, [self.refresh_token])
            held = await cursor.fetchone()
            assert held is not None
            values["session"] = held["session_id"]
            await cursor.execute(sessions._PRESENTED, values)
            await cursor.fetchone()
            await cursor.execute(sessions._ROTATE, values)
            await cursor.execute(sessions._REFRESHED, values)
            await connection.commit()
        self.refresh_token = values["made"]
        return "committed"


class HashVisitor(Visitor):
    """Compares a password with its hash, on as many threads as this process may use cores."""

    _pool = ThreadPoolExecutor(passwords._cores())
    _hashed = b""

    def __init__(self, job: Job, number: int, tally: Tally):
        self._tally = tally

    async def arrive(self) -> None:
        HashVisitor._hashed = HashVisitor._hashed or bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(passwords.COST))

    async def ask_until_late(self) -> None:
        loop = asyncio.get_running_loop()
        while (asked_at := time.perf_counter()) < self._tally.deadline:
            same = await loop.run_in_executor(self._pool, bcrypt.checkpw, PASSWORD.encode(), self._hashed)
            self._tally.note(time.perf_counter() - asked_at, str(same))


KINDS: dict[str, type[Visitor]] = {
    "hash": HashVisitor,
    "sign-in": SignInVisitor,
    "refresh": RefreshVisitor,
    "refresh in SQL": SqlVisitor,
}
