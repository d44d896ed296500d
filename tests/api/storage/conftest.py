"""Storage for tests: buckets to begin with, policies as tests lay them, people's tokens, and files of every kind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from sigma_app.core import login
from sigma_app.embedded.supabase import tokens
from sigma_app.embedded.supabase.keys import Keys
from sigma_app.settings import Settings
from tests.api.storage.served import Served, served
from tests.conftest import Person, Server

OBJECT = "/storage/v1/object"
BUCKET = "/storage/v1/bucket"
OWN_FOLDER = "bucket_id = 'private' and (storage.foldername(name))[1] = (select auth.uid())::text"


@pytest.fixture
async def buckets(service: httpx.AsyncClient) -> None:
    """`private` and `open`, the latter a public one."""
    for name in ("private", "open"):
        answer = await service.post(BUCKET, json={"id": name, "name": name, "public": name == "open"})
        assert answer.json() == {"name": name}


@pytest.fixture
def storage_dir(settings: Settings) -> Path:
    return settings.data_dir / "storage"


@pytest.fixture
def files(storage_dir: Path) -> Callable[[], list[Path]]:
    """Every file there is on disk, half received ones too."""
    return lambda: sorted(path for path in storage_dir.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def running(server: Server, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The API in a process of its own, over a database that the module's tests share."""
    name = server.create(template)
    with served(login.login_url(server.address(name)), tmp_path_factory.mktemp("served") / "data") as process:
        yield process
    server.drop(name)


@pytest.fixture
def token_of(keys: Keys) -> Callable[..., str]:
    """An access token of somebody."""

    def make(person: Person, **claims) -> str:
        known = {"sub": str(person.id), "role": "authenticated", "exp": int(time.time()) + 3600}
        return tokens.sign(known | claims, keys.secret)

    return make


@pytest.fixture
def as_person(connect, keys: Keys, token_of) -> Callable[[Person], httpx.AsyncClient]:
    """The API as somebody signed in."""
    return lambda person: connect(apikey=keys.anon, authorization=f"Bearer {token_of(person)}")


@pytest.fixture
def allow(owner: psycopg.Connection) -> Callable[..., None]:
    """Lays policies on `storage.objects`, for everybody unless told: `allow("select", "insert")`."""

    def lay(*commands: str, condition: str = "true", role: str = "anon, authenticated") -> None:
        for command in commands:
            using = f"using ({condition})" if command != "insert" else ""
            check = f"with check ({condition})" if command in ("insert", "update") else ""
            name = f"{command} {condition} {role}"[:60].replace('"', "")
            owner.execute(f'create policy "{name}" on storage.objects for {command} to {role} {using} {check}'.encode())

    return lay
