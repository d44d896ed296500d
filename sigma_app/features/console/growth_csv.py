"""The numbers of growth as a file, for who asks further of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sigma_app.core.csv_cells import defused
from sigma_app.core.errors import SigmaError
from sigma_app.features.console.growth import FILE, NAMES, Wanted, read_wanted
from sigma_app.features.console.growth_words import VALUES
from sigma_app.features.console.service import NotAnOperator, reading
from sigma_app.features.growth import service
from sigma_app.features.growth.service import Compared, Counts, Growth
from sigma_app.frontend.templates import PRIVATE
from sigma_app.session import guard, store
from sigma_app.session.cookie import cookie_of


async def export_growth(request: Request) -> Response:
    """The numbers of the page, by day or value: a row for each, with those of the days before."""
    try:
        if refusal := await guard.refusal(request.scope):
            return refusal
        session = await store.find(cookie_of(request.scope["headers"]))
        if session is None:
            raise NotAnOperator
        wanted = read_wanted(request.query_params)
        async with reading(session) as cursor:
            found = await service.read(cursor, wanted.span, wanted.dimension)
    except NotAnOperator:
        return PlainTextResponse("Not Found", 404, PRIVATE)
    except SigmaError as error:
        return PlainTextResponse(str(error), error.status, PRIVATE)
    name = f"growth-by-{wanted.by}-{wanted.span.since}-{wanted.span.until}.csv"
    headers = {**PRIVATE, "content-disposition": f'attachment; filename="{name}"'}
    return Response(_written(wanted, found), headers=headers, media_type="text/csv; charset=utf-8")


ROUTES = [Route(FILE, export_growth, methods=["GET"])]


def _written(wanted: Wanted, found: Growth) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([NAMES[wanted.by].lower(), *Counts._fields, *(f"{step}_before" for step in Counts._fields)])
    writer.writerows([defused(name), *one.now, *one.before] for name, one in _rows(wanted, found))
    return text.getvalue()


def _rows(wanted: Wanted, found: Growth) -> Iterable[tuple[str, Compared]]:
    if not wanted.dimension:
        return ((str(day), one) for day, one in found.days.items())
    return ((VALUES[wanted.by].get(value, value), one) for value, one in found.values.items())
