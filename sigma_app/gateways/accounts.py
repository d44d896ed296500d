"""Accounts at Supabase Auth, as the portal needs them: each call through the SDK, its errors in three classes of ours.

Mails are Supabase's to send; where their links lead, `back_to` says: to a page of the portal, which the mail's template
completes with `token_hash` and `type` (docs/hosting.md).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import httpx
from pydantic import ValidationError

from sigma_app.core.errors import SigmaError
from sigma_app.gateways.identity import reaching_supabase

if TYPE_CHECKING:
    from supabase_auth.types import AuthResponse, User

LinkKind = Literal["signup", "recovery", "magiclink", "invite", "email_change"]
LINK_KINDS: tuple[LinkKind, ...] = ("signup", "recovery", "magiclink", "invite", "email_change")

MAIL_PACE = "over_email_send_rate_limit"
"""The code of a mail that was asked for too soon after another to the same address."""
LONGEST = 12.0  # seconds for all that one form asks of Supabase, however slowly its answers come

logger = logging.getLogger(__name__)

_SESSION_OVER = (
    *("refresh_token_not_found", "refresh_token_already_used", "session_not_found", "session_expired"),
    *("user_not_found", "user_banned", "bad_jwt"),
)
_NOT_AUTH = (401, 403, 404)  # without an error code: what stands before Auth says so of a wrong key or address
_TOO_MANY = 429
_SIGN_UP = "sigma_sign_up"  # in a user's metadata: by which call of ours they were made
_OUR_FAULT = 500
_FOR_EVER = "876000h"  # a hundred years: Supabase bans for a time only


@dataclass(frozen=True, slots=True)
class Tokens:
    """A session at Supabase, and whose it is."""

    user_id: UUID
    email: str
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    end_at: datetime
    """When the access token ends, by Supabase's clock."""
    confirmed_at: datetime | None = None
    """When the address was confirmed, where Supabase has just said so; None where it was not asked."""
    newly_confirmed: bool = False
    """Whether the link or the code that gave them confirmed the address, too."""


class IdentityRefused(SigmaError):
    """Supabase refused."""

    status = 422

    def __init__(self, code: str) -> None:
        """Take Supabase's own error code (its documentation, "Error codes"), such as "invalid_credentials"."""
        super().__init__(f"Supabase refused: {code}.")
        self.code = code

    @property
    def ends_session(self) -> bool:
        """Whether it says that the session is over, and not that something about the question was wrong."""
        return self.code in _SESSION_OVER


class IdentityBusy(SigmaError):
    """That was a lot of tries. Please wait a minute and try again."""

    status = 429

    def __init__(self, code: str = "") -> None:
        """Take Supabase's own error code, such as `MAIL_PACE`."""
        super().__init__()
        self.code = code


class IdentityUnavailable(SigmaError):
    """Signing in does not answer right now. Please try again in a moment."""

    status = 503


async def sign_up(email: str, password: str, back_to: str, visitor: str = "") -> UUID | Literal["asked", "known"]:
    """Make an account that waits for its address to be confirmed, by a mail with a link and a code.

    Returns:
        The account; "asked" where it was there, unconfirmed and with the password of whoever made it, and was mailed
        again; "known" where somebody confirmed has the address, and then nothing was made and nothing mailed.

    Raises:
        IdentityRefused: such as `weak_password`, `signup_disabled`, `email_address_invalid`.
        IdentityBusy, IdentityUnavailable: it could not be asked.
    """
    call = token_hex(16)
    options = {"email_redirect_to": back_to, "data": {_SIGN_UP: call}}
    async with _asking(visitor=visitor) as client:
        answer = await client.auth.sign_up({"email": email, "password": password, "options": options})
    user = answer.user
    if user is None or not user.identities:  # what Supabase invents for an address that is taken (reference of signUp)
        return "known"
    # An account that was there keeps the metadata of whoever made it, and their password with it.
    return UUID(user.id) if user.user_metadata.get(_SIGN_UP) == call else "asked"


async def create_confirmed(email: str, password: str) -> UUID:
    """Make an account whose address somebody has proved to us already.

    Raises:
        IdentityRefused: such as `email_exists`, `weak_password`.
        IdentityBusy, IdentityUnavailable: it could not be asked.
    """
    async with _asking(as_service=True) as client:
        made = await client.auth.admin.create_user({"email": email, "password": password, "email_confirm": True})
    return UUID(made.user.id)


