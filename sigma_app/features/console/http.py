"""The console's plain doors: leads out as a file, and in."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from sigma_app.core.body import BodyTooLarge, read_body
from sigma_app.core.errors import SigmaError
from sigma_app.core.form_data import UnreadableForm, read_form
from sigma_app.core.origin import is_same_site
from sigma_app.features.console import exporting, import_page, importing, leads_page, person
from sigma_app.features.console.leads import LeadFilter
from sigma_app.features.console.service import NotAnOperator
from sigma_app.frontend.templates import PRIVATE
from sigma_app.session import store
from sigma_app.session.cookie import cookie_of
from sigma_app.session.doors import ELSEWHERE, Answer, signed_in_door
from sigma_app.session.operators import is_operator
from sigma_app.session.store import Session
from sigma_app.settings import get_settings


async def export_leads(request: Request) -> Response:
    """The leads that the form asks for, as CSV."""
    if not is_same_site(request.scope["headers"], get_settings().base_url):
        return PlainTextResponse(ELSEWHERE, 403, PRIVATE)
    try:
        session = await store.find(cookie_of(request.scope["headers"]))
        if session is None or not await is_operator(session.user_id):
            return PlainTextResponse("Not Found", 404, PRIVATE)
        asked = await read_form(request)
        pieces = exporting.lines(session, LeadFilter.read(asked))
        first = await anext(pieces)  # what stands in the way is an answer of its own, and no file
    except UnreadableForm as unreadable:
        return PlainTextResponse(unreadable.reason, unreadable.status, PRIVATE)
    except SigmaError as error:
        return PlainTextResponse(str(error), error.status, PRIVATE)

    name = exporting.name_of(LeadFilter.read(asked).as_query())
    return _file(first, pieces, name, "text/csv; charset=utf-8")


async def judge_leads(request: Request, session: Session) -> Answer:
    """A file of leads, as the body of the request; its `name` in the address."""
    if not await is_operator(session.user_id):
        raise NotAnOperator
    try:
        data = await read_body(request, importing.LARGEST)
    except BodyTooLarge:
        return Answer(message="That file is larger than 20 MB. Please take it in parts.", status=413)
    allow_test_domains = get_settings().env != "production"
    identity = await importing.take(
        session, request.query_params.get("name", ""), data, allow_test_domains=allow_test_domains
    )
    return Answer(f"{import_page.ROUTE}?id={identity}")


async def export_person(request: Request) -> Response:
    """Everything that is kept about whoever has the address that the form names."""
    if not is_same_site(request.scope["headers"], get_settings().base_url):
        return PlainTextResponse(ELSEWHERE, 403, PRIVATE)
    try:
        session = await store.find(cookie_of(request.scope["headers"]))
        if session is None or not await is_operator(session.user_id):
            return PlainTextResponse("Not Found", 404, PRIVATE)
        pieces = person.told(session, (await read_form(request)).get("email", "").strip())
        first = await anext(pieces)
    except UnreadableForm as unreadable:
        return PlainTextResponse(unreadable.reason, unreadable.status, PRIVATE)
    except SigmaError as error:
        return PlainTextResponse(str(error), error.status, PRIVATE)
    return _file(first, pieces, "person.zip", "application/zip")


def _file(first: bytes, pieces: AsyncIterator[bytes], name: str, media_type: str) -> Response:
    """A file to keep, whose first piece is there."""

    async def body() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    headers = {**PRIVATE, "content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(body(), 200, headers, media_type=media_type)


ROUTES = [
    Route(person.EXPORT, export_person, methods=["POST"]),
    Route(leads_page.EXPORT, export_leads, methods=["POST"]),
    Route(import_page.FILE, signed_in_door(judge_leads), methods=["POST"]),
]
