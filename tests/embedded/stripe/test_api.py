"""The API as such: keys, errors, pages, expansion, idempotency; and the objects that hold no money."""

from __future__ import annotations

import asyncio

import httpx
import pytest
import stripe
from stripe._api_version import _ApiVersion

from sigma_app.core.database import ANONYMOUS
from sigma_app.embedded.stripe.app import Transport
from sigma_app.embedded.stripe.books import API_VERSION, opened

pytestmark = pytest.mark.anyio

AUTHORIZED = {"authorization": "Bearer sk_test_any"}
FORM = AUTHORIZED | {"content-type": "application/x-www-form-urlencoded"}


async def test_the_version_is_the_sdks():
    assert API_VERSION == _ApiVersion.CURRENT


async def test_any_key_opens_it_and_none_does_not(wire):
    refused = await wire.get("/v1/products")
    assert (refused.status_code, refused.json()["error"]["type"]) == (401, "invalid_request_error")
    answered = await wire.get("/v1/products", headers=AUTHORIZED)
    assert answered.json() == {"object": "list", "url": "/v1/products", "has_more": False, "data": []}
    assert answered.headers["request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "code"),
    [
        ("GET", "/v1/products/none", "", 404, "resource_missing"),
        ("GET", "/v1/unicorns", "", 404, None),
        ("PUT", "/v1/products", "", 405, None),
        ("POST", "/v1/products", "", 400, "parameter_missing"),
        ("POST", "/v1/products", "name=x&nmae=y", 400, "parameter_unknown"),
        ("POST", "/v1/products", "name[=x", 400, "parameter_invalid"),
        ("POST", "/v1/products", "name=x&name[y]=z", 400, "parameter_invalid"),
        ("POST", "/v1/products", "name=x&active=perhaps", 400, "parameter_invalid"),
        ("POST", "/v1/prices", "product=none&currency=eur&unit_amount=1", 404, "resource_missing"),
        ("GET", "/v1/products?limit=101", "", 400, None),
        ("GET", "/v1/products?limit=few", "", 400, "parameter_invalid"),
        ("GET", "/v1/products?starting_after=none", "", 404, "resource_missing"),
        ("GET", "/v1/products?expand[]=data.a.b.c.d", "", 400, None),
    ],
)
async def test_what_is_wrong_is_said_as_stripe_says_it(wire, method, path, content, status, code):
    answered = await wire.request(method, path, headers=FORM, content=content)
    assert answered.status_code == status
    if status != 405:
        error = answered.json()["error"]
        assert (error["type"], error.get("code")) == ("invalid_request_error", code)
        assert error["message"]


async def test_pages_lead_on_and_back(sdk):
    made = [(await sdk.products.create_async({"name": f"Product {number}"})).id for number in range(5)]
    newest = made[::-1]
    first = await sdk.products.list_async({"limit": 2})
    assert ([one.id for one in first.data], first.has_more) == (newest[:2], True)
    second = await sdk.products.list_async({"limit": 2, "starting_after": newest[1]})
    assert ([one.id for one in second.data], second.has_more) == (newest[2:4], True)
    last = await sdk.products.list_async({"limit": 2, "starting_after": newest[3]})
    assert ([one.id for one in last.data], last.has_more) == (newest[4:], False)
    back = await sdk.products.list_async({"limit": 2, "ending_before": newest[3]})
    assert ([one.id for one in back.data], back.has_more) == (newest[1:3], True)
    start = await sdk.products.list_async({"limit": 2, "ending_before": newest[2]})
    assert ([one.id for one in start.data], start.has_more) == (newest[:2], False)
    assert [one.id async for one in first.auto_paging_iter()] == newest


async def test_a_list_longer_than_what_is_read_at_once(sdk, owner):
    product = await sdk.products.create_async({"name": "One of many"})
    owner.execute(
        "insert into sigma.sandbox_objects (id, kind, body)"
        " select 'prod_' || n, 'product', body || jsonb_build_object('id', 'prod_' || n, 'active', n %% 2 = 0)"
        " from sigma.sandbox_objects, generate_series(1, 250) as n where id = %s order by n",
        [product.id],
    )
    every = [one.id async for one in (await sdk.products.list_async({"limit": 100})).auto_paging_iter()]
    assert (len(every), len(set(every)), every[-1]) == (251, 251, product.id)
    idle = [one.id async for one in (await sdk.products.list_async({"active": False})).auto_paging_iter()]
    assert len(idle) == 125


async def test_what_is_looked_for_is_found_behind_all_that_is_read_at_once(sdk, monthly, owner):
    oldest = await sdk.prices.update_async(monthly.id, {"lookup_key": "oldest"})
    owner.execute(
        "insert into sigma.sandbox_objects (id, kind, body)"
        " select 'price_' || n, 'price', body || jsonb_build_object('id', 'price_' || n, 'lookup_key', null)"
        " from sigma.sandbox_objects, generate_series(1, 250) as n where id = %s order by n",
        [monthly.id],
    )
    assert [one.id for one in (await sdk.prices.list_async({"lookup_keys": ["oldest"]})).data] == [oldest.id]


