"""The customer portal that a portal session's `url` leads to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from starlette.requests import Request
from starlette.responses import Response

from sigma_app.embedded.stripe import invoices, portal, subscriptions
from sigma_app.embedded.stripe.books import Books, Thing, opened
from sigma_app.embedded.stripe.errors import Refused
from sigma_app.embedded.stripe.pages.parts import page, render
from sigma_app.embedded.stripe.payments import Card
from sigma_app.embedded.stripe.switching import switch_to

CARDS: dict[Card, str] = {"pays": "pays", "declines": "is declined", "asks": "asks for 3-D Secure"}


async def show(request: Request) -> Response:
    """Plans, card and invoices of one customer."""
    async with opened() as books:
        session, customer, features = await _entered(books, request)
        every = await books.all("subscription", customer=customer["id"])
        plans = [await _plan(books, one, features) for one in every if one["status"] not in subscriptions.OVER]
        bills = (await books.all("invoice", customer=customer["id"]))[:24]
    return render(
        "portal.html",
        path=request.url.path,
        session=session,
        card=customer.get("_card"),
        cards=CARDS,
        features=features,
        plans=plans,
        invoices=[one for one in bills if one["status"] != "draft"],
    )


async def act(request: Request, form: Mapping[str, str]) -> str:
    """Whatever was pressed, as far as the configuration allows it."""
    what = form.get("do", "")
    async with opened() as books:
        _, customer, features = await _entered(books, request)
        if what == "card" and features["payment_method_update"]["enabled"] and form.get("card") in CARDS:
            customer["_card"] = cast(Card, form["card"])
            await books.put(customer)
        elif what in ("cancel", "keep") and features["subscription_cancel"]["enabled"]:
            subscription = await _of(books, customer, form)
            ends = {"cancel_at_period_end": "true" if what == "cancel" else "false"}
            await subscriptions.update(books, ends, subscription["id"])
        elif what == "switch":
            await _switch(books, await _of(books, customer, form), form.get("price", ""), features)
    return request.url.path


async def _entered(books: Books, request: Request) -> tuple[Thing, Thing, Thing]:
    """The session, its customer, and what they may do."""
    session = await books.get("billing_portal.session", request.path_params["session"])
    configuration = await books.get("billing_portal.configuration", session["configuration"])
    customer = await books.get("customer", session["customer"])
    if customer.get("deleted"):
        raise Refused("This customer was deleted.", status=404)
    return session, customer, configuration["features"]


async def _plan(books: Books, subscription: Thing, features: Thing) -> Thing:
    """A subscription for the page, with the prices that one may switch to, and the invoices that are open."""
    (item,) = subscription["items"]["data"]
    name = await subscriptions.name_of(books, item["price"])
    others = [await books.find("price", one) for one in _switchable(features) if one != item["price"]["id"]]
    others = [one for one in others if one and one["active"]]
    owed = await invoices.of_subscription(books, subscription["id"], status="open")
    return {"it": subscription, "item": item, "name": name, "others": others, "owed": owed}


async def _of(books: Books, customer: Thing, form: Mapping[str, str]) -> Thing:
    subscription = await subscriptions.living(books, form.get("subscription", ""))
    if subscription["customer"] != customer["id"]:
        raise Refused("There is no such subscription.", status=404)
    return subscription


async def _switch(books: Books, subscription: Thing, price: str, features: Thing) -> None:
    if price in _switchable(features):
        wanted = await books.get("price", price)
        how = features["subscription_update"]["proration_behavior"]
        await switch_to(books, subscription, wanted, how=how)


def _switchable(features: Thing) -> list[str]:
    update = features["subscription_update"]
    return [price for one in update["products"] for price in one["prices"]] if update["enabled"] else []


ROUTES = [page(f"{portal.PAGE}/{{session}}", show, act)]
