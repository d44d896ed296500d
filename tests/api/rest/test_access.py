"""Who is let in, as whom, and what they may do: tokens, roles, grants and row level security."""

from __future__ import annotations

import itertools
import json
import time
from datetime import timedelta
from uuid import uuid4

import jwt
import pytest

from tests.database.test_row_level_security import COMMANDS, DENIED, DONE, EXPECTED, NONE, WHOSE

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fresh_rows")]

BACK = {"prefer": "return=representation"}
MERGE = {"prefer": "resolution=merge-duplicates"}


# Tokens


async def test_the_role_is_that_of_the_bearer_token(visitor, rest, connect, keys, bearing, sign):
    assert (await visitor.get("/rpc/who")).json() == "anon"
    assert (await rest.get("/rpc/who")).json() == "service_role"
    assert (await bearing(f"Bearer {sign(role='authenticated')}").get("/rpc/who")).json() == "authenticated"
    assert (await bearing(f"bearer {keys.service_role}").get("/rpc/who")).json() == "service_role"
    assert (await bearing("Basic eDp5").get("/rpc/who")).json() == "anon"
    assert (await bearing(f"Bearer {sign()}").get("/rpc/who")).json() == "anon"
    mixed = connect(apikey=keys.service_role, authorization=f"Bearer {keys.anon}")
    assert (await mixed.get("/rpc/who")).json() == "anon"
    assert (await connect().get(f"/rpc/who?apikey={keys.anon}")).json() == "anon"


def of_now(claims: dict[str, object]) -> dict[str, object]:
    """Claims whose times are given by how far they are from now, which is not when tests are collected."""
    return {
        name: time.time() + value.total_seconds() if isinstance(value, timedelta) else value
        for name, value in claims.items()
    }


def unsigned() -> str:
    return jwt.encode({"role": "service_role"}, "", "none")


def other_algorithm(keys) -> str:
    return jwt.encode({"role": "service_role"}, keys.secret * 2, "HS512")


@pytest.mark.parametrize(
    ("token", "message", "details"),
    [
        ("", "Empty JWT is sent in Authorization header", None),
        ("a.b", "Expected 3 parts in JWT; got 2", None),
        ("a.b.c.d", "Expected 3 parts in JWT; got 4", None),
        ("quif.fonv.iuq", "JWT cryptographic operation failed", None),
        ("..", "JWT cryptographic operation failed", None),
        (unsigned(), "Wrong or unsupported encoding algorithm", None),
        ("other algorithm", "Wrong or unsupported encoding algorithm", None),
        ("other secret", "No suitable key or wrong key type", "None of the keys was able to decode the JWT"),
    ],
)
async def test_tokens_that_are_not_ours(bearing, keys, token, message, details):
    if token == "other secret":
        token = jwt.encode({"role": "service_role"}, "another secret of thirty-two bytes", "HS256")
    if token == "other algorithm":
        token = other_algorithm(keys)
    for _ in range(2):
        answer = await bearing(f"Bearer {token}").get("/things")
        assert answer.status_code == 401
        assert answer.json() == {
            "code": "PGRST301", "message": message, "error": message, "details": details, "hint": None,
        }  # fmt: skip
        assert answer.headers["www-authenticate"] == (f'Bearer error="invalid_token", error_description="{message}"')


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"exp": timedelta(seconds=-35)}, "JWT expired"),
        ({"nbf": timedelta(seconds=300)}, "JWT not yet valid"),
        ({"iat": timedelta(seconds=300)}, "JWT issued at future"),
        ({"exp": "soon"}, "The JWT 'exp' claim must be a number"),
        ({"nbf": True}, "The JWT 'nbf' claim must be a number"),
        ({"iat": []}, "The JWT 'iat' claim must be a number"),
        ({"aud": 5}, "The JWT 'aud' claim must be a string or an array of strings"),
        ({"aud": ["a", 5]}, "The JWT 'aud' claim must be a string or an array of strings"),
    ],
)
async def test_claims_that_are_not_accepted(bearing, keys, claims, message):
    token = jwt.api_jws.encode(json.dumps({"role": "anon", **of_now(claims)}).encode(), keys.secret, "HS256")
    for _ in range(2):
        answer = await bearing(f"Bearer {token}").get("/things")
        assert (answer.status_code, answer.json()["code"]) == (401, "PGRST303")
        assert answer.json()["message"] == message
        assert answer.headers["www-authenticate"] == (f'Bearer error="invalid_token", error_description="{message}"')


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": timedelta(seconds=300)}, {"exp": None}, {"aud": "anything"}, {"aud": ["a", "b"]}, {"aud": []},
        {"nbf": timedelta(seconds=-5), "iat": timedelta(seconds=-5)}, {"nbf": timedelta(seconds=20)}, {"iat": 1.5},
    ],
)  # fmt: skip
async def test_claims_that_are_accepted(bearing, keys, claims):
    token = jwt.api_jws.encode(json.dumps({"role": "anon", **of_now(claims)}).encode(), keys.secret, "HS256")
    assert (await bearing(f"Bearer {token}").get("/things")).status_code == 200


