"""A crowd that uses a served Sigma while something breaks, and keeps what each of its people was told.

Everybody does one thing again and again, a few times a second: joins by the form or over the websocket, signs up, edits
a profile, pays at the sandbox, or is Stripe telling events. Who is told to try again does so with the very same wish.
All of it is bounded: by who is there, by their pace, and by the block that they are there for.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

import httpx
import stripe
from websockets.exceptions import WebSocketException

from sigma_app.features.accounts.state import ProfileState
from sigma_app.features.waitlist.state import WaitlistState
from tests.bench.load import Job, Tally, join_form
from tests.bench.sockets import SocketVisitor
from tests.sigma import Sigma

PASSWORD = "correct horse battery staple"
PLAN = "sigma_for_good"

BOUND = 25.0  # seconds after which nobody may still be waiting for an answer, whatever broke
PACE = 0.15  # seconds between two things that one person does
AGAIN = 0.5  # until who was told to try again does
LEAVING = 90.0  # for the last answers, once the crowd goes home

Outcome = Literal["done", "later", "cut", "hung"]
"""Acknowledged; told to try again; the connection broke; nothing was heard for `BOUND`."""


@dataclass(frozen=True)
class Told:
    """What somebody heard of one wish."""

    what: str
    who: str
    outcome: Outcome
    words: str
    at: float
    """By `time.monotonic`."""
    seconds: float


@dataclass
class Crowd:
    """Those who are there, and all that they were told."""

    sigma: Sigma
    told: list[Told] = field(default_factory=list)
    tried: set[tuple[str, str]] = field(default_factory=set)
    """Every wish that was ever sent, acknowledged or not."""
    before: Crowd | None = None
    """Who was at the same Sigma earlier: what they were acknowledged must have lasted through this, too."""
    broken: list[BaseException] = field(default_factory=list)
    _home: threading.Event = field(default_factory=threading.Event)

    def heard(self, what: str, outcome: Outcome = "done", since: float = 0.0) -> list[Told]:
        """What was told of a kind of wish, by its outcome."""
        return [one for one in list(self.told) if (one.what, one.outcome) == (what, outcome) and one.at >= since]

    def __post_init__(self):
        if self.before:
            self.tried |= self.before.tried

    def done(self, what: str) -> set[str]:
        """Who or what was acknowledged, then or earlier."""
        return {one.who for one in self.heard(what)} | (self.before.done(what) if self.before else set())

    def wait_for(self, *whats: str, outcome: Outcome = "done", count: int = 3, seconds: float = 120) -> None:
        """Return once so many more wishes of each of these kinds have ended so.

        Raises:
            AssertionError: they have not, in time; with what was told last.
        """
        since = deadline = time.monotonic()
        deadline += seconds
        for what in whats:
            while len(self.heard(what, outcome, since)) < count:
                assert not self.broken, self.broken
                assert time.monotonic() < deadline, f"No {outcome} {what}: {self.told[-10:]}"
                time.sleep(0.02)

    def note(self, told: Told) -> None:
        self.told.append(told)

    @property
    def is_leaving(self) -> bool:
        return self._home.is_set()


class Person(ABC):
    """Somebody with a wish; `act` tries it once. An exception of the network is a cut connection."""

    what = ""
    pace = PACE
    again = AGAIN
    insists = True
    """Whether they try the same wish again."""

    def __init__(self, crowd: Crowd, number: int):
        self.crowd = crowd
        self.base_url = crowd.sigma.base_url
        self.client = httpx.AsyncClient(base_url=self.base_url, timeout=BOUND, trust_env=False)
        self._marks = (f"{self.what}-{number}-{count}-{uuid4().hex[:8]}" for count in itertools.count())
        self.wish = next(self._marks)

    def wish_anew(self) -> None:
        """Go on to the next wish; raises StopIteration where there is none."""
        self.wish = next(self._marks)

    @abstractmethod
    async def act(self) -> tuple[Outcome, str]:
        """Try the present wish: what became of it, and the words for it."""

    async def leave(self) -> None:
        await self.client.aclose()

    @property
    def email(self) -> str:
        return f"{self.wish}@example.com"


class Guest(Person):
    """Joins by the plain form."""

    what = "join"

    async def act(self) -> tuple[Outcome, str]:
        answer = await self.client.post("/join", data=join_form(self.crowd.sigma.port, self.email))
        if answer.status_code == httpx.codes.SEE_OTHER:
            return "done", ""
        assert f'value="{self.email}"' in answer.text, f"The form lost what was typed: {answer.text[:300]}"
        return _later(answer, _line(answer.text))


class Browser(SocketVisitor):
    """A page with its websocket, which a person keeps open for as long as it holds."""

    def __init__(self, port: int, cookie: str = ""):
        super().__init__(Job("socket", port, 0), 0, Tally())
        if cookie:
            self.headers["cookie"] = cookie

    async def arrive(self) -> None:
        """Open the page; a handshake that takes too long is a connection that broke."""
        try:
            await super().arrive()
        except TimeoutError as error:
            raise ConnectionError from error

    async def call(self, handler: str, fields: dict[str, str]) -> dict[str, Any]:
        """What the state says once it has answered this try."""
        attempt = uuid4().hex
        await self._send(handler, fields | {"attempt": attempt})
        state = handler.rpartition(".")[0]
        while True:
            changes = await self._changes(state)
            if changes.get("attempt") == attempt:
                return changes

    async def close(self) -> None:
        await self._socket.close()


class OnSocket(Person):
    """Whoever does it over a websocket, opened again where it broke."""

    handler = ""
    browser: Browser | None = None
    cookie = ""
    patience = BOUND

    async def call(self, fields: dict[str, str]) -> dict[str, Any]:
        try:
            if self.browser is None:
                self.browser = Browser(self.crowd.sigma.port, self.cookie)
                async with asyncio.timeout(self.patience):
                    await self.browser.arrive()
            async with asyncio.timeout(self.patience):
                return await self.browser.call(self.handler, fields)
        except BaseException:
            await self._close()
            raise

    async def _close(self) -> None:
        browser, self.browser = self.browser, None
        with suppress(AttributeError, WebSocketException, OSError):  # the first: it never opened
            if browser:
                await browser.close()

    async def leave(self) -> None:
        await super().leave()
        await self._close()


class Typist(OnSocket):
    """Joins over the websocket."""

    what = "socket"
    handler = f"{WaitlistState.get_full_name()}.join"

    def __init__(self, crowd: Crowd, number: int, patience: float):
        super().__init__(crowd, number)
        self.patience = patience
        self.outcome = ""

    async def act(self) -> tuple[Outcome, str]:
        if self.browser is None:
            self.outcome = ""
        said = await self.call(join_form(self.crowd.sigma.port, self.email))
        self.outcome = said.get("outcome", self.outcome)  # only what changed is sent
        if self.outcome == "joined":
            return "done", ""
        assert self.outcome == "unavailable", said
        return "later", said.get("message", "")


class Newcomer(Person):
    """Signs up, with another address each time: whoever was answered once is not mailed again at once."""

    what = "sign-up"
    pace = 0.3  # passwords are hashed
    insists = False

    async def act(self) -> tuple[Outcome, str]:
        form = {"email": self.email, "password": PASSWORD}
        answer = await self.client.post("/sign-up", data=form, headers={"accept": "application/json"})
        if answer.is_success and "/check-inbox" in answer.json().get("location", ""):
            return "done", ""
        return _later(answer, _message(answer))


@dataclass(frozen=True)
class Member:
    """Somebody with an account, signed in."""

    id: str
    email: str
    cookie: str
    """The header."""


class Editor(OnSocket):
    """Gives their profile one name after the other."""

    what = "edit"
    handler = f"{ProfileState.get_full_name()}.save"
    pace = 0.3

    def __init__(self, crowd: Crowd, number: int, member: Member, patience: float):
        super().__init__(crowd, number)
        self.patience = patience
        self.member, self.cookie = member, member.cookie
        self.before = ""
        self.outcome = ""

    async def act(self) -> tuple[Outcome, str]:
        if self.browser is None:
            self.outcome = ""
        said = await self.call({"name": self.wish, "before": self.before})
        self.outcome = said.get("outcome", self.outcome)
        self.before = said.get("name", self.before)
        if self.outcome == "saved":
            self.before = self.wish
            return "done", ""
        if self.outcome == "conflict":  # an earlier try of this very person came through, unheard
            self.before = said["name"]
            return "later", said.get("message", "")
        assert self.outcome == "away", said
        return "later", said.get("message", "")


class Buyer(Person):
    """Each of these members buys Sigma for good, once, with the sandbox's pages."""

    what = "pay"
    pace = 0.5
    again = 3.0  # what a button says to one person is limited

    def __init__(self, crowd: Crowd, number: int, members: Sequence[Member]):
        super().__init__(crowd, number)
        self._members = iter(members)
        self.wish_anew()

    def wish_anew(self) -> None:
        self.member = next(self._members)
        self.wish = self.member.id

    async def act(self) -> tuple[Outcome, str]:
        headers = {"accept": "application/json", "cookie": self.member.cookie}
        answer = await self.client.post("/billing/checkout", data={"plan": PLAN}, headers=headers)
        if not answer.is_success:
            if answer.status_code == httpx.codes.CONFLICT:  # an earlier try came through, unheard
                return "done", _message(answer)
            return _later(answer, _message(answer))
        page = answer.json()["location"]
        paid = await self.client.post(page, data={"do": "pay"}, headers={"accept": "text/html"})
        if paid.status_code == httpx.codes.SEE_OTHER:
            return "done", ""
        return _later(paid, _paragraph(paid.text))


