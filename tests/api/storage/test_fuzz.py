"""Whatever comes, at whichever route: never a 5xx, and never a file outside of the storage directory."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.storage.served import Served

ROUTES = (
    "bucket", "bucket/{}", "bucket/{}/empty", "object/{}", "object/{}/{}", "object/public/{}/{}", "object/sign/{}",
    "object/sign/{}/{}", "object/authenticated/{}/{}", "object/info/{}/{}", "object/info/public/{}/{}",
    "object/upload/sign/{}/{}", "object/list/{}", "object/list-v2/{}", "object/move", "object/copy", "{}", "{}/{}",
)  # fmt: skip
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")

names = st.one_of(
    st.sampled_from(["b", "a/b", "..", "../../../../tmp/x", "/etc/passwd", "", ".", "%2e%2e", "x" * 2000, "a\0b"]),
    st.text(max_size=20),
    st.binary(max_size=8).map(lambda raw: raw.decode("latin-1")),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = (
    "id", "name", "public", "type", "file_size_limit", "allowed_mime_types", "prefixes", "prefix", "limit", "offset",
    "sortBy", "search", "cursor", "with_delimiter", "expiresIn", "paths", "transform", "bucketId", "sourceKey",
    "destinationKey", "destinationBucket", "copyMetadata", "metadata",
)  # fmt: skip
bodies = st.one_of(
    st.dictionaries(st.sampled_from(KEYS), json_values, max_size=6).map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=200),
    st.binary(max_size=100).map(
        lambda content: (
            b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n' + content + b"\r\n--x--"
        )
    ),
)
header_values = st.one_of(
    st.text(string.printable[:95], max_size=30).map(str.strip),
    st.sampled_from(
        [
            "application/json", "multipart/form-data; boundary=x", "bytes=0-", "bytes=5-1", "true", "W/\"x\", *", "-5",
            "Thu, 01 Jan 99999 00:00:00 GMT", "e30=", "ICJhIg==", "multipart/form-data", "image/png",
        ]
    ),
)  # fmt: skip
HEADERS = (
    "content-type", "range", "if-none-match", "if-modified-since", "if-range", "x-upsert", "x-metadata",
    "cache-control", "authorization", "x-robots-tag",
)  # fmt: skip


@pytest.fixture(scope="module")
def client(running: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, headers={"apikey": running.keys.service_role}, timeout=60) as opened:
        opened.post("/storage/v1/bucket", json={"name": "b"})
        yield opened


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(METHODS),
    route=st.sampled_from(ROUTES),
    parts=st.tuples(st.just("b") | names, names),
    query=st.dictionaries(
        st.sampled_from(["token", "download", "limit", "offset", "sortColumn", "search"]), names, max_size=2
    ),
    headers=st.dictionaries(st.sampled_from(HEADERS), header_values, max_size=3),
    body=bodies,
)
def test_nothing_breaks_it(client, running, method, route, parts, query, headers, body):
    path = route.format(*(quote(part.encode(errors="surrogatepass"), safe="") for part in parts))
    found = "&".join(f"{name}={quote(value.encode(errors='surrogatepass'))}" for name, value in query.items())
    headers = {"content-type": "application/json"} | headers
    answer = client.request(method, f"/storage/v1/{path}?{found}", headers=headers, content=body)
    assert answer.status_code < 500, answer.text
    is_ours = (
        answer.url.path.startswith("/storage/v1/") and "\n" not in answer.url.path
    )  # which Starlette routes nowhere
    if answer.status_code >= 400 and answer.content and is_ours:
        said: dict[str, Any] = answer.json()
        assert {"statusCode", "error", "message", "code"} <= said.keys()
    assert strays(running.data_dir) == []


def strays(data_dir: Path) -> list[Path]:
    """What is neither content nor Sigma's own."""
    content = data_dir / "storage" / "content"
    known = {data_dir.with_suffix(".log"), data_dir / "supabase.json"}
    written = (path for path in data_dir.parent.rglob("*") if path.is_file() and path not in known)
    return [path for path in written if path.parent.parent != content]
