"""The console's plain doors: files out, of leads and of one person, and leads in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class File:
    """A file to take along, as it streams."""

    name: str
    media_type: str
    pieces: AsyncIterator[bytes]


def leads_file(session: Session, asked: Mapping[str, str]) -> File:
    """The leads that a form asks for, as CSV."""
    wanted = LeadFilter.read(asked)
    name = exporting.name_of(wanted.as_query())
    return File(name, "text/csv; charset=utf-8", exporting.lines(session, wanted))


def person_file(session: Session, asked: Mapping[str, str]) -> File:
    """Everything that is kept about whoever has the address that a form names, as a ZIP."""
    return File("person.zip", "application/zip", person.told(session, asked.get("email", "").strip()))


def file_door(make: Callable[[Session, Mapping[str, str]], File]) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of a form by which operators take a file along, and for others is not there.

    Args:
        make: gets the operator's session and the posted fields. What stands in the way before the file's first piece is
            an answer of its own, and no file.
    """

    async def endpoint(request: Request) -> Response:
        if not is_same_site(request.scope["headers"], get_settings().base_url):
            return PlainTextResponse(ELSEWHERE, 403, PRIVATE)
        try:
            session = await store.find(cookie_of(request.scope["headers"]))
            if session is None or not await is_operator(session.user_id):
                return PlainTextResponse("Not Found", 404, PRIVATE)
            file = make(session, await read_form(request))
            first = await anext(file.pieces)
        except UnreadableForm as unreadable:
            return PlainTextResponse(unreadable.reason, unreadable.status, PRIVATE)
        except SigmaError as error:
            return PlainTextResponse(str(error), error.status, PRIVATE)

        async def body() -> AsyncIterator[bytes]:
            yield first
            async for piece in file.pieces:
                yield piece

        headers = {**PRIVATE, "content-disposition": f'attachment; filename="{file.name}"'}
        return StreamingResponse(body(), 200, headers, media_type=file.media_type)

    return endpoint


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


ROUTES = [
    Route(person.EXPORT, file_door(person_file), methods=["POST"]),
    Route(leads_page.EXPORT, file_door(leads_file), methods=["POST"]),
    Route(import_page.FILE, signed_in_door(judge_leads), methods=["POST"]),
]
