"""POST /logout: the end of sessions. Access tokens stay good for REST until they expire; auth refuses them at once."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from sigma_app.core.database import get_database
from sigma_app.embedded.supabase.auth import sessions
from sigma_app.embedded.supabase.auth.bodies import asked
from sigma_app.embedded.supabase.auth.callers import caller_of
from sigma_app.embedded.supabase.auth.errors import invalid
from sigma_app.embedded.supabase.auth.mails import AUTH

_SCOPES = ("global", "local", "others")


async def sign_out(request: Request) -> Response:
    """End all sessions of the caller, this one (`scope=local`), or all but this one (`scope=others`)."""
    caller = await caller_of(request)
    scope = asked(request, "scope") or "global"
    if scope not in _SCOPES:
        raise invalid(f'Unsupported logout scope "{scope}"')
    session = caller.session
    async with get_database().cursor(AUTH) as cursor:
        if session and scope == "local":
            await sessions.end(cursor, session.id)
        else:
            await sessions.end_all(cursor, caller.user.id, but=session.id if session and scope == "others" else None)
    return Response(status_code=204)