class Teller(Person):
    """Stripe, telling events of customers that nobody here knows, each until it is acknowledged."""

    what = "event"

    def __init__(self, crowd: Crowd, number: int, secret: str, clocks_differ: bool):
        super().__init__(crowd, number)
        self._secret = secret
        self._clocks_differ = clocks_differ

    async def act(self) -> tuple[Outcome, str]:
        about = {"id": f"cus_{self.wish}", "object": "customer"}
        event = {"id": f"evt_{self.wish}", "object": "event", "type": "customer.created", "created": 1_800_000_000}
        body = json.dumps(event | {"data": {"object": about}})
        signed = stripe.WebhookSignature.generate_signature_header(body, self._secret)
        answer = await self.client.post("/webhooks/stripe", content=body, headers={"stripe-signature": signed})
        if self._clocks_differ and answer.status_code == httpx.codes.BAD_REQUEST:
            assert "five minutes" in answer.text
            return "later", _message(answer)
        return ("done", "") if answer.is_success else _later(answer, _message(answer))


def _later(answer: httpx.Response, words: str) -> tuple[Outcome, str]:
    """That somebody is to try again, said as people are told things."""
    assert answer.status_code in (429, 502, 503), f"{answer.status_code}: {answer.text[:500]}"
    return "later", words


