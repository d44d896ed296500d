"""Two backends behind nginx are one Sigma: whoever signed in through one acts through the other, and when one dies
nobody has to begin again."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Page, expect

from sigma_app.core.headers import NOTHING_RUNS
from sigma_app.features.billing.state import BillingState
from tests.scaling.conftest import PASSWORD, Somebody
from tests.scaling.fleet import Fleet
from tests.sigma import Sigma
from tests.tab import ROOT, Tab, tab

pytestmark = pytest.mark.browser

NOTHING = {"next": ""}  # a form, whose only field is empty
COOKIE = "__Host-sigma_session"


def sign_in_at(client: httpx.Client, somebody: Somebody) -> str:
    """Sign in; the cookie."""
    answer = client.post("/sign-in", data={"email": somebody.email, "password": PASSWORD})
    assert answer.status_code == 303, answer.text
    return answer.cookies[COOKIE]


@contextmanager
def tab_at(fleet: Fleet, backend: Sigma, name: str, cookie: str) -> Iterator[Tab]:
    """A tab at one backend, as nginx passes it on."""
    headers = {"cookie": f"{COOKIE}={cookie}", "x-forwarded-for": "192.0.2.1"}
    with tab(fleet.url, name, headers, backend.port) as opened:
        yield opened


def load(opened: Tab) -> None:
    """Ask for what the page of billing shows."""
    for event in (f"{ROOT}.hydrate", f"{BillingState.get_full_name()}.load"):
        opened.send(event, "/billing")


def test_who_signed_in_through_one_acts_through_the_other(sigmas: Fleet, two: tuple[Sigma, Sigma], alice: Somebody):
    one, other = two
    with sigmas.through(one) as here, sigmas.through(other) as there:
        cookie = sign_in_at(here, alice)
        asked = {"cookie": f"{COOKIE}={cookie}"}
        assert there.get("/profile", headers=asked).status_code == 200
        assert there.post("/sign-out", data=NOTHING, headers=asked).status_code == 303
        gone = here.get("/profile", headers=asked)
        assert (gone.status_code, gone.headers["location"]) == (303, "/sign-in")


def test_a_tab_that_moved_is_told_by_both_and_emptied_by_none(sigmas: Fleet, two: tuple[Sigma, Sigma], alice: Somebody):
    one, other = two
    with sigmas.through(one) as here:
        cookie = sign_in_at(here, alice)
    name = str(uuid4())
    with tab_at(sigmas, one, name, cookie) as before:
        load(before)
        before.told_until(alice.email)
    with tab_at(sigmas, other, name, cookie) as after, sigmas.supabase.database() as owner:
        load(after)
        after.told_until('"ready_rx_state_":true')
        told = ""
        # What the backend before says comes by Redis: it knows the tab, too, and must not take it for a stranger's. One
        # that was emptied shows nothing any more, so that a second change would not be told.
        for access in ("true", "false") * 3:
            owner.execute(f"update profiles set has_access = {access} where id = %s".encode(), [alice.id])
            told += after.told_until(f'"access_rx_state_":{access}')
        assert '"phase_rx_state_":"out"' not in told
        with sigmas.through(one) as here:
            here.post("/sign-out", data=NOTHING, headers={"cookie": f"{COOKIE}={cookie}"})
        after.told_until('"phase_rx_state_":"out"')


def test_what_never_changes_comes_from_disk_and_the_rest_says_who_may_see_it(sigmas: Fleet):
    with httpx.Client(base_url=sigmas.url, verify=ssl.create_default_context(cafile=str(sigmas.certificate))) as client:
        page = client.get("/")
        assert page.status_code == 200
        assert "script-src" in page.headers["content-security-policy"]
        assert page.headers["strict-transport-security"]
        asset = page.text.partition('href="/assets/')[2].partition('"')[0]
        found = client.get(f"/assets/{asset}")
        assert (found.status_code, found.headers["server"]) == (200, "nginx")
        assert "immutable" in found.headers["cache-control"]
        assert found.headers["content-encoding"] == "gzip"
        assert found.headers["x-content-type-options"] == "nosniff"
        assert found.headers["content-security-policy"] == NOTHING_RUNS
        assert found.headers["strict-transport-security"]
        assert "etag" in found.headers
        unknown = client.get("/assets/of-an-older-build.js")
        assert unknown.status_code == 404
        assert "x-request-id" in unknown.headers, "What is not on the disk was not asked of a backend."
        assert client.get("/metrics").status_code == 404
        assert client.get("/readyz").json()["ready"]
        known = client.get("/healthz", headers={"x-request-id": "somebody-elses-0001"}).headers["x-request-id"]
        assert known != "somebody-elses-0001"


def test_each_network_has_limits_of_its_own_whatever_it_says_of_itself(sigmas: Fleet):
    trusted = ssl.create_default_context(cafile=str(sigmas.certificate))

    def arrive(network: str, source: str, said: str = "") -> None:
        transport = httpx.HTTPTransport(verify=trusted, local_address=network)
        with httpx.Client(base_url=sigmas.url, transport=transport) as client:
            page = {"page": f"{sigmas.url}/?utm_source={source}", "referrer": ""}
            headers = {"x-forwarded-for": said} if said else {}
            assert client.post("/visit", json=page, headers=headers).status_code == 204

    with sigmas.supabase.database() as owner:

        def counted(source: str) -> int:
            query = "select count(*) from sigma.visits where source = %s"
            return (owner.execute(query, [source]).fetchone() or (0,))[0]

        for number in range(1, 256):  # until one is too many, the network that it claims to be notwithstanding
            arrive("127.0.0.2", "crowded", f"198.51.100.{number}")
            if counted("crowded") < number:
                break
        assert 0 < counted("crowded") < 255
        arrive("127.0.0.3", "quiet")
        assert counted("quiet") == 1


PRIVATE = "ada.of.the.query"  # the beginning of an address, as an operator types it
TOKEN = "t0ken-of-a-mailed-link-0123456789"


def test_no_log_has_what_stands_in_the_query_of_an_address_or_opens_a_link(sigmas: Fleet):
    with httpx.Client(verify=ssl.create_default_context(cafile=str(sigmas.certificate))) as client:

        def ask(address: str) -> str:
            """Ask, from a page whose address has a query, too; the id of the request."""
            from_page = {"referer": f"{sigmas.url}/admin/users?q={PRIVATE}", "accept": "text/html"}
            return client.get(address, headers=from_page).headers.get("x-request-id", "")

        asked = {
            written: ask(sigmas.url + path)
            for written, path in {
                "/admin/leads": f"/admin/leads?q={PRIVATE}",
                "/admin/audit": f"/admin/audit?by={PRIVATE}",
                "/_event/": f"/_event/?token={TOKEN}&EIO=4&transport=websocket",
                "/auth/v1/verify": f"/auth/v1/verify?token={TOKEN}",
                "/place/...": f"/place/{TOKEN}",
                "/confirm/...": f"/confirm/{TOKEN}/again",
            }.items()
        }
        ask(f"{sigmas.plain_url}/admin/leads?q={PRIVATE}")
        for backend in sigmas.backends:
            assert backend.process
            backend.process.kill()
            backend.process.wait()
        asked["/admin/mail"] = refused = ask(f"{sigmas.url}/admin/mail?whom={PRIVATE}")
    deadline = time.monotonic() + 15
    while refused not in (written := sigmas.access_log.read_text()):  # once the answer was read, or a moment later
        assert time.monotonic() < deadline, written
        time.sleep(0.02)
    for path, identity in asked.items():
        (found,) = [one for one in written.splitlines() if identity in one]
        assert f'"GET {path} HTTP/1.1"' in found
    assert '"502, 502"' in written, "It says that both backends were asked."
    told = {log.name: log.read_text() for log in sigmas.logs}
    assert [name for name, text in told.items() if PRIVATE in text or TOKEN in text] == []
    assert told["main.log"] == ""


@dataclass
class Crowd:
    """People who join, one after the other, each until they are told that they have."""

    fleet: Fleet
    people: int = 8
    told: list[str] = field(default_factory=list)
    """The addresses that were acknowledged."""
    refused: list[int] = field(default_factory=list)
    """Statuses of tries that were not; each of them was made again."""

    def __enter__(self) -> Crowd:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._join()), name="crowd")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()

    def further(self, joins: int = 50) -> None:
        """Return when so many more have joined."""
        goal = len(self.told) + joins
        for _ in range(3000):
            if len(self.told) >= goal:
                return
            assert self._thread.is_alive(), "Nobody joins any more."
            time.sleep(0.01)
        raise AssertionError(f"Only {len(self.told)} of {goal} have joined; refused: {self.refused[-10:]}")

    async def _join(self) -> None:
        trusted = ssl.create_default_context(cafile=str(self.fleet.certificate))
        async with httpx.AsyncClient(base_url=self.fleet.url, verify=trusted, timeout=60) as client:
            await asyncio.gather(*(self._one(client, number) for number in range(self.people)))

    async def _one(self, client: httpx.AsyncClient, number: int) -> None:
        tries, word = 0, uuid4().hex[:8]
        while not self._stop.is_set():
            email = f"crowd-{word}-{number}-{tries}@example.com"
            form = {"email": email, "elapsed_ms": "5200", "company_website": ""}
            answer = await client.post("/join", data=form, headers={"origin": self.fleet.url})
            if answer.status_code == 303:
                self.told.append(email)
                tries += 1
            else:
                assert answer.status_code == 503, answer.text
                self.refused.append(answer.status_code)


def save(page: Page, name: str) -> None:
    page.fill("#name", name)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("[data-profile] [data-message]")).to_have_text("Saved.", timeout=20_000)


def stored_name(sigmas: Fleet, alice: Somebody) -> str:
    with sigmas.supabase.database() as owner:
        (name,) = owner.execute("select name from profiles where id = %s", [alice.id]).fetchone() or ("",)
    return name


def test_a_backend_killed_under_load_stops_nobody(sigmas: Fleet, alice: Somebody, signed_in: Callable[[], Page]):
    page = signed_in()
    save(page, "Ada the first")
    with Crowd(sigmas) as crowd:
        for number in range(2):  # each backend has its turn, the first with the tab, the other once it has moved
            crowd.further()
            page.fill("#name", "what is being typed")
            killed = sigmas.holder()
            assert killed.process
            killed.process.kill()
            killed.process.wait()
            crowd.further()
            assert page.input_value("#name") == "what is being typed"
            save(page, f"Ada after {number}")
            assert stored_name(sigmas, alice) == f"Ada after {number}"
            killed.start()
            sigmas.wait_until_asked(killed)  # sooner, nginx would take the death of the other for that of both
    assert page.url == f"{sigmas.url}/profile"
    with sigmas.supabase.database() as owner:
        found = owner.execute("select email from leads where email = any(%s)", [crowd.told]).fetchall()
    assert len(found) == len(crowd.told) == len(set(crowd.told))
    assert crowd.refused == [], "nginx asked the other backend for whoever was cut off."
    # And the page still hears of what happens elsewhere.
    with sigmas.supabase.database() as owner:
        owner.execute("delete from sigma.sessions where user_id = %s", [alice.id])
    page.wait_for_url("**/sign-in*")


def test_a_worker_killed_leaves_its_mails_to_the_other(sigmas: Fleet):
    killed = sigmas.workers[0]
    assert killed.process
    killed.process.kill()
    killed.process.wait()
    with Crowd(sigmas) as crowd:
        crowd.further()
    with sigmas.supabase.database() as owner:

        def mailed() -> set[str]:
            rows = owner.execute("select unnest(recipients) from sigma.mailbox where recipients && %s", [crowd.told])
            return {row[0] for row in rows}

        deadline = time.monotonic() + 60
        while mailed() != set(crowd.told):
            assert time.monotonic() < deadline, f"{len(mailed())} of {len(crowd.told)} were mailed."
            time.sleep(0.1)


def test_while_no_backend_answers_people_read_so(sigmas: Fleet):
    for backend in sigmas.backends:
        assert backend.process
        backend.process.kill()
        backend.process.wait()
    with httpx.Client(base_url=sigmas.url, verify=ssl.create_default_context(cafile=str(sigmas.certificate))) as client:
        page = client.get("/", headers={"accept": "text/html"})
        assert (page.status_code, page.headers["retry-after"]) == (503, "5")
        assert "Away for a moment" in page.text
        assert page.headers["x-request-id"] in page.text
        said = client.get("/healthz").json()
        assert {"message", "error", "code", "details", "hint"} == set(said)
        assert (said["code"], said["message"]) == ("503", said["error"])
