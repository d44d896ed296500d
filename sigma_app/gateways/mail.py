"""Sends mail through Resend's SDK: to Resend with RESEND_API_KEY set, else to the mailbox that stands in for it.

Either way the same SDK sends the same request; only the address behind it differs (docs/decisions/0009-mail.md).
`sending_mail()` surrounds the life of a process that sends; `send` hands one mail over and says, by the class of its
error, whether trying again can help. Nothing here logs or repeats an address or the key.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import resend
from resend.exceptions import NoContentError, ResendError
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.routing import BaseRoute

from sigma_app.core.jobs import JobError
from sigma_app.core.logs import request_id
from sigma_app.core.metrics import MAILS
from sigma_app.embedded.mailbox import api, page, store
from sigma_app.settings import Settings, get_settings

MAILBOX = page.MAILBOX  # where mails are shown that nobody was sent
TIMEOUT = httpx.Timeout(10, connect=3)  # seconds
LONGEST = 20.0  # seconds for one answer in all, however slowly it comes
PER_SECOND = 5  # Resend's limit for a team that asked for no other
LONGEST_KEY = 256  # characters
LONGEST_WAIT = timedelta(days=1)
TAG = "request"  # the tag that has the id of the request (core/requests.py) that a mail follows from

_MAY_HELP_LATER = (401, 403, 408, 429)
_ADDRESS = re.compile(r"[^\s<>()\[\],;:`'\"]+@[^\s<>()\[\],;:`'\"]+")
_SECOND = timedelta(seconds=1)
_NO_TAG = re.compile(r"[^A-Za-z0-9_-]")  # https://resend.com/docs/dashboard/emails/tags
_LONGEST_REASON = 300  # characters

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Mail:
    """A mail to one person; equal fields make an equal request, which is what the idempotency key stands for."""

    to: str
    subject: str
    html: str
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)


class MailRefused(JobError):
    """Resend refuses this mail, and always will."""

    retry = False


class MailDelayed(JobError):
    """The mail could not be handed over right now."""

    def __init__(self, message: str | None = None, retry_after: timedelta | None = None):
        super().__init__(message)
        self.retry_after = retry_after


@asynccontextmanager
async def sending_mail() -> AsyncIterator[None]:
    """Let this process send mail inside the block, over one client that keeps its connections."""
    settings = get_settings()
    hosted = settings.resend_api_key
    transport = None if hosted else httpx.ASGITransport(api.app)
    async with httpx.AsyncClient(transport=transport, timeout=TIMEOUT) as client:
        resend.api_key = hosted.get_secret_value() if hosted else "the mailbox takes any"
        resend.api_url = str(settings.resend_api_url).rstrip("/")
        resend.default_async_http_client = _Client(client, PER_SECOND if hosted else None)
        try:
            yield
        finally:
            resend.api_key = resend.default_async_http_client = None


async def send(mail: Mail, key: str) -> str:
    """Hand a mail over, once for each `key` within 24 hours, for which Resend remembers it.

    Args:
        mail: what to send; a second try with the same key must bring the same mail.
        key: names the cause, such as "confirm/<id>"; 1 to 256 ASCII characters, no address.

    Returns:
        The provider's id of the mail; empty if it was taken before and the id is not told again.

    Raises:
        MailRefused: it can never be sent; the message has Resend's reason.
        MailDelayed: it may be sent later, `retry_after` from now if Resend said when.
    """
    if not (key.isascii() and key.isprintable() and 1 <= len(key) <= LONGEST_KEY):
        raise ValueError(f"an idempotency key has 1 to {LONGEST_KEY} ASCII characters")
    if not isinstance(resend.default_async_http_client, _Client):
        raise MailDelayed("This process sends no mail: sending_mail() is not entered.")
    params: resend.Emails.SendParams = {
        "from": get_settings().mail_sender,
        "to": [mail.to],
        "subject": mail.subject,
        "html": mail.html,
        "text": mail.text,
        "headers": dict(mail.headers),
    }
    if request := request_id.get():  # a retry has the same; shown at Resend beside the mail, and not to its reader
        params["tags"] = [{"name": TAG, "value": _NO_TAG.sub("-", request)}]
    try:
        answer = await resend.Emails.send_async(params, {"idempotency_key": key})
    except ResendError as error:
        if error.error_type == "invalid_idempotent_request":
            logger.warning("Resend had taken a mail with other words for the same cause; nothing was sent again.")
            return ""
        explained = _explained(error, mail.to)
        MAILS.labels("refused" if isinstance(explained, MailRefused) else "delayed").inc()
        raise explained from None
    except NoContentError:
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("id"), str):
        MAILS.labels("delayed").inc()
        raise MailDelayed("Resend gave no id for a mail.")
    MAILS.labels("sent").inc()
    logger.info("A mail was handed over, as %s (%s).", answer["id"], key.partition("/")[0])
    return answer["id"]


async def kept_for(session: AsyncSession, digest: bytes) -> list[store.Kept]:
    """The mails to an address that are in the mailbox, newest first; none of those that Resend has, which it lists, and
    not by address.

    Args:
        session: a transaction of SERVICE.
        digest: of the address (`core.addresses`).

    Raises:
        DatabaseUnavailable: they could not be read.
    """
    return await store.kept_for(session, digest)


async def is_kept(identity: str) -> bool:
    """Whether the mail that the provider calls `identity` is in the mailbox, also of a Sigma that sends by Resend now.

    Raises:
        DatabaseUnavailable: it could not be read.
    """
    return await store.has(identity)


async def forget(digest: bytes) -> int:
    """Take the mails to an address out of the mailbox; how many they were.

    Resend has no call to remove what was sent, and drops it after the retention time of its plan.

    Args:
        digest: of the address (`core.addresses`).

    Raises:
        DatabaseUnavailable: nothing was removed.
    """
    return await store.remove(digest)


def routes(settings: Settings) -> Sequence[BaseRoute]:
    """The mailbox's pages, where there is a mailbox and nobody but its developer to look into it."""
    return page.ROUTES if has_mailbox(settings) else []


