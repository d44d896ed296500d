"""What the portal's pages know of the one who is signed in. No SQL here; every handler asks first who that is."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any
from uuid import UUID

import reflex as rx

from sigma_app.core import clock
from sigma_app.core.errors import DatabaseUnavailable, NotLikeThat, SigmaError
from sigma_app.features.accounts import service
from sigma_app.features.accounts.devices import Device, devices
from sigma_app.features.accounts.pictures import address_of
from sigma_app.features.billing import service as billing
from sigma_app.gateways import accounts
from sigma_app.models import Profile
from sigma_app.session import store
from sigma_app.session.operators import OperatorsAccount, refuse_operators
from sigma_app.session.state import SessionState

CHANGED_ELSEWHERE = "This name was changed in the meantime, in another tab or on another device."
_LONGEST_ATTEMPT = 64


class ProfileState(SessionState):
    """The profile, as it was stored when this tab last heard of it.

    `outcome` is what became of the last try to save, "saved", "conflict", "refused" or "away", `message` the sentence
    to show, and `attempt` the name that the page gave the try (profile.js). `owner` tells a draft in the browser whose
    it is. `trouble` is why there is nothing to show.
    """

    name: str = ""
    image: str = ""
    owner: str = ""
    plan: str = ""
    has_access: bool = False
    member_since: str = ""
    outcome: str = ""
    message: str = ""
    attempt: str = ""
    trouble: str = ""

    @rx.event
    async def load(self):
        """Show what is stored."""
        try:
            if session := await self._signed_in():
                self._show(await service.read_profile(session))
                self.plan, self.has_access = await billing.plan_of(session)
                self.owner = hashlib.sha256(session.user_id.bytes).hexdigest()[:16]
                self.trouble = ""
                await self._look_for_console(session)
        except SigmaError as error:
            self.trouble = str(error)

    @rx.event
    async def save(self, form_data: dict[str, Any]):
        """Store a name: `name`, if the one before is still what the page says in `before`."""
        fields = form_data if isinstance(form_data, dict) else {}  # a client may send anything
        outcome, message = "saved", "Saved."
        try:
            session = await self._signed_in()
            if session is None:
                return
            renamed = await service.rename(session, _text(fields, "before"), _text(fields, "name"))
            self.name = renamed.name
            if renamed.conflict:
                outcome, message = "conflict", CHANGED_ELSEWHERE
        except NotLikeThat as error:
            outcome, message = "refused", str(error)
        except SigmaError as error:
            outcome, message = "away", str(error)
        self.attempt = _text(fields, "attempt")[:_LONGEST_ATTEMPT]
        self.outcome, self.message = outcome, message

    def _show(self, profile: Profile) -> None:
        self.name = profile.name or ""
        self.image = address_of(profile.image, profile.id)
        self.member_since = clock.day(profile.created_at) if profile.created_at else ""


class AccountState(SessionState):
    """The devices of the account, and the address it is to move to, if any.

    `stays` is why it cannot be deleted, `trouble` why there is nothing to show.
    """

    devices: list[Device] = []  # noqa: RUF012 - a Var, copied for each state
    moving_to: str = ""
    stays: str = ""
    trouble: str = ""

    @rx.event
    async def load(self):
        """Show what is so; what Supabase has to be asked for comes last."""
        await self._with(None)
        yield
        with suppress(SigmaError):  # the rest of the page does without
            self.moving_to = await accounts.pending_address(await store.tokens_of(self._cookie or ""))

    @rx.event
    async def sign_out_device(self, device: str):
        """Sign another browser of this account out, which closes its tabs."""
        await self._with(device)

    async def _with(self, leaving: str | None) -> None:
        """The devices, once the one that leaves has left."""
        try:
            if session := await self._signed_in():
                if isinstance(leaving, str) and (other := _uuid(leaving)) and other != session.id:
                    await store.end_one(session, other)
                self.stays = await _why_it_stays(session.user_id)
                self.devices = devices(await store.sessions_of(session.user_id), session)
                self.trouble = ""
                await self._look_for_console(session)
        except DatabaseUnavailable as error:
            self.trouble = str(error)


async def _why_it_stays(account: UUID) -> str:
    try:
        await refuse_operators(account)
    except OperatorsAccount as refusal:
        return str(refusal)
    return ""


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
