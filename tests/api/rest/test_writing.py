"""POST, PATCH, PUT and DELETE of tables and views."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fresh_rows")]

BACK = {"prefer": "return=representation"}
CSV = {"content-type": "text/csv"}
JSON = {"content-type": "application/json"}
ONE = {"accept": "application/vnd.pgrst.object+json"}


def preferring(*preferences: str) -> dict[str, str]:
    return {"prefer": ", ".join(preferences)}


def count(owner, table: str) -> int:
    return owner.execute(f"select count(*) from public.{table}").fetchone()[0]


async def test_an_insert_answers_nothing_unless_asked(rest, owner):
    answer = await rest.post("/things", json={"name": "new"})
    assert (answer.status_code, answer.content) == (201, b"")
    assert answer.headers["content-range"] == "*/*"
    assert "content-type" not in answer.headers
    assert count(owner, "things") == 6
    answer = await rest.post("/things", json={"name": "newer"}, headers=preferring("return=minimal", "count=exact"))
    assert (answer.status_code, answer.content) == (201, b"")
    assert answer.headers["content-range"] == "*/1"
    assert answer.headers["preference-applied"] == "return=minimal, count=exact"


async def test_an_insert_with_its_row_back(rest):
    answer = await rest.post(
        "/things?select=id,name,shout,t:tags->>0", json={"name": "new", "tags": ["a"]}, headers=BACK
    )
    assert answer.status_code == 201
    assert answer.json() == [{"id": 6, "name": "new", "shout": "NEW", "t": "a"}]
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["preference-applied"] == "return=representation"


async def test_an_insert_that_tells_where_the_row_is(rest):
    answer = await rest.post("/things", json={"name": "new"}, headers=preferring("return=headers-only"))
    assert (answer.status_code, answer.content) == (201, b"")
    assert answer.headers["location"] == "/things?id=eq.6"
    answer = await rest.post("/pairs", json={"a": 7, "b": "q&q/ü"}, headers=preferring("return=headers-only"))
    assert answer.headers["location"] == "/pairs?a=eq.7&b=eq.q%26q%2F%C3%BC"
    answer = await rest.post("/loose", json={"a": 7}, headers=preferring("return=headers-only"))
    assert "location" not in answer.headers
    answer = await rest.post("/things", json=[{}, {}], headers=preferring("return=headers-only"))
    assert "location" not in answer.headers


async def test_every_type_goes_in_and_comes_back(rest):
    row = {
        "id": 100,
        "name": "ünï \"q\" 'a' \\ \n",
        "amount": -5,
        "price": 12345678.25,
        "ratio": 1e-7,
        "flag": False,
        "token": "0f0f0f0f-0000-0000-0000-000000000000",
        "data": {"a": [1, None, {"b": "c"}]},
        "raw": [1, "two"],
        "tags": ["a,b", 'q"r', ""],
        "numbers": [1, None, 3],
        "span": "[1,5)",
        "day": "2026-12-31",
        "at": "2026-12-31T23:59:59.5+00:00",
        "feeling": "sad",
        "code": "abcd",
        "brief": "brief",
    }
    answer = await rest.post("/things", json=row, headers=BACK)
    assert answer.json() == [row | {"doubled": -10}]


async def test_many_rows_are_all_or_nothing(rest, owner):
    answer = await rest.post("/things?select=id", json=[{"name": "x"}, {"name": "y"}], headers=BACK)
    assert answer.json() == [{"id": 6}, {"id": 7}]
    refused = await rest.post("/things", json=[{"name": "z"}, {"name": "apple"}])
    assert refused.status_code == 409
    assert refused.json()["code"] == "23505"
    assert count(owner, "things") == 7


async def test_rows_must_have_the_same_keys_unless_columns_are_named(rest):
    rows = [{"name": "x"}, {"name": "y", "amount": 5}]
    refused = await rest.post("/things", json=rows)
    assert (refused.status_code, refused.json()["code"]) == (400, "PGRST102")
    assert refused.json()["message"] == "All object keys must match"
    answer = await rest.post('/things?columns="name","amount"&select=name,amount', json=rows, headers=BACK)
    assert answer.json() == [{"name": "x", "amount": None}, {"name": "y", "amount": 5}]


async def test_named_columns_are_the_only_ones_that_count(rest):
    answer = await rest.post(
        "/things?columns=name&select=name,amount", json={"name": "x", "amount": 5, "unknown": 1}, headers=BACK
    )
    assert answer.json() == [{"name": "x", "amount": None}]
    refused = await rest.post("/things?columns=name,nope", json={"name": "z"})
    assert refused.json()["code"] == "PGRST204"
    assert refused.json()["message"] == "Could not find the 'nope' column of 'things' in the schema cache"
    assert (await rest.post("/things?columns=", json={})).json()["code"] == "PGRST100"


@pytest.mark.parametrize(
    ("body", "rows"), [("[]", 0), ("{}", 1), ("[{},{}]", 2), ("null", 0), ("5", 0), ('"text"', 0), (" [ { } ] ", 1)]
)
async def test_empty_objects_are_rows_of_defaults_and_what_is_no_object_is_no_row(rest, owner, body, rows):
    answer = await rest.post("/counted?select=label", content=body, headers=BACK | JSON)
    assert answer.status_code == 201
    assert answer.json() == [{"label": "none"}] * rows


async def test_missing_values_are_null_or_defaults(rest):
    wanted = "/things?columns=name,token,feeling,brief&select=name,token,feeling,brief"
    token = "00000000-0000-0000-0000-00000000000a"
    answer = await rest.post(wanted, json=[{"name": "x"}], headers=BACK)
    assert answer.json() == [{"name": "x", "token": None, "feeling": None, "brief": None}]
    answer = await rest.post(
        wanted, json=[{"name": "y"}, {"feeling": "sad"}], headers=preferring("return=representation", "missing=default")
    )
    assert answer.json() == [
        {"name": "y", "token": token, "feeling": "ok", "brief": "short"},
        {"name": None, "token": token, "feeling": "sad", "brief": "short"},
    ]
    assert answer.headers["preference-applied"] == "missing=default, return=representation"
    answer = await rest.post(wanted, json={"name": "z"}, headers=preferring("return=representation", "missing=default"))
    assert answer.json()[0]["token"] == token
    answer = await rest.post(
        "/things?columns=id,name&select=id",
        json=[{"name": "q"}],
        headers=preferring("return=representation", "missing=default"),
    )
    assert answer.json()[0]["id"] > 5


async def test_a_default_fills_what_an_update_leaves_out(rest):
    headers = preferring("return=representation", "missing=default")
    answer = await rest.patch(
        "/things?id=eq.1&columns=feeling,amount&select=feeling,amount", json={"amount": 9}, headers=headers
    )
    assert answer.json() == [{"feeling": "ok", "amount": 9}]


async def test_rows_from_csv(rest):
    body = 'name,amount,tags\r\nx,5,"{a,b}"\r\n"a ""q"", b",NULL,NULL\r\n'
    answer = await rest.post("/things?select=name,amount,tags", content=body, headers=BACK | CSV)
    assert answer.json() == [
        {"name": "x", "amount": 5, "tags": ["a", "b"]},
        {"name": 'a "q", b', "amount": None, "tags": None},
    ]
    back = await rest.post(
        "/things?select=name,amount", content="name,amount\nz,1\n", headers=BACK | CSV | {"accept": "text/csv"}
    )
    assert back.text == "name,amount\nz,1"
    torn = await rest.post("/things", content="name,amount\nx\n", headers=CSV)
    assert torn.json()["message"] == "All lines must have same number of fields"
    assert (await rest.post("/things", content="name\n", headers=CSV)).status_code == 201
    assert (await rest.post("/things", content="", headers=CSV)).json()["code"] == "PGRST102"


async def test_a_row_from_a_form(rest):
    answer = await rest.post("/things?select=name,amount", data={"name": "a b&c", "amount": "7"}, headers=BACK)
    assert answer.json() == [{"name": "a b&c", "amount": 7}]


@pytest.mark.parametrize(
    "body", ["", "{", "{'a': 1}", '{"a": NaN}', "[1, {}]", '[{"name": 1}, 2]', b"\xff\xfe", '{"a":}']
)
async def test_bodies_that_are_no_rows(rest, body):
    answer = await rest.post("/things", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "PGRST102")


async def test_other_media_types_are_not_taken(rest):
    answer = await rest.post("/things", content="x", headers={"content-type": "application/xml; charset=utf-8"})
    assert answer.status_code == 400
    assert answer.json()["message"] == "Content-Type not acceptable: application/xml"


@pytest.mark.parametrize(
    ("table", "row", "status", "code"),
    [
        ("things", {"nope": 1}, 400, "PGRST204"),
        ("things", {"amount": "x"}, 400, "22P02"),
        ("things", {"amount": 99999999999}, 400, "22003"),
        ("things", {"day": "x"}, 400, "22007"),
        ("things", {"feeling": "angry"}, 400, "22P02"),
        ("things", {"code": "too long"}, 400, "22001"),
        ("things", {"brief": "much too long"}, 400, "23514"),
        ("things", {"doubled": 4}, 400, "428C9"),
        ("things", {"name": "nul \0"}, 400, "22P05"),
        ("counted", {"id": 5}, 400, "428C9"),
        ("counted", {"label": None}, 400, "23502"),
        ("children", {"id": 1, "positive": -1}, 400, "23514"),
        ("children", {"id": 1, "at_once": 77}, 409, "23503"),
        ("children", {"id": 1, "parent_id": 77}, 409, "23503"),
        ("pairs", {"a": 1, "b": "x"}, 409, "23505"),
        ("sums", {"n": 1}, 400, "55000"),
    ],
)
async def test_rows_that_cannot_be(rest, table, row, status, code):
    answer = await rest.post(f"/{table}", json=row)
    assert answer.json()["code"] == code, answer.text
    assert answer.status_code == (500 if code == "55000" else status)
    assert answer.json()["error"] == answer.json()["message"]


async def test_a_refusal_at_the_end_of_the_transaction_is_a_refusal(rest, owner):
    for _ in range(7):  # also once the statement is prepared
        answer = await rest.post("/children", json={"id": 1, "parent_id": 77}, headers=BACK)
        assert (answer.status_code, answer.json()["code"]) == (409, "23503")
    assert count(owner, "children") == 0
    assert (await rest.post("/children", json={"id": 1, "parent_id": 1})).status_code == 201


async def test_merging_duplicates(rest, owner):
    merge = "resolution=merge-duplicates"
    rows = [{"a": 1, "b": "x", "note": "changed"}, {"a": 3, "b": "z", "note": "new"}]
    answer = await rest.post("/pairs", json=rows, headers=preferring(merge, "return=representation"))
    assert answer.status_code == 201
    assert answer.json() == rows
    assert answer.headers["preference-applied"] == f"{merge}, return=representation"
    answer = await rest.post("/pairs", json=rows[:1], headers=preferring(merge))
    assert answer.status_code == 200
    assert count(owner, "pairs") == 3


async def test_ignoring_duplicates(rest, owner):
    ignore = "resolution=ignore-duplicates"
    rows = [{"a": 1, "b": "x", "note": "changed"}, {"a": 3, "b": "z", "note": "new"}]
    answer = await rest.post("/pairs", json=rows, headers=preferring(ignore, "return=representation"))
    assert answer.status_code == 201
    assert answer.json() == rows[1:]
    assert (await rest.post("/pairs", json=rows, headers=preferring(ignore))).status_code == 201
    assert (await rest.get("/pairs?a=eq.1")).json()[0]["note"] == "first"


async def test_duplicates_by_another_constraint(rest):
    merge = preferring("resolution=merge-duplicates", "return=representation")
    answer = await rest.post(
        "/things?on_conflict=name&select=id,amount", json={"name": "apple", "amount": 50}, headers=merge
    )
    assert answer.json() == [{"id": 1, "amount": 50}]
    refused = await rest.post("/things?on_conflict=amount", json={"amount": 1}, headers=merge)
    assert (refused.status_code, refused.json()["code"]) == (400, "42P10")
    refused = await rest.post("/things?on_conflict=nope", json={"amount": 1}, headers=merge)
    assert (refused.status_code, refused.json()["code"]) == (400, "42703")
    other = await rest.post("/things", json={"id": 1, "name": "banana"}, headers=merge)
    assert (other.status_code, other.json()["code"]) == (409, "23505")
    assert (await rest.post('/pairs?on_conflict="a",b', json={"a": 1, "b": "x"}, headers=merge)).status_code == 200


async def test_without_a_key_there_are_no_duplicates(rest, owner):
    answer = await rest.post("/loose", json={"a": 1, "b": "one"}, headers=preferring("resolution=merge-duplicates"))
    assert answer.status_code == 201
    assert "preference-applied" not in answer.headers
    assert count(owner, "loose") == 4


async def test_an_update(rest):
    answer = await rest.patch("/things?id=in.(1,2)", json={"amount": 9})
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["content-range"] == "0-1/*"
    assert "content-length" not in answer.headers
    answer = await rest.patch("/things?id=in.(1,2)", json={"amount": 8}, headers=preferring("count=exact"))
    assert answer.headers["content-range"] == "0-1/2"
    answer = await rest.patch("/things?id=eq.1&select=id,amount", json={"amount": 7, "name": None}, headers=BACK)
    assert (answer.status_code, answer.json()) == (200, [{"id": 1, "amount": 7}])
    assert answer.headers["content-range"] == "0-0/*"


async def test_an_update_of_nothing(rest):
    answer = await rest.patch("/things?id=eq.77", json={"amount": 9}, headers=preferring("count=exact"))
    assert (answer.status_code, answer.headers["content-range"]) == (204, "*/0")
    answer = await rest.patch("/things?id=eq.77", json={"amount": 9})
    assert (answer.status_code, answer.headers["content-range"]) == (204, "*/*")
    answer = await rest.patch("/things?id=eq.77", json={"amount": 9}, headers=BACK)
    assert (answer.status_code, answer.json()) == (200, [])
    for body in ("{}", "[]", "[{}]"):
        answer = await rest.patch("/things?id=eq.1", content=body, headers=BACK | JSON)
        assert (answer.status_code, answer.json()) == (200, [])


async def test_an_update_orders_and_filters_what_comes_back(rest):
    answer = await rest.patch(
        "/things?or=(id.eq.1,and(id.gt.1,id.lt.4))&select=id&order=name.desc", json={"amount": 0}, headers=BACK
    )
    assert answer.json() == [{"id": 3}, {"id": 2}, {"id": 1}]


async def test_an_update_names_columns_that_there_are(rest):
    refused = await rest.patch("/things?id=eq.1", json={"nope": 1})
    assert (refused.status_code, refused.json()["code"]) == (400, "PGRST204")
    refused = await rest.patch("/things?nope=eq.1", json={"amount": 1})
    assert (refused.status_code, refused.json()["code"]) == (400, "42703")
    answer = await rest.patch(
        "/things?id=eq.1&columns=amount&select=amount", json={"amount": 1, "nope": 2}, headers=BACK
    )
    assert answer.json() == [{"amount": 1}]


async def test_a_deletion(rest, owner):
    answer = await rest.delete("/things?id=eq.1")
    assert (answer.status_code, answer.content, answer.headers["content-range"]) == (204, b"", "*/*")
    answer = await rest.delete("/things?id=eq.2&select=id,name", headers=BACK)
    assert (answer.status_code, answer.json()) == (200, [{"id": 2, "name": "banana"}])
    answer = await rest.delete("/things?id=gt.0", headers=preferring("count=exact"))
    assert answer.headers["content-range"] == "*/3"
    answer = await rest.delete("/things?id=gt.0", headers=BACK)
    assert (answer.status_code, answer.json()) == (200, [])
    assert count(owner, "things") == 0


async def test_nothing_is_changed_or_deleted_without_a_condition(rest, owner):
    for answer, what in (
        (await rest.patch("/things", json={"amount": 1}), "UPDATE"),
        (await rest.delete("/things"), "DELETE"),
        (await rest.delete("/things?limit=1&order=id"), "DELETE"),
    ):
        assert answer.status_code == 400
        assert answer.json()["code"] == "21000"
        assert answer.json()["message"] == f"{what} requires a WHERE clause"
    assert (await rest.patch("/things", json={})).status_code == 204
    assert count(owner, "things") == 5


async def test_one_object_or_nothing_is_written(rest, owner):
    for asked, body in (("POST", [{"name": "x"}, {"name": "y"}]), ("PATCH", {"amount": 1}), ("DELETE", None)):
        query = "" if asked == "POST" else "?id=in.(1,2)"
        answer = await rest.request(asked, f"/things{query}", json=body, headers=ONE | BACK)
        assert (answer.status_code, answer.json()["code"]) == (406, "PGRST116")
        assert answer.json()["details"] == "The result contains 2 rows"
    assert owner.execute("select count(*), sum(amount) from public.things").fetchone() == (5, 10)
    answer = await rest.patch("/things?id=eq.77", json={"amount": 1}, headers=ONE | BACK)
    assert answer.json()["details"] == "The result contains 0 rows"
    answer = await rest.post("/things?select=id,name", json={"name": "x"}, headers=ONE | BACK)
    assert (answer.status_code, answer.json()["name"]) == (201, "x")
    assert answer.headers["content-type"] == "application/vnd.pgrst.object+json; charset=utf-8"


async def test_no_more_rows_than_may_be_are_touched(rest, owner):
    strict = preferring("handling=strict", "max-affected=1")
    for asked, body in (("PATCH", {"amount": 0}), ("DELETE", None)):
        refused = await rest.request(asked, "/things?id=lt.4", json=body, headers=strict)
        assert (refused.status_code, refused.json()["code"]) == (400, "PGRST124")
        assert refused.json()["message"] == "Query result exceeds max-affected preference constraint"
        assert refused.json()["details"] == "The query affects 3 rows"
    assert owner.execute("select count(*), sum(amount) from public.things").fetchone() == (5, 10)
    answer = await rest.patch("/things?id=eq.1", json={"amount": 0}, headers=strict)
    assert answer.status_code == 204
    assert answer.headers["preference-applied"] == "handling=strict, max-affected=1"
    lenient = await rest.patch("/things?id=lt.4", json={"amount": 0}, headers=preferring("max-affected=1"))
    assert lenient.status_code == 204


async def test_what_is_written_stays_whatever_tx_is_preferred(rest, owner):
    answer = await rest.post("/things", json={"name": "x"}, headers=preferring("tx=rollback"))
    assert answer.status_code == 201
    assert "preference-applied" not in answer.headers
    assert count(owner, "things") == 6


async def test_put_makes_or_replaces_one_row(rest):
    answer = await rest.put("/pairs?a=eq.1&b=eq.x", json={"a": 1, "b": "x", "note": "put"}, headers=BACK)
    assert (answer.status_code, answer.json()) == (200, [{"a": 1, "b": "x", "note": "put"}])
    answer = await rest.put("/pairs?a=eq.5&b=eq.x", json={"a": 5, "b": "x", "note": "new"}, headers=BACK)
    assert (answer.status_code, answer.json()) == (201, [{"a": 5, "b": "x", "note": "new"}])
    answer = await rest.put("/pairs?a=eq.6&b=eq.x", json=[{"a": 6, "b": "x", "note": "new"}])
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-range" not in answer.headers


@pytest.mark.parametrize(
    ("query", "body", "status", "code"),
    [
        ("", {"a": 1, "b": "x"}, 405, "PGRST105"),
        ("?a=eq.1", {"a": 1, "b": "x"}, 405, "PGRST105"),
        ("?a=eq.1&b=eq.x&note=eq.y", {"a": 1, "b": "x"}, 405, "PGRST105"),
        ("?a=eq.1&b=neq.x", {"a": 1, "b": "x"}, 405, "PGRST105"),
        ("?a=eq.1&b=not.eq.x", {"a": 1, "b": "x"}, 405, "PGRST105"),
        ("?a=eq.1&b=eq(any).{x}", {"a": 1, "b": "x"}, 405, "PGRST105"),
        ("?a=eq.1&b=eq.x&or=(a.eq.1,a.eq.2)", {"a": 1, "b": "x"}, 405, "PGRST105"),
        ("?a=eq.1&b=eq.x&limit=1", {"a": 1, "b": "x"}, 400, "PGRST114"),
        ("?a=eq.1&b=eq.x&offset=1", {"a": 1, "b": "x"}, 400, "PGRST114"),
        ("?a=eq.1&b=eq.x", {"a": 2, "b": "x"}, 400, "PGRST115"),
        ("?a=eq.1&b=eq.x", [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}], None, None),
        ("?a=eq.1&b=eq.x", {"a": 1}, 400, "42703"),
        ("?a=eq.1&b=eq.x", {"a": 1, "b": "x", "nope": 1}, 400, "PGRST204"),
        ("?a=eq.1&b=eq.x", {}, 400, None),
        ("?a=eq.1&b=eq.x", [], 400, "42703"),
    ],
)
async def test_puts_that_are_none(rest, owner, query, body, status, code):
    answer = await rest.put(f"/pairs{query}", json=body)
    if status:
        assert answer.status_code == status, answer.text
        assert code in (None, answer.json()["code"])
        assert owner.execute("select note from public.pairs order by a").fetchall() == [("first",), ("second",)]


async def test_put_needs_a_primary_key(rest):
    assert (await rest.put("/loose?a=eq.1", json={"a": 1})).json()["code"] == "PGRST105"


async def test_views_are_written_where_postgres_can(rest):
    answer = await rest.post("/happy_things", json={"name": "glad", "amount": 5}, headers=BACK)
    assert answer.status_code == 201
    answer = await rest.patch("/happy_things?name=eq.glad&select=amount", json={"amount": 6}, headers=BACK)
    assert answer.json() == [{"amount": 6}]
    assert (await rest.delete("/happy_things?name=eq.glad")).status_code == 204


@pytest.mark.parametrize(
    ("path", "letter", "note"),
    [
        ("/notes", "b", "note"),
        ("/notes_again", "letter", "text"),
    ],
)
async def test_a_view_is_known_by_the_primary_key_that_it_shows(rest, path, letter, note):
    number = "number one"
    row = {number: 1, letter: "x", note: "merged"}
    answer = await rest.post(path, json=row, headers=preferring("resolution=merge-duplicates"))
    assert (answer.status_code, answer.headers["preference-applied"]) == (200, "resolution=merge-duplicates")
    answer = await rest.put(f"{path}?{number}=eq.1&{letter}=eq.x", json=row | {note: "put"}, headers=BACK)
    assert (answer.status_code, answer.json()) == (200, [row | {note: "put"}])
    answer = await rest.put(f"{path}?{number}=eq.8&{letter}=eq.x", json=row | {number: 8}, headers=BACK)
    assert answer.status_code == 201
    answer = await rest.post(path, json={number: 9, letter: "y"}, headers=preferring("return=headers-only"))
    assert answer.headers["location"] == f"{path}?{letter}=eq.y&number%20one=eq.9"


async def test_a_view_of_half_a_primary_key_is_known_by_none(rest):
    assert (await rest.put("/half_notes?a=eq.1", json={"a": 1})).json()["code"] == "PGRST105"


async def test_names_with_anything_in_them_can_be_written(rest):
    path = "/odd%20%22name%22.%C3%BCn%C3%AF"
    row = {"the key": 3, "a.b": "x", "comma,(paren)": "y", 'quote"d': "z", "dash-ed": "d", "ünï": "ü"}
    answer = await rest.post(path, json=row, headers=BACK)
    assert answer.json() == [row]
    answer = await rest.patch(f'{path}?"a.b"=eq.x&select="a.b"', json={"a.b": "changed"}, headers=BACK)
    assert answer.json() == [{"a.b": "changed"}]
    answer = await rest.post(path, json=row, headers=preferring("resolution=merge-duplicates", "return=headers-only"))
    assert answer.status_code == 200
    answer = await rest.put(f'{path}?"the key"=eq.3', json=row | {"ünï": "put"}, headers=BACK)
    assert answer.json()[0]["ünï"] == "put"


async def test_a_body_may_be_large_but_not_too_large(rest, settings):
    rows = [{"a": number, "b": "x" * 100} for number in range(5000)]
    assert (await rest.post("/loose", json=rows)).status_code == 201
    answer = await rest.post("/loose", content=b" " * (settings.rest_body_bytes + 1), headers=JSON)
    assert answer.status_code == 413


async def test_the_order_of_keys_does_not_matter(rest):
    answer = await rest.post("/loose", json=[{"a": 1, "b": "x"}, {"b": "y", "a": 2}])
    assert answer.status_code == 201