async def test_ids_expand_to_what_they_name_also_in_lists(sdk, monthly, product):
    alone = await sdk.prices.retrieve_async(monthly.id, {"expand": ["product"]})
    assert alone.product.name == product.name
    listed = await sdk.prices.list_async({"expand": ["data.product"]})
    assert listed.data[0].product.name == product.name
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        await sdk.prices.retrieve_async(monthly.id, {"expand": ["unicorn"]})


class TestIdempotency:
    async def test_a_repeated_request_gets_the_first_ones_answer(self, sdk, connections):
        first = await sdk.products.create_async({"name": "Sigma"}, {"idempotency_key": "k"})
        again = await sdk.products.create_async({"name": "Sigma"}, {"idempotency_key": "k"})
        assert first.id == again.id
        assert connections.headers[-1]["idempotent-replayed"] == "true"
        assert "idempotent-replayed" not in connections.headers[-2]
        assert len((await sdk.products.list_async()).data) == 1

    async def test_a_key_is_good_for_the_same_parameters_alone(self, sdk):
        await sdk.products.create_async({"name": "Sigma"}, {"idempotency_key": "k"})
        with pytest.raises(stripe.IdempotencyError):
            await sdk.products.create_async({"name": "Tau"}, {"idempotency_key": "k"})

    async def test_what_was_refused_may_be_asked_again_otherwise(self, sdk):
        with pytest.raises(stripe.InvalidRequestError):
            await sdk.products.create_async({"nmae": "Sigma"}, {"idempotency_key": "k"})
        assert (await sdk.products.create_async({"name": "Sigma"}, {"idempotency_key": "k"})).name == "Sigma"

    async def test_a_key_is_forgotten_after_a_day(self, sdk, owner):
        first = await sdk.products.create_async({"name": "Sigma"}, {"idempotency_key": "k"})
        owner.execute("update sigma.sandbox_requests set created_at = created_at - interval '25 hours'")
        again = await sdk.products.create_async({"name": "Sigma"}, {"idempotency_key": "k"})
        assert first.id != again.id

    async def test_two_at_once_make_one(self, wire):
        ask = {"headers": FORM | {"idempotency-key": "k"}, "content": "name=Sigma"}
        answers = await asyncio.gather(*(wire.post("/v1/products", **ask) for _ in range(3)))
        made = {answer.json()["id"] for answer in answers if answer.is_success}
        assert len(made) == 1
        for answer in answers:
            assert answer.is_success or answer.json()["error"]["code"] == "idempotency_key_in_use"

    async def test_one_that_is_under_way_is_said_to_be(self, wire):
        async with opened("k"):
            answer = await wire.post("/v1/products", headers=FORM | {"idempotency-key": "k"}, content="name=Sigma")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "idempotency_key_in_use")

    async def test_a_key_that_is_too_long_is_refused(self, wire):
        headers = FORM | {"idempotency-key": "k" * 256}
        assert (await wire.post("/v1/products", headers=headers, content="name=Sigma")).status_code == 400


async def test_many_at_once_lose_nothing(sdk):
    product = await sdk.products.create_async({"name": "Sigma"})
    notes = [{f"note_{number}": "here"} for number in range(12)]
    await asyncio.gather(*(sdk.products.update_async(product.id, {"metadata": note}) for note in notes))
    kept = (await sdk.products.retrieve_async(product.id)).metadata.to_dict()
    assert sorted(kept) == sorted(name for note in notes for name in note)


async def test_without_a_database_it_says_so(settings):
    async with httpx.AsyncClient(transport=Transport(), base_url="http://stripe.sandbox") as client:
        answered = await client.get("/v1/products", headers=AUTHORIZED)
    assert (answered.status_code, answered.json()["error"]["type"]) == (503, "api_error")


async def test_its_tables_are_the_services_alone(database, owner):
    for table in ("sandbox_objects", "sandbox_requests", "sandbox_settings"):
        holders = owner.execute(
            "select role from unnest(array['anon', 'authenticated', 'authenticator', 'service_role']) as role"
            " where has_table_privilege(role, %s, 'select, insert, update, delete, truncate')",
            [f"sigma.{table}"],
        ).fetchall()
        assert holders == [("service_role",)]
        with pytest.raises(Exception, match="permission denied"):
            async with database.cursor(ANONYMOUS) as cursor:
                await cursor.execute(f"select * from sigma.{table}".encode())