async def test_a_token_that_was_good_is_not_good_for_ever(bearing, sign, monkeypatch):
    client = bearing(f"Bearer {sign(role='anon', exp=int(time.time()) + 60)}")
    assert (await client.get("/things")).status_code == 200
    later = time.time() + 120
    monkeypatch.setattr("sigma_app.embedded.supabase.rest.identity.time.time", lambda: later)
    assert (await client.get("/things")).json()["message"] == "JWT expired"


async def test_a_payload_that_is_no_object(bearing, keys):
    token = jwt.api_jws.encode(b"[]", keys.secret, "HS256")
    answer = await bearing(f"Bearer {token}").get("/things")
    assert (answer.status_code, answer.json()["code"]) == (401, "PGRST303")
    assert answer.json()["message"] == "Parsing claims failed"


@pytest.mark.parametrize(
    ("role", "status", "code"),
    [
        ("nobody", 401, "22023"), ("", 401, None), (5, 401, "22023"), (None, 401, "22023"), ("postgres", 403, "42501"),
        ("pg_read_all_data", 403, "42501"), ("nul \0", 400, "22021"), ("half \ud800", 400, "22021"),
    ],
)  # fmt: skip
async def test_roles_that_nobody_may_be(bearing, sign, role, status, code):
    answer = await bearing(f"Bearer {sign(role=role)}").get("/things")
    assert code in (None, answer.json()["code"]), answer.text
    assert code is None or answer.status_code == status


# Grants and policies


async def test_a_visitor_is_asked_to_sign_in_and_others_are_refused(visitor, bearing, sign):
    answer = await visitor.get("/hidden")
    assert (answer.status_code, answer.json()["code"]) == (401, "42501")
    assert answer.json()["message"] == "permission denied for table hidden"
    assert answer.headers["www-authenticate"] == "Bearer"
    answer = await bearing(f"Bearer {sign(role='authenticated')}").get("/hidden")
    assert (answer.status_code, answer.json()["code"]) == (403, "42501")
    assert "www-authenticate" not in answer.headers
    assert (await visitor.post("/rpc/secret", json={})).status_code == 401


async def test_policies_hide_rows_and_refuse_to_write_others(visitor, rest, owner):
    assert (await visitor.get("/guarded")).json() == [{"id": 1, "mine": True}]
    assert (await visitor.get("/guarded", headers={"prefer": "count=exact"})).headers["content-range"] == "0-0/1"
    assert len((await rest.get("/guarded")).json()) == 2
    answer = await visitor.patch("/guarded?id=eq.2", json={"mine": True}, headers={"prefer": "count=exact"})
    assert (answer.status_code, answer.headers["content-range"]) == (204, "*/0")
    answer = await visitor.post("/guarded", json={"id": 3, "mine": False})
    assert (answer.status_code, answer.json()["code"]) == (401, "42501")
    assert "row-level security" in answer.json()["message"]
    assert (await visitor.delete("/guarded?id=gt.0", headers=BACK)).json() == [{"id": 1, "mine": True}]


