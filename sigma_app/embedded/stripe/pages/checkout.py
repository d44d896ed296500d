"""The checkout that a session's `url` leads to."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from sigma_app.embedded.stripe import acts, checkout
from sigma_app.embedded.stripe.books import Thing, opened
from sigma_app.embedded.stripe.errors import Refused
from sigma_app.embedded.stripe.pages.parts import page, render

_PAYS = {"pay": acts.pay, "later": acts.pay_later}
_TRIES = {"decline": acts.decline, "ask": acts.ask}
_NO_CODE = "no-such-code"


async def show(request: Request) -> Response:
    """What is bought, and the ways to pay; or what became of it; or the bank's question, while it asks."""
    async with opened() as books:
        session = await books.get("checkout.session", request.path_params["session"])
        intent = await books.find("payment_intent", session["_intent"])
    values = {"session": session, "lines": session["_lines"], "path": request.url.path}
    if session["status"] != "open":
        return render("checkout_over.html", **values, onward=checkout.return_url(session))
    if intent and intent["status"] == "requires_action":
        return render("confirm.html", **values)
    said = _said(intent, request.query_params.get("said"))
    return render("checkout.html", **values, said=said, takes_code=_takes_code(session))


async def act(request: Request, form: Mapping[str, str]) -> str:
    """Whatever was pressed; what was paid already leads on all the same."""
    session, what = request.path_params["session"], form.get("do", "")
    try:
        if what == "code":
            return await _promote(request, session, form.get("code", ""))
        if what in _PAYS:
            await _PAYS[what](session)
        elif what in _TRIES:
            await _TRIES[what](session)
        elif what in ("approve", "fail"):
            await acts.authenticate(session, what == "approve")
    except Refused as refused:
        if refused.status == 404:
            raise
    return await _onward(request, session)


async def _promote(request: Request, session: str, code: str) -> str:
    try:
        await acts.promote(session, code)
    except Refused:
        return f"{request.url.path}?said={_NO_CODE}"
    return request.url.path


async def _onward(request: Request, session: str) -> str:
    async with opened() as books:
        found = await books.get("checkout.session", session)
    return checkout.return_url(found) if found["status"] == "complete" else request.url.path


def _takes_code(session: Thing) -> bool:
    return bool(session["allow_promotion_codes"]) and not session["discounts"]


def _said(intent: Thing | None, given: str | None) -> str:
    if given == _NO_CODE:
        return "There is no such promotion code."
    error = intent and intent["last_payment_error"]
    return f"{error['message']} Nothing was paid; choose another way." if error else ""


ROUTES = [page(f"{checkout.PAGE}/{{session}}", show, act)]
