"""Random bytes, headers, query strings and JSON at every route: never a 5xx, never an exception."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from sigma_app.embedded.supabase.rest.request import MOST_ADDRESS_BYTES

pytestmark = pytest.mark.anyio

NOISY = settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "TRACE", "X"])
PATHS = st.sampled_from(
    b"/ /things /pairs /leads /profiles /sums /nope /rpc/add /rpc/things_above /rpc/total /rpc/whole_body"
    b" /rpc/whole_text /rpc/whole_bytes /rpc/ /rpc/nope // /%00 /%ff /odd%20%22name%22.%C3%BCn%C3%AF".split()
)
PIECES = st.sampled_from(
    b"id name data tags amount = & eq. in.( not. is.null or=( and=( select= order= limit= offset= columns= on_conflict="
    b' , . ( ) " \\ -> ->> :: text 1 -1 %00 %ff %ED%A0%80 * { } a= low= + %22 count() rel( ... ! asc .desc nullslast'
    b" like(any). 99999999999999999999 match. cs. span day at flag token numbers raw isdistinct. $1 %s '".split()
)
QUERIES = st.lists(PIECES, max_size=14).map(b"".join) | st.binary(max_size=60)
TEXT = st.binary(max_size=30)
NAMES = b"prefer accept range content-type range-unit cookie x-any content-length accept-profile".split()
SENSIBLE = (
    b"return=representation|resolution=merge-duplicates|count=exact|count=planned|count=estimated|return=headers-only"
    b"|missing=default,return=representation|handling=strict,max-affected=0|timezone=x|timezone=\xff|0-9|9-0|text/csv"
    b"|max-affected=99999999999999999999|application/json|application/vnd.pgrst.object+json|text/plain|public"
    b"|application/vnd.pgrst.array+json;nulls=stripped|application/octet-stream|application/x-www-form-urlencoded"
    b"|application/vnd.pgrst.plan".split(b"|")
)
HEADERS = st.dictionaries(st.sampled_from(NAMES), TEXT | st.sampled_from(SENSIBLE), max_size=4)
KEYS = st.sampled_from(
    ["id", "name", "amount", "data", "tags", "span", "email", "a", "b", "low", "numbers", "nope", "\ud800"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["\0", "\ud800", "{1,2}", "[1,5)", "infinity", "2026-01-01"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
BODIES = (
    st.binary(max_size=60)
    | VALUES.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(KEYS, VALUES, max_size=4).map(lambda value: json.dumps(value).encode())
    | st.lists(st.dictionaries(KEYS, VALUES, max_size=2), max_size=3).map(lambda value: json.dumps(value).encode())
    | st.sampled_from(
        [b"[" * 5000, b'{"a":' * 5000, b"1" * 5000, b'{"a": ' + b"9" * 5000 + b"}", b"id,name\n1,2\n", b'"\n,']
    )
)


async def ask(app, method: str, path: bytes, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes):
    """One request straight to the application: an HTTP client would correct it."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": "/rest/v1" + path.decode("latin-1"), "raw_path": b"/rest/v1" + path, "query_string": query,
        "root_path": "", "headers": headers, "client": ("127.0.0.1", 1), "server": ("localhost", 3000),
    }  # fmt: skip
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(message.get("body", b"") for message in sent[1:])


@NOISY
@given(method=METHODS, path=PATHS, query=QUERIES, headers=HEADERS, body=BODIES, service=st.booleans())
@example("GET", b"/things", b"select=" + b"a(" * 20000, {}, b"", True)
@example("GET", b"/things", b"or=" + b"(not.and" * 7000, {}, b"", True)
@example("GET", b"/things", b"id=eq." + b"9" * 60000, {}, b"", True)
@example("GET", b"/things", b"data" + b"->a" * 15000 + b"=eq.1", {}, b"", True)
@example("POST", b"/things", b"", {b"content-type": b"text/csv"}, b'"', True)
@example("POST", b"/rpc/whole_text", b"", {b"content-type": b"text/plain"}, b"\0", True)
async def test_noise_is_answered(supabase_app, keys, method, path, query, headers, body, service):
    key = keys.service_role if service else keys.anon
    status, answered, content = await ask(
        supabase_app, method, path, query, [(b"apikey", key.encode()), *headers.items()], body
    )
    assert status < 500 or b'"code": "54001"' in content, content[:1000]  # what is nested too deep for Postgres
    assert status != 204 or content == b""
    if status >= 400 and method != "HEAD":
        assert json.loads(content).keys() >= {"code", "message", "error", "details", "hint"}
    for name, value in answered.items():
        assert b"\n" not in name + value
        assert b"\r" not in name + value


@NOISY
@given(
    authorization=st.binary(max_size=80)
    | st.sampled_from([b"Bearer", b"bearer ", b"Bearer a.b.c", b"Bearer \xff.\xff.\xff"])
)
@example(b"Bearer " + b"." * 60000)
@example(b"Bearer " + b"e" * 60000 + b".e.e")
async def test_noise_is_no_token(supabase_app, keys, authorization):
    headers = [(b"apikey", keys.anon.encode()), (b"authorization", authorization)]
    status, _, content = await ask(supabase_app, "GET", b"/things", b"limit=1", headers, b"")
    assert status in (200, 401), content


async def test_an_address_may_be_long_but_not_too_long(supabase_app, keys):
    for length, expected in ((MOST_ADDRESS_BYTES - 100, 200), (MOST_ADDRESS_BYTES + 1, 414)):
        query = b"name=eq." + b"x" * (length - 8)
        status, _, content = await ask(supabase_app, "GET", b"/things", query, [(b"apikey", keys.anon.encode())], b"")
        assert status == expected, content


async def test_a_client_that_leaves_is_no_error(supabase_app, keys):
    async def gone():
        return {"type": "http.disconnect"}

    async def send(message):
        raise AssertionError("nobody is there to answer")

    scope = {
        "type": "http", "method": "POST", "path": "/rest/v1/things", "raw_path": b"/rest/v1/things", "root_path": "",
        "query_string": b"", "headers": [(b"apikey", keys.anon.encode())], "scheme": "http", "http_version": "1.1",
    }  # fmt: skip
    await supabase_app(scope, gone, send)
