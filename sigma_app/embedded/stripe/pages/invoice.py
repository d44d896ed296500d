"""The page of an invoice, `hosted_invoice_url`: what is owed for, and a way to pay it while it is open."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from sigma_app.embedded.stripe import acts, invoices
from sigma_app.embedded.stripe.books import opened
from sigma_app.embedded.stripe.errors import Refused
from sigma_app.embedded.stripe.pages.parts import page, render
from sigma_app.embedded.stripe.payments import Card

_CARDS: dict[str, Card] = {"pay": "pays", "decline": "declines"}


async def show(request: Request) -> Response:
    """The invoice."""
    async with opened() as books:
        invoice = await books.get("invoice", request.path_params["invoice"])
        intent = await invoices.intent_of(books, invoice)
    asks = intent is not None and intent["status"] == "requires_action"
    return render("invoice.html", path=request.url.path, invoice=invoice, asks=asks)


async def act(request: Request, form: Mapping[str, str]) -> str:
    """Pay it, or try a card that is declined; what is paid already stays so."""
    if card := _CARDS.get(form.get("do", "")):
        try:
            await acts.pay_invoice(request.path_params["invoice"], card)
        except Refused as refused:
            if refused.status == 404:
                raise
    return request.url.path


ROUTES = [page(f"{invoices.HOSTED}/{{invoice}}", show, act)]
