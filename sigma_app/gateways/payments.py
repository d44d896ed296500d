"""Payments, by Stripe's SDK: at Stripe with STRIPE_SECRET_KEY set, else in process at the sandbox that stands in.

`reaching_stripe()` surrounds the life of a process that asks; `stripe_client()` is the SDK's client inside of it, and
every error that it raises inside of `asking()` becomes one of ours, whose messages hold no key, no address and no card.
What the application reads comes as the small classes of gateways/stripe_objects.py.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha256
from typing import Any, NoReturn

import anyio
import httpx
import stripe
from starlette.routing import BaseRoute

from sigma_app.core.errors import SigmaError
from sigma_app.embedded.stripe import app as sandbox
from sigma_app.embedded.stripe import delivery, pages
from sigma_app.embedded.stripe.events import signing_secret, untold
from sigma_app.settings import Settings, get_settings

TIMEOUT = httpx.Timeout(10, connect=3)  # seconds
LONGEST = 20.0  # seconds for one answer in all, however slowly it comes
RETRIES = 2  # the SDK's own, of what may be tried again; writes carry an idempotency key
TOLERANCE = 300  # seconds that a signature may be old: Stripe's own default
_KEYS = 20  # of failures that `create_once` has repeated to it, in each
_WHILE = 600  # seconds
_SANDBOX = "http://stripe.sandbox"  # a name for requests that never leave the process
_OUR_KEY = (401, 403)
_KEPT = 500  # Stripe's own; 502 and the like are said in front of it, and kept nowhere

JOBS = (delivery,)
"""What the sandbox does in the background; worked only where it stands in for Stripe."""

logger = logging.getLogger(__name__)
# The SDK's own repeats what is asked and answered, which names people.
logging.getLogger("stripe").setLevel(logging.WARNING)


class PaymentsUnavailable(SigmaError):
    """Stripe does not answer right now. Nothing was charged for this try; please try again in a moment."""

    status = 503


class PaymentsRefused(SigmaError):
    """Stripe refused that. Nothing was charged; please write to us if it stays so."""

    status = 502

    def __init__(self, code: str = "", param: str = "") -> None:
        """Take Stripe's own error code, such as "resource_missing", and the parameter that it is about."""
        super().__init__()
        self.code, self.param = code, param


class NotAtStripe(PaymentsRefused):
    """Stripe knows no such thing, or no more."""

    status = 404


class ForgedSignature(SigmaError):
    """This is no event that Stripe signed within the last five minutes."""

    status = 400


@asynccontextmanager
async def reaching_stripe() -> AsyncIterator[None]:
    """Let this process ask Stripe inside the block, over one client that keeps its connections."""
    global _client
    settings = get_settings()
    key = settings.stripe_secret_key
    transport = None if key else sandbox.Transport()
    async with httpx.AsyncClient(transport=transport, timeout=TIMEOUT) as connections:
        _client = stripe.StripeClient(
            key.get_secret_value() if key else "sk_test_sandbox",
            http_client=_Connections(connections),
            max_network_retries=RETRIES,
            base_addresses={"api": str(settings.stripe_url).rstrip("/") if key else _SANDBOX},
        )
        try:
            yield
        finally:
            _client = None


_client: stripe.StripeClient | None = None


def stripe_client() -> stripe.StripeClient:
    """The SDK's client of this process; use it inside of `asking()`.

    Raises:
        PaymentsUnavailable: `reaching_stripe()` is not entered.
    """
    if _client is None:
        raise PaymentsUnavailable
    return _client


@contextmanager
def untold_by_sandbox() -> Iterator[None]:
    """Have the sandbox deliver nothing of what is done inside the block; of Stripe itself nobody can ask that."""
    with untold():
        yield


@contextmanager
def asking() -> Iterator[None]:
    """What the SDK raises inside the block leaves it as an error of ours."""
    try:
        yield
    except stripe.StripeError as error:
        _explain(error)