async def test_what_one_may_write_and_not_read_is_not_written_where_it_is_wanted_back(visitor, owner):
    for returning in ("representation", "headers-only"):
        answer = await visitor.post("/write_only", json={"id": 1}, headers={"prefer": f"return={returning}"})
        assert (answer.status_code, answer.json()["code"]) == (401, "42501")
    assert owner.execute("select count(*) from public.write_only").fetchone() == (0,)
    assert (await visitor.post("/write_only", json={"id": 1})).status_code == 201


# The documented tables


async def test_a_visitor_joins(visitor, owner):
    answer = await visitor.post("/leads", json={"email": "Ada@example.com"})
    assert (answer.status_code, answer.content) == (201, b"")
    again = await visitor.post("/leads", json={"email": "ada@EXAMPLE.com"})
    assert again.status_code == 409
    body = again.json()
    assert body["code"] == "23505"
    assert body["error"] == body["message"]
    assert body["message"].startswith("duplicate key value violates unique constraint")
    assert {"details", "hint"} <= body.keys()
    assert owner.execute("select count(*) from public.leads").fetchone() == (1,)


async def test_a_visitor_reads_no_leads(visitor, rest, as_person, alice):
    await visitor.post("/leads", json={"email": "ada@example.com"})
    refused = await visitor.post("/leads", json={"email": "bob@example.com"}, headers=BACK)
    assert (refused.status_code, refused.json()["code"]) == (401, "42501")
    for client, status in ((visitor, 401), (as_person(alice), 403)):
        answer = await client.get("/leads", headers={"prefer": "count=exact"})
        assert (answer.status_code, answer.json()["code"]) == (status, "42501")
        assert "content-range" not in answer.headers
    rows = (await rest.get("/leads?select=email")).json()
    assert rows == [{"email": "ada@example.com"}]


async def test_an_expression_cannot_be_a_conflicts_target(rest):
    await rest.post("/leads", json={"email": "ada@example.com"})
    answer = await rest.post("/leads?on_conflict=email", json={"email": "ada@example.com"}, headers=MERGE)
    assert (answer.status_code, answer.json()["code"]) == (400, "42P10")


async def test_everybody_sees_and_changes_their_own_profile(as_person, alice, bob):
    client = as_person(alice)
    assert [row["id"] for row in (await client.get("/profiles")).json()] == [str(alice.id)]
    assert (await client.get(f"/profiles?id=eq.{bob.id}")).json() == []
    answer = await client.patch(
        f"/profiles?id=eq.{alice.id}", json={"name": "Alice", "has_access": False}, headers=BACK
    )
    assert (answer.status_code, answer.json()[0]["name"]) == (200, "Alice")
    answer = await client.patch(f"/profiles?id=eq.{bob.id}", json={"name": "x"}, headers={"prefer": "count=exact"})
    assert (answer.status_code, answer.headers["content-range"]) == (204, "*/0")
    answer = await client.patch(f"/profiles?id=eq.{bob.id}", json={"name": "x"}, headers=BACK)
    assert (answer.status_code, answer.json()) == (200, [])
    assert (await client.get("/profiles?id=eq.nope")).json()["code"] == "22P02"


