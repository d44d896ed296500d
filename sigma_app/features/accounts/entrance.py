"""The rules of getting in: signing up, confirming, signing in, and back in. Knows nothing of HTTP.

A way in ends in `Tokens`, which the doors make a session of (entrance_http.py). No stranger learns here which addresses
have an account: what is mailed to an address, and the time that takes, says it to its owner alone.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe
from typing import Any, Literal
from uuid import UUID

from sigma_app.core.database import SERVICE, get_database
from sigma_app.core.errors import NotLikeThat, SigmaError
from sigma_app.core.jobs import queue_job
from sigma_app.features.accounts import passwords
from sigma_app.features.accounts.jobs import this_hour
from sigma_app.features.waitlist import service as waitlist
from sigma_app.gateways import accounts
from sigma_app.gateways.accounts import MAIL_PACE, IdentityBusy, IdentityRefused, LinkKind, Tokens
from sigma_app.gateways.keys import seal
from sigma_app.session import store
from sigma_app.session.store import Session
from sigma_app.settings import get_settings

logger = logging.getLogger(__name__)

WRONG = (
    "That address and password do not go together. Check both, or choose a new password below. If you confirmed your "
    "address in another browser than you signed up in, the first password counts no more."
)
OVER = "That link was used, or its time is over."
WRONG_CODE = "That code does not fit this address, or its time is over."
WRONG_PASSWORD = "That is not your current password."  # noqa: S105 - a sentence
HAS_ACCOUNT = "There is an account with this address already. Sign in, or choose a new password."
NEW = timedelta(hours=1)
UNINVITED = "This invitation was used, is over, or was sent to another address."

_WEAK = ("weak_password",)
_CLOSED = ("signup_disabled", "email_provider_disabled")
_NO_ADDRESS = ("email_address_invalid", "validation_failed", "email_address_not_authorized")


class Unconfirmed(SigmaError):
    """The address of this account is not confirmed yet."""

    status = 422


class SignInAnew(SigmaError):
    """Your new password counts from now on, but something after that did not work. Please sign in with it."""

    status = 503


class NotLocked(SigmaError):
    """Your address is confirmed. To go on, ask for a new password on the sign-in page: that did not work just now."""

    status = 503


def read_address(text: str) -> str:
    """The address that somebody typed, as it is stored.

    Raises:
        NotLikeThat: it is none.
    """
    try:
        return waitlist.read_address(text, allow_test_domains=get_settings().env != "production").email
    except waitlist.InvalidAddress as error:
        raise NotLikeThat(str(error), "email") from error


async def sign_up(email: str, password: str, back_to: str, visitor: str) -> UUID | None:
    """Make an account that waits for its address to be confirmed by mail.

    Where the address has an account, its owner gets a mail that says so, and nobody else learns it.

    Returns:
        The account if it was made now, and so has this password.

    Raises:
        NotLikeThat: the address or the password will not do, or nobody may sign up.
        IdentityBusy, IdentityUnavailable, DatabaseUnavailable: nothing was made.
    """
    await require_strength(password, email)
    try:
        outcome = await accounts.sign_up(email, password, back_to, visitor)
    except IdentityRefused as refused:
        raise explained(refused) from refused
    except IdentityBusy as busy:
        if busy.code != MAIL_PACE:
            raise
        # The mail before is a moment old, and does as well; or the project has sent its mails of this hour. To say
        # which would say whether the address is known, which has neither pace nor limit.
        logger.warning("Supabase sent no mail for a sign-up: %s", busy.code)
        return None
    if outcome == "known":
        await tell_owner(email)
    return outcome if isinstance(outcome, UUID) else None


async def tell_owner(email: str) -> None:
    """Mail somebody that their address was typed for another account; once an hour.

    Raises:
        DatabaseUnavailable: nobody was told.
    """
    async with get_database().transaction(SERVICE) as session:
        await queue_job(session, "accounts:send_known_address", sealed=seal(email), hour=this_hour())


async def tell_changed(email: str, *, first: bool = False) -> None:
    """Mail somebody that the password of their account is another one from now on, or the `first` that counts.

    Raises:
        DatabaseUnavailable: nobody was told.
    """
    at = datetime.now(UTC).isoformat()
    async with get_database().transaction(SERVICE) as session:
        # Only where it is true: a worker of the version before, while a new one is laid, takes no such argument.
        said: dict[str, Any] = {"first": True} if first else {}
        await queue_job(session, "accounts:send_password_changed", sealed=seal(email), at=at, **said)


def is_new(tokens: Tokens) -> bool:
    """Whether an account was confirmed so lately that a password chosen by mail may be its first one, and no change."""
    return tokens.confirmed_at is not None and datetime.now(UTC) - tokens.confirmed_at < NEW


async def sign_up_invited(email: str, password: str, invitation: str, visitor: str) -> Tokens:
    """Make an account for somebody who comes by an invitation, which has proved the address; signed in at once.

    The invitation is used up once the account is there. No transaction is open while Supabase is asked, which may need
    a connection of the same pool itself; so an invitation that ends in that very moment takes the account back.

    Raises:
        NotLikeThat: the password will not do, the invitation does not admit, or there is an account.
        IdentityBusy, IdentityUnavailable, DatabaseUnavailable: the invitation is still good. An account that was made
            none the less can be signed in to with this password.
    """
    await require_strength(password, email)
    async with get_database().transaction(SERVICE) as session:
        invited = await waitlist.invited_address(session, invitation)
    if (invited or "").lower() != email.lower():
        raise NotLikeThat(UNINVITED)
    try:
        made = await accounts.create_confirmed(email, password)
    except IdentityRefused as refused:
        raise explained(refused) from refused
    try:
        async with get_database().transaction(SERVICE) as session:
            await waitlist.admit(session, email, invitation)
    except waitlist.InvitationRequired as error:
        await accounts.delete_user(made)
        raise NotLikeThat(UNINVITED) from error
    try:
        return await accounts.sign_in(email, password, visitor)
    except SigmaError as error:
        raise NotLikeThat(HAS_ACCOUNT) from error  # made a moment ago


async def sign_in(email: str, password: str, visitor: str) -> Tokens:
    """Sign in with a password; an unknown address and a wrong password are told apart by nobody.

    Raises:
        NotLikeThat: they do not go together.
        Unconfirmed: they do, and the address waits to be confirmed.
        IdentityBusy, IdentityUnavailable: it could not be asked.
    """
    if not password:
        raise NotLikeThat("Please type your password.", "password")
    if len(password.encode("utf-8", "replace")) > passwords.LONGEST:  # nobody has such a one
        raise NotLikeThat(WRONG, "password")
    try:
        return await accounts.sign_in(email, password, visitor)
    except IdentityRefused as refused:
        if refused.code == "email_not_confirmed":
            raise Unconfirmed from refused
        if refused.code == "user_banned":
            raise NotLikeThat("This account is closed for now. Reply to any mail from us to learn why.") from refused
        raise NotLikeThat(WRONG, "password") from refused


async def verify_link(token_hash: str, kind: LinkKind, visitor: str) -> Tokens | None:
    """Use up the link of a mail; None for the first half of a change of address.

    Raises:
        NotLikeThat: it was used, replaced, or its time is over.
        IdentityBusy, IdentityUnavailable: it could not be asked; the link still works.
    """
    try:
        return await accounts.verify_link(token_hash, kind, visitor)
    except IdentityRefused as refused:
        raise NotLikeThat(OVER) from refused


async def verify_code(email: str, code: str, kind: LinkKind, visitor: str) -> Tokens | None:
    """Use up the code of a mail; as `verify_link`."""
    try:
        return await accounts.verify_code(email, code, kind, visitor)
    except IdentityRefused as refused:
        raise NotLikeThat(WRONG_CODE, "code") from refused


async def send(kind: Literal["signup", "recovery", "magiclink"], email: str, back_to: str, visitor: str) -> None:
    """Mail a link and a code to an address, if it has an account that wants one.

    Whether it has, and whether the last such mail is too fresh for another one, stays between Supabase and us.

    Raises:
        IdentityUnavailable: it could not be asked.
    """
    try:
        if kind == "recovery":
            await accounts.send_recovery(email, back_to, visitor)
        elif kind == "magiclink":
            await accounts.send_magic_link(email, back_to, visitor)
        else:
            await accounts.send_confirmation_again(email, back_to, "signup", visitor)
    except (IdentityRefused, IdentityBusy) as refused:
        logger.info("Supabase sent no mail of kind %s: %s", kind, refused.code)


async def lock(tokens: Tokens) -> Tokens:
    """Replace the password of an account, which may be a stranger's, by one that nobody knows, and end all it opened.

    Raises:
        NotLocked: the password is still the one before.
        DatabaseUnavailable: it is replaced, and what it opened may be open still.
    """
    try:
        locked = await accounts.change_password(tokens, _unknown_password())
    except SigmaError as error:
        raise NotLocked from error
    await store.end_all(tokens.user_id)
    return locked


async def choose_password(tokens: Tokens, password: str) -> Tokens:
    """Give an account a new password, on the word of a link for a forgotten one; all it opened ends at Supabase.

    Raises:
        NotLikeThat: it will not do.
        IdentityBusy, IdentityUnavailable: it is still the old one, or what that opened may be open still.
    """
    await require_strength(password, tokens.email)
    try:
        return await accounts.change_password(tokens, password)
    except IdentityRefused as refused:
        if refused.code != "same_password":
            raise explained(refused) from refused
    await accounts.sign_out(tokens, "others")  # it is known after all, and may be to somebody else as well
    return tokens


async def change_password(session: Session, current: str, password: str, visitor: str) -> Tokens:
    """Give an account another password than the one it has, which `require_strength` has seen; as `choose_password`.

    Returns:
        A new session at Supabase, the only one left there.

    Raises:
        NotLikeThat: the current one is not theirs, or the new one will not do.
        IdentityBusy, IdentityUnavailable: it is still the old one.
    """
    if not current:
        raise NotLikeThat("Please type your current password.", "current")
    try:
        fresh = await accounts.sign_in(session.email, current, visitor)
    except IdentityRefused as refused:
        raise NotLikeThat(WRONG_PASSWORD, "current") from refused
    try:
        if fresh.user_id != session.user_id:  # the address is somebody else's by now
            raise NotLikeThat(WRONG_PASSWORD, "current")
        return await accounts.change_password(fresh, password)
    except SigmaError as error:
        with suppress(SigmaError):  # it was opened for nothing, and ends with its time at the latest
            await accounts.sign_out(fresh, "local")
        if isinstance(error, IdentityRefused):
            raise explained(error) from error
        raise


async def require_strength(password: str, email: str) -> None:
    """Refuse a new password that is easy to guess.

    Raises:
        NotLikeThat: it will not do; the message says why.
        TooBusy: it could not be judged now.
    """
    if problem := await passwords.problem_with(password, email):
        raise NotLikeThat(problem, "password")


def _unknown_password() -> str:
    return f"{token_urlsafe(32)}aA1!"  # of every kind of sign that a project may ask for


def explained(refused: IdentityRefused) -> NotLikeThat:
    """What Supabase's refusal means to whoever fills in a form."""
    if refused.code in _WEAK:
        return NotLikeThat(
            "That password is too easy to guess, or known from a leak. Please choose another.", "password"
        )
    if refused.code == "same_password":
        return NotLikeThat("That is the password you have. Please choose another, or keep it.", "password")
    if refused.code in ("email_exists", "user_already_exists"):
        return NotLikeThat(HAS_ACCOUNT)
    if refused.code in _CLOSED:
        return NotLikeThat("Nobody can sign up right now. Please come back later.")
    if refused.code in _NO_ADDRESS:
        return NotLikeThat("We cannot write to this address. Please check it.", "email")
    if refused.code in ("session_not_found", "session_expired", "refresh_token_not_found", "bad_jwt"):
        return NotLikeThat("This took too long, and the link does not count any more. Ask for a new one.")
    return NotLikeThat("That did not work. Please try again, or ask for a new link.")
