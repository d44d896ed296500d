"""The doors in and out: what the entrance's pages show and what their forms do (entrance.py has the rules).

A GET changes nothing: mail scanners open every link, so a link of a mail leads to a page with a button that posts.
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from sigma_app.core.database import SERVICE, get_database
from sigma_app.core.destination import HOME, safe_next, with_next
from sigma_app.core.errors import DatabaseUnavailable, NotLikeThat, SigmaError, without_message
from sigma_app.core.form_data import UnreadableForm, read_form
from sigma_app.core.limits import Limiter
from sigma_app.core.origin import is_same_site, network_of
from sigma_app.features.accounts import entrance, passwords
from sigma_app.features.accounts.entrance import SignInAnew, Unconfirmed
from sigma_app.features.waitlist import service as waitlist
from sigma_app.frontend.templates import PRIVATE
from sigma_app.gateways import accounts
from sigma_app.gateways.accounts import LINK_KINDS, IdentityRefused, LinkKind, Tokens
from sigma_app.gateways.keys import get_links
from sigma_app.gateways.mail import has_mailbox
from sigma_app.session import store
from sigma_app.session.cookie import cookie_of, host_cookie
from sigma_app.session.doors import (
    ELSEWHERE,
    Answer,
    Handler,
    Values,
    count_try,
    forget_tries,
    form_door,
    nothing,
    show,
    too_many,
    visitor,
)
from sigma_app.session.guard import RESET, SIGN_IN
from sigma_app.settings import get_settings

logger = logging.getLogger(__name__)

SAID = {
    "signed-out": "You are signed out. Sleep well.",
    "everywhere": "You are signed out of Sigma, on every device.",
    "kept": "You were signed out. What you typed is kept, and saved once you sign in.",
    "over": "You were signed out. Sign in and go on.",
}
"""What the sign-in page says first, by the `said` in its address."""
MAILED = ("signup", "recovery", "magiclink")
"""What somebody may be waiting for on the page that asks to look into their inbox."""
CHECK_INBOX = "/check-inbox"
VERIFY = "/verify"

_MOST_PROOFS = 8  # of one browser
_PROOF = re.compile(r"\b[0-9a-f]{64}\b", re.ASCII)
_CODE = re.compile(r"[0-9]{6,10}")
_TOKEN_HASH = re.compile(r"[A-Za-z0-9_-]{16,128}")


def page_door(page: str, values: Values = nothing) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint that shows a page of the entrance; whoever is signed in goes on to where they wanted.

    But for whom a page of the portal has just sent here: it saw nobody, and would send them back for ever.
    """

    async def endpoint(request: Request) -> Response:
        sent_by_us = request.query_params.get("said") in ("over", "kept")
        if not sent_by_us and await _is_signed_in(request):
            return RedirectResponse(safe_next(request.query_params.get("next")), 303, PRIVATE)
        return show(request, page, await values(request.query_params))

    return endpoint


async def sign_up_values(asked: Mapping[str, str]) -> dict[str, Any]:
    """An invitation that is good, its address, and whether the page is open to whoever has none."""
    invitation, invited = asked.get("invitation", ""), None
    if invitation:
        with suppress(DatabaseUnavailable):
            async with get_database().transaction(SERVICE) as session:
                invited = await waitlist.invited_address(session, invitation)
    return {
        "invitation": invitation if invited else "",
        "invited": invited or "",
        "open": bool(invited) or get_settings().signup == "open",
    }


async def sign_up(request: Request, form: Mapping[str, str]) -> Answer:
    """Make an account: signed in at once by an invitation, else on to the inbox."""
    invitation, password = form.get("invitation", ""), form.get("password", "")
    email = entrance.read_address(form.get("email", ""))
    if wait := await count_try(request, email):
        return too_many(wait)
    if invitation:
        tokens = await entrance.sign_up_invited(email, password, invitation, visitor(request))
        return Answer(safe_next(form.get("next")), cookie=await _open(request, tokens))
    if get_settings().signup == "invite":
        raise NotLikeThat("An account takes an invitation for now. The waitlist is the way to one.")
    made = await entrance.sign_up(email, password, back_to(form.get("next")), visitor(request))
    inbox = with_next(CHECK_INBOX, form.get("next"), email=email, type="signup")
    # Every answer adds one, so that none tells whether the address was known.
    proof = _proof_of(made) if made else secrets.token_hex(32)
    return Answer(inbox, also_cookies={_proof_name(): ".".join([*_proofs(request), proof][-_MOST_PROOFS:])})


