"""The line, on a real database: links, codes, places, referrals, leaving and invitations."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import func
from sqlmodel import select

from sigma_app.core.database import ANONYMOUS, SERVICE, Database, Step
from sigma_app.core.links import Links, digest
from sigma_app.features.waitlist import line, service
from sigma_app.features.waitlist.consent import CONSENT_TEXT, CONSENT_VERSION
from sigma_app.models import Lead

pytestmark = pytest.mark.anyio

LINKS = Links(b"k" * 32)


class Line:
    """The waitlist as its tests use it: by address, without the mails."""

    def __init__(self, database: Database, owner):
        self.database = database
        self.owner = owner

    async def join(self, email: str, ref: str = "") -> None:
        arrival = service.read_arrival(f"https://sigma.test/?ref={ref}", "")
        lead = service.new_lead(service.read_address(email, allow_test_domains=True), arrival, CONSENT_VERSION)
        await self.database.run(Step(ANONYMOUS, *service.joining([lead])))

    def link(self, email: str, purpose: str = "confirm") -> UUID:
        """The latest link that was queued for `email`, as if its mail had been written."""
        (link,) = self.owner.execute(
            "select id from sigma.lead_links where purpose = %s"
            " and lead_id = (select id from leads where email = %s) order by created_at desc limit 1",
            [purpose, email],
        ).fetchone()
        self.owner.execute(
            "update sigma.lead_links set digest = %s, code_digest = %s, expires_at = now() + interval '1 day'"
            " where id = %s",
            [digest(LINKS.token(link)), LINKS.code_digest(link, LINKS.code(link)), link],
        )
        return link

    def token(self, email: str, purpose: str = "confirm") -> str:
        return LINKS.token(self.link(email, purpose))

    async def open(self, token: str, *purposes: line.Purpose) -> line.Opened | None:
        async with self.database.transaction(SERVICE) as session:
            return await line.open_link(session, token, *(purposes or ("confirm",)))

    async def confirm_by(self, token: str) -> bool:
        async with self.database.transaction(SERVICE) as session:
            await line.hold(session)
            opened = await line.open_link(session, token, "confirm")
            return opened is not None and await line.confirm(session, opened)

    async def confirm_by_code(self, email: str, code: str) -> UUID | None:
        async with self.database.transaction(SERVICE) as session:
            await line.hold(session)
            return await line.confirm_by_code(session, email, code, LINKS)

    async def confirmed(self, *names: str, ref: str = "") -> None:
        """Have them join and confirm, one after the other."""
        for name in names:
            await self.join(f"{name}@example.com", ref)
            assert await self.confirm_by(self.token(f"{name}@example.com"))

    def lead(self, email: str) -> Lead:
        columns = ("id", "status", "flag", "referrals", "share_code", "line_number", "line_key", "confirmed_at")
        row = self.owner.execute(f"select {', '.join(columns)} from leads where email = %s", [email]).fetchone()
        return Lead(**dict(zip(columns, row, strict=True)))

    def places(self) -> list[str]:
        """The line, first to last, as its members are told."""
        rows = self.owner.execute(
            "select split_part(email, '@', 1), sigma.place(id) from leads where line_key is not null order by 2"
        ).fetchall()
        assert [place for _, place in rows] == list(range(1, len(rows) + 1))
        return [name for name, _ in rows]

    async def do(self, function, *arguments):
        async with self.database.transaction(SERVICE) as session:
            return await function(session, *arguments)

    def id(self, email: str) -> UUID:
        return self.owner.execute("select id from leads where email = %s", [email]).fetchone()[0]

    def queued(self) -> list[str]:
        """For what mails are queued, in their order."""
        rows = self.owner.execute(
            "select purpose from procrastinate.procrastinate_jobs join sigma.lead_links"
            " on lead_links.id = (args ->> 'link')::uuid where task_name = 'waitlist:send_link'"
            " order by procrastinate_jobs.id"
        ).fetchall()
        return [purpose for (purpose,) in rows]


@pytest.fixture
def waitlist(database, owner) -> Line:
    return Line(database, owner)


class TestConfirming:
    async def test_joining_queues_the_mail_that_asks_to_confirm(self, waitlist):
        await waitlist.join("alice@example.com")
        assert waitlist.queued() == ["confirm"]
        assert waitlist.lead("alice@example.com").status == "joined"

    async def test_whoever_joins_over_the_rest_api_is_asked_too_and_an_import_of_the_operator_is_not(
        self, waitlist, owner
    ):
        await waitlist.database.run(Step(ANONYMOUS, "insert into leads (email) values ('alice@example.com')"))
        await waitlist.database.run(Step(SERVICE, "insert into leads (email) values ('bob@example.com')"))
        assert waitlist.queued() == ["confirm"]

    async def test_the_link_confirms_once_and_tells_the_ledger(self, waitlist, owner):
        await waitlist.join("alice@example.com")
        token = waitlist.token("alice@example.com")
        assert await waitlist.confirm_by(token)
        assert waitlist.lead("alice@example.com").status == "confirmed"
        assert owner.execute("select version, wording, source from sigma.consents").fetchall() == [
            (CONSENT_VERSION, CONSENT_TEXT, "confirmation")
        ]
        assert waitlist.queued() == ["confirm", "place"]
        opened = await waitlist.open(token)
        assert opened
        assert opened.state == "used"

    async def test_a_second_click_of_the_same_hand_changes_nothing_and_a_later_one_is_refused(self, waitlist, owner):
        await waitlist.join("alice@example.com")
        token = waitlist.token("alice@example.com")
        assert [await waitlist.confirm_by(token) for _ in range(2)] == [True, True]
        assert waitlist.queued() == ["confirm", "place"]
        owner.execute("update sigma.lead_links set used_at = used_at - interval '2 minutes'")
        assert not await waitlist.confirm_by(token)

    async def test_two_confirms_at_once_are_one(self, waitlist, owner):
        await waitlist.join("alice@example.com")
        token = waitlist.token("alice@example.com")
        assert await asyncio.gather(waitlist.confirm_by(token), waitlist.confirm_by(token)) == [True, True]
        assert owner.execute("select count(*) from sigma.consents").fetchone() == (1,)
        assert waitlist.places() == ["alice"]

    async def test_an_expired_link_confirms_nothing(self, waitlist, owner):
        await waitlist.join("alice@example.com")
        token = waitlist.token("alice@example.com")
        owner.execute("update sigma.lead_links set expires_at = now()")
        assert not await waitlist.confirm_by(token)
        assert (await waitlist.open(token)).state == "expired"
        assert waitlist.lead("alice@example.com").status == "joined"

    async def test_a_tampered_link_and_one_for_something_else_lead_nowhere(self, waitlist):
        await waitlist.confirmed("alice")
        place = waitlist.token("alice@example.com", "place")
        for token in (place, place[:-1] + ("A" if place[-1] != "A" else "B"), "", "ü", "\ud800"):
            assert await waitlist.open(token, "confirm") is None
        assert (await waitlist.open(place, "place")).state == "valid"

    async def test_the_database_holds_no_token_and_no_code(self, waitlist, owner):
        await waitlist.join("alice@example.com")
        link = waitlist.link("alice@example.com")
        (row,) = owner.execute("select lead_links::text from sigma.lead_links").fetchone()
        assert LINKS.token(link) not in row
        assert LINKS.code(link) not in row


class TestCodes:
    async def test_the_six_digits_do_what_the_link_does(self, waitlist):
        await waitlist.join("alice@example.com")
        code = LINKS.code(waitlist.link("alice@example.com"))
        assert len(code) == 6
        assert await waitlist.confirm_by_code("ALICE@example.com", code) == waitlist.id("alice@example.com")
        assert waitlist.lead("alice@example.com").status == "confirmed"
        assert await waitlist.confirm_by_code("alice@example.com", code) is None  # used

    async def test_a_code_bears_five_wrong_tries_and_is_worn_out_then(self, waitlist):
        await waitlist.join("alice@example.com")
        code = LINKS.code(waitlist.link("alice@example.com"))
        wrong = f"{(int(code) + 1) % 10**6:06}"
        for _ in range(line.CODE_TRIES):
            assert await waitlist.confirm_by_code("alice@example.com", wrong) is None
        assert await waitlist.confirm_by_code("alice@example.com", code) is None

    async def test_tries_at_once_are_all_counted(self, waitlist, owner):
        await waitlist.join("alice@example.com")
        code = LINKS.code(waitlist.link("alice@example.com"))
        wrong = f"{(int(code) + 1) % 10**6:06}"
        await asyncio.gather(*(waitlist.confirm_by_code("alice@example.com", wrong) for _ in range(10)))
        assert owner.execute("select tries from sigma.lead_links").fetchone() == (line.CODE_TRIES,)

    async def test_an_address_bears_fifteen_tries_a_day_whatever_codes_it_has(self, waitlist, owner):
        await waitlist.join("alice@example.com")
        code = LINKS.code(waitlist.link("alice@example.com"))
        for _ in range(line.DAILY_CODE_TRIES):
            await waitlist.confirm_by_code("alice@example.com", "x")
            owner.execute("update sigma.lead_links set tries = 0")
        assert await waitlist.confirm_by_code("alice@example.com", code) is None
        owner.execute("update sigma.code_tries set since = since - interval '25 hours'")
        assert await waitlist.confirm_by_code("alice@example.com", code)

    async def test_only_the_code_of_the_newest_mail_counts(self, waitlist, owner):
        await waitlist.join("alice@example.com")
        older = LINKS.code(waitlist.link("alice@example.com"))
        owner.execute("update sigma.lead_links set created_at = created_at - interval '11 minutes'")
        await waitlist.do(line.send_again, "alice@example.com")
        waitlist.link("alice@example.com")
        assert await waitlist.confirm_by_code("alice@example.com", older) is None

    async def test_confirming_answers_every_question_that_was_asked(self, waitlist, owner):
        await waitlist.join("alice@example.com")
        older = waitlist.token("alice@example.com")
        owner.execute("update sigma.lead_links set created_at = created_at - interval '11 minutes'")
        await waitlist.do(line.send_again, "alice@example.com")
        assert await waitlist.confirm_by(waitlist.token("alice@example.com"))
        assert (await waitlist.open(older)).state == "used"

    async def test_an_address_that_is_on_no_list_is_counted_as_well(self, waitlist, owner):
        await waitlist.confirm_by_code("nobody@example.com", "000000")
        assert owner.execute("select tries from sigma.code_tries").fetchall() == [(1,)]

    async def test_nobody_elses_code_works(self, waitlist):
        await waitlist.join("alice@example.com")
        await waitlist.join("bob@example.com")
        code = LINKS.code(waitlist.link("bob@example.com"))
        waitlist.link("alice@example.com")
        assert await waitlist.confirm_by_code("alice@example.com", code) is None
        assert await waitlist.confirm_by_code("nobody@example.com", code) is None


class TestForgetting:
    async def test_links_are_forgotten_a_month_after_they_ended_but_for_those_that_still_unsubscribe(
        self, waitlist, owner
    ):
        await waitlist.confirmed("alice")
        await waitlist.do(line.invite_next)
        await waitlist.join("bob@example.com")
        owner.execute(
            "update sigma.lead_links set expires_at = expires_at - interval '40 days' where used_at is not null"
        )
        owner.execute("update sigma.lead_links set expires_at = now() - interval '40 days' where purpose = 'invite'")
        await waitlist.do(line.forget_links)
        kept = owner.execute("select purpose from sigma.lead_links order by purpose").fetchall()
        assert kept == [("confirm",), ("invite",), ("place",)]  # bob's question, alice's invitation and place


class TestPlaces:
    async def test_places_are_in_order_of_confirmation(self, waitlist):
        await waitlist.join("late@example.com")
        await waitlist.confirmed("alice", "bob")
        await waitlist.confirm_by(waitlist.token("late@example.com"))
        assert waitlist.places() == ["alice", "bob", "late"]

    async def test_each_friend_who_confirms_moves_one_up_by_the_stated_number_of_places(self, waitlist):
        await waitlist.confirmed(*"abcdefghijkl")
        code = waitlist.lead("l@example.com").share_code
        await waitlist.join("friend@example.com", ref=code)
        assert waitlist.places() == [*"abcdefghijkl"]  # joining alone earns nothing
        await waitlist.confirm_by(waitlist.token("friend@example.com"))
        assert waitlist.places() == [*"abcdef", "l", *"ghijk", "friend"]
        assert waitlist.lead("l@example.com").referrals == 1

    async def test_nobody_gets_further_than_to_the_front(self, waitlist):
        await waitlist.confirmed("alice", "bob")
        await waitlist.confirmed("carol", "dave", ref=waitlist.lead("bob@example.com").share_code)
        assert waitlist.places() == ["bob", "alice", "carol", "dave"]

    async def test_the_code_is_read_whatever_its_case_and_a_wrong_one_costs_nothing(self, waitlist):
        await waitlist.confirmed("alice", "bob")
        await waitlist.confirmed("carol", ref=waitlist.lead("bob@example.com").share_code.upper())
        await waitlist.confirmed("dave", ref="nonsense")
        assert waitlist.lead("bob@example.com").referrals == 1
        assert waitlist.lead("dave@example.com").flag is None

    @pytest.mark.parametrize("twin", ["bob+2@example.com", "BOB@example.com.test"])
    async def test_bringing_oneself_along_earns_nothing_and_is_marked(self, waitlist, twin):
        await waitlist.confirmed("alice", "bob")
        code = waitlist.lead("bob@example.com").share_code
        await waitlist.join(twin, ref=code)
        assert await waitlist.confirm_by(waitlist.token(twin))
        same_mailbox = twin.endswith("example.com")
        assert (waitlist.lead(twin).flag is not None) == same_mailbox
        assert waitlist.lead("bob@example.com").referrals == (0 if same_mailbox else 1)
        assert waitlist.lead(twin).status == "confirmed"

    async def test_a_mailbox_counts_once_however_its_address_is_written(self, waitlist):
        await waitlist.confirmed("alice", "bob")
        code = waitlist.lead("bob@example.com").share_code
        for address in ("c.arol@gmail.com", "carol+news@googlemail.com", "Carol@gmail.com"):
            await waitlist.join(address, ref=code)
            assert await waitlist.confirm_by(waitlist.token(address))
        assert waitlist.lead("bob@example.com").referrals == 1
        assert waitlist.lead("carol+news@googlemail.com").flag == "same mailbox as another lead"

    async def test_moving_up_is_over_those_who_wait_now(self, waitlist):
        await waitlist.confirmed(*"abcdefghijkl")
        for name in "acegik":
            await waitlist.do(line.unsubscribe, waitlist.id(f"{name}@example.com"))
        await waitlist.confirmed("friend", ref=waitlist.lead("l@example.com").share_code)
        assert waitlist.places() == ["l", *"bdfhj", "friend"]

    async def test_moving_up_is_by_five_among_those_who_moved_up_too(self, waitlist):
        expected = [*"abcdefghijklmnop"]
        await waitlist.confirmed(*expected)
        for number, mover in enumerate("ghpgonapkjlh"):
            await waitlist.confirmed(f"x{number}", ref=waitlist.lead(f"{mover}@example.com").share_code)
            expected.append(f"x{number}")
            before = expected.index(mover)
            expected.insert(max(0, before - line.PLACES_PER_REFERRAL), expected.pop(before))
            assert waitlist.places() == expected

    async def test_a_mailbox_that_is_erased_and_joins_again_earns_nothing_twice(self, waitlist):
        await waitlist.confirmed(*"abcdefghijkl")
        code = waitlist.lead("l@example.com").share_code
        for address in ("sock@example.com", "sock+2@example.com"):
            await waitlist.join(address, ref=code)
            assert await waitlist.confirm_by(waitlist.token(address))
            await waitlist.do(service.erase, [waitlist.id(address)])
        assert waitlist.lead("l@example.com").referrals == 1

    @pytest.mark.parametrize("address", ["A.b+c@Gmail.com", "a.b+c@example.com", "Ü+x@bücher.de", "x@GoogleMail.com"])
    async def test_the_limit_on_joining_and_the_line_mean_the_same_mailbox(self, owner, address):
        told = owner.execute("select sigma.mailbox_of(%s)", [address]).fetchone()
        assert told == (service.read_address(address).mailbox,)

    async def test_confirming_erasing_and_leaving_at_once_wait_for_each_other(self, waitlist, owner):
        for number in range(10):
            email = f"alice-{number}@example.com"
            await waitlist.join(email)
            token, lead = waitlist.token(email), waitlist.id(email)

            async def delete(email=email) -> None:
                await waitlist.database.run(Step(SERVICE, "delete from leads where email = %s", [email]))

            done = await asyncio.gather(
                waitlist.confirm_by(token), waitlist.do(service.erase, [lead]), delete(), return_exceptions=True
            )
            assert not [error for error in done if isinstance(error, BaseException)]

    async def test_200_confirmations_at_once_give_200_places(self, owner, login_url, monkeypatch):
        monkeypatch.setattr("sigma_app.core.database.WAIT_SECONDS", 60.0)  # of 200, the last waits for all others
        async with Database(login_url, pool_size=10) as database:
            await self.confirm_200(Line(database, owner))

    async def confirm_200(self, waitlist: Line) -> None:
        names = [f"founder-{number}" for number in range(200)]
        for name in names:
            await waitlist.join(f"{name}@example.com")
        tokens = [waitlist.token(f"{name}@example.com") for name in names]
        assert all(await asyncio.gather(*(waitlist.confirm_by(token) for token in tokens)))
        assert sorted(waitlist.places()) == sorted(names)

    async def test_places_stay_right_across_blocks_and_below_zero(self, waitlist, owner):
        owner.execute(
            "insert into leads (email, confirmed_at, line_number, line_key)"
            " select 'f' || n || '@example.com', now(), n, n * 97 - 100000 from generate_series(1, 3000) as n"
        )
        rows = owner.execute(
            "select sigma.place(id), row_number() over (order by line_key, line_number desc) from leads"
        ).fetchall()
        assert all(told == true for told, true in rows)
        owner.execute("update leads set line_key = line_key - 5000 where line_number % 7 = 0")
        owner.execute("delete from leads where line_number % 11 = 0")
        rows = owner.execute(
            "select sigma.place(id), row_number() over (order by line_key, line_number desc) from leads"
        ).fetchall()
        assert all(told == true for told, true in rows)
        assert owner.execute("select sigma.waiting() = count(*) from leads").fetchone() == (True,)
        owner.execute("truncate leads cascade")
        assert owner.execute("select sigma.waiting()").fetchone() == (0,)

    async def test_a_lead_reads_its_place(self, waitlist):
        await waitlist.confirmed("alice", "bob")
        opened = await waitlist.open(waitlist.token("bob@example.com", "place"), "place")
        place = await waitlist.do(line.read_place, opened.lead)
        assert (place.place, place.waiting, place.referrals) == (2, 2, 0)
        assert len(place.share_code) == 8


class TestJoiningAgain:
    async def test_the_same_mail_goes_out_again_but_not_within_ten_minutes(self, waitlist, owner):
        await waitlist.join("alice@example.com")
        await waitlist.do(line.send_again, "ALICE@example.com")
        assert waitlist.queued() == ["confirm"]
        owner.execute("update sigma.lead_links set created_at = created_at - interval '11 minutes'")
        await waitlist.do(line.send_again, "ALICE@example.com")
        await waitlist.do(line.send_again, "ALICE@example.com")
        assert waitlist.queued() == ["confirm", "confirm"]

    async def test_whoever_has_confirmed_gets_the_way_to_their_place(self, waitlist, owner):
        await waitlist.confirmed("alice")
        owner.execute("update sigma.lead_links set created_at = created_at - interval '11 minutes'")
        await waitlist.do(line.send_again, "alice@example.com")
        assert waitlist.queued() == ["confirm", "place", "place"]

    async def test_whoever_was_invited_gets_the_invitation(self, waitlist, owner):
        await waitlist.confirmed("alice")
        await waitlist.do(line.invite_next)
        owner.execute("update sigma.lead_links set created_at = created_at - interval '11 minutes'")
        await waitlist.do(line.send_again, "alice@example.com")
        assert waitlist.queued().count("invite") == 2

    async def test_whoever_left_a_moment_ago_can_come_back_at_once(self, waitlist):
        await waitlist.confirmed("alice")
        await waitlist.do(line.unsubscribe, waitlist.id("alice@example.com"))
        await waitlist.do(line.send_again, "alice@example.com")
        assert waitlist.queued() == ["confirm", "place", "confirm"]

    async def test_joining_many_times_at_once_sends_one_mail(self, waitlist, owner):
        await waitlist.join("alice@example.com")
        owner.execute("update sigma.lead_links set created_at = created_at - interval '11 minutes'")
        async with waitlist.database.transaction(SERVICE) as session:
            await session.exec(select(func.sigma.send_again(["alice@example.com", "ALICE@example.com"] * 3)))
        await asyncio.gather(*(waitlist.do(line.send_again, "alice@example.com") for _ in range(8)))
        assert waitlist.queued() == ["confirm", "confirm"]

    @pytest.mark.parametrize("asked_for", ["again", "erase"])
    async def test_of_two_that_overlap_the_second_waits_and_then_sends_nothing(self, waitlist, owner, asked_for):
        await waitlist.confirmed("alice")
        owner.execute("update sigma.lead_links set created_at = created_at - interval '11 minutes'")
        alice = waitlist.id("alice@example.com")
        ask = {"again": (line.send_again, "alice@example.com"), "erase": (line.ask_to_erase, alice)}[asked_for]
        before = len(waitlist.queued())
        waiting = "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        async with waitlist.database.transaction(SERVICE) as session:
            await ask[0](session, ask[1])
            second = asyncio.create_task(waitlist.do(*ask))
            while not second.done() and not owner.execute(waiting).fetchall():  # noqa: ASYNC110 - Postgres tells nobody
                await asyncio.sleep(0.01)
        await second
        assert len(waitlist.queued()) == before + 1

    async def test_asking_many_times_at_once_to_be_erased_sends_one_mail(self, waitlist):
        await waitlist.confirmed("alice")
        alice = waitlist.id("alice@example.com")
        await asyncio.gather(*(waitlist.do(line.ask_to_erase, alice) for _ in range(8)))
        assert waitlist.queued().count("erase") == 1

    async def test_nobody_is_asked_to_confirm_more_than_three_times_a_day_and_five_in_a_month(self, waitlist, owner):
        await waitlist.join("alice@example.com")
        for passed in ["11 minutes"] * 4 + ["1 day"] * 6:
            owner.execute("update sigma.lead_links set created_at = created_at - %s::interval", [passed])
            await waitlist.do(line.send_again, "alice@example.com")
            if passed == "11 minutes":
                assert waitlist.queued().count("confirm") <= 3
        assert waitlist.queued().count("confirm") == 5

    async def test_of_many_that_are_inserted_at_once_a_hundred_are_asked(self, waitlist):
        await waitlist.database.run(
            Step(ANONYMOUS, "insert into leads (email) select n || '@example.com' from generate_series(1, 150) as n")
        )
        assert len(waitlist.queued()) == 100

    async def test_an_address_that_is_not_on_the_list_gets_nothing(self, waitlist):
        await waitlist.do(line.send_again, "nobody@example.com")
        assert waitlist.queued() == []


class TestLeaving:
    async def test_whoever_unsubscribes_leaves_the_line_and_the_others_move_up(self, waitlist):
        await waitlist.confirmed("alice", "bob", "carol")
        await waitlist.do(line.unsubscribe, waitlist.id("bob@example.com"))
        assert waitlist.places() == ["alice", "carol"]
        assert waitlist.lead("bob@example.com").status == "unsubscribed"

    async def test_whoever_comes_back_confirms_anew_and_stands_at_the_end(self, waitlist, owner):
        await waitlist.confirmed("alice", "bob")
        await waitlist.do(line.unsubscribe, waitlist.id("alice@example.com"))
        owner.execute("update sigma.lead_links set created_at = created_at - interval '11 minutes'")
        await waitlist.do(line.send_again, "alice@example.com")
        assert await waitlist.confirm_by(waitlist.token("alice@example.com"))
        assert waitlist.places() == ["bob", "alice"]
        assert waitlist.lead("alice@example.com").status == "confirmed"

    async def test_erasing_leaves_no_trace_but_the_number_it_earned_for_another(self, waitlist, owner):
        await waitlist.confirmed("alice", "bob")
        await waitlist.confirmed("carol", ref=waitlist.lead("bob@example.com").share_code)
        await waitlist.do(line.ask_to_erase, waitlist.id("carol@example.com"))
        await waitlist.do(line.ask_to_erase, waitlist.id("carol@example.com"))
        assert waitlist.queued().count("erase") == 1
        carol = waitlist.id("carol@example.com")
        await waitlist.do(service.erase, [carol])
        for column in ("leads.id", "sigma.consents.lead_id", "sigma.lead_links.lead_id"):
            table = column.rpartition(".")[0]
            assert owner.execute(f"select count(*) from {table} where {column} = %s", [carol]).fetchone() == (0,)
        assert owner.execute("select count(*) from sigma.consents").fetchone() == (2,)
        assert waitlist.lead("bob@example.com").referrals == 1
        assert waitlist.places() == ["bob", "alice"]


class TestInvitations:
    async def test_the_first_in_line_is_invited_and_the_others_move_up(self, waitlist):
        await waitlist.confirmed("alice", "bob")
        assert await waitlist.do(line.invite_next) == waitlist.lead("alice@example.com").id
        assert waitlist.places() == ["bob"]
        assert waitlist.lead("alice@example.com").status == "invited"
        assert waitlist.queued()[-1] == "invite"
        assert await waitlist.do(line.invite_next) == waitlist.lead("bob@example.com").id
        assert await waitlist.do(line.invite_next) is None

    async def test_one_lead_can_be_invited_before_its_turn_and_only_once(self, waitlist):
        await waitlist.confirmed("alice", "bob")
        assert await waitlist.do(service.invite, waitlist.id("bob@example.com"))
        assert not await waitlist.do(service.invite, waitlist.id("bob@example.com"))
        assert waitlist.places() == ["alice"]

    async def test_nobody_is_invited_who_has_not_confirmed(self, waitlist):
        await waitlist.join("alice@example.com")
        assert not await waitlist.do(service.invite, waitlist.id("alice@example.com"))
        assert await waitlist.do(line.invite_next) is None

    async def test_two_inviting_at_once_invite_nobody_twice(self, waitlist):
        await waitlist.confirmed(*"abcdef")
        invited = await asyncio.gather(*(waitlist.do(line.invite_next) for _ in range(8)))
        everybody = {waitlist.lead(f"{name}@example.com").id for name in "abcdef"}
        assert {lead for lead in invited if lead} == everybody
        assert invited.count(None) == 2

    async def test_an_invitation_opens_the_door_once_and_only_for_its_own_address(self, waitlist):
        await waitlist.confirmed("alice")
        await waitlist.do(line.invite_next)
        token = waitlist.token("alice@example.com", "invite")
        for email, used in (("bob@example.com", token), ("alice@example.com", "nonsense")):
            with pytest.raises(line.InvitationRequired):
                await waitlist.do(line.admit, email, used)
        await waitlist.do(line.admit, "Alice@example.com", token)
        with pytest.raises(line.InvitationRequired):
            await waitlist.do(line.admit, "alice@example.com", token)

    async def test_of_several_who_sign_up_with_one_invitation_at_once_one_gets_in(self, waitlist):
        await waitlist.confirmed("alice")
        await waitlist.do(line.invite_next)
        token = waitlist.token("alice@example.com", "invite")
        tries = [waitlist.do(line.admit, "alice@example.com", token) for _ in range(4)]
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        assert [isinstance(outcome, line.InvitationRequired) for outcome in outcomes].count(False) == 1

    async def test_whoever_did_nothing_for_a_week_is_reminded_once(self, waitlist, owner):
        await waitlist.confirmed("alice", "bob")
        await waitlist.do(line.invite_next)
        assert await waitlist.do(line.remind) == 0
        owner.execute("update leads set invited_at = invited_at - interval '8 days'")
        assert await waitlist.do(line.remind) == 1
        assert await waitlist.do(line.remind) == 0
        assert [waitlist.queued().count(purpose) for purpose in line.INVITATIONS] == [1, 1]

    async def test_signing_up_and_paying_are_noted(self, waitlist, owner, sign_up):
        await waitlist.confirmed("alice", "bob")
        person = sign_up("alice")
        assert waitlist.lead("alice@example.com").status == "confirmed"  # anybody can type her address
        owner.execute("update auth.users set email_confirmed_at = now() where id = %s", [person.id])
        assert waitlist.lead("alice@example.com").status == "signed up"
        assert waitlist.places() == ["bob"]
        owner.execute("update profiles set has_access = true where id = %s", [person.id])
        assert waitlist.lead("alice@example.com").status == "customer"

    async def test_a_lead_whose_invitation_is_over_can_be_given_another(self, waitlist, owner):
        await waitlist.confirmed("alice")
        assert await waitlist.do(service.invite, waitlist.id("alice@example.com"))
        owner.execute("update sigma.lead_links set expires_at = now() where purpose = 'invite'")
        assert await waitlist.do(service.invite, waitlist.id("alice@example.com"))
        assert waitlist.queued().count("invite") == 2

    async def test_an_invitation_and_its_reminder_open_the_door_once_together(self, waitlist, owner):
        await waitlist.confirmed("alice")
        await waitlist.do(line.invite_next)
        owner.execute("update leads set invited_at = invited_at - interval '8 days'")
        await waitlist.do(line.remind)
        tokens = [waitlist.token("alice@example.com", purpose) for purpose in line.INVITATIONS]
        await waitlist.do(line.admit, "alice@example.com", tokens[1])
        with pytest.raises(line.InvitationRequired):
            await waitlist.do(line.admit, "alice@example.com", tokens[0])

    async def test_a_profile_that_claims_another_address_is_not_believed(self, waitlist, owner, sign_up):
        await waitlist.confirmed("bob")
        owner.execute("delete from profiles where id = %s", [(mallory := sign_up("mallory")).id])
        owner.execute("insert into profiles (id, email) values (%s, 'bob@example.com')", [mallory.id])
        assert waitlist.lead("bob@example.com").status == "confirmed"