@pytest.mark.parametrize("change", [{"has_access": True}, {"customer_id": "cus_1"}, {"price_id": "price_1"}])
async def test_nobody_gives_themselves_what_checkout_sells(as_person, rest, owner, alice, change):
    client, where = as_person(alice), f"/profiles?id=eq.{alice.id}"
    row = {"id": str(alice.id), "name": "Mallory", **change}
    before = owner.execute("select * from public.profiles").fetchall()
    tries = [
        await client.patch(where, json={"name": "Mallory", **change}),
        await client.post("/profiles", json=row, headers=MERGE),
        await client.post("/profiles?on_conflict=id", json=[row], headers=MERGE),
        await client.put(where, json=row),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in tries] == [(403, "42501")] * 4
    assert owner.execute("select * from public.profiles").fetchall() == before
    assert (await client.delete(where)).status_code == 204
    for answer in (await client.post("/profiles", json=row), await client.put(where, json=row)):
        assert (answer.status_code, answer.json()["code"]) == (403, "42501")
    assert (await client.post("/profiles", json={"id": str(alice.id)})).status_code == 201
    fresh = (await client.get("/profiles?select=has_access,customer_id,price_id")).json()
    assert fresh == [{"has_access": False, "customer_id": None, "price_id": None}]
    assert (await rest.patch(where, json=change, headers=BACK)).json()[0].items() >= change.items()


async def test_another_hint_says_who_sets_it(as_person, alice):
    answer = await as_person(alice).patch(f"/profiles?id=eq.{alice.id}", json={"has_access": True})
    assert "checkout" in answer.json()["hint"]


async def test_a_profile_of_somebody_else(as_person, rest, alice, bob):
    client = as_person(alice)
    answer = await client.post("/profiles", json={"id": str(bob.id), "name": "x"})
    assert (answer.status_code, answer.json()["code"]) == (403, "42501")
    answer = await client.post("/profiles", json={"id": str(alice.id), "name": "x"})
    assert (answer.status_code, answer.json()["code"]) == (409, "23505")
    answer = await rest.post("/profiles", json={"id": str(uuid4())})
    assert (answer.status_code, answer.json()["code"]) == (409, "23503")
    answer = await client.patch(f"/profiles?id=eq.{alice.id}", json={"id": str(bob.id)})
    assert answer.status_code == 403


async def test_a_visitor_has_no_profile_to_read_or_change(visitor, alice):
    for answer in (
        await visitor.get("/profiles"),
        await visitor.patch(f"/profiles?id=eq.{alice.id}", json={"name": "x"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (401, "42501")


# The matrix of tests/database, over HTTP


def request_for(table: str, command: str, person) -> tuple[str, str, dict | None]:
    """The method, the address and the body of what `STATEMENTS` there says in SQL."""
    where = {"leads": f"/leads?email=eq.{person.email}", "profiles": f"/profiles?id=eq.{person.id}"}[table]
    new = {"leads": {"email": f"new-{person.email}"}, "profiles": {"id": str(person.id), "name": "New"}}[table]
    changed = {"leads": {"disposable": True}, "profiles": {"name": "Changed"}}[table]
    return {
        "select": ("GET", where, None),
        "insert": ("POST", f"/{table}", new),
        "update": ("PATCH", where, changed),
        "delete": ("DELETE", where, None),
    }[command]


@pytest.mark.parametrize(
    ("role", "table", "command", "whose"),
    [
        pytest.param(*case, id=" ".join(case))
        for case in itertools.product(("anon", "authenticated", "service_role"), EXPECTED, COMMANDS, WHOSE)
    ],
)
async def test_matrix(owner, visitor, rest, as_person, alice, bob, role, table, command, whose):
    owner.execute("insert into public.leads (email) values (%s), (%s)", [alice.email, bob.email])
    target = alice if whose == "own" else bob
    if command == "insert":
        owner.execute("delete from public.profiles where id = %s", [target.id])
    client = {"anon": visitor, "authenticated": as_person(alice), "service_role": rest}[role]

    method, address, body = request_for(table, command, target)
    answer = await client.request(method, address, json=body, headers={"prefer": "count=exact"})

    if answer.status_code in (401, 403):
        assert answer.json()["code"] == "42501"
        assert answer.status_code == (401 if role == "anon" else 403)
        outcome = DENIED
    else:
        assert answer.status_code in (200, 201, 204), answer.text
        outcome = NONE if answer.headers["content-range"].endswith("/0") else DONE
    assert outcome == EXPECTED[table][role][whose][command]