async def sign_in_values(asked: Mapping[str, str]) -> dict[str, Any]:
    """What is said on the sign-in page first."""
    return {"said": SAID.get(asked.get("said", ""), ""), "open": get_settings().signup == "open"}


async def sign_in(request: Request, form: Mapping[str, str]) -> Answer:
    """Sign in with a password."""
    email = entrance.read_address(form.get("email", ""))
    if wait := await count_try(request, email):
        return too_many(wait)
    try:
        tokens = await entrance.sign_in(email, form.get("password", ""), visitor(request))
    except Unconfirmed:
        return Answer(with_next(CHECK_INBOX, form.get("next"), email=email, type="signup", said="unconfirmed"))
    await forget_tries(request, email)
    return Answer(safe_next(form.get("next")), cookie=await _open(request, tokens))


def mailing(kind: str = "") -> Callable[[Request, Mapping[str, str]], Awaitable[Answer]]:
    """The form that asks for a mail of this kind, or of that it names; the answer says the same of every address, and
    takes as long."""

    async def handle(request: Request, form: Mapping[str, str]) -> Answer:
        asked = kind or form.get("type", "")
        if asked not in MAILED:
            return Answer("/sign-in")
        email = entrance.read_address(form.get("email", ""))
        if wait := await count_try(request, email):
            return too_many(wait)
        sending = BackgroundTask(_send, asked, email, back_to(form.get("next")), visitor(request))
        said = "" if kind else "again"
        inbox = with_next(CHECK_INBOX, form.get("next"), email=email, type=asked, said=said)
        return Answer(inbox, afterwards=sending)

    return handle


async def check_inbox(request: Request) -> Response:
    """What to look for in one's inbox, and where to type the code; on to the portal for whoever got in meanwhile."""
    kind = request.query_params.get("type", "")
    if kind not in MAILED:
        return RedirectResponse(SIGN_IN, 303, PRIVATE)
    if kind != "recovery" and await _is_signed_in(request):  # a new password may be wished for from inside
        return RedirectResponse(safe_next(request.query_params.get("next")), 303, PRIVATE)
    return show(request, "check_inbox", await inbox_values(request.query_params))


async def inbox_values(asked: Mapping[str, str]) -> dict[str, Any]:
    """Which mail is on its way, and why; and whether `MAILBOX` will show it."""
    kind = asked.get("type", "")
    settings = get_settings()
    return {
        "type": kind if kind in MAILED else "signup",
        "said": asked.get("said", ""),
        "mailbox": has_mailbox(settings) and not settings.is_hosted("auth"),  # which sends its own mails
    }


async def show_verify(request: Request) -> Response:
    """The page that a mail's link leads to: a button, or the form for a code."""
    return show(request, "verify", await verify_values(request.query_params))


async def verify_values(asked: Mapping[str, str]) -> dict[str, Any]:
    """The link of the mail if there is one, and what it is for."""
    kind, token_hash = asked.get("type", ""), asked.get("token_hash", "")
    works = kind in LINK_KINDS and _TOKEN_HASH.fullmatch(token_hash)
    return {
        "state": asked.get("done") if asked.get("done") in ("half", "over") else "button" if works else "code",
        "token_hash": token_hash if works else "",
        "type": kind if kind in LINK_KINDS else "signup",
    }


async def verify(request: Request, form: Mapping[str, str]) -> Answer:
    """The button of a mail's link, or a code."""
    kind = form.get("type", "")
    if kind not in LINK_KINDS:
        raise NotLikeThat(entrance.OVER)
    if not form.get("token_hash") and (wait := await count_try(request, form.get("email", "").strip())):
        return too_many(wait)
    try:
        kind, tokens = await _verified(request, form, cast("LinkKind", kind))
    except NotLikeThat:
        if not form.get("token_hash"):
            raise
        if kind in ("signup", "magiclink") and await _is_signed_in(request):
            return Answer(safe_next(form.get("next")))  # by this link, as a rule, at the first press
        return Answer(with_next(VERIFY, form.get("next"), done="over", type=kind))
    if tokens is None:
        return Answer(f"{VERIFY}?done=half")
    # Whoever made the account may not be who reads this mailbox: only where the password was chosen does it count.
    proof = _proof_of(tokens.user_id)
    chosen_here = any(hmac.compare_digest(shown, proof) for shown in _proofs(request))
    may_be_a_strangers = tokens.newly_confirmed and not chosen_here
    if may_be_a_strangers:
        tokens = await entrance.lock(tokens)
    recovered = may_be_a_strangers or kind in ("recovery", "invite")
    cookie = await _open(request, tokens, recovered=recovered)
    if recovered:
        has_none = may_be_a_strangers or kind == "invite"
        locked = {_locked_name(): _locked_proof_of(tokens.user_id) if has_none else ""}
        return Answer(with_next(RESET, form.get("next"), type=kind), cookie=cookie, also_cookies=locked)
    onward = "/account?said=address" if kind == "email_change" else safe_next(form.get("next"))
    return Answer(onward, cookie=cookie, also_cookies={_proof_name(): ""})


