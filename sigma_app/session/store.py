"""The rows of sessions: opening, finding, renewing and ending them. Always as the service, since it is about to learn
who somebody is; what they may then do is row level security's affair (`Session.actor`)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from psycopg.errors import ForeignKeyViolation
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core.database import SERVICE, Actor, Step, get_database, user_actor
from sigma_app.core.links import digest
from sigma_app.gateways import accounts
from sigma_app.gateways.accounts import IdentityBusy, IdentityRefused, IdentityUnavailable, Tokens
from sigma_app.session.cookie import new_cookie
from sigma_app.session.sealing import seal, unseal
from sigma_app.settings import get_settings

TOUCH_AFTER = timedelta(minutes=1)  # a visit is noted no more often
RENEW_BEFORE = timedelta(minutes=1)  # the access token's end
PATIENCE = 5.0  # seconds
ASK_AGAIN_AFTER = 10.0  # seconds
_LONGEST_USER_AGENT = 400

logger = logging.getLogger(__name__)

Renewal = Literal["renewed", "over", "put off"]

_renewing: dict[UUID, asyncio.Task[Renewal]] = {}


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody signed in, in one browser."""

    id: UUID
    user_id: UUID
    email: str
    recovered: bool
    """Whether a link for a forgotten password opened it, and no new password was chosen since."""
    user_agent: str
    created_at: datetime
    seen_at: datetime

    @property
    def actor(self) -> Actor:
        """On whose behalf the database is asked."""
        return user_actor(self.user_id, self.email, session_id=str(self.id))


async def open_session(
    tokens: Tokens, user_agent: str = "", *, replacing: str | None = None, recovered: bool = False, alone: bool = False
) -> str:
    """Sign a browser in; the value of its new cookie.

    Args:
        tokens: of the session at Supabase.
        user_agent: what the browser calls itself.
        replacing: the cookie it came with, if any, whose session ends: nobody's session is taken over, and nobody who
            knew the old cookie knows the new one.
        recovered: see `Session`.
        alone: whether all others of this user end with it, in the same transaction.

    Raises:
        IdentityRefused: the account was deleted a moment ago.
        DatabaseUnavailable: nobody was signed in.
    """
    cookie = new_cookie()
    values = [
        *(digest(cookie), tokens.user_id, tokens.email, seal(cookie, tokens.access, tokens.refresh), tokens.end_at),
        *(recovered, user_agent[:_LONGEST_USER_AGENT]),
    ]
    try:
        await get_database().run(
            Step(SERVICE, "delete from sigma.sessions where digest = %s", [digest(replacing or "")]),
            *([Step(SERVICE, _END_ALL, [tokens.user_id])] if alone else []),
            *_noting(tokens),
            Step(SERVICE, _OPEN, values),
        )
    except ForeignKeyViolation as error:
        raise IdentityRefused("user_not_found") from error
    return cookie


async def find(cookie: str | None, *, even_recovered: bool = False) -> Session | None:
    """Who the browser with this cookie is; None for nobody, and for one whose time is over.

    Notes the visit, and renews the tokens at Supabase before they end. A session that Supabase has ended ends here; one
    that it cannot be asked about goes on.

    Args:
        cookie: the session's.
        even_recovered: somebody counts, too, who came by a link for a forgotten password and has chosen none yet. All
            they may do is that, and leave.

    Raises:
        DatabaseUnavailable: it could not be looked up.
    """
    row = await _read(cookie)
    if row is None or cookie is None:
        return None
    session, _, tokens_end_at = row
    if session.recovered and not even_recovered:
        return None
    now = datetime.now(UTC)
    if tokens_end_at - now < RENEW_BEFORE and not await _renew(cookie, session.id):
        return None
    if now - session.seen_at > TOUCH_AFTER:
        await get_database().run(Step(SERVICE, "update sigma.sessions set seen_at = now() where id = %s", [session.id]))
    return session


async def tokens_of(cookie: str) -> Tokens:
    """What opens Supabase to the user of this cookie, renewed if it is about to end.

    Raises:
        IdentityRefused: the session is over.
        DatabaseUnavailable: it could not be looked up.
    """
    row = await _read(cookie)
    if row and row[2] - datetime.now(UTC) < RENEW_BEFORE:
        row = await _read(cookie) if await _renew(cookie, row[0].id) else None
    if row is None:
        raise IdentityRefused("session_not_found")
    return _opened(cookie, row)


async def last_tokens_of(cookie: str | None) -> Tokens | None:
    """What opened Supabase last, over or not: for a way out, which must not wait for Supabase. None without a session.

    Raises:
        DatabaseUnavailable: it could not be looked up.
    """
    row = await _read(cookie)
    return _opened(cookie, row) if cookie and row else None


async def sessions_of(user_id: UUID) -> Sequence[Session]:
    """All of a user's sessions, the latest first."""
    rows = await get_database().run(Step(SERVICE, _LIST, [*_lifetimes(), user_id]))
    return [Session(*row[:7]) for row in rows]


async def end(cookie: str | None) -> None:
    """Sign out the browser with this cookie."""
    await _delete("delete from sigma.sessions where digest = %s", [digest(cookie or "")])


async def end_one(session: Session, other: UUID) -> None:
    """Sign out one browser of this session's user; does nothing for anybody else's."""
    await _delete("delete from sigma.sessions where id = %s and user_id = %s", [other, session.user_id])


