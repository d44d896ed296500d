"""GET and HEAD of tables and views: filters, selection, order, pages, counts and forms."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.anyio

ODD = "odd%20%22name%22.%C3%BCn%C3%AF"


async def ids(client, query: str) -> list[int]:
    answer = await client.get(f"/things?select=id&order=id&{query}")
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("id=eq.1", [1]),
        ("id=neq.1", [2, 3, 4, 5]),
        ("amount=gt.2", [3, 4]),
        ("amount=gte.2", [2, 3, 4]),
        ("amount=lt.2", [1]),
        ("amount=lte.2", [1, 2]),
        ("amount=not.gt.2", [1, 2]),
        ("amount=gt.1&amount=lt.4", [2, 3]),
        ("price=eq.1.50", [1]),
        ("ratio=eq.-0.5", [4]),
        ("name=like.*an*", [2]),
        ("name=like.%25an%25", [2]),
        ("name=like.A*", []),
        ("name=ilike.A*", [1, 4]),
        ("name=match.^[ab]", [1, 2, 4]),
        ("name=imatch.^[AB]", [1, 2, 4]),
        ("name=not.like.*e*", [2]),
        ("name=in.(apple,banana)", [1, 2]),
        ('name=in.("apple","cherry pie")', [1, 3]),
        (r'name=in.("a,b.c(d)\"e\"\\f",apple)', [1, 4]),
        ("name=in.()", []),
        ("name=not.in.(apple,banana)", [3, 4]),
        ("id=in.(1, 2)", [1, 2]),
        (r'name=eq.a,b.c(d)"e"\f', [4]),
        ("name=eq.cherry+pie", [3]),
        ("name=eq.cherry%20pie", [3]),
        ("name=is.null", [5]),
        ("name=is.NULL", [5]),
        ("name=not.is.null", [1, 2, 3, 4]),
        ("name=is.not_null", [1, 2, 3, 4]),
        ("flag=is.true", [1, 4]),
        ("flag=is.false", [2, 5]),
        ("flag=is.unknown", [3]),
        ("flag=not.is.true", [2, 3, 5]),
        ("flag=eq.true", [1, 4]),
        ("flag=eq.f", [2, 5]),
        ("amount=isdistinct.1", [2, 3, 4, 5]),
        ("amount=not.isdistinct.1", [1]),
        ("tags=cs.{fruit,red}", [1]),
        ("tags=cd.{fruit,red}", [1, 2, 5]),
        ("tags=ov.{red,blue}", [1]),
        ('tags=cs.{"x,y"}', [4]),
        ("tags=eq.{fruit}", [2]),
        ("numbers=cs.{2}", [1, 2]),
        ('data=cs.{"color":"red"}', [1]),
        ("span=cs.[2,3]", [1, 5]),
        ("span=ov.[4,6)", [1, 2, 5]),
        ("span=sl.[5,9)", [1]),
        ("span=sr.[1,5)", [2]),
        ("span=nxr.[1,5)", [1]),
        ("span=nxl.[5,9)", [2]),
        ("span=adj.[5,9)", [1]),
        ("feeling=eq.happy", [1]),
        ("feeling=gt.sad", [1, 2, 5]),
        ("day=gte.2026-02-01", [2, 5]),
        ("at=lt.2026-01-15T00:00:00Z", [1]),
        ("at=eq.2026-01-01T13:00:00%2B01:00", [1]),
        ("token=eq.00000000-0000-0000-0000-00000000000a", [1, 2, 3, 4, 5]),
        ("code=eq.ab", [1]),
        ("doubled=eq.4", [2]),
        ("data->>color=eq.red", [1]),
        ('data->color=eq."red"', [1]),
        ("data->size->>w=eq.2", [2]),
        ("data->size->w=gt.1", [2]),
        ("data->list->>0=eq.10", [1]),
        ("data->list->>-1=eq.20", [1]),
        ("data->>1=eq.2", [5]),
        ("data->>color=is.null", [3, 4, 5]),
        ("raw->>a=eq.1", [1]),
        ("tags->>0=eq.fruit", [1, 2]),
        ("shout=eq.APPLE", [1]),
        ("id=eq(any).{1,3}", [1, 3]),
        ("id=neq.1&id=gt(all).{1,2}", [3, 4, 5]),
        ("name=like(any).{a*,b*}", [1, 2, 4]),
        ("name=like(all).{*a*,*e*}", [1, 4]),
        ("name=not.ilike(any).{A*,B*}", [3]),
        ("name=match(any).{^a,^b}", [1, 2, 4]),
        ("or=(id.eq.1,id.eq.3)", [1, 3]),
        ("and=(id.gt.1,id.lt.4)", [2, 3]),
        ("not.or=(id.eq.1,id.eq.3)", [2, 4, 5]),
        ("not.and=(id.gt.1,id.lt.4)", [1, 4, 5]),
        ("or=(id.eq.1,and(id.gt.2,id.lt.4))", [1, 3]),
        ("or=(id.eq.1,not.and(id.gt.1,id.lt.5))", [1, 5]),
        ("or=(and(id.gt.1,or(id.eq.2,id.eq.9)),not.or(id.lt.5,id.gt.5))", [2, 5]),
        ("or=(name.is.null,name.not.like.*a*)", [3, 5]),
        (r'or=(name.eq."a,b.c(d)\"e\"\\f",id.eq.1)', [1, 4]),
        ('or=(name.in.(apple,"cherry pie"),id.eq.2)', [1, 2, 3]),
        ("or=(tags.cs.{fruit,red},id.eq.5)", [1, 5]),
        ("or=(data->>color.eq.red,id.eq.2)", [1, 2]),
        ("or=( id.eq.1 , id.eq.2 )", [1, 2]),
        ("or=(id.eq(any).{1,2},id.eq.4)", [1, 2, 4]),
        ("or=(id.eq.1,id.eq.2)&or=(id.eq.2,id.eq.3)", [2]),
        ("or=(id.eq.1,id.eq.2)&amount=gt.1", [2]),
        ('or=("name".eq.apple)', [1]),
        ('"id"=eq.1', [1]),
    ],
)
async def test_filters(rest, query, expected):
    assert await ids(rest, query) == expected


async def test_names_with_anything_in_them_can_be_read_selected_filtered_and_ordered(rest):
    query = {
        "select": '"the key","a.b","comma,(paren)","quote\\"d",dash-ed,ünï,alias-ed:"a.b"',
        '"a.b"': "eq.dotted",
        "dash-ed": "eq.d",
        '"quote\\"d"': "eq.q",
        "or": '("a.b".eq.dotted,"comma,(paren)".is.null)',
        "order": '"comma,(paren)".desc,"a.b"',
    }
    answer = await rest.get(f"/{ODD}", params=query)
    assert answer.json() == [
        {
            "the key": 1,
            "a.b": "dotted",
            "comma,(paren)": "c",
            'quote"d': "q",
            "dash-ed": "d",
            "ünï": "ü",
            "alias-ed": "dotted",
        }
    ]


@pytest.mark.parametrize(
    ("select", "row"),
    [
        ("id", {"id": 1}),
        ("id,name", {"id": 1, "name": "apple"}),
        ("n:name,id", {"n": "apple", "id": 1}),
        ("id::text", {"id": "1"}),
        ("price::int", {"price": 2}),
        ("ratio::double precision", {"ratio": 0.5}),
        ("at::timestamp without time zone", {"at": "2026-01-01T12:00:00"}),
        ("feeling::text", {"feeling": "happy"}),
        ("name::mood", None),
        ("text:amount::text", {"text": "1"}),
        ("data->color", {"color": "red"}),
        ("data->>color", {"color": "red"}),
        ("c:data->>color", {"c": "red"}),
        ("data->size->w", {"w": 1}),
        ("data->size->>w", {"w": "1"}),
        ("data->list->0", {"list": 10}),
        ("data->list->>1", {"list": "20"}),
        ("data->size->>w::int", {"w": 1}),
        ("raw->a", {"a": 1}),
        ("tags->0", {"tags": "fruit"}),
        ('data->"color"', {"color": "red"}),
        ("shout", {"shout": "APPLE"}),
        ("s:shout", {"s": "APPLE"}),
        ("span,numbers,price", {"span": "[1,5)", "numbers": [1, 2], "price": 1.50}),
        ('"the ""alias":id', None),
        ('"an \\"alias\\" ünï":id', {'an "alias" ünï': 1}),
    ],
)
async def test_selection(rest, select, row):
    answer = await rest.get("/things", params={"select": select, "id": "eq.1"})
    if row is None:
        assert answer.status_code == 400
    else:
        assert answer.json() == [row]


async def test_all_columns_come_without_a_selection_or_with_an_empty_one_or_a_star(rest):
    plain = (await rest.get("/things?id=eq.1")).json()
    assert len(plain[0]) == 18
    assert (await rest.get("/things?select=&id=eq.1")).json() == plain
    assert (await rest.get("/things?select=*&id=eq.1")).json() == plain
    more = (await rest.get("/things?select=*,shout&id=eq.1")).json()
    assert more == [plain[0] | {"shout": "APPLE"}]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("id.desc", [5, 4, 3, 2, 1]),
        ("id.asc", [1, 2, 3, 4, 5]),
        ("amount", [1, 2, 3, 4, 5]),
        ("amount.desc", [5, 4, 3, 2, 1]),
        ("amount.desc.nullslast", [4, 3, 2, 1, 5]),
        ("amount.nullsfirst", [5, 1, 2, 3, 4]),
        ("amount.asc.nullsfirst", [5, 1, 2, 3, 4]),
        ("flag.desc.nullslast,id.desc", [4, 1, 5, 2, 3]),
        ("feeling,id", [3, 2, 5, 1, 4]),
        ("data->>color.asc.nullslast,id", [1, 2, 3, 4, 5]),
        ("data->size->w.desc.nullslast,id", [2, 1, 3, 4, 5]),
        ("shout.desc.nullslast", [3, 2, 1, 4, 5]),
        ('"id".desc', [5, 4, 3, 2, 1]),
    ],
)
async def test_order(rest, order, expected):
    answer = await rest.get("/things", params={"select": "id", "order": order})
    assert [row["id"] for row in answer.json()] == expected


@pytest.mark.parametrize(
    ("query", "headers", "status", "content_range", "expected"),
    [
        ("", {}, 200, "0-4/*", [1, 2, 3, 4, 5]),
        ("limit=2", {}, 200, "0-1/*", [1, 2]),
        ("limit=2&offset=1", {}, 200, "1-2/*", [2, 3]),
        ("offset=3", {}, 200, "3-4/*", [4, 5]),
        ("offset=5", {}, 200, "*/*", []),
        ("offset=99", {}, 200, "*/*", []),
        ("limit=0", {}, 200, "*/*", []),
        ("limit=x&offset=y", {}, 200, "0-4/*", [1, 2, 3, 4, 5]),
        ("offset=-3", {}, 200, "0-4/*", [1, 2, 3, 4, 5]),
        ("offset=-3&limit=2", {}, 200, "0-1/*", [1, 2]),
        ("", {"range": "0-1"}, 200, "0-1/*", [1, 2]),
        ("", {"range": "1-", "range-unit": "items"}, 200, "1-4/*", [2, 3, 4, 5]),
        ("", {"range": "nonsense"}, 200, "0-4/*", [1, 2, 3, 4, 5]),
        ("limit=2", {"range": "1-4"}, 200, "1-1/*", [2]),
        ("limit=4", {"range": "1-2"}, 200, "1-2/*", [2, 3]),
        ("id=eq.77", {}, 200, "*/*", []),
        ("", {"prefer": "count=exact"}, 200, "0-4/5", [1, 2, 3, 4, 5]),
        ("limit=2", {"prefer": "count=exact"}, 206, "0-1/5", [1, 2]),
        ("limit=2&offset=3", {"prefer": "count=exact"}, 206, "3-4/5", [4, 5]),
        ("offset=5", {"prefer": "count=exact"}, 206, "*/5", []),
        ("id=eq.77", {"prefer": "count=exact"}, 200, "*/0", []),
        ("id=gt.3", {"prefer": "count=exact"}, 200, "0-1/2", [4, 5]),
        ("", {"prefer": "count=estimated"}, 200, "0-4/5", [1, 2, 3, 4, 5]),
        ("limit=1", {"prefer": "count=estimated"}, 206, "0-0/5", [1]),
    ],
)
async def test_pages(rest, query, headers, status, content_range, expected):
    answer = await rest.get(f"/things?select=id&order=id&{query}", headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-range"] == content_range
    assert [row["id"] for row in answer.json()] == expected
    assert answer.headers.get("preference-applied") == headers.get("prefer")


@pytest.mark.parametrize(
    ("query", "headers", "details"),
    [
        ("limit=-1", {}, "Limit should be greater than or equal to zero."),
        (
            "",
            {"range": "5-2"},
            "The lower boundary must be lower than or equal to the upper boundary in the Range header.",
        ),
        (
            "offset=100",
            {"prefer": "count=exact"},
            "An offset of 100 was requested, but there are only 5 rows.",
        ),
        (
            "",
            {"prefer": "count=exact", "range": "100-200"},
            "An offset of 100 was requested, but there are only 5 rows.",
        ),
    ],
)
async def test_pages_that_there_are_not(rest, query, headers, details):
    answer = await rest.get(f"/things?{query}", headers=headers)
    assert answer.status_code == 416
    assert answer.json()["code"] == "PGRST103"
    assert answer.json()["message"] == "Requested range not satisfiable"
    assert answer.json()["details"] == details


async def test_a_planned_count_is_the_planners(rest, owner):
    owner.execute("analyze public.things")
    answer = await rest.get("/things?limit=1", headers={"prefer": "count=planned"})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == "0-0/5"
    assert answer.headers["preference-applied"] == "count=planned"


async def test_a_range_header_counts_on_get_only(rest):
    answer = await rest.head("/things", headers={"range": "0-1"})
    assert answer.headers["content-range"] == "0-4/*"


async def test_head_has_the_headers_of_get_and_no_body(rest):
    asked = {"prefer": "count=exact"}
    got = await rest.get("/things?limit=2", headers=asked)
    answer = await rest.head("/things?limit=2", headers=asked)
    assert answer.status_code == got.status_code == 206
    assert answer.content == b""
    for name in ("content-range", "content-location", "content-type", "vary"):
        assert answer.headers[name] == got.headers[name]


async def test_the_headers_of_a_plain_answer(rest):
    answer = await rest.get("/things?select=id&name=eq.cherry+pie&id=eq.3")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["content-location"] == "/things?id=eq.3&name=eq.cherry%20pie&select=id"
    assert answer.headers["vary"].startswith("Accept, Prefer, Range")
    assert "content-profile" not in answer.headers
    assert "preference-applied" not in answer.headers


async def test_one_object(rest):
    wanted = {"accept": "application/vnd.pgrst.object+json"}
    answer = await rest.get("/things?select=id,name&id=eq.1", headers=wanted)
    assert answer.json() == {"id": 1, "name": "apple"}
    assert answer.headers["content-type"] == "application/vnd.pgrst.object+json; charset=utf-8"
    for query, rows in (("id=eq.77", 0), ("id=lt.4", 3)):
        refused = await rest.get(f"/things?{query}", headers=wanted)
        assert refused.status_code == 406
        assert refused.json() == {
            "code": "PGRST116",
            "message": "Cannot coerce the result to a single JSON object",
            "error": "Cannot coerce the result to a single JSON object",
            "details": f"The result contains {rows} rows",
            "hint": None,
        }
        assert refused.headers["proxy-status"] == "PostgREST; error=PGRST116"


async def test_nulls_can_be_left_out(rest):
    answer = await rest.get(
        "/things?select=id,name,amount&id=eq.5",
        headers={"accept": "application/vnd.pgrst.array+json;nulls=stripped"},
    )
    assert answer.json() == [{"id": 5}]
    assert answer.headers["content-type"] == "application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8"
    answer = await rest.get(
        "/things?select=id,name,amount&id=eq.5",
        headers={"accept": "application/vnd.pgrst.object+json; nulls=stripped"},
    )
    assert answer.json() == {"id": 5}


async def test_csv(rest):
    answer = await rest.get("/things?select=id,name,flag&order=id&id=lt.4", headers={"accept": "text/csv"})
    assert answer.text == 'id,name,flag\n1,apple,t\n2,banana,f\n3,"cherry pie",'
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-range"] == "0-2/*"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/json;charset=utf-8", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("text/csv;q=0.5,application/json;q=0.9", "application/json"),
        ("text/unknown,text/csv", "text/csv"),
        ("APPLICATION/VND.PGRST.ARRAY+JSON", "application/json"),
    ],
)
async def test_the_first_media_type_that_there_is_counts(rest, accept, expected):
    answer = await rest.get("/things", headers={"accept": accept})
    assert answer.headers["content-type"] == f"{expected}; charset=utf-8"


@pytest.mark.parametrize(
    "accept", ["text/unknown", "image/png", "application/vnd.pgrst.plan+json", "application/geo+json"]
)
async def test_other_media_types_are_not_served(rest, accept):
    answer = await rest.get("/things", headers={"accept": accept})
    assert answer.status_code == 406
    assert answer.json()["code"] == "PGRST107"
    assert answer.json()["message"] == f"None of these media types are available: {accept}"


async def test_views_and_tables_without_a_key_are_read_as_well(rest):
    assert len((await rest.get("/happy_things")).json()) == 3
    assert (await rest.get("/sums")).json() == [{"n": 5, "total": 10}]
    assert (await rest.get("/frozen")).json() == [{"id": 1, "name": "ice"}]
    assert len((await rest.get("/loose?b=eq.one")).json()) == 2


async def test_a_time_zone_can_be_preferred(rest):
    answer = await rest.get("/things?select=at&id=eq.1", headers={"prefer": "timezone=America/Los_Angeles"})
    assert answer.json() == [{"at": "2026-01-01T04:00:00-08:00"}]
    assert answer.headers["preference-applied"] == "timezone=America/Los_Angeles"
    refused = await rest.get("/things", headers={"prefer": "timezone=Nowhere/City"})
    assert refused.status_code == 400
    assert refused.json()["code"] == "22023"


async def test_what_is_not_understood_is_an_error_only_where_it_is_to_be_taken_strictly(rest):
    assert (await rest.get("/things", headers={"prefer": "handling=lenient, wrong=1"})).status_code == 200
    answer = await rest.get("/things", headers={"prefer": "handling=strict, wrong=1, other"})
    assert answer.status_code == 400
    assert answer.json()["code"] == "PGRST122"
    assert answer.json()["message"] == "Invalid preferences given with handling=strict"
    assert answer.json()["details"] == "Invalid preferences: wrong=1, other"


@pytest.mark.parametrize(
    ("query", "status", "code", "message"),
    [
        ("id=1", 400, "PGRST100", '"failed to parse filter (1)" (line 1, column 1)'),
        ("id=", 400, "PGRST100", '"failed to parse filter ()" (line 1, column 1)'),
        ("id=noop.1", 400, "PGRST100", '"failed to parse filter (noop.1)" (line 1, column 1)'),
        ("id=is.5", 400, "PGRST100", '"failed to parse filter (is.5)" (line 1, column 4)'),
        ("id=in.5", 400, "PGRST100", '"failed to parse filter (in.5)" (line 1, column 4)'),
        ("or=()", 400, "PGRST100", '"failed to parse logic tree (())" (line 1, column 4)'),
        ("or=(id.eq.1", 400, "PGRST100", None),
        ("and=id.eq.1", 400, "42703", "column things.andid does not exist"),
        ("select=id,", 400, "PGRST100", None),
        ("select=id::", 400, "PGRST100", '"failed to parse select parameter (id::)" (line 1, column 5)'),
        ("order=id.up", 400, "PGRST100", None),
        ("order=", 400, "PGRST100", None),
        ("name=fts.word", 400, "PGRST100", '"failed to parse filter (fts.word)" (line 1, column 1)'),
        ("name=plfts.word", 400, "PGRST100", None),
        ("name=phfts(english).word", 400, "PGRST100", None),
        ("name=not.wfts.word", 400, "PGRST100", None),
        ("nope=eq.1", 400, "42703", "column things.nope does not exist"),
        ("select=nope", 400, "42703", "column things.nope does not exist"),
        ("order=nope", 400, "42703", "column things.nope does not exist"),
        ("or=(id.eq.1,nope.eq.1)", 400, "42703", "column things.nope does not exist"),
        ("select=id::nope", 400, "42704", 'type "nope" does not exist'),
        ("id=eq.x", 400, "22P02", 'invalid input syntax for type integer: "x"'),
        ("token=eq.x", 400, "22P02", 'invalid input syntax for type uuid: "x"'),
        ("at=eq.x", 400, "22007", None),
        ("feeling=eq.x", 400, "22P02", None),
        ("id=eq.99999999999999999999", 400, "22003", None),
        ("offset=99999999999999999999", 400, "22003", None),
        ("id=like.1", 404, "42883", None),
        ("name=match.(", 400, "2201B", None),
        ("name=eq.%00", 400, "22021", None),
        ("select=count()", 400, "PGRST123", "Use of aggregate functions is not allowed"),
        ("select=amount.sum(),name", 400, "PGRST123", None),
        ("select=a:amount.max()::text", 400, "PGRST123", None),
        ("select=count", 400, "42703", None),
        (
            "select=*,children(*)",
            400,
            "PGRST200",
            "Could not find a relationship between 'things' and 'children' in the schema cache",
        ),
        ("select=...children(id)", 400, "PGRST200", None),
        ("select=alias:children!fk!inner(id,deeper(x))", 400, "PGRST200", None),
        ("children.id=eq.1", 400, "PGRST108", "'children' is not an embedded resource in this request"),
        ("select=children(id)&children.id=eq.1", 400, "PGRST200", None),
        ("order=children(id)", 400, "PGRST108", None),
        ("children.or=(id.eq.1)", 400, "PGRST108", None),
        ("children.limit=1", 400, "PGRST108", None),
    ],
)
async def test_what_cannot_be_read_or_found(rest, query, status, code, message):
    answer = await rest.get(f"/things?{query}")
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert message in (None, body["message"])
    assert set(body) == {"code", "message", "error", "details", "hint"}
    assert body["error"] == body["message"]
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["proxy-status"] == f"PostgREST; error={code}"


async def test_no_relationship_is_told_in_full(rest):
    answer = await rest.get("/things?select=children!the_hint(*)")
    assert answer.json()["details"] == (
        "Searched for a foreign key relationship between 'things' and 'children' using the hint 'the_hint'"
        " in the schema 'public', but no matches were found."
    )


async def test_unknown_tables(rest):
    answer = await rest.get("/thingz")
    assert answer.status_code == 404
    assert answer.json()["code"] == "PGRST205"
    assert answer.json()["message"] == "Could not find the table 'public.thingz' in the schema cache"
    assert answer.json()["hint"] == "Perhaps you meant the table 'public.things'"
    assert (await rest.get("/entirely_else")).json()["hint"] is None


async def test_only_schema_public_is_served(rest):
    for profile in ("auth", "sigma", "pg_catalog", "storage"):
        answer = await rest.get("/things", headers={"accept-profile": profile})
        assert answer.status_code == 406
        assert answer.json()["code"] == "PGRST106"
        assert answer.json()["message"] == f"Invalid schema: {profile}"
        assert answer.json()["hint"] == "Only the following schemas are exposed: public"
        assert (await rest.post("/things", json={}, headers={"content-profile": profile})).status_code == 406
    answer = await rest.get("/things", headers={"accept-profile": "public"})
    assert answer.status_code == 200
    assert answer.headers["content-profile"] == "public"
    assert (await rest.get("/users")).json()["code"] == "PGRST205"


@pytest.mark.parametrize("path", ["/things/1", "/things/", "/rpc/add/1", "/a%2Fb/c"])
async def test_other_paths_are_none(rest, path):
    answer = await rest.get(path)
    assert answer.status_code == 404
    assert answer.json()["code"] == "PGRST125"
    assert answer.json()["message"] == "Invalid path specified in request URL"


async def test_other_methods_are_none(rest):
    answer = await rest.request("TRACE", "/things")
    assert answer.status_code == 405
    assert answer.json()["code"] == "PGRST117"
    assert answer.json()["message"] == "Unsupported HTTP method: TRACE"
    assert (await rest.post("/", json={})).json()["code"] == "PGRST117"


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/things", "OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE"),
        ("/loose", "OPTIONS,GET,HEAD,POST,PATCH,DELETE"),
        ("/happy_things", "OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE"),
        ("/half_notes", "OPTIONS,GET,HEAD,POST,PATCH,DELETE"),
        ("/sums", "OPTIONS,GET,HEAD"),
        ("/frozen", "OPTIONS,GET,HEAD"),
        ("/", "OPTIONS,GET,HEAD"),
        ("/rpc/hello", "OPTIONS,GET,HEAD,POST"),
        ("/rpc/nothing", "OPTIONS,POST"),
    ],
)
async def test_options_say_what_may_be_done(rest, path, allow):
    answer = await rest.options(path)
    assert answer.status_code == 200
    assert answer.headers["allow"] == allow
    assert answer.content == b""


async def test_options_of_nothing(rest):
    assert (await rest.options("/nope")).status_code == 404
    assert (await rest.options("/rpc/nope")).status_code == 404


async def test_a_long_address_and_thousands_of_filters_hurt_nobody(rest):
    many = "&".join(f"id=neq.{number + 100}" for number in range(3000))
    answer = await rest.get(f"/things?select=id&{many}")
    assert len(answer.json()) == 5
    assert "content-location" not in answer.headers


async def test_deep_nesting_hurts_nobody(rest):
    for depth, status in ((90, 200), (150, 400), (3000, 400)):
        tree = "and(" * depth + "id.eq.1" + ")" * depth
        answer = await rest.get(f"/things?select=id&or=({tree})")
        assert answer.status_code == status
    nested = "children(" * 3000 + ")" * 3000
    assert (await rest.get(f"/things?select={nested}")).status_code == 400
    deep_json = "[" * 100_000
    answer = await rest.post("/things", content=deep_json, headers={"content-type": "application/json"})
    assert answer.json()["message"] == "Empty or invalid json"


async def test_the_body_is_what_postgres_wrote(rest):
    answer = await rest.get("/things?select=id,price&order=id&limit=2")
    assert answer.text == '[{"id":1,"price":1.50}, \n {"id":2,"price":2.25}]'
    assert json.loads(answer.text)[0]["price"] == 1.5