async def show_reset(request: Request) -> Response:
    """The page for a new password, for whoever came by a link that allows it."""
    with suppress(DatabaseUnavailable):
        session = await store.find(cookie_of(request.scope["headers"]), even_recovered=True)
        if session is None:
            return RedirectResponse(with_next("/forgot", request.query_params.get("next")), 303, PRIVATE)
        if not session.recovered:
            return RedirectResponse("/account", 303, PRIVATE)
        return show(request, "reset", {**await reset_values(request.query_params), "email": session.email})
    return PlainTextResponse(str(DatabaseUnavailable()), 503, PRIVATE | {"retry-after": "5"})


async def reset_values(asked: Mapping[str, str]) -> dict[str, Any]:
    """Why a password is to be chosen."""
    return {"type": asked.get("type", "") if asked.get("type") in ("signup", "invite") else "recovery"}


async def reset(request: Request, form: Mapping[str, str]) -> Answer:
    """The new password: every other session of the account ends, and this one gets another cookie."""
    cookie = cookie_of(request.scope["headers"])
    session = await store.find(cookie, even_recovered=True)
    if session is None or cookie is None or not session.recovered:
        return Answer(with_next("/forgot", form.get("next")))
    try:
        tokens = await entrance.choose_password(await store.tokens_of(cookie), form.get("password", ""))
    except IdentityRefused:
        return Answer("/forgot", cookie="")
    onward = safe_next(form.get("next"))
    had_none = hmac.compare_digest(
        request.cookies.get(_locked_name(), "").encode(), _locked_proof_of(tokens.user_id).encode()
    )
    cookie = await open_alone(request, tokens, first=had_none and entrance.is_new(tokens))
    onward = f"{HOME}?said=password" if onward == HOME else onward
    return Answer(onward, cookie=cookie, also_cookies={_locked_name(): ""})


async def sign_out(request: Request, _: Mapping[str, str]) -> Answer:
    """Sign this browser out, whoever it was."""
    cookie = cookie_of(request.scope["headers"])
    tokens = await store.last_tokens_of(cookie)
    await store.end(cookie)
    leaving = BackgroundTask(_leave, tokens, "local") if tokens else None
    return Answer("/sign-in?said=signed-out", cookie="", afterwards=leaving)


async def sign_out_everywhere(request: Request, _: Mapping[str, str]) -> Answer:
    """Sign out of every browser, and of everything else that is signed in at Supabase."""
    cookie = cookie_of(request.scope["headers"])
    tokens = await store.last_tokens_of(cookie)
    if tokens is None:
        return Answer("/sign-in?said=signed-out", cookie="")
    await store.end_all(tokens.user_id)
    return Answer("/sign-in?said=everywhere", cookie="", afterwards=BackgroundTask(_leave, tokens, "global"))


async def password_strength(request: Request) -> Response:
    """How strong a password is that is being typed: `{"score": 0…4, "words": "…"}`. Kept nowhere."""
    if not is_same_site(request.scope["headers"], get_settings().base_url):
        return PlainTextResponse(ELSEWHERE, 403, PRIVATE)
    try:
        form = await read_form(request)
    except UnreadableForm as unreadable:
        return PlainTextResponse(unreadable.reason, unreadable.status, PRIVATE)
    if wait := await _strength_limiter().wait(network_of(visitor(request))):
        return PlainTextResponse("", 429, PRIVATE | {"retry-after": str(wait)})
    try:
        judged = await passwords.strength(form.get("password", ""), form.get("email", "")[:320])
    except passwords.TooBusy as busy:
        return PlainTextResponse("", busy.status, PRIVATE | {"retry-after": "5"})
    return JSONResponse({"score": judged.score, "words": judged.words}, headers=PRIVATE)


def _page(path: str, page: str, handle: Handler, values: Values = nothing) -> list[Route]:
    """A page of the entrance and its form."""
    return [
        Route(path, page_door(page, values), methods=["GET"]),
        Route(path, form_door(handle, page, values), methods=["POST"]),
    ]


