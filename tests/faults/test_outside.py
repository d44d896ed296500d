"""Supabase, Stripe and Resend slow, failing, or talking nonsense: what people read meanwhile, and that it is done once.

Each stands elsewhere, as in production, behind a proxy on loopback that spoils its answers. All three go wrong at once,
and everybody who needs one of them comes at the same moment.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest
import stripe
from PIL import Image

from sigma_app.core.login import login_url
from tests.bench.load import join_form
from tests.faults.conftest import WIDE, admin, end, sign_in
from tests.faults.crowd import BOUND, PASSWORD, PLAN, Member
from tests.faults.ledger import hasten
from tests.faults.processes import beside
from tests.faults.proxy import Fault, Proxy
from tests.gateways.conftest import KEY, Resend
from tests.sigma import PROJECT_ROOT, Sigma, Supabase, clean_environment, free_port

_OF_SUPABASE = ("VITE_SUPABASE_URL", "VITE_SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY", "DATABASE_URL")
_WEBHOOK_SECRET = "whsec_c29tZSBzZWNyZXQgb2YgdGhlc2UgdGVzdHM="
_JSON = {"accept": "application/json"}


@dataclass
class World:
    """A Sigma whose Supabase, Stripe and Resend are elsewhere."""

    sigma: Sigma
    supabase: Supabase
    stripe: str
    """The address of Stripe itself."""
    resend: Resend
    proxies: dict[str, Proxy]

    @contextmanager
    def wrong(self, **faults: Fault) -> Iterator[None]:
        """Have each go wrong in its way inside the block."""
        with ExitStack() as stack:
            for name, fault in faults.items():
                stack.enter_context(self.proxies[name].wrong(fault))
            yield

    def visitor(self, cookie: str = "") -> httpx.Client:
        """Somebody's browser."""
        headers = {"cookie": cookie} if cookie else {}
        return httpx.Client(base_url=self.sigma.base_url, headers=headers, timeout=BOUND, trust_env=False)

    def rows(self, statement: str, *values: object) -> list[tuple]:
        with self.sigma.database() as owner:
            return owner.execute(statement.encode(), values).fetchall()

    def wait_until(self, condition: Callable[[], object], seconds: float = 60) -> None:
        """Return once it holds; meanwhile no retry is waited for."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.sigma.log.read_text()[-3000:]
            hasten(self.sigma)
            time.sleep(0.5)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """It stands for all faults, one after the other: each has to leave it as it was."""
    directory, port, its_port, stripe_port = tmp_path_factory.mktemp("outside"), free_port(), free_port(), free_port()
    base_url, own = f"http://127.0.0.1:{port}", {**WIDE, "GOTRUE_SMTP_MAX_FREQUENCY": "0"}
    supabase = Supabase(directory / "supabase", its_port, own | {"GOTRUE_SITE_URL": base_url})
    with ExitStack() as stack:
        stack.callback(end, supabase)
        supabase.start()
        given = {name: supabase.assignments[name] for name in _OF_SUPABASE}
        stripe_url = stack.enter_context(_stripe(stripe_port, login_url(given["DATABASE_URL"])))
        resend = stack.enter_context(_resend())
        upstreams = {"supabase": given["VITE_SUPABASE_URL"], "stripe": stripe_url, "resend": resend.url}
        proxies = {name: stack.enter_context(Proxy(url).listening()) for name, url in upstreams.items()}
        elsewhere = {
            **given,
            "VITE_SUPABASE_URL": proxies["supabase"].url,
            "STRIPE_URL": proxies["stripe"].url,
            "STRIPE_SECRET_KEY": "sk_test_1",
            "STRIPE_WEBHOOK_SECRET": _WEBHOOK_SECRET,
            "RESEND_API_URL": proxies["resend"].url,
            "RESEND_API_KEY": KEY,
            "MAIL_FROM": "hello@sigma.example.com",
        }
        sigma = Sigma(directory / "data", port, {**own, "BASE_URL": base_url, **elsewhere})
        stack.callback(end, sigma)
        laid = sigma.run("stripe-setup")
        assert laid.returncode == 0, laid.stderr
        sigma.start()
        yield World(sigma, supabase, stripe_url, resend, proxies)


@contextmanager
def _stripe(port: int, login: str) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.faults.stripe_elsewhere", str(port), login]
    process = subprocess.Popen(command, cwd=PROJECT_ROOT, env=clean_environment())
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"{url}/events", trust_env=False).raise_for_status()
                break
            except httpx.TransportError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def _resend() -> Iterator[Resend]:
    port = free_port()
    fake = Resend(f"http://127.0.0.1:{port}")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):
            await fake.serve(reader, writer)

    async def serve() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", port) as server:
            await server.serve_forever()

    with beside(serve):
        yield fake


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE], ids=lambda fault: fault.name)
def test_what_goes_wrong_elsewhere_is_told_and_done_once_it_is_right_again(world: World, fault: Fault, long: bool):
    faults = dict.fromkeys(world.proxies, fault)
    if fault is Fault.DRIP and not long:
        pytest.skip("the short form has one that hangs and one that drips at once")
    if fault is Fault.HANG and not long:
        faults["stripe"] = Fault.DRIP
    word = uuid4().hex[:8]
    member = sign_in(world.sigma, *admin(world.supabase, f"member-{word}@example.com"))
    customer = sign_in(world.sigma, *admin(world.supabase, f"customer-{word}@example.com"))
    checkout = pay(world, customer)
    assert put_picture(world, customer).status_code == httpx.codes.OK
    with world.wrong(**faults), ThreadPoolExecutor() as pool:
        tried = [
            pool.submit(signing_up_is_put_off, world, f"new-{word}@example.com"),
            pool.submit(signing_in_is_put_off, world, member),
            pool.submit(paying_is_put_off, world, member),
            pool.submit(a_picture_is_put_off, world, member),
            pool.submit(what_needs_nobody_goes_on, world, member),
            pool.submit(a_picture_is_not_shown_by_halves, world, customer),
            pool.submit(joining_goes_on, world, f"guest-{word}@example.com"),
            pool.submit(events_are_taken, world, checkout),
        ]
        for one in tried:
            one.result()
    sign_up(world, f"new-{word}@example.com")
    sign_in(world.sigma, member.id, member.email)
    assert put_picture(world, member).status_code == httpx.codes.OK
    with world.visitor(customer.cookie) as visitor:
        assert visitor.get("/profile/picture").content[8:12] == b"WEBP"
    open_checkout(world, member)
    world.wait_until(lambda: has_access(world, customer))
    world.wait_until(lambda: mailed(world, f"guest-{word}@example.com"))
    once_only(world, word, member, customer)


def signing_up_is_put_off(world: World, email: str) -> None:
    with world.visitor() as visitor:
        plain = visitor.post("/sign-up", data={"email": email, "password": PASSWORD})
        assert plain.status_code in (429, 503), plain.text
        assert f'value="{email}"' in plain.text  # the form, with what was typed
        assert PASSWORD not in plain.text
        said = re.search(r"<p[^>]* data-message[^>]*>([^<]+)<", plain.text)
        assert said
        told_plainly(said[1])


def signing_in_is_put_off(world: World, member: Member) -> None:
    with world.visitor() as visitor:
        account = {"email": member.email, "password": PASSWORD}
        said = visitor.post("/sign-in", data=account, headers=_JSON)
        assert said.status_code in (429, 503), said.text
        told_plainly(said.json()["message"])


def paying_is_put_off(world: World, member: Member) -> None:
    with world.visitor(member.cookie) as visitor:
        said = visitor.post("/billing/checkout", data={"plan": PLAN}, headers=_JSON)
        assert said.status_code == httpx.codes.SERVICE_UNAVAILABLE, said.text
        assert said.json()["message"].startswith("Stripe does not answer right now. Nothing was charged")


def a_picture_is_put_off(world: World, member: Member) -> None:
    said = put_picture(world, member)
    assert said.status_code in (429, 502, 503), said.text
    told_plainly(said.json()["message"])


def a_picture_is_not_shown_by_halves(world: World, customer: Member) -> None:
    with world.visitor(customer.cookie) as visitor:
        shown = visitor.get("/profile/picture")
        assert shown.status_code in (429, 502, 503), shown.headers
        assert "cache-control" in shown.headers
        assert "max-age" not in shown.headers["cache-control"]
        told_plainly(shown.text)


def what_needs_nobody_goes_on(world: World, member: Member) -> None:
    """Whoever is signed in stays so, and the pages are there."""
    with world.visitor(member.cookie) as visitor:
        for path in ("/", "/profile", "/account", "/billing", "/pricing", "/healthz", "/readyz"):
            assert visitor.get(path).status_code == httpx.codes.OK, path


def joining_goes_on(world: World, email: str) -> None:
    with world.visitor() as visitor:
        joined = visitor.post("/join", data=join_form(world.sigma.port, email))
        assert joined.status_code == httpx.codes.SEE_OTHER


def events_are_taken(world: World, checkout: str) -> None:
    """What Stripe tells is kept, and worked once it can be read."""
    with world.visitor() as teller:
        told = httpx.get(f"{world.stripe}/events", trust_env=False).json()
        about = [event for event in told if event["data"]["object"]["id"] == checkout]
        assert about
        for event in about * 2:  # Stripe may tell anything twice
            body = json.dumps(event)
            signature = stripe.WebhookSignature.generate_signature_header(body, _WEBHOOK_SECRET)
            answer = teller.post("/webhooks/stripe", content=body, headers={"stripe-signature": signature})
            assert answer.status_code == httpx.codes.OK


def told_plainly(words: str) -> None:
    assert any(one in words for one in ("try again", "Please wait", "not your doing")), words
    assert not any(one in words for one in ("Traceback", "Error", "nginx", "JSON")), words


def sign_up(world: World, email: str) -> None:
    with world.visitor() as visitor:
        made = visitor.post("/sign-up", data={"email": email, "password": PASSWORD}, headers=_JSON)
        assert "/check-inbox" in made.json().get("location", ""), made.text


def open_checkout(world: World, member: Member) -> str:
    """The id of the checkout that somebody is led to."""
    with world.visitor(member.cookie) as visitor:
        opened = visitor.post("/billing/checkout", data={"plan": PLAN}, headers=_JSON)
        assert opened.status_code == httpx.codes.OK, opened.text
        return opened.json()["location"].rpartition("/")[2]


def pay(world: World, customer: Member) -> str:
    """Somebody pays; of which nobody tells Sigma. The id of the checkout."""
    checkout = open_checkout(world, customer)
    httpx.post(f"{world.stripe}/pay/{checkout}", trust_env=False).raise_for_status()
    return checkout


def put_picture(world: World, member: Member) -> httpx.Response:
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(picture, "PNG")
    with world.visitor(member.cookie) as visitor:
        return visitor.post("/profile/picture", content=picture.getvalue(), headers=_JSON)


def has_access(world: World, customer: Member) -> bool:
    ((has,),) = world.rows("select has_access from profiles where id = %s", customer.id)
    return has


def mailed(world: World, email: str) -> bool:
    return any(request.body["to"] == [email] for request in list(world.resend.requests))


def once_only(world: World, word: str, member: Member, customer: Member) -> None:
    guest = f"guest-{word}@example.com"
    assert world.rows("select count(*) from leads where email = %s", guest) == [(1,)]
    keys = {one.headers["idempotency-key"] for one in list(world.resend.requests) if one.body["to"] == [guest]}
    assert len(keys) == 1  # by which Resend sends one, however often it is asked
    assert world.rows("select count(*) from auth.users where email = %s", f"new-{word}@example.com") == [(1,)]
    for who in (member, customer):
        made = "select count(*) from sigma.sandbox_objects where kind = 'customer' and body ->> 'email' = %s"
        assert world.rows(made, who.email) == [(1,)]
    opened = (
        "select count(*) from sigma.sandbox_objects where kind = 'checkout.session' and body ->> 'status' = 'open'"
        " and body ->> 'client_reference_id' = %s"
    )
    assert world.rows(opened, member.id) == [(1,)]
    given = "select count(*) from billing.access_changes where user_id = %s and after and not before"
    assert world.rows(given, customer.id) == [(1,)]