async def sign_in(email: str, password: str, visitor: str = "") -> Tokens:
    """Sign in with a password.

    Raises:
        IdentityRefused: `invalid_credentials`, `email_not_confirmed`, `user_banned`.
        IdentityBusy, IdentityUnavailable: it could not be asked.
    """
    async with _asking(visitor=visitor) as client:
        return _tokens(await client.auth.sign_in_with_password({"email": email, "password": password}))


async def verify_link(token_hash: str, kind: LinkKind, visitor: str = "") -> Tokens | None:
    """Use up the link of a mail.

    Returns:
        A session; None for the first of the two mails of a change of address.

    Raises:
        IdentityRefused: `otp_expired`, it was used, replaced, or its time is over.
        IdentityBusy, IdentityUnavailable: it could not be asked.
    """
    async with _asking(visitor=visitor) as client:
        answer = await client.auth.verify_otp({"token_hash": token_hash, "type": kind})  # pyright: ignore[reportArgumentType]
    return _verified(answer, kind)


async def verify_code(email: str, code: str, kind: LinkKind, visitor: str = "") -> Tokens | None:
    """Use up the code of a mail; as `verify_link`."""
    async with _asking(visitor=visitor) as client:
        answer = await client.auth.verify_otp({"email": email, "token": code, "type": kind})  # pyright: ignore[reportArgumentType]
    return _verified(answer, kind)


async def send_recovery(email: str, back_to: str, visitor: str = "") -> None:
    """Mail a way to a new password, if the address is somebody's; says the same of every address.

    Raises:
        IdentityRefused: the address is none.
        IdentityBusy, IdentityUnavailable: it could not be asked.
    """
    async with _asking(visitor=visitor) as client:
        await client.auth.reset_password_for_email(email, {"redirect_to": back_to})


async def send_magic_link(email: str, back_to: str, visitor: str = "") -> None:
    """Mail a way in without a password; as `send_recovery`, and refused with `otp_disabled` where nobody has it."""
    async with _asking(visitor=visitor) as client:
        await client.auth.sign_in_with_otp(
            {"email": email, "options": {"email_redirect_to": back_to, "should_create_user": False}}
        )


async def send_confirmation_again(
    email: str, back_to: str, kind: Literal["signup", "email_change"] = "signup", visitor: str = ""
) -> None:
    """Mail the link of a sign-up or of a change of address again; as `send_recovery`."""
    async with _asking(visitor=visitor) as client:
        await client.auth.resend({"type": kind, "email": email, "options": {"email_redirect_to": back_to}})


async def refresh(refresh_token: str) -> Tokens:
    """A session's next tokens.

    Raises:
        IdentityRefused: the session is over.
        IdentityBusy, IdentityUnavailable: it could not be asked, and may well be alive.
    """
    async with _asking() as client:
        return _tokens(await client.auth.refresh_session(refresh_token))


async def change_password(tokens: Tokens, password: str) -> Tokens:
    """Give the user of a session another password; Supabase ends all their other sessions.

    Returns:
        The session's tokens, which may be new ones.

    Raises:
        IdentityRefused: such as `same_password`, `weak_password`, `reauthentication_needed`.
        IdentityBusy, IdentityUnavailable: it could not be asked.
    """
    async with _asking() as client:
        await client.auth.set_session(tokens.access, tokens.refresh)
        await client.auth.update_user({"password": password})
        session = await client.auth.get_session()
        return _tokens_of(session) if session else tokens


async def change_email(tokens: Tokens, email: str, back_to: str) -> None:
    """Ask for another address, which both have to agree to, each by a mail.

    Raises:
        IdentityRefused: such as `email_exists`, `email_address_invalid`.
        IdentityBusy, IdentityUnavailable: it could not be asked.
    """
    async with _asking() as client:
        await client.auth.set_session(tokens.access, tokens.refresh)
        await client.auth.update_user({"email": email}, {"email_redirect_to": back_to})


async def pending_address(tokens: Tokens) -> str:
    """The address that the user of a session asked to move to, and that has not agreed yet; "" for none.

    Raises:
        IdentityRefused: the session is over.
        IdentityBusy, IdentityUnavailable: it could not be asked.
    """
    async with _asking() as client:
        found = await client.auth.get_user(tokens.access)
    return (found.user.new_email or "") if found else ""


async def sign_out(tokens: Tokens, scope: Literal["local", "global", "others"]) -> None:
    """End this session at Supabase, or all of the user's, or all others.

    Raises:
        IdentityRefused: it is over already.
        IdentityBusy, IdentityUnavailable: it could not be asked.
    """
    async with _asking() as client:
        await client.auth.admin.sign_out(tokens.access, scope)