ROUTES = [
    *_page("/sign-up", "sign_up", sign_up, sign_up_values),
    *_page("/sign-in", "sign_in", sign_in, sign_in_values),
    *_page("/sign-in/link", "magic_link", mailing("magiclink")),
    *_page("/forgot", "forgot", mailing("recovery")),
    Route(CHECK_INBOX, check_inbox, methods=["GET"]),
    Route("/verify/again", form_door(mailing(), "check_inbox", inbox_values), methods=["POST"]),
    Route(VERIFY, show_verify, methods=["GET"]),
    Route(VERIFY, form_door(verify, "verify", verify_values), methods=["POST"]),
    Route(RESET, show_reset, methods=["GET"]),
    Route(RESET, form_door(reset, "reset", reset_values), methods=["POST"]),
    Route("/sign-out", form_door(sign_out, "sign_in", sign_in_values), methods=["POST"]),
    Route("/sign-out/everywhere", form_door(sign_out_everywhere, "sign_in", sign_in_values), methods=["POST"]),
    Route("/password-strength", password_strength, methods=["POST"]),
]


def back_to(wished: str | None = None) -> str:
    """Where the links of mails lead: with a query already, which the mail's template goes on with."""
    onward = safe_next(wished)
    return f"{get_settings().base_url}{with_next(VERIFY, onward, via='mail')}"


async def open_alone(request: Request, tokens: Tokens, *, first: bool = False) -> str:
    """Sign a browser in that has just changed the password, and every other one of the account out; a mail says so.

    Raises:
        SignInAnew: none of it was done, and the password is changed all the same.
    """
    try:
        await entrance.tell_changed(tokens.email, first=first)
        return await _open(request, tokens, alone=True)
    except DatabaseUnavailable as error:
        raise SignInAnew from error


async def _verified(request: Request, form: Mapping[str, str], kind: LinkKind) -> tuple[LinkKind, Tokens | None]:
    """What a link or a code gave, and what it was for."""
    if token_hash := form.get("token_hash", ""):
        if not _TOKEN_HASH.fullmatch(token_hash):
            raise NotLikeThat(entrance.OVER)
        return kind, await entrance.verify_link(token_hash, kind, visitor(request))
    email = entrance.read_address(form.get("email", ""))
    code = re.sub(r"\s", "", form.get("code", ""))
    if not _CODE.fullmatch(code):
        raise NotLikeThat("The code is six digits. They are in the mail, below its button.", "code")
    try:
        return kind, await entrance.verify_code(email, code, kind, visitor(request))
    except NotLikeThat:
        if kind != "magiclink":
            raise
        # Who asks for a way in before the address is confirmed is mailed the question to confirm it.
        return "signup", await entrance.verify_code(email, code, "signup", visitor(request))


async def _open(request: Request, tokens: Tokens, *, recovered: bool = False, alone: bool = False) -> str:
    headers = request.scope["headers"]
    agent = request.headers.get("user-agent", "")
    return await store.open_session(tokens, agent, replacing=cookie_of(headers), recovered=recovered, alone=alone)


async def _is_signed_in(request: Request) -> bool:
    with suppress(DatabaseUnavailable):
        return await store.find(cookie_of(request.scope["headers"])) is not None
    return False


async def _send(kind: str, email: str, back: str, address: str) -> None:
    """Mail it once the visitor has been answered, so that the time says nothing."""
    try:
        await entrance.send(kind, email, back, address)  # pyright: ignore[reportArgumentType] - one of MAILED
    except SigmaError as error:
        logger.error("A mail of kind %s was not asked for: %s", kind, without_message(error))


async def _leave(tokens: Tokens, scope: Any) -> None:
    """Tell Supabase once the visitor has been answered; the tokens are nowhere any more either way."""
    with suppress(SigmaError):
        if tokens.end_at - datetime.now(UTC) < store.RENEW_BEFORE:
            tokens = await accounts.refresh(tokens.refresh)
        await accounts.sign_out(tokens, scope)


def _proof_name() -> str:
    return host_cookie("sigma_signed_up")


def _proofs(request: Request) -> list[str]:
    """What this browser has to show for the accounts it made, the latest last, among as much that proves nothing."""
    return _PROOF.findall(request.cookies.get(_proof_name(), ""))


def _proof_of(user_id: Any) -> str:
    """What says that an account was made, with its password, in the browser that has it."""
    return get_links().code_digest(user_id, "signed up here").hex()


def _locked_name() -> str:
    return host_cookie("sigma_locked")


def _locked_proof_of(user_id: Any) -> str:
    """What says that an account has no password that anybody knows, in the browser that is to choose one."""
    return get_links().code_digest(user_id, "no password yet").hex()


@cache
def _strength_limiter() -> Limiter:
    return Limiter("password-strength", "60/minute")
