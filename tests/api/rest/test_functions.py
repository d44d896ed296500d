"""/rpc: which function is meant, what it is called with, and how what it returns goes out."""

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fresh_rows")]

JSON = {"content-type": "application/json"}
ONE = {"accept": "application/vnd.pgrst.object+json"}


@pytest.mark.parametrize(
    ("name", "body", "query", "expected"),
    [
        ("hello", {}, "", "hello"),
        ("add", {"a": 1, "b": 2}, "a=1&b=2", 3),
        ("add", {"a": 1}, "a=1", 11),
        ("table_of", {"n": 2}, "n=2", [{"number": 1, "square": 1}, {"number": 2, "square": 4}]),
        ("numbers_to", {"n": 3}, "n=3", [1, 2, 3]),
        ("with_out", {"a": 2}, "a=2", {"twice": 4, "thrice": 6}),
        ("total", {"numbers": [1, 2, 3]}, "numbers=1&numbers=2&numbers=3", 6),
        ("join_all", {"parts": ["a", "b,c"]}, 'parts={a,"b,c"}', "a-b,c"),
        ("named_json", {"body": {"x": [1]}}, 'body={"x":[1]}', {"x": [1]}),
        ("over_loaded", {"a": 1}, "a=1", "integer"),
        ("over_loaded", {"a": 1, "b": 2}, "a=1&b=2", "two"),
        ("setting", {"name": "request.method"}, None, "POST"),
    ],
)
async def test_functions_by_post_and_by_get(rest, name, body, query, expected):
    answer = await rest.post(f"/rpc/{name}", json=body)
    assert (answer.status_code, answer.json()) == (200, expected)
    if query is not None:
        answer = await rest.get(f"/rpc/{name}?{query}")
        assert (answer.status_code, answer.json()) == (200, expected)
        answer = await rest.head(f"/rpc/{name}?{query}")
        assert (answer.status_code, answer.content) == (200, b"")
    form = await rest.post(
        f"/rpc/{name}",
        content="name=request.method" if query is None else query,
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert (form.status_code, form.json()) == (200, expected)


async def test_rows_of_a_function_are_selected_filtered_ordered_and_paged(rest):
    wanted = "select=id,n:name,shout&amount=lt.4&order=id.desc&limit=1&offset=1"
    for answer in (
        await rest.post(f"/rpc/things_above?{wanted}", json={"low": 0}, headers={"prefer": "count=exact"}),
        await rest.get(f"/rpc/things_above?low=0&{wanted}", headers={"prefer": "count=exact"}),
    ):
        assert answer.status_code == 206
        assert answer.json() == [{"id": 2, "n": "banana", "shout": "BANANA"}]
        assert answer.headers["content-range"] == "1-1/3"
    answer = await rest.get("/rpc/things_above?low=0&shout=eq.APPLE&select=name")
    assert answer.json() == [{"name": "apple"}]
    answer = await rest.get("/rpc/table_of?n=5&square=gt.4&or=(number.eq.3,number.eq.5)&select=square")
    assert answer.json() == [{"square": 9}, {"square": 25}]
    answer = await rest.get("/rpc/things_above?low=0&select=id", headers={"range": "0-1"})
    assert [row["id"] for row in answer.json()] == [1, 2]
    answer = await rest.get("/rpc/table_of?n=5&nope=eq.1")
    assert answer.json()["code"] == "42703"


async def test_one_row(rest):
    answer = await rest.post("/rpc/one_thing?select=id,name", json={"wanted": 1})
    assert answer.json() == {"id": 1, "name": "apple"}
    answer = await rest.post("/rpc/things_above?select=id", json={"low": 3}, headers=ONE)
    assert answer.json() == {"id": 4}
    refused = await rest.post("/rpc/things_above", json={"low": 0}, headers=ONE)
    assert (refused.status_code, refused.json()["code"]) == (406, "PGRST116")
    answer = await rest.post("/rpc/hello", json={}, headers=ONE)
    assert answer.json() == "hello"


async def test_csv_of_a_function(rest):
    answer = await rest.get("/rpc/table_of?n=2", headers={"accept": "text/csv"})
    assert answer.text == "number,square\n1,1\n2,4"


async def test_a_function_that_returns_nothing(rest):
    answer = await rest.post("/rpc/nothing", json={})
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    assert (await rest.post("/rpc/nothing")).status_code == 204


async def test_a_body_can_be_taken_whole(rest):
    answer = await rest.post("/rpc/whole_body", json={"anything": [1]})
    assert answer.json() == {"anything": [1]}
    answer = await rest.post("/rpc/whole_body", json=[1, 2])
    assert answer.status_code in (200, 400)
    answer = await rest.post("/rpc/whole_text", content="plain ünï", headers={"content-type": "text/plain"})
    assert answer.json() == "plain ünï"
    answer = await rest.post(
        "/rpc/whole_bytes", content=b"\x00\xff\x01", headers={"content-type": "application/octet-stream"}
    )
    assert answer.json() == 3
    refused = await rest.post("/rpc/hello", content="x", headers={"content-type": "text/plain"})
    assert (refused.status_code, refused.json()["code"]) == (404, "PGRST202")
    assert "with a single unnamed text parameter" in refused.json()["details"]


async def test_named_columns_are_the_only_arguments(rest):
    answer = await rest.post("/rpc/add?columns=a", json={"a": 1, "b": 2, "c": 3})
    assert answer.json() == 11


async def test_unknown_functions(rest):
    answer = await rest.post("/rpc/adds", json={"a": 1})
    assert answer.status_code == 404
    assert answer.json()["code"] == "PGRST202"
    assert answer.json()["message"] == "Could not find the function public.adds(a) in the schema cache"
    assert answer.json()["hint"] == "Perhaps you meant to call the function public.add"
    answer = await rest.post("/rpc/add", json={"a": 1, "c": 1})
    assert answer.json()["message"] == "Could not find the function public.add(a, c) in the schema cache"
    assert answer.json()["details"] == (
        "Searched for the function public.add with parameters a, c or with a single unnamed json/jsonb parameter,"
        " but no matches were found in the schema cache."
    )
    assert answer.json()["hint"] == "Perhaps you meant to call the function public.add(a, b)"
    answer = await rest.get("/rpc/add")
    assert answer.json()["message"] == "Could not find the function public.add without parameters in the schema cache"
    assert (await rest.post("/rpc/on_change", json={})).status_code == 404
    assert (await rest.post("/rpc/pg_sleep", json={})).status_code == 404


async def test_a_function_that_could_be_two(rest):
    answer = await rest.post("/rpc/torn", json={"a": 1})
    assert answer.status_code == 300
    assert answer.json()["code"] == "PGRST203"
    assert answer.json()["message"] == (
        "Could not choose the best candidate function between: public.torn(a => integer), public.torn(a => text)"
    )


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_other_methods_call_nothing(rest, method):
    answer = await rest.request(method, "/rpc/hello")
    assert answer.status_code == 405
    assert answer.json()["code"] == "PGRST101"
    assert answer.json()["message"] == f"Cannot use the {method} method on RPC"


@pytest.mark.parametrize("operator", ["fts", "plfts", "phfts", "wfts", "fts(english)", "not.fts"])
async def test_an_operator_that_is_not_served_is_no_argument(rest, operator):
    refused = await rest.get(f"/rpc/things_above?low=0&name={operator}.apple")
    assert (refused.status_code, refused.json()["code"]) == (400, "PGRST100")


async def test_a_get_writes_nothing(rest, owner):
    refused = await rest.get("/rpc/make_thing?name=new")
    assert (refused.status_code, refused.json()["code"]) == (405, "25006")
    answer = await rest.post("/rpc/make_thing", json={"name": "new"})
    assert (answer.status_code, answer.json()) == (200, 6)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("P0001", 400), ("P0002", 500), ("23503", 409), ("23505", 409), ("23502", 400), ("42883", 404), ("42P01", 404),
        ("42P17", 500), ("25006", 405), ("21000", 500), ("22023", 400), ("08006", 503), ("53100", 503), ("53400", 500),
        ("54001", 500), ("55006", 500), ("57014", 500), ("58030", 500), ("XX000", 500), ("09000", 500), ("25001", 500),
        ("2D000", 500), ("38000", 500), ("39000", 500), ("3B000", 500), ("40001", 500), ("F0000", 500), ("HV000", 500),
        ("0L000", 403), ("0P000", 403), ("28000", 403), ("PT402", 402), ("PT404", 404), ("42501", 403),
        ("22P02", 400), ("ZZ999", 400), ("42P10", 400), ("08000", 503), ("53300", 503), ("57P01", 503), ("57P02", 500),
    ],
)  # fmt: skip
async def test_each_sqlstate_has_its_status(rest, state, status):
    answer = await rest.post("/rpc/fail", json={"state": state, "message": "the message"})
    assert answer.status_code == status
    assert answer.json() == {
        "code": state,
        "message": "the message",
        "error": "the message",
        "details": "the detail",
        "hint": "the hint",
    }
    assert answer.headers["proxy-status"] == f"PostgREST; error={state}"


