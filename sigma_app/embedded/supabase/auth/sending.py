"""Sending a link and a code to a user: not too often, and in the transaction that makes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from starlette.requests import Request

from sigma_app.embedded.supabase.auth import mails, one_time, users
from sigma_app.embedded.supabase.auth.errors import AuthError
from sigma_app.embedded.supabase.auth.state import Auth
from sigma_app.embedded.supabase.auth.users import Cursor, User


class Sender:
    """Sends what one request asks for, to users who are locked.

    Each method may raise 429 `over_email_send_rate_limit`: it is too soon for the same user, or the project has sent
    as many mails as it may.
    """

    def __init__(self, auth: Auth, cursor: Cursor, request: Request, *, pkce: bool = False):
        """Note who asks.

        Args:
            auth: the service.
            cursor: of the transaction.
            request: says where the links lead back to.
            pkce: whether they end a flow.
        """
        self._auth = auth
        self._cursor = cursor
        self._redirect_to = auth.redirects.choose(request)
        self._pkce = pkce

    async def send_confirmation(self, user: User) -> None:
        """Ask a new user to confirm their address."""
        await self._pace(user, "confirmation_token")
        await self._send(user, "confirmation_token", "signup", user.email)

    async def send_recovery(self, user: User) -> None:
        """Let a user in who forgot their password."""
        await self._pace(user, "recovery_token")
        await self._send(user, "recovery_token", "recovery", user.email)

    async def send_magic_link(self, user: User) -> None:
        """Let a user in without a password; paced together with recovery."""
        await self._pace(user, "recovery_token")
        await self._send(user, "recovery_token", "magiclink", user.email)

    async def send_invitation(self, user: User) -> None:
        """Ask somebody in, as often as an administrator likes."""
        await self._auth.limits.count_mail()
        await users.change(self._cursor, user.id, invited_at=datetime.now(UTC))
        await self._send(user, "confirmation_token", "invite", user.email)

    async def send_reauthentication(self, user: User) -> None:
        """Let a user prove once more that it is them."""
        await self._pace(user, "reauthentication_token")
        await self._send(user, "reauthentication_token", "reauthentication", user.email)

    async def send_email_change(self, user: User, email: str) -> None:
        """Let a user confirm a new address; with GOTRUE_MAILER_SECURE_EMAIL_CHANGE_ENABLED the present one as well."""
        await self._pace(user, "email_change_token_new")
        await users.change(self._cursor, user.id, email_change=email, email_change_confirm_status=0)
        await self._send(user, "email_change_token_new", "email_change_new", email)
        if self._auth.settings.auth_both_addresses and user.email:
            await self._send(user, "email_change_token_current", "email_change_current", user.email)

    async def _pace(self, user: User, kind: one_time.Kind) -> None:
        sent_at, now = one_time.sent_at(user, kind), datetime.now(UTC)
        again_at = sent_at and sent_at + timedelta(seconds=self._auth.settings.auth_mail_pause_seconds)
        if again_at and again_at > now:
            seconds = int((again_at - now).total_seconds())
            message = f"For security purposes, you can only request this after {seconds} seconds."
            raise AuthError(429, "over_email_send_rate_limit", message)
        await self._auth.limits.count_mail()

    async def _send(self, user: User, kind: one_time.Kind, mail: mails.Kind, address: str) -> None:
        made = await one_time.make(self._auth, self._cursor, user.id, kind, address, pkce=self._pkce)
        await mails.queue(self._cursor, made.id, mail, self._redirect_to)
