"""How often somebody may ask auth for something: by address, and for all mail together."""

from __future__ import annotations

import math
from typing import Literal

from starlette.requests import Request

from sigma_app.core.errors import SigmaError
from sigma_app.core.limits import Limiter
from sigma_app.core.origin import client_address, network_of
from sigma_app.settings import Settings

Kind = Literal["token", "verify", "mail"]

_WINDOW = 300  # seconds in which so many requests may come as a setting says
_BURST = 30  # the most that GoTrue lets through at once
_MAILS_PER_HOUR = 30  # of a hosted project
_PASSWORDS = "30/15 minutes"  # tries for one address from one network
_CODES = "20/hour"  # tries for one address: a code of six digits that lasts a day is then guessed once in 2,000 days


class TooMany(SigmaError):
    """Request rate limit reached"""

    status = 429
    code = "over_request_rate_limit"

    def __init__(self, retry_after: int):
        super().__init__()
        self.retry_after = retry_after
        """Seconds."""


class TooManyMails(SigmaError):
    """email rate limit exceeded"""

    status = 429
    code = "over_email_send_rate_limit"


class Limits:
    """Counts requests and mails, where core/limits.py keeps its counters."""

    def __init__(self, settings: Settings):
        """Nothing was asked for yet."""
        self._header = settings.auth_address_header
        self._proxies = settings.trusted_proxies
        self._by_address = {
            "token": Limiter("auth token", _rule(settings.auth_limit_refresh)),
            "verify": Limiter("auth verify", _rule(settings.auth_limit_verify)),
            "mail": Limiter("auth mail", _rule(settings.auth_limit_mails)),
        }
        mails = settings.auth_mails_per_hour
        if mails is None and settings.is_hosted("mail"):
            mails = _MAILS_PER_HOUR
        self._codes = Limiter("auth codes", _CODES)
        self._passwords = Limiter("auth passwords", _PASSWORDS)
        self._mails = None if mails is None else Limiter("auth mails", f"{mails}/hour")

    async def check(self, kind: Kind, request: Request) -> None:
        """Count a request of the address that the configured header names; without one, nobody is limited.

        Each endpoint counts for itself, as with GoTrue.

        Raises:
            TooMany: of this address, in too short a time.
        """
        address = self._address(request)
        if address and (wait := await self._by_address[kind].wait(f"{request.url.path} {network_of(address)}")):
            raise TooMany(wait)

    async def count_code(self, email: str) -> None:
        """Count a try of a code for an address, whoever makes it and from wherever; links are not counted.

        GoTrue relies on the limit by address of the network, which holds only behind a proxy that tells it.

        Raises:
            TooMany: within an hour.
        """
        if wait := await self._codes.wait(email.lower()):
            raise TooMany(wait)

    async def forget_codes(self, email: str) -> None:
        """Take the tries back: the last one was right."""
        await self._codes.forget(email.lower())

    async def count_password(self, email: str, request: Request) -> None:
        """Count a try of a password for an address from one network; from others its owner still signs in.

        GoTrue counts all requests of a network, where a header names it; without a proxy nobody would be counted.

        Raises:
            TooMany: within a quarter of an hour.
        """
        if wait := await self._passwords.wait(self._tries_key(email, request)):
            raise TooMany(wait)

    async def forget_passwords(self, email: str, request: Request) -> None:
        """Take the tries back: the last one was right."""
        await self._passwords.forget(self._tries_key(email, request))

    async def count_mail(self) -> None:
        """Count a mail of the whole project.

        Raises:
            TooManyMails: within an hour; none must go out.
        """
        if self._mails and await self._mails.wait(""):
            raise TooManyMails

    def _tries_key(self, email: str, request: Request) -> str:
        address = self._address(request) or client_address(request.scope, self._proxies)
        return f"{email.lower()} {network_of(address)}"

    def _address(self, request: Request) -> str:
        """Who asks: what the header says first, as GoTrue reads it.

        A proxy only appends to X-Forwarded-For, so its first is whatever the client wrote; with TRUSTED_PROXIES set,
        theirs counts.
        """
        if not self._header:
            return ""
        if self._proxies and self._header.lower() == "x-forwarded-for":
            return client_address(request.scope, self._proxies)
        return request.headers.get(self._header, "").partition(",")[0].strip()


def _rule(requests: int) -> str:
    """So many requests in five minutes, but not more than 30 at once: the window shrinks as the number grows."""
    burst = min(requests, _BURST)
    return f"{burst}/{math.ceil(_WINDOW * burst / requests) if requests else _WINDOW} second"