def has_mailbox(settings: Settings) -> bool:
    """Whether whoever is asked to look into their inbox may look into the mailbox."""
    return not settings.is_hosted("mail") and settings.env != "production"


class _Client(resend.AsyncHTTPClient):
    """What the SDK sends with: one client for all requests, which wait their turn."""

    def __init__(self, client: httpx.AsyncClient, per_second: float | None):
        self._client = client
        self._gap = 1 / per_second if per_second else 0.0  # seconds
        self._next = 0.0

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        json: Any = None,
        files: Any = None,
        data: Any = None,
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Called by the SDK."""
        now = asyncio.get_running_loop().time()
        turn = max(now, self._next)
        self._next = turn + self._gap
        if turn > now:
            await asyncio.sleep(turn - now)
        async with asyncio.timeout(LONGEST):
            answer = await self._client.request(method, url, headers=headers, json=json, files=files, data=data)
        return answer.content, answer.status_code, answer.headers


def _explained(error: ResendError, recipient: str) -> JobError:
    """Resend's error, or the lack of an answer, as one of ours."""
    status = int(error.code) if str(error.code).isdecimal() else 500
    if error.error_type == "HttpClientError":  # its message comes from httpx or from the stand-in: not for the log
        cause = error.__context__
        return MailDelayed(f"Resend could not be reached: {type(cause).__name__ if cause else 'no answer'}.")
    what = f"{status} {_without_addresses(str(error.error_type), recipient)}"
    if status in (401, 403):
        # The account's trouble and not the mail's: the key, or a domain that is not verified
        logger.error("Resend lets nobody in with this RESEND_API_KEY and MAIL_FROM (%s): mails wait.", what)
    if status in _MAY_HELP_LATER or status >= 500 or error.error_type == "concurrent_idempotent_requests":
        return MailDelayed(f"Resend asks to try again later: {what}.", _wait(error.headers))
    return MailRefused(f"Resend refuses a mail: {what}: {_without_addresses(str(error.message), recipient)}")


def _without_addresses(text: str, recipient: str) -> str:
    """One line of Resend's words, without the recipient and whatever else looks like an address."""
    known = re.sub(re.escape(recipient), "[address]", " ".join(text.split()), flags=re.IGNORECASE)
    return _ADDRESS.sub("[address]", known)[:_LONGEST_REASON]


def _wait(headers: Mapping[str, str]) -> timedelta | None:
    """What Retry-After asks for, in seconds or as a date (RFC 9110, 10.2.3); at most a day."""
    given = {name.lower(): value for name, value in headers.items()}.get("retry-after", "").strip()
    try:
        if given.isdecimal():
            return min(int(given), LONGEST_WAIT // _SECOND) * _SECOND
        return max(timedelta(0), min(parsedate_to_datetime(given) - datetime.now(UTC), LONGEST_WAIT))
    except (ValueError, TypeError):  # neither, or a date without a time zone
        return None