async def test_an_answer_that_a_function_wrote_by_hand(rest):
    answer = await rest.post(
        "/rpc/fail_by_hand",
        json={
            "message": '{"code": "123", "message": "ABC", "details": "DEF", "hint": "XYZ"}',
            "detail": '{"status": 332, "headers": {"X-Header": "str"}}',
        },
    )
    assert answer.status_code == 332
    assert answer.headers["x-header"] == "str"
    assert answer.json() == {"code": "123", "message": "ABC", "error": "ABC", "details": "DEF", "hint": "XYZ"}
    answer = await rest.post("/rpc/fail_by_hand", json={"message": "INVALID", "detail": "{}"})
    assert (answer.status_code, answer.json()["code"]) == (500, "PGRST121")
    answer = await rest.post("/rpc/fail_by_hand", json={"message": '{"code":"1","message":"m"}', "detail": "x"})
    assert (answer.status_code, answer.json()["code"]) == (500, "PGRST121")


async def test_a_header_written_by_hand_must_be_one(rest):
    detail = '{"status": 400, "headers": {"no header": "x"}}'
    answer = await rest.post("/rpc/fail_by_hand", json={"message": '{"code":"1","message":"m"}', "detail": detail})
    assert (answer.status_code, answer.json()["code"]) == (500, "PGRST121")


