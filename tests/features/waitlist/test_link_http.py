"""What the links in mails open, on a real database: a page for every case, and a change only by its button.

Without exported pages, as under `make dev`, an answer names its page and values in plain text, which is what is read
here; the pages themselves are looked at in tests/browser.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.routing import Router

from sigma_app.core.database import ANONYMOUS, SERVICE, Database, Step, serve_requests_from
from sigma_app.core.headers import hardened
from sigma_app.core.jobs import work
from sigma_app.core.links import Links
from sigma_app.features.waitlist import jobs, line, link_http
from sigma_app.gateways import mail as gateway
from sigma_app.settings import get_settings
from tests.features.waitlist.test_jobs import token_in

pytestmark = pytest.mark.anyio

LINKS = Links(b"k" * 32)
EMAIL = "alice@example.com"


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BASE_URL", "https://sigma.test")
    monkeypatch.setattr(jobs, "get_links", lambda: LINKS)
    monkeypatch.setattr(link_http, "get_links", lambda: LINKS)
    for cache in (get_settings, link_http._limiter):
        cache.cache_clear()
    yield
    for cache in (get_settings, link_http._limiter):
        cache.cache_clear()


@pytest.fixture
async def client(database) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(hardened(Router(link_http.ROUTES, redirect_slashes=False), ""))
    with serve_requests_from(database):
        async with (
            gateway.sending_mail(),
            httpx.AsyncClient(transport=transport, base_url="https://sigma.test") as client,
        ):
            yield client


class Alice:
    """One who joins, reads her mails, and uses what is in them."""

    def __init__(self, database, login_url: str, owner, client: httpx.AsyncClient):
        self.database = database
        self.login_url = login_url
        self.owner = owner
        self.client = client

    async def join(self) -> None:
        await self.database.run(Step(ANONYMOUS, "insert into leads (email) values (%s)", [EMAIL]))

    async def read(self, page: str) -> str:
        """The address of the link to `page` in the newest mail that has one."""
        await self.get_mail()
        (body,) = self.owner.execute(
            "select body from sigma.mailbox where body like %s order by created_at desc limit 1", [f"%/{page}/%"]
        ).fetchone()
        return f"/{page}/{token_in(body, page)}"

    async def get_mail(self) -> None:
        await work(self.login_url, until_idle=True)

    async def confirmed(self) -> str:
        """Confirm, and return the address of the place."""
        await self.join()
        answer = await self.client.post(await self.read("confirm"))
        assert answer.status_code == 303
        return answer.headers["location"]

    @property
    def status(self) -> str | None:
        row = self.owner.execute("select status from leads where email = %s", [EMAIL]).fetchone()
        return row and row[0]

    def an_hour_passes(self) -> None:
        self.owner.execute(
            "update sigma.lead_links"
            " set created_at = created_at - interval '1 hour', used_at = used_at - interval '1 hour'"
        )


@pytest.fixture
def alice(database, login_url, owner, client) -> Alice:
    return Alice(database, login_url, owner, client)


class TestConfirming:
    async def test_the_button_confirms_and_leads_to_the_place(self, alice, client):
        await alice.join()
        link = await alice.read("confirm")
        page = await client.get(link)
        assert (page.status_code, "state: valid" in page.text, f"email: {EMAIL}" in page.text) == (200, True, True)
        answer = await client.post(link)
        assert (answer.status_code, alice.status) == (303, "confirmed")
        place = await client.get(answer.headers["location"])
        assert "place: 1\n" in place.text

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_scanners_that_open_every_link_confirm_nothing(self, alice, client, method):
        await alice.join()
        link = await alice.read("confirm")
        for headers in ({}, {"sec-purpose": "prefetch"}, {"purpose": "prefetch"}):
            assert (await client.request(method, link, headers=headers)).status_code == 200
        assert alice.status == "joined"

    async def test_another_site_cannot_press_the_button(self, alice, client):
        await alice.join()
        answer = await client.post(await alice.read("confirm"), headers={"origin": "https://evil.example"})
        assert (answer.status_code, alice.status) == (403, "joined")

    async def test_a_double_click_leads_to_the_place_twice(self, alice, client):
        await alice.join()
        link = await alice.read("confirm")
        answers = await asyncio.gather(client.post(link), client.post(link))
        assert [answer.status_code for answer in answers] == [303, 303]
        for answer in answers:
            assert (await client.get(answer.headers["location"])).status_code == 200

    async def test_a_used_link_says_so_and_sends_a_fresh_mail(self, alice, client, owner):
        await alice.join()
        link = await alice.read("confirm")
        await client.post(link)
        alice.an_hour_passes()
        for method in ("GET", "POST"):
            answer = await client.request(method, link)
            assert (answer.status_code, "state: used" in answer.text) == (410, True)
        again = await client.post(f"{link}/again")
        assert (again.status_code, "sent: True" in again.text) == (200, True)
        await alice.get_mail()
        assert owner.execute("select count(*) from sigma.mailbox where body like '%/place/%'").fetchone() == (2,)

    async def test_an_expired_link_says_so_and_sends_a_fresh_one_that_works(self, alice, client, owner):
        await alice.join()
        link = await alice.read("confirm")
        owner.execute("update sigma.lead_links set expires_at = now()")
        alice.an_hour_passes()
        answer = await client.post(link)
        assert (answer.status_code, "state: expired" in answer.text, alice.status) == (410, True, "joined")
        await client.post(f"{link}/again")
        fresh = await alice.read("confirm")
        assert fresh != link
        assert (await client.post(fresh)).status_code == 303

    @pytest.mark.parametrize("token", ["nonsense", "a" * 32, "%00", "..%2F", "ü", "x" * 5000])
    async def test_a_link_that_was_never_sent_leads_nowhere(self, client, token):
        for page in ("confirm", "place", "unsubscribe", "erase", "invitation"):
            assert (await client.get(f"/{page}/{token}")).status_code == 404

    async def test_one_links_token_opens_no_other_page(self, alice, client):
        place = await alice.confirmed()
        token = place.rpartition("/")[2]
        for page in ("confirm", "erase", "invitation"):
            assert (await client.get(f"/{page}/{token}")).status_code == 404
        assert (await client.post(f"/erase/{token}")).status_code == 404

    async def test_no_answer_is_kept_told_to_others_or_indexed(self, alice, client):
        answer = await client.get(await alice.confirmed())
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "strict-origin"
        assert answer.headers["x-robots-tag"] == "noindex"

    async def test_too_many_tries_from_a_network_have_to_wait(self, client, monkeypatch):
        monkeypatch.setenv("JOIN_LIMIT_PER_NETWORK", "2/minute")
        get_settings.cache_clear()
        answers = [await client.post("/confirm/nonsense") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [404, 404, 429]
        assert int(answers[2].headers["retry-after"]) > 0

    async def test_mail_programs_that_unsubscribe_many_are_not_held_up(self, client, monkeypatch):
        monkeypatch.setenv("JOIN_LIMIT_PER_NETWORK", "1/minute")
        get_settings.cache_clear()
        assert [(await client.post("/unsubscribe/nonsense")).status_code for _ in range(3)] == [404] * 3

    @pytest.mark.parametrize("email", ["alice.secret\x00@example.com", "nobody", "x" * 500 + "@example.com"])
    async def test_what_is_no_address_is_no_error_and_stays_out_of_the_log(self, client, caplog, email):
        assert (await client.post("/confirm", data={"email": email, "code": "123456"})).status_code == 422
        assert (await client.post("/confirm/again", data={"email": email})).status_code == 200
        assert "secret" not in caplog.text

    async def test_while_the_line_is_held_up_it_says_so_and_logs_no_address(
        self, alice, client, owner, caplog, monkeypatch
    ):
        await alice.join()
        link = await alice.read("confirm")
        owner.execute("alter role authenticator set statement_timeout = '300ms'")
        try:
            async with Database(alice.login_url, 2) as impatient:
                monkeypatch.setattr(link_http, "get_database", lambda: impatient)
                with owner.transaction():
                    owner.execute("select sigma.hold_line()")
                    answer = await client.post(link)
        finally:
            owner.execute("alter role authenticator reset statement_timeout")
        assert (answer.status_code, alice.status) == (503, "joined")
        assert "DatabaseBusy" in caplog.text
        assert EMAIL not in caplog.text

    async def test_while_the_database_is_away_it_says_so(self):
        transport = httpx.ASGITransport(hardened(Router(link_http.ROUTES, redirect_slashes=False), ""))
        async with httpx.AsyncClient(transport=transport, base_url="https://sigma.test") as client:
            answer = await client.get("/confirm/anything")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


class TestCodes:
    async def test_the_code_confirms_with_blanks_in_it_too(self, alice, client, owner):
        await alice.join()
        await alice.get_mail()
        (link,) = owner.execute("select id from sigma.lead_links").fetchone()
        code = LINKS.code(link)
        form = {"email": f" {EMAIL.upper()} ", "code": f" {code[:3]} {code[3:]} "}
        answer = await client.post("/confirm", data=form)
        assert (answer.status_code, alice.status) == (303, "confirmed")

    @pytest.mark.parametrize("code", ["", "12345", "abcdef", "1234567", "१२३४५६"])
    async def test_what_is_no_code_is_told_and_the_address_stays(self, alice, client, code):
        await alice.join()
        await alice.get_mail()
        answer = await client.post("/confirm", data={"email": EMAIL, "code": code})
        assert (answer.status_code, alice.status) == (422, "joined")
        assert link_http.WRONG_CODE in answer.text
        assert f"email: {EMAIL}" in answer.text

    async def test_a_wrong_code_counts_even_though_the_answer_is_an_error(self, alice, client, owner):
        await alice.join()
        await alice.get_mail()
        (link,) = owner.execute("select id from sigma.lead_links").fetchone()
        wrong = f"{(int(LINKS.code(link)) + 1) % 10**6:06}"
        await client.post("/confirm", data={"email": EMAIL, "code": wrong})
        assert owner.execute("select tries from sigma.lead_links").fetchone() == (1,)

    async def test_whoever_sends_a_form_slowly_holds_up_nobody(self, alice, client):
        await alice.join()
        link = await alice.read("confirm")
        sent, going_on = asyncio.Event(), asyncio.Event()

        async def slowly():
            yield b"email=x&"
            sent.set()
            await going_on.wait()
            yield b"code=1"

        headers = {"content-type": "application/x-www-form-urlencoded"}
        slow = asyncio.create_task(client.post("/confirm", content=slowly(), headers=headers))
        await sent.wait()
        assert (await asyncio.wait_for(client.post(link), 5)).status_code == 303
        going_on.set()
        assert (await slow).status_code == 422

    async def test_nobody_learns_from_asking_for_a_fresh_mail_who_is_on_the_list(self, alice, client):
        await alice.join()
        known = await client.post("/confirm/again", data={"email": EMAIL})
        other = await client.post("/confirm/again", data={"email": "nobody@example.com"})
        assert known.status_code == other.status_code == 200
        assert known.text.replace(EMAIL, "") == other.text.replace("nobody@example.com", "")


class TestPlace:
    async def test_it_tells_the_place_and_how_to_share_it(self, alice, client, owner):
        page = (await client.get(await alice.confirmed())).text
        (code,) = owner.execute("select share_code from leads").fetchone()
        assert f"share_url: https://sigma.test/?ref={code}" in page
        assert f"ref%3D{code}" in page  # in the links that share it
        assert "<svg" in page

    async def test_unsubscribing_there_is_asked_first_and_then_told(self, alice, client):
        place = await alice.confirmed()
        leaving = place.replace("/place/", "/unsubscribe/")
        assert f"unsubscribe: {leaving}" in (await client.get(place)).text
        assert "state: valid" in (await client.get(leaving)).text
        assert alice.status == "confirmed"
        assert "state: done" in (await client.post(leaving)).text
        page = await client.get(place)
        assert "status: unsubscribed" in page.text
        assert "place: None" in page.text

    async def test_erasing_asks_by_mail_and_the_button_in_it_erases_everything(self, alice, client, owner, database):
        place = await alice.confirmed()
        async with database.transaction(SERVICE) as session:
            connection = await session.connection()
            event = '{"data": {"to": ["Alice@example.com"]}}'
            await connection.exec_driver_sql(
                "insert into sigma.webhook_events (source, id, type, body) values ('resend', '1', 'email.sent', %s)",
                (event,),
            )
        answer = await client.post(f"{place}/erase")
        assert answer.headers["location"] == f"{place}?erasing"
        assert "erasing: True" in (await client.get(f"{place}?erasing")).text
        assert alice.status == "confirmed"
        erase = await alice.read("erase")
        assert "state: valid" in (await client.get(erase)).text
        assert alice.status == "confirmed"
        assert "state: done" in (await client.post(erase)).text
        await work(alice.login_url, until_idle=True)
        owner.execute(
            "delete from procrastinate.procrastinate_jobs where args ->> 'again' = 'false'"
        )  # the second round
        tables = ("leads", "sigma.consents", "sigma.lead_links", "sigma.mailbox", "sigma.webhook_events")
        for table in (*tables, "procrastinate.procrastinate_jobs"):
            assert owner.execute(f"select count(*) from {table}").fetchone() == (0,), table
        assert (await client.get(place)).status_code == 404


class TestUnsubscribing:
    async def test_one_click_of_the_mail_program_unsubscribes(self, alice, client):
        await alice.confirmed()
        link = await alice.read("unsubscribe")
        answer = await client.post(
            link, data={"List-Unsubscribe": "One-Click"}, headers={"origin": "https://mail.example"}
        )
        assert (answer.status_code, alice.status) == (200, "unsubscribed")

    async def test_opening_the_link_does_not(self, alice, client):
        await alice.confirmed()
        link = await alice.read("unsubscribe")
        assert "state: valid" in (await client.get(link)).text
        assert alice.status == "confirmed"
        await client.post(link)
        assert "state: done" in (await client.get(link)).text

    async def test_the_link_of_an_old_invitation_still_unsubscribes(self, alice, client, owner, database):
        await alice.confirmed()
        async with database.transaction(SERVICE) as session:
            assert await line.invite_next(session)
        link = await alice.read("unsubscribe")
        owner.execute("update sigma.lead_links set expires_at = now(), used_at = now()")
        assert (await client.post(link)).status_code == 200
        assert alice.status == "unsubscribed"


class TestInvitation:
    async def test_it_is_good_until_its_day_and_opening_does_not_use_it_up(self, alice, client, database, owner):
        await alice.confirmed()
        async with database.transaction(SERVICE) as session:
            assert await line.invite_next(session)
        link = await alice.read("invitation")
        for _ in range(2):
            page = await client.get(link)
            assert (page.status_code, "state: valid" in page.text) == (200, True)
        owner.execute("update sigma.lead_links set expires_at = now()")
        assert (await client.get(link)).status_code == 410