async def delete_user(user_id: UUID) -> None:
    """Remove an account with everything that Supabase keeps of it but files; none is left alone.

    Raises:
        IdentityRefused, IdentityBusy, IdentityUnavailable: it is still there, or may be.
    """
    async with _asking(as_service=True) as client:
        try:
            await client.auth.admin.delete_user(str(user_id))
        except Exception as error:
            if getattr(error, "code", None) != "user_not_found":
                raise


async def set_role(user_id: UUID, role: str | None) -> None:
    """Give an account a role in its app_metadata, which nobody can give themselves; None takes it away.

    Raises:
        IdentityRefused, IdentityBusy, IdentityUnavailable: it is as it was, or may be.
    """
    async with _asking(as_service=True) as client:
        await client.auth.admin.update_user_by_id(str(user_id), {"app_metadata": {"role": role}})


async def role_of(user_id: UUID) -> str | None:
    """The role that an account has in its app_metadata; None for none, and for an account that is not there.

    Raises:
        IdentityRefused, IdentityBusy, IdentityUnavailable: it could not be asked.
    """
    found = await _account(user_id)
    return found.app_metadata.get("role") if found else None


async def address_of(user_id: UUID) -> str | None:
    """The address that an account has by now, whatever a session of it says; None where there is no such account.

    Raises:
        IdentityRefused, IdentityBusy, IdentityUnavailable: it could not be asked.
    """
    found = await _account(user_id)
    return (found.email or "") if found else None


async def _account(user_id: UUID) -> User | None:
    async with _asking(as_service=True) as client:
        try:
            return (await client.auth.admin.get_user_by_id(str(user_id))).user
        except Exception as error:
            if getattr(error, "code", None) != "user_not_found":
                raise
            return None


async def set_disabled(user_id: UUID, disabled: bool) -> None:
    """Keep an account from signing in, and its tokens from being renewed, until it is enabled again.

    Raises:
        IdentityRefused, IdentityBusy, IdentityUnavailable: it is as it was, or may be.
    """
    duration = _FOR_EVER if disabled else "none"
    async with _asking(as_service=True) as client:
        await client.auth.admin.update_user_by_id(str(user_id), {"ban_duration": duration})


@asynccontextmanager
async def _asking(*, as_service: bool = False, visitor: str = "") -> AsyncIterator:
    """A client of Supabase, whose errors leave the block as ours."""
    from supabase_auth.errors import AuthError, AuthRetryableError, AuthUnknownError

    try:
        async with asyncio.timeout(LONGEST), reaching_supabase(as_service=as_service, visitor=visitor) as client:
            yield client
    except (AuthRetryableError, AuthUnknownError, httpx.HTTPError, TimeoutError, ValidationError) as error:
        raise IdentityUnavailable from None if isinstance(error, ValidationError) else error  # its text has the answer
    except AuthError as error:
        status = getattr(error, "status", 400)
        if status == _TOO_MANY:
            raise IdentityBusy(error.code or "") from error
        if isinstance(status, int) and status >= _OUR_FAULT:
            raise IdentityUnavailable from error
        if not error.code and status in _NOT_AUTH:
            logger.error("Supabase does not take what Sigma is configured with: status %s", status)
            raise IdentityUnavailable from error
        raise IdentityRefused(error.code or str(status)) from error


def _verified(answer: AuthResponse, kind: LinkKind) -> Tokens | None:
    """What a link or a code of a kind gave."""
    if answer.session is None:
        return None
    user = answer.session.user
    confirmed_at, asked_at = user.email_confirmed_at, user.recovery_sent_at
    # The links for a forgotten password and those that sign in are one and the same to Supabase, and confirm as well.
    by_recovery = kind in ("recovery", "magiclink") and confirmed_at and asked_at and confirmed_at >= asked_at
    return replace(_tokens_of(answer.session), newly_confirmed=kind == "signup" or bool(by_recovery))


def _tokens(answer: AuthResponse) -> Tokens:
    if answer.session is None:
        raise IdentityUnavailable
    return _tokens_of(answer.session)


def _tokens_of(session) -> Tokens:
    return Tokens(
        user_id=UUID(session.user.id),
        email=session.user.email or "",
        access=session.access_token,
        refresh=session.refresh_token,
        end_at=datetime.fromtimestamp(session.expires_at, UTC),
        confirmed_at=session.user.email_confirmed_at,
    )
