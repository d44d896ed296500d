"""Pages from memory: what is served where, in which encoding, and for how long a browser may keep it."""

from __future__ import annotations

import gzip
from pathlib import Path

import brotli
import httpx
import pytest

from sigma_app.frontend.policy import policy_of
from sigma_app.frontend.static import MemoryFiles, respond

HTML = "<html><link rel=canonical href=https://sigma.invalid/join>" + "x" * 2000


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def build(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "join").mkdir()
    (tmp_path / "assets" / "app-1a2b.js").write_text("let a=1;" * 200)
    (tmp_path / "assets" / "app-1a2b.js.br").write_bytes(brotli.compress(b"let a=1;" * 200))
    (tmp_path / "assets" / "app-1a2b.js.gz").write_bytes(gzip.compress(b"let a=1;" * 200))
    for page in (tmp_path / "index.html", tmp_path / "join" / "index.html"):
        page.write_text(HTML)
        # As Reflex leaves them: compressed before the address was filled in.
        page.with_name("index.html.br").write_bytes(brotli.compress(HTML.encode()))
        page.with_name("index.html.gz").write_bytes(gzip.compress(HTML.encode()))
    (tmp_path / "og.png").write_bytes(b"\x89PNG")
    return tmp_path


@pytest.fixture
def client(build: Path) -> httpx.AsyncClient:
    files = MemoryFiles(build, "https://sigma.example")

    async def app(scope, receive, send):
        file = files.find(scope["path"])
        assert file is not None
        await respond(file, scope, send)

    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


def test_only_what_was_built_for_the_public_is_served(build: Path):
    files = MemoryFiles(build, "https://sigma.example")
    served = ["/", "/join", "/og.png", "/assets/app-1a2b.js"]
    hidden = ["/assets/app-1a2b.js.br", "/index.html", "/../etc/passwd", "/join/"]
    assert [files.find(path) is not None for path in served + hidden] == [True] * 4 + [False] * 4


@pytest.mark.anyio
async def test_the_public_address_takes_the_place_of_the_builds_own(client: httpx.AsyncClient):
    for encoding in ("br", "gzip", "identity"):
        answer = await client.get("/join", headers={"accept-encoding": encoding})
        assert "https://sigma.example/join" in answer.text
        assert "sigma.invalid" not in answer.text


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("br, gzip", "br"),
        ("gzip, deflate", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("*", "br"),
        ("identity", None),
        ("", None),
        ("br;q=nonsense", None),
        ("zstd, GZIP;q=0.5", "gzip"),
    ],
)
async def test_a_client_gets_an_encoding_it_accepts(client: httpx.AsyncClient, accepted: str, chosen: str | None):
    answer = await client.get("/assets/app-1a2b.js", headers={"accept-encoding": accepted})
    assert answer.headers.get("content-encoding") == chosen
    assert answer.text == "let a=1;" * 200
    assert answer.headers["vary"] == "accept-encoding"


@pytest.mark.anyio
async def test_hashed_assets_are_kept_for_a_year_and_pages_are_asked_for_again(client: httpx.AsyncClient):
    asset = await client.get("/assets/app-1a2b.js")
    page = await client.get("/")
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert page.headers["cache-control"] == "no-cache"
    assert page.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.anyio
async def test_a_page_carries_its_policy_and_nothing_else_does(client: httpx.AsyncClient):
    assert (await client.get("/")).headers["content-security-policy"] == policy_of(HTML)
    assert "content-security-policy" not in (await client.get("/assets/app-1a2b.js")).headers


@pytest.mark.anyio
@pytest.mark.parametrize("wrap", ["{}", "W/{}", '"other", {}', "*"])
async def test_an_unchanged_page_is_not_sent_again(client: httpx.AsyncClient, wrap: str):
    etag = (await client.get("/")).headers["etag"]
    answer = await client.get("/", headers={"if-none-match": wrap.format(etag)})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == etag
    assert (await client.get("/", headers={"if-none-match": '"other"'})).status_code == 200


@pytest.mark.anyio
async def test_head_has_the_headers_of_get_and_no_body(client: httpx.AsyncClient):
    got, head = await client.get("/og.png"), await client.head("/og.png")
    assert head.content == b""
    assert head.headers == got.headers


def test_the_same_page_at_another_address_or_in_another_encoding_has_another_etag(build: Path):
    pages = [MemoryFiles(build, origin).find("/") for origin in ("https://a.example", "https://b.example")]
    etags = {variant.etag for page in pages if page for variant in page.variants.values()}
    assert len(etags) == 6
