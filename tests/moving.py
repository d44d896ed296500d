"""What tests of moving to a hosted project share: something to move, and the stand-in over whichever database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import httpx
import psycopg
from starlette.applications import Starlette

from sigma_app.core.database import Database, serve_requests_from
from sigma_app.core.login import login_url
from sigma_app.embedded.supabase import app
from sigma_app.embedded.supabase.keys import keys_in
from tests.conftest import Server, settings_for
from tests.sigma import Sigma

PASSWORD = "correct horse battery"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 5000


@asynccontextmanager
async def standing_in(url: str, data_dir: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The stand-in on a database, in process, as the service reaches it."""
    keys = keys_in(data_dir)
    async with Database(url, pool_size=2) as database:
        with serve_requests_from(database):
            served = Starlette(routes=app.routes(settings_for(data_dir), keys))
            headers = {"apikey": keys.service_role}
            transport = httpx.ASGITransport(served)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
                yield client


async def fill(url: str, data_dir: Path) -> None:
    """Alice with a picture, Bob who is banned, leads in line with all that belongs to them."""
    async with standing_in(login_url(url), data_dir) as client:
        odd = {"user_metadata": {"name": 'Alice "A\\" \n\tÄ'}}
        for name, more in (("alice", odd), ("bob", {"ban_duration": "24h"})):
            body = {"email": f"{name}@example.com", "password": PASSWORD, "email_confirm": True, **more}
            made = await client.post("/auth/v1/admin/users", json=body)
            assert made.status_code == 200, made.text
        bucket = {"id": "avatars", "name": "avatars", "public": True, "file_size_limit": 2_000_000}
        assert (await client.post("/storage/v1/bucket", json=bucket)).status_code == 200
        for name in ("alice/picture one.png", "alice", "bob/the same.png"):
            sent = await client.post(
                f"/storage/v1/object/avatars/{name}",
                content=PICTURE,
                headers={"content-type": "image/png", "cache-control": "max-age=60"},
            )
            assert sent.status_code == 200, sent.text
    with psycopg.connect(url, autocommit=True) as owner:
        names = "'f' || n || '@example.com', 'a\\b' from generate_series(1, 50) as n"
        owner.execute(f"insert into leads (email, utm_source) select {names}".encode())
        owner.execute("select sigma.confirm(id, 5) from leads where email ~ '[02468]@'")
        owner.execute(
            "insert into sigma.consents (lead_id, version, wording, source)"
            " select id, '1', E'Yes,\\nplease.', 'form' from leads"
        )
        owner.execute(
            "insert into sigma.lead_links (lead_id, purpose, digest)"
            " select id, 'place', sha256(email::bytea) from leads"
        )
        owner.execute("insert into sigma.earned values (sha256('y'))")
        owner.execute("insert into sigma.suppressions (digest, reason) values (sha256('x'), 'bounced')")
        owner.execute(
            "update storage.objects set owner_id = users.id, owner = users.id from auth.users"
            " where starts_with(users.email, split_part(name, '/', 1))"
        )
        owner.execute("update profiles set has_access = true, customer_id = 'cus_1' where email = 'alice@example.com'")


@dataclass
class Export:
    """What was exported from where."""

    source: str
    data_dir: Path
    directory: Path
    said: CompletedProcess[str]


@asynccontextmanager
async def exported(server: Server, template: str, place: Path) -> AsyncIterator[Export]:
    """An export of a full database."""
    name = server.create(template)
    url = server.address(name)
    sigma = Sigma(place / "data", variables={"DATABASE_URL": url})
    await fill(url, sigma.data_dir)
    yield Export(url, sigma.data_dir, place / "moved", sigma.run("export-supabase", str(place / "moved")))
    server.drop(name)