async def create_once(create: Callable[..., Awaitable[Any]], wanted: Mapping[str, Any], key: str) -> Any:
    """Make something at Stripe, and the same one again where our note of it was lost.

    Stripe keeps the first answer under a key for a day, failures as well (https://docs.stripe.com/api/idempotent_requests):
    another wish, a failure that it repeats, and one that it will, are asked for under another one, which a later while
    has more of.

    Args:
        create: the SDK's method, such as `stripe_client().v1.customers.create_async`.
        wanted: what it takes.
        key: names the occasion.

    Raises:
        PaymentsUnavailable, PaymentsRefused: nothing was made that anybody knows of.
    """
    said = json.dumps(wanted, sort_keys=True) + str(int(time.time()) // _WHILE)
    digest = sha256(said.encode()).hexdigest()[:32]
    with asking():
        failed = 0
        for again in range(_KEYS - 1):
            try:
                return await create(wanted, {"idempotency_key": f"{key}/{digest}/{again}"})
            except stripe.StripeError as error:
                repeated = (error.headers or {}).get("idempotent-replayed") == "true"
                failed += not repeated
                if failed > RETRIES or not (repeated or error.http_status == _KEPT):
                    raise
        return await create(wanted, {"idempotency_key": f"{key}/{digest}/last"})


def routes(settings: Settings) -> Sequence[BaseRoute]:
    """The sandbox's pages, where it stands in for Stripe; its dashboard only for who develops Sigma."""
    if settings.is_hosted("payments"):
        return []
    return [*pages.ROUTES, *(pages.DASHBOARD_ROUTES if settings.env == "development" else [])]


async def verify_event(payload: bytes, signature: str) -> None:
    """Return if the raw body of a webhook was signed by Stripe, with any secret of ours, a moment ago.

    Raises:
        ForgedSignature: it was not.
    """
    secrets = get_settings().stripe_webhook_secrets if is_hosted() else [await signing_secret()]
    for secret in secrets:
        try:
            stripe.WebhookSignature.verify_header(payload, signature, secret, TOLERANCE)
        except (stripe.SignatureVerificationError, ValueError, TypeError):  # the latter of bytes that are no text
            continue
        return
    raise ForgedSignature


def is_hosted() -> bool:
    """Whether money moves: Stripe itself is asked, and not the sandbox."""
    return get_settings().is_hosted("payments")


def _explain(error: stripe.StripeError) -> NoReturn:
    """Raise one of our errors for one of the SDK's."""
    code, param = error.code or "", getattr(error, "param", None) or ""
    status = error.http_status
    if isinstance(error, stripe.InvalidRequestError | stripe.IdempotencyError | stripe.CardError):
        refusal = NotAtStripe if code == "resource_missing" else PaymentsRefused
        raise refusal(code, param) from None  # its text may repeat what people typed
    if status in _OUR_KEY:
        logger.error("Stripe does not take STRIPE_SECRET_KEY: status %s", status)
    raise PaymentsUnavailable from None


class _Connections(stripe.HTTPClient):
    """What the SDK sends with: the process's httpx client, whose transport leads to Stripe or to the sandbox."""

    name = "httpx"

    def __init__(self, connections: httpx.AsyncClient):
        super().__init__()
        self._connections = connections

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Called by the SDK."""
        try:
            async with asyncio.timeout(LONGEST):
                answer = await self._connections.request(method, url, headers=dict(headers), content=post_data)
        except (httpx.HTTPError, TimeoutError) as error:
            raise stripe.APIConnectionError(type(error).__name__, should_retry=True) from error
        return answer.content, answer.status_code, answer.headers

    async def sleep_async(self, secs: float) -> None:
        """Called by the SDK between two tries."""
        await anyio.sleep(secs)

    async def close_async(self) -> None:
        """Nothing: `reaching_stripe` closes the connections."""