async def end_all(user_id: UUID) -> None:
    """Sign a user out everywhere in the portal."""
    await _delete(_END_ALL, [user_id])


async def end_of(transaction: AsyncSession, user_id: UUID, only: UUID | None = None) -> int:
    """Sign a user out in one browser, or in all, in a transaction of SERVICE; how many it was.

    Args:
        transaction: with whose commit they end.
        user_id: whose.
        only: the session of that browser.
    """
    connection = await transaction.connection()
    ended = await connection.execute(_END_SOME, {"user": user_id, "only": only})
    return ended.rowcount


async def end_expired() -> None:
    """Delete the sessions whose time is over, which closes their tabs."""
    lifetime, idle = _lifetimes()
    await _delete(
        "delete from sigma.sessions where created_at <= now() - make_interval(secs => %s)"
        " or seen_at <= now() - make_interval(secs => %s)",
        [lifetime, idle],
    )


async def are_open(ids: Sequence[UUID]) -> set[UUID]:
    """Which of these sessions there still are."""
    rows = await get_database().run(Step(SERVICE, "select id from sigma.sessions where id = any(%s)", [list(ids)]))
    return {row[0] for row in rows}


async def _delete(statement, values) -> None:
    await get_database().run(Step(SERVICE, statement, values))


def _lifetimes() -> tuple[int, int]:
    settings = get_settings()
    return settings.session_seconds, settings.session_idle_seconds


async def _read(cookie: str | None) -> tuple[Session, bytes, datetime] | None:
    if cookie is None:
        return None
    rows = await get_database().run(Step(SERVICE, _FIND, [*_lifetimes(), digest(cookie)]))
    return (Session(*rows[0][:7]), rows[0][7], rows[0][8]) if rows else None


def _opened(cookie: str, row: tuple[Session, bytes, datetime]) -> Tokens:
    session, sealed, tokens_end_at = row
    return Tokens(session.user_id, session.email, *unseal(cookie, sealed), tokens_end_at)


async def _renew(cookie: str, session_id: UUID) -> bool:
    """Renew the tokens of a session, once for all who ask at this moment; whether it goes on.

    Nobody waits longer than `PATIENCE` for a Supabase that does not answer, and for a while after a failure nobody at
    all: the session goes on until Supabase can be asked.
    """
    task = _renewing.get(session_id)
    if task is None:
        task = _renewing[session_id] = asyncio.create_task(_renewed(cookie))
        task.add_done_callback(lambda done: _forget_renewal(session_id, done))
    try:
        return await asyncio.wait_for(asyncio.shield(task), PATIENCE) != "over"  # who gives up stops it for nobody
    except TimeoutError:
        return True


def _forget_renewal(session_id: UUID, task: asyncio.Task[Renewal]) -> None:
    failed = not task.cancelled() and task.exception() is None and task.result() == "put off"
    task.get_loop().call_later(ASK_AGAIN_AFTER if failed else 0, _renewing.pop, session_id, None)


async def _renewed(cookie: str) -> Renewal:
    row = await _read(cookie)
    if row is None:
        return "over"
    if row[2] - datetime.now(UTC) >= RENEW_BEFORE:  # somebody else has just done it
        return "renewed"
    _, refresh = unseal(cookie, row[1])
    try:
        tokens = await accounts.refresh(refresh)
    except (IdentityUnavailable, IdentityBusy):
        return "put off"
    except IdentityRefused as refused:
        if not refused.ends_session:
            logger.error("A session was not renewed, because Supabase refused: %s", refused.code)
            return "put off"
        logger.info("A session ended, because Supabase ended it: %s", refused.code)
        await end(cookie)
        return "over"
    await keep_tokens(cookie, tokens)
    return "renewed"


async def keep_tokens(cookie: str, tokens: Tokens) -> None:
    """Put the tokens that Supabase gave last in the place of those before."""
    sealed = seal(cookie, tokens.access, tokens.refresh)
    await get_database().run(
        *_noting(tokens),
        Step(
            SERVICE,
            "update sigma.sessions set tokens = %s, tokens_end_at = %s, email = %s where digest = %s",
            [sealed, tokens.end_at, tokens.email, digest(cookie)],
        ),
    )


def _noting(tokens: Tokens) -> list[Step]:
    """Where accounts may live elsewhere: what gives sessions and profiles here somebody to belong to."""
    if not get_settings().is_hosted("auth"):
        return []  # and to note somebody who has just left would bring them back
    return [Step(SERVICE, "select sigma.note_user(%s, %s)", [tokens.user_id, tokens.email])]


_END_ALL = "delete from sigma.sessions where user_id = %s"
_END_SOME = text("delete from sigma.sessions where user_id = :user and id = coalesce(cast(:only as uuid), id)")
_OPEN = """
insert into sigma.sessions (digest, user_id, email, tokens, tokens_end_at, recovered, user_agent)
values (%s, %s, %s, %s, %s, %s, %s)
"""
_COLUMNS = "id, user_id, email, recovered, user_agent, created_at, seen_at, tokens, tokens_end_at"
_ALIVE = """
from sigma.sessions
where created_at > now() - make_interval(secs => %s) and seen_at > now() - make_interval(secs => %s)
"""
_FIND = f"select {_COLUMNS} {_ALIVE} and digest = %s"
_LIST = f"select {_COLUMNS} {_ALIVE} and user_id = %s order by seen_at desc, created_at desc"