async def test_an_answer_that_has_no_body_has_none(rest):
    answer = await rest.post("/rpc/fail", json={"state": "PT304", "message": "the message"})
    assert (answer.status_code, answer.content) == (304, b"")
    assert "content-length" not in answer.headers


async def test_a_function_may_set_headers_and_status(rest):
    headers = '[{"Set-Cookie": "a=b"}, {"Set-Cookie": "c=d"}, {"X-Other": "c"}, {"Content-Type": "text/x-other"}]'
    body = {"headers": headers, "status": "418"}
    answer = await rest.post("/rpc/answer_as", json=body)
    assert answer.status_code == 418
    assert answer.headers["x-other"] == "c"
    assert answer.headers.get_list("set-cookie") == ["a=b", "c=d"]
    assert answer.headers.get_list("content-type") == ["text/x-other"]
    for headers in ("{", "{}", '[{"a": 1}]', '[{"a\\r\\nb": "c"}]', "[1]", '[{"a b": "c"}]', '[{"a": "b\\u0001"}]'):
        answer = await rest.post("/rpc/answer_as", json={"headers": headers, "status": "200"})
        assert headers == "{}" or (answer.status_code, answer.json()["code"]) == (500, "PGRST111"), headers
    answer = await rest.post("/rpc/answer_as", json={"headers": "[]", "status": "nine"})
    assert (answer.status_code, answer.json()["code"]) == (500, "PGRST112")


async def test_a_function_reads_the_request(rest, bearing, sign):
    async def setting(client, name, **headers):
        return (await client.post("/rpc/setting", json={"name": name}, headers=headers)).json()

    assert await setting(rest, "request.path") == "/rpc/setting"
    assert '"x-mine": "value"' in await setting(rest, "request.headers", **{"x-mine": "value", "cookie": "a=b"})
    assert "cookie" not in await setting(rest, "request.headers", cookie="a=b")
    assert await setting(rest, "request.cookies", cookie="a=b; c=d") == '{"a": "b", "c": "d"}'
    assert '"sub": "x"' in await setting(bearing(f"Bearer {sign(role='authenticated', sub='x')}"), "request.jwt.claims")
    assert await setting(rest, "search_path") == '"public", "extensions"'


async def test_no_more_rows_than_may_be(rest):
    strict = {"prefer": "handling=strict, max-affected=1"}
    refused = await rest.post("/rpc/numbers_to", json={"n": 3}, headers=strict)
    assert (refused.status_code, refused.json()["code"]) == (400, "PGRST124")
    assert (await rest.post("/rpc/numbers_to", json={"n": 1}, headers=strict)).status_code == 200
    refused = await rest.post("/rpc/hello", json={}, headers=strict)
    assert (refused.status_code, refused.json()["code"]) == (400, "PGRST128")


@pytest.mark.parametrize("body", ["{", "[1", b"\xff"])
async def test_bodies_that_are_no_arguments(rest, body):
    answer = await rest.post("/rpc/add", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "PGRST102")


async def test_arguments_of_the_wrong_type(rest):
    assert (await rest.post("/rpc/add", json={"a": "x"})).json()["code"] == "22P02"
    assert (await rest.get("/rpc/add?a=x")).json()["code"] == "22P02"


async def test_what_takes_too_long_is_stopped(rest):
    answer = await rest.post("/rpc/sleep", json={"seconds": 60})
    assert (answer.status_code, answer.json()["code"]) == (500, "57014")


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    return {"PGRST_DB_STATEMENT_TIMEOUT": "0.2"}


@pytest.mark.parametrize(
    "headers", [{"x": "a\r\nset-cookie: b"}, {"x y": "1"}, {"x:": "1"}, {"": "1"}, {"x": "\u0000"}]
)
async def test_a_function_sets_no_header_that_is_none(rest, headers):
    said = json.dumps({"code": "1", "message": "no"})
    detail = json.dumps({"status": 400, "headers": headers})
    answer = await rest.post("/rpc/fail_by_hand", json={"message": said, "detail": detail})
    assert answer.status_code in (400, 500)
    assert "set-cookie" not in answer.headers
    assert answer.json()["code"] in ("PGRST121", "22P05")