def _message(answer: httpx.Response) -> str:
    return answer.json()["message"]


def _paragraph(page: str) -> str:
    """What a page of the sandbox says."""
    _, _, rest = page.partition("<main")
    return rest.partition("<p")[2].partition(">")[2].partition("</p>")[0].strip()


def _line(page: str) -> str:
    """The line of the form that says what is wrong."""
    _, _, rest = page.partition('data-template="message"')
    return rest.partition(">")[2].partition("<")[0]


Arriving = Callable[[Crowd], Sequence[Person]]


@contextmanager
def crowded(sigma: Sigma, *arriving: Arriving, before: Crowd | None = None) -> Iterator[Crowd]:
    """Have these people there for the length of the block; at its end everybody finishes what they do, and goes."""
    crowd = Crowd(sigma, before=before)
    thread = threading.Thread(target=lambda: asyncio.run(_live(crowd, arriving)), name="crowd")
    thread.start()
    try:
        yield crowd
    finally:
        crowd._home.set()
        thread.join(LEAVING)
    assert not thread.is_alive(), "Some are still waiting for an answer"
    assert not crowd.broken, crowd.broken


async def _live(crowd: Crowd, arriving: Sequence[Arriving]) -> None:
    people = [person for some in arriving for person in some(crowd)]
    await asyncio.gather(*(_keep_at_it(crowd, person) for person in people))


async def _keep_at_it(crowd: Crowd, person: Person) -> None:
    try:
        while not crowd.is_leaving:
            outcome = await _try(crowd, person)
            if outcome == "done" or not person.insists:
                person.wish_anew()
            await asyncio.sleep(person.pace if outcome == "done" else person.again)
    except StopIteration:
        pass
    except BaseException as error:  # a promise that was broken: for the test to see
        crowd.broken.append(error)
    finally:
        await person.leave()


async def _try(crowd: Crowd, person: Person) -> Outcome:
    begun, wish = time.monotonic(), person.wish
    crowd.tried.add((person.what, wish))
    try:
        outcome, words = await person.act()
    except (httpx.TimeoutException, TimeoutError):
        outcome, words = "hung", ""
    except (httpx.TransportError, WebSocketException, OSError) as error:
        outcome, words = "cut", type(error).__name__
    now = time.monotonic()
    crowd.note(Told(person.what, wish, outcome, words, now, now - begun))
    return outcome


def guests(count: int = 3) -> Arriving:
    """Join by the form."""
    return lambda crowd: [Guest(crowd, number) for number in range(count)]


def typists(count: int = 3, patience: float = BOUND) -> Arriving:
    """Join over the websocket; who hears nothing for so many seconds opens the page anew."""
    return lambda crowd: [Typist(crowd, number, patience) for number in range(count)]


def newcomers(count: int = 1) -> Arriving:
    """Sign up."""
    return lambda crowd: [Newcomer(crowd, number) for number in range(count)]


def editors(members: Sequence[Member], patience: float = BOUND) -> Arriving:
    """Edit their profiles; as patient as typists."""
    return lambda crowd: [Editor(crowd, number, member, patience) for number, member in enumerate(members)]


def buyers(members: Sequence[Member]) -> Arriving:
    """Buy, one after the other."""
    return lambda crowd: [Buyer(crowd, 0, members)]


def tellers(secret: str, count: int = 2, *, clocks_differ: bool = False) -> Arriving:
    """Tell events, signed with the webhook's secret; at times by another clock than Sigma's."""
    return lambda crowd: [Teller(crowd, number, secret, clocks_differ) for number in range(count)]
