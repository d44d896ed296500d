"""`GET /`: the OpenAPI document of what the role may use."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.anyio


async def test_the_document_describes_tables_and_functions(rest):
    answer = await rest.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/openapi+json; charset=utf-8"
    document = answer.json()
    assert document["swagger"] == "2.0"
    assert document["host"] == "localhost:3000"
    assert document["basePath"] == "/rest/v1/"
    thing = document["definitions"]["things"]
    assert thing["required"] == ["id"]
    assert thing["properties"]["id"] == {
        "format": "int32", "type": "integer", "description": "Note:\nThis is a Primary Key.<pk/>",
    }  # fmt: skip
    assert thing["properties"]["name"] == {"format": "text", "type": "string", "description": "What it is called"}
    assert thing["properties"]["price"]["type"] == "number"
    assert thing["properties"]["tags"] == {"format": "text[]", "type": "array", "items": {"type": "string"}}
    assert thing["properties"]["feeling"]["enum"] == ["sad", "ok", "happy"]
    assert thing["properties"]["code"]["maxLength"] == 4
    assert "type" not in thing["properties"]["data"]
    paths = document["paths"]
    assert paths["/things"]["get"]["summary"] == "Things"
    assert paths["/things"]["get"]["description"] == "All kinds of them."
    assert {"$ref": "#/parameters/rowFilter.things.name"} in paths["/things"]["get"]["parameters"]
    assert set(paths["/things"]) == {"get", "post", "patch", "delete"}
    assert set(paths["/sums"]) == {"get"}
    assert set(paths["/rpc/add"]) == {"get", "post"}
    assert set(paths["/rpc/make_thing"]) == {"post"}
    schema = paths["/rpc/add"]["post"]["parameters"][0]["schema"]
    assert schema["required"] == ["a"]
    assert schema["properties"]["b"] == {"format": "integer", "type": "integer"} | {"format": "int32"}
    assert "/rpc/on_change" not in paths


async def test_every_reference_leads_somewhere(rest):
    document = (await rest.get("/")).json()

    def references(value):
        if isinstance(value, dict):
            yield from ([value["$ref"]] if "$ref" in value else [])
            value = list(value.values())
        for item in value if isinstance(value, list) else []:
            yield from references(item)

    for reference in references(document):
        _, kind, name = reference.split("/", 2)
        assert name in document[kind], reference


async def test_a_visitor_reads_only_of_what_a_visitor_may_use(visitor):
    document = (await visitor.get("/", headers={"accept": "application/openapi+json"})).json()
    assert "leads" in document["definitions"]  # joining
    assert not {"profiles", "hidden", "pairs_of_others"} & document["definitions"].keys()
    assert "/rpc/secret" not in document["paths"]
    assert "/rpc/founder_count" in document["paths"]


async def test_other_forms_of_it_there_are_none(rest):
    answer = await rest.get("/", headers={"accept": "text/csv"})
    assert (answer.status_code, answer.json()["code"]) == (406, "PGRST107")
    head = await rest.head("/")
    assert (head.status_code, head.content) == (200, b"")