class TestCatalogue:
    async def test_a_lookup_key_goes_to_the_price_that_takes_it(self, sdk, product):
        wanted = {"product": product.id, "currency": "eur", "unit_amount": 1900, "lookup_key": "monthly"}
        first = await sdk.prices.create_async(wanted)
        with pytest.raises(stripe.InvalidRequestError):
            await sdk.prices.create_async(wanted)
        second = await sdk.prices.create_async(wanted | {"unit_amount": 2900, "transfer_lookup_key": True})
        assert (await sdk.prices.retrieve_async(first.id)).lookup_key is None
        found = await sdk.prices.list_async({"lookup_keys": ["monthly", "other"]})
        assert [one.id for one in found.data] == [second.id]

    async def test_a_price_takes_a_lookup_key_later_as_well(self, sdk, monthly, yearly):
        await sdk.prices.update_async(monthly.id, {"lookup_key": "plan"})
        with pytest.raises(stripe.InvalidRequestError):
            await sdk.prices.update_async(yearly.id, {"lookup_key": "plan"})
        await sdk.prices.update_async(yearly.id, {"lookup_key": "plan", "transfer_lookup_key": True})
        found = await sdk.prices.list_async({"lookup_keys": ["plan"]})
        assert [one.id for one in found.data] == [yearly.id]

    async def test_what_is_not_for_sale_any_more_is_listed_apart(self, sdk, monthly, yearly):
        await sdk.prices.update_async(monthly.id, {"active": False, "metadata": {"why": "old"}})
        for active, price in ((True, yearly), (False, monthly)):
            found = await sdk.prices.list_async({"active": active})
            assert [one.id for one in found.data] == [price.id]

    async def test_metadata_is_merged_and_an_empty_value_takes_one_away(self, sdk, product, told):
        await sdk.products.update_async(product.id, {"metadata": {"a": "1", "b": "2"}})
        changed = await sdk.products.update_async(product.id, {"metadata": {"a": "", "c": "3"}})
        assert changed.metadata.to_dict() == {"b": "2", "c": "3"}
        assert (await sdk.products.update_async(product.id, {"metadata": ""})).metadata.to_dict() == {}
        with pytest.raises(stripe.InvalidRequestError):
            await sdk.products.update_async(product.id, {"metadata": "x"})

    async def test_a_product_with_prices_stays_and_one_without_goes(self, sdk, monthly, product):
        with pytest.raises(stripe.InvalidRequestError):
            await sdk.products.delete_async(product.id)
        other = await sdk.products.create_async({"name": "Other"})
        assert (await sdk.products.delete_async(other.id)).deleted
        with pytest.raises(stripe.InvalidRequestError):
            await sdk.products.retrieve_async(other.id)
        with pytest.raises(stripe.InvalidRequestError):
            await sdk.products.create_async({"id": product.id, "name": "Again"})

    async def test_a_change_is_told_with_what_was_before(self, sdk, product):
        await sdk.products.update_async(product.id, {"name": "Sigma+"})
        (event,) = (await sdk.events.list_async({"type": "product.updated"})).data
        assert event.data.object.name == "Sigma+"
        assert event.data.previous_attributes["name"] == "Sigma"
        assert (event.api_version, event.request.id[:4]) == (API_VERSION, "req_")
        await sdk.products.update_async(product.id, {"name": "Sigma+"})
        assert len((await sdk.events.list_async({"type": "product.*"})).data) == 2


FEATURES = {
    "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True},
}


class TestPortal:
    async def test_a_way_in_needs_a_configuration(self, sdk, alice):
        with pytest.raises(stripe.InvalidRequestError, match="configuration"):
            await sdk.billing_portal.sessions.create_async({"customer": alice.id})
        made = await sdk.billing_portal.configurations.create_async({"features": FEATURES})
        assert made.is_default
        opened = await sdk.billing_portal.sessions.create_async({"customer": alice.id, "return_url": "http://x.test/"})
        assert opened.url.endswith(f"/sandbox/portal/{opened.id}")
        assert (opened.configuration, opened.return_url) == (made.id, "http://x.test/")

    async def test_a_configuration_says_which_plans_one_may_switch_to(self, sdk, monthly, yearly, product):
        update = {
            "enabled": True,
            "default_allowed_updates": ["price"],
            "products": [{"product": product.id, "prices": [monthly.id, yearly.id]}],
        }
        made = await sdk.billing_portal.configurations.create_async(
            {"features": FEATURES, "business_profile": {"privacy_policy_url": "http://x.test/privacy"}}
        )
        features = FEATURES | {"subscription_update": update}
        changed = await sdk.billing_portal.configurations.update_async(made.id, {"features": features})
        assert changed.features.subscription_update.products[0].prices == [monthly.id, yearly.id]
        await sdk.billing_portal.configurations.update_async(made.id, {"active": False})
        assert (await sdk.billing_portal.configurations.list_async({"active": True})).data == []
