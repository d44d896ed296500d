"""The gate before all three services: who needs a key, and what browsers of other origins may read."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.anyio

SERVICES = ("/auth/v1/settings", "/rest/v1/leads", "/storage/v1/bucket")


@pytest.mark.parametrize("path", SERVICES)
async def test_without_a_key_there_is_no_way_in(connect, path):
    answer = await connect().get(path)
    assert answer.status_code == 401
    assert answer.json()["message"] == "No API key found in request"
    assert "apikey" in answer.json()["hint"]


@pytest.mark.parametrize("path", SERVICES)
async def test_another_key_opens_nothing(connect, keys, path):
    answer = await connect(apikey=keys.anon + "x").get(path)
    assert answer.status_code == 401
    assert answer.json()["message"] == "Invalid API key"


async def test_the_key_may_stand_in_the_address(connect, keys):
    assert (await connect().get(f"/auth/v1/health?apikey={keys.anon}")).status_code != 401
    assert (await connect().get("/auth/v1/health?apikey=")).json()["message"] == "No API key found in request"


async def test_the_key_alone_speaks_for_servers_and_not_for_anybody_signed_in(connect, keys):
    visitor, server = connect(apikey=keys.anon), connect(apikey=keys.service_role)
    for path in ("/auth/v1/user", "/auth/v1/admin/users"):
        refused = await visitor.get(path)
        assert (refused.status_code, refused.json()["error_code"]) == (401, "no_authorization")
    as_bearer = await connect(apikey=keys.anon, authorization=f"Bearer {keys.anon}").get("/auth/v1/user")
    assert (as_bearer.status_code, as_bearer.json()["error_code"]) == (403, "bad_jwt")
    assert (await server.get("/auth/v1/admin/users")).status_code == 200
    assert (await server.get("/rest/v1/leads")).status_code == 200
    assert (await visitor.get("/storage/v1/bucket")).status_code == 200


async def test_for_storage_a_token_is_enough(connect, keys):
    answer = await connect(authorization=f"Bearer {keys.service_role}").get("/storage/v1/bucket")
    assert (answer.status_code, answer.json()) == (200, [])
    nonsense = await connect(authorization="Bearer nonsense").get("/storage/v1/bucket")
    assert nonsense.json()["message"] == "Invalid Compact JWS"
    beside_another_key = connect(authorization=f"Bearer {keys.service_role}", apikey="another")
    assert (await beside_another_key.get("/storage/v1/bucket")).json()["message"] == "Invalid API key"


@pytest.mark.parametrize("path", ["/auth/v1/settings", "/rest/v1/leads"])
async def test_elsewhere_a_token_alone_opens_nothing(connect, keys, path):
    answer = await connect(authorization=f"Bearer {keys.service_role}").get(path)
    assert (answer.status_code, answer.json()["message"]) == (401, "No API key found in request")


OPEN = (
    "/auth/v1/verify",
    "/auth/v1/.well-known/jwks.json",
    "/storage/v1/object/public/a/b",
    "/storage/v1/render/image/public/a/b",
    "/storage/v1/status",
)


@pytest.mark.parametrize("path", OPEN)
async def test_a_bare_browser_needs_no_key_for_what_is_linked_to(connect, path):
    assert (await connect().get(path)).status_code != 401


@pytest.mark.parametrize("path", SERVICES)
async def test_browsers_of_any_origin_may_ask_and_read(connect, keys, path):
    asks = {
        "origin": "https://elsewhere.example",
        "access-control-request-method": "PATCH",
        "access-control-request-headers": "apikey, authorization, content-type, prefer, x-client-info",
    }
    preflight = await connect(**asks).options(path)
    assert preflight.status_code in (200, 204)
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "PATCH" in preflight.headers["access-control-allow-methods"]
    assert "prefer" in preflight.headers["access-control-allow-headers"]

    from_the_web = await connect(**asks, **{"access-control-request-private-network": "true"}).options(path)
    assert from_the_web.status_code in (200, 204)

    refused = await connect(origin="https://elsewhere.example").get(path)
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("path", ["/auth/v1/a%0Ab", "/rest/v1/a%0Ab", "/storage/v1/a%0Ab"])
async def test_a_path_with_a_line_break_is_the_services_own(connect, keys, path):
    answer = await connect(apikey=keys.anon, origin="https://elsewhere.example").get(path)
    assert answer.status_code == 404
    assert answer.headers["access-control-allow-origin"] == "*"
