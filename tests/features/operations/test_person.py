"""One person: everything that is kept is told to them, and all of it goes, and nobody else's, however often."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from sigma_app.core.addresses import address_digest
from sigma_app.core.database import SERVICE, get_database
from sigma_app.core.errors import DatabaseUnavailable
from sigma_app.core.jobs import queue_job
from sigma_app.embedded.stripe import acts
from sigma_app.features.accounts import pictures
from sigma_app.features.billing import kept
from sigma_app.features.billing import service as billing
from sigma_app.features.billing.jobs import NotEnded, forget_events
from sigma_app.features.mail import service as mail
from sigma_app.features.operations import person
from sigma_app.features.operations.person import KEPT_AT_STRIPE, Nobody, Receipt, erase, export
from sigma_app.gateways import accounts
from sigma_app.gateways import mail as gateway
from sigma_app.gateways import pictures as storage
from sigma_app.gateways.accounts import IdentityUnavailable, Tokens
from sigma_app.gateways.identity import reaching_supabase
from sigma_app.gateways.keys import seal
from sigma_app.gateways.mail import Mail
from sigma_app.gateways.payments import PaymentsUnavailable
from sigma_app.session.operators import OperatorsAccount
from sigma_app.session.store import Session
from tests.features.accounts.people import People, join_waitlist, places_of, png, signed_in
from tests.features.billing.conftest import MONTHLY, Till
from tests.portal import PASSWORD, SignIn

pytestmark = pytest.mark.anyio

OPERATOR = "the founder"
AT_STRIPE = {"sigma.sandbox_objects", "sigma.sandbox_requests"}
"""The sandbox's books, which stand in for Stripe's."""


@pytest.fixture
async def people(
    shop: Till, session: Session, tokens: Tokens, sign_in: SignIn, owner: psycopg.Connection, mailing: None
) -> People:
    """About whom everything is kept that can be."""
    bob, bobs_tokens = await signed_in(sign_in, "bob")
    async with reaching_supabase(as_service=True) as client:
        await client.storage.create_bucket("papers", options={"public": False})
    for who, opened, colour in ((session, tokens, "red"), (bob, bobs_tokens, "green")):
        await pictures.change(who, opened, png(colour))
        await join_waitlist(who.email, utm_source="a friend")
        await gateway.send(Mail(who.email, "Hello", "<p>Hello</p>", "Hello"), f"hello/{who.user_id}")
        owner.execute(
            "insert into sigma.webhook_events (source, id, type, body, handled_at)"
            " values ('resend', %s, 'email.bounced', %s, now())",
            [str(who.id), Jsonb({"data": {"to": [who.email]}})],
        )
        async with get_database().transaction(SERVICE) as transaction:
            await mail.suppress(transaction, who.email, "bounced")
            await queue_job(transaction, "accounts:send_password_changed", sealed=seal(who.email), at="2026-01-01")
        async with reaching_supabase(as_service=True) as client:
            await client.storage.from_("papers").upload(f"{who.email}/cv.txt", b"My life")
        owner.execute(
            "update storage.objects set owner_id = %s, owner = %s where bucket_id = 'papers' and name like %s",
            [str(who.user_id), who.user_id, f"{who.email}%"],
        )
        owner.execute(
            "with file as (insert into sigma.imports (operator, name, fresh, known, refused)"
            " values (%s, 'leads.csv', 1, 0, 0) returning id)"
            " insert into sigma.import_rows (import_id, line, address, lead)"
            " select id, 2, format('Somebody <%%s>', %s::text), jsonb_build_object('email', %s::text) from file",
            [bob.user_id, who.email, who.email],
        )
        owner.execute(
            "insert into sigma.messages (key, kind, recipient, digest)"
            " values (%s::text, 'waitlist:confirm', %s::text, sha256(convert_to(%s::text, 'UTF8')))",
            [f"confirm/{who.user_id}", who.email, who.email],
        )
        await shop.buy(who, MONTHLY)
    await shop.catch_up()
    owner.execute("update procrastinate.procrastinate_jobs set status = 'failed' where args ? 'sealed'")
    owner.execute("delete from procrastinate.procrastinate_jobs where status <> 'failed'")
    return People(session, tokens, bob, bobs_tokens)


async def exported(email: str) -> tuple[dict[str, Any], dict[str, bytes], dict[str, int]]:
    """What is told, the files, and how many of each kind there are."""
    packed = io.BytesIO()
    counts = await export(email, packed)
    with zipfile.ZipFile(packed) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(files.pop("data.json")), files, counts


class TestTelling:
    """A person reads what is kept about them."""

    async def test_everything_is_in_it_and_nothing_of_anybody_elses(self, people: People):
        told, files, counts = await exported("Alice@Example.com ")
        assert told["waitlist"]["utm_source"] == "a friend"
        assert len(told["waitlist"]["consents"]) == 1
        assert told["account"]["email"] == "alice@example.com"
        assert told["account"]["identities"][0]["provider"] == "email"
        assert told["profile"]["has_access"] is True
        assert [device["browser"] for device in told["devices"]] == ["Alice's browser"]
        assert [one["subject"] for one in told["mail"]["mails"]] == ["Hello"]
        assert told["mail"]["events"][0]["type"] == "email.bounced"
        assert told["mail"]["suppressed"]["reason"] == "bounced"
        assert told["billing"]["subscriptions"][0]["status"] == "active"
        assert told["stripe"]["email"] == "alice@example.com"
        assert not {"metadata", "description"} & set(told["stripe"])
        assert told["stripe"]["id"] == told["billing"]["customers"][0]["id"]
        assert told["stripe_events"]
        assert files["files/papers/alice@example.com/cv.txt"] == b"My life"
        assert sorted(name.split("/")[1] for name in files) == ["papers", "pictures"]
        assert {kind for kind, many in counts.items() if not many} == set()
        everything = json.dumps(told) + " ".join(files)
        for others in ("bob@example.com", str(people.bob.user_id), "Bob's browser"):
            assert others not in everything

    async def test_what_is_counted_is_in_it(self, people: People, owner: psycopg.Connection):
        owner.execute(
            "insert into sigma.import_rows (import_id, line, address, problem)"
            " select id, 3, 'alice@example.com', 'It has 4 cells.' from sigma.imports limit 1"
        )
        told, _, counts = await exported("alice@example.com")
        assert {"address": "alice@example.com", "problem": "It has 4 cells."} in told["imports"]
        assert {"email": "alice@example.com"} in told["imports"]
        assert counts["imports"] == len(told["imports"]) == 2
        assert [job["name"] for job in told["jobs"]] == ["accounts:send_password_changed"]
        assert counts["jobs"] == 1
        assert counts["events"] == len(told["mail"]["events"]) + len(told["stripe_events"])

    async def test_what_comes_while_it_is_written_is_not_counted(self, people: People, owner: psycopg.Connection):
        def come(_: int) -> None:
            owner.execute(
                "insert into sigma.messages (key, kind, recipient, digest)"
                " values (gen_random_uuid(), 'x', 'alice@example.com', sha256('alice@example.com'))"
            )

        packed = io.BytesIO()
        counts = await export("alice@example.com", packed, come)
        with zipfile.ZipFile(packed) as archive:
            told = json.loads(archive.read("data.json"))
        assert counts["files"] == 2, "There was a moment for it to come."
        assert counts["mails on record"] == len(told["mail"]["on_record"]) == 1

    async def test_what_operators_did_to_them_is_told_and_not_who_it_was(
        self, people: People, owner: psycopg.Connection
    ):
        told, _, _ = await exported("alice@example.com")
        assert told["deeds"] == []
        lead = told["waitlist"]["id"]
        for action, subject, leads in (
            ("user.disable", str(people.alice.user_id), []),
            ("user.enable", str(people.bob.user_id), []),
            ("lead.flag", "a run", [lead, "another"]),
            ("lead.invite", "a run", ["another"]),
            ("suppression.add", address_digest("alice@example.com").hex(), []),
        ):
            owner.execute(
                "insert into sigma.audit_log (operator_name, action, subject, detail)"
                " values ('eve@example.com', %s, %s, %s)",
                [action, subject, Jsonb({"leads": leads})],
            )
        told, _, _ = await exported("alice@example.com")
        assert [one["action"] for one in told["deeds"]] == ["user.disable", "lead.flag", "suppression.add"]
        assert {frozenset(one) for one in told["deeds"]} == {frozenset({"at", "action"})}

    async def test_no_password_no_token_and_no_link_is_in_it(self, people: People, owner: psycopg.Connection, cookie):
        told = json.dumps((await exported("alice@example.com"))[0])
        (hashed,) = owner.execute("select encrypted_password from auth.users where email like 'alice%'").fetchone() or (
            "",
        )
        assert hashed
        secrets = [PASSWORD, hashed, people.tokens.access, people.tokens.refresh, cookie]
        assert [secret for secret in secrets if secret in told] == []
        assert "token" not in told.replace("confirmation_token", "")

    async def test_a_lead_without_an_account_is_told_too(self, shop: Till):
        await join_waitlist("charlie@example.com")
        told, files, counts = await exported("charlie@example.com")
        assert told["waitlist"]["email"] == "charlie@example.com"
        assert "account" not in told
        assert (files, counts["lead"], counts["account"]) == ({}, 1, 0)

    async def test_about_a_stranger_nothing_is_told(self, people: People):
        packed = io.BytesIO()
        with pytest.raises(Nobody):
            await export("charlie@example.com", packed)
        assert packed.getvalue() == b""

    async def test_somebody_of_whom_it_is_known_only_that_they_get_no_mail_is_told_that(self, shop: Till):
        async with get_database().transaction(SERVICE) as transaction:
            await mail.suppress(transaction, "charlie@example.com", "bounced")
        told, _, counts = await exported("Charlie@example.com")
        assert told["mail"]["suppressed"]["reason"] == "bounced"
        assert not any(counts.values())
        assert (await erase("charlie@example.com", OPERATOR)).complete

    @pytest.mark.parametrize(
        "kept",
        [
            "insert into sigma.messages (key, kind, recipient, digest)"
            " values ('confirm/1', 'waitlist:confirm', 'charlie@example.com', sha256('charlie@example.com'))",
            "insert into sigma.mailbox (fingerprint, sender, recipients, subject)"
            " values ('x', 'us', '{charlie@example.com}', 'Hello')",
            "insert into sigma.webhook_events (source, id, type, body) values"
            """ ('resend', '1', 'email.bounced', '{"data": {"to": ["charlie@example.com"]}}')""",
        ],
    )
    async def test_somebody_of_whom_there_is_but_a_mail_or_an_event_is_somebody(
        self, shop: Till, owner: psycopg.Connection, kept: str
    ):
        owner.execute(kept.encode())
        _, _, counts = await exported("charlie@example.com")
        assert sum(counts.values()) == 1
        receipt = await erase("charlie@example.com", OPERATOR)
        assert receipt.erased == counts
        with pytest.raises(Nobody):
            await erase("charlie@example.com", OPERATOR)

    async def test_a_profile_that_says_anothers_address_tells_nothing_of_theirs(
        self, people: People, owner: psycopg.Connection
    ):
        owner.execute("update profiles set email = 'alice@example.com' where id = %s", [people.bob.user_id])
        told, _, _ = await exported("alice@example.com")
        assert told["account"]["id"] == str(people.alice.user_id)
        assert told["profile"]["id"] == str(people.alice.user_id)

    async def test_without_stripe_it_is_not_half_told(self, people: People, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(billing, "stripe_client", unavailable)
        with pytest.raises(PaymentsUnavailable):
            await export("alice@example.com", io.BytesIO())


def waiting_ids(owner: psycopg.Connection) -> tuple[list[str], str]:
    """What the first job that forgets events was given."""
    row = owner.execute(
        "select args -> 'ids', args ->> 'digest' from procrastinate.procrastinate_jobs"
        " where task_name = 'billing:forget_events' order by id"
    ).fetchone()
    assert row
    return row


def unavailable(*_: object) -> None:
    raise PaymentsUnavailable


class TestForgetting:
    """A person is forgotten."""

    async def test_everything_goes_and_nobody_elses(self, people: People, owner: psycopg.Connection):
        before = await exported("bob@example.com")
        _, _, counted = await exported("alice@example.com")
        receipt = await erase("ALICE@example.com", OPERATOR)
        assert receipt.erased == counted
        assert receipt.complete
        assert receipt.account == people.alice.user_id
        assert receipt.asked_by == OPERATOR
        assert "was deleted" in receipt.stripe
        assert KEPT_AT_STRIPE in receipt.kept
        assert set(places_of(owner, "alice@example.com")) <= AT_STRIPE
        with_id = places_of(owner, str(people.alice.user_id))
        assert set(with_id) <= {"procrastinate.procrastinate_jobs", *AT_STRIPE}
        after = await exported("bob@example.com")
        for told in (before[0], after[0]):
            del told["made_at"]
        assert after == before
        with pytest.raises(accounts.IdentityRefused):
            await accounts.sign_in("alice@example.com", PASSWORD)
        assert await accounts.sign_in("bob@example.com", PASSWORD)

    async def test_what_somebody_subscribed_to_ends(self, people: People, shop: Till):
        customer = await billing.customer_of(people.alice.user_id)
        receipt = await erase("alice@example.com", OPERATOR)
        assert customer
        assert customer in receipt.stripe
        assert (await shop.api.customers.retrieve_async(customer)).deleted
        running = (await shop.api.subscriptions.list_async({"status": "active"})).data
        assert [one.customer for one in running] == [await billing.customer_of(people.bob.user_id)]

    async def test_twice_is_harmless(self, people: People, owner: psycopg.Connection):
        await erase("alice@example.com", OPERATOR)
        farewells = "select count(*) from procrastinate.procrastinate_jobs where task_name = 'accounts:send_farewell'"
        assert owner.execute(farewells).fetchone() == (1,)
        again = await erase("alice@example.com", OPERATOR)  # it is still known that they get no mail
        assert again.complete
        assert not any(again.erased.values())
        assert (again.account, again.stripe) == (None, "There was no customer.")
        assert owner.execute(farewells).fetchone() == (1,)

    async def test_where_their_events_could_not_be_forgotten_later_it_is_seen_and_taken_up(
        self, people: People, owner: psycopg.Connection
    ):
        await erase("alice@example.com", OPERATOR)
        forgetting = (
            "select id, args ->> 'ids', status::text from procrastinate.procrastinate_jobs"
            " where task_name = 'billing:forget_events'"
        )
        failed = (
            "update procrastinate.procrastinate_jobs set status = 'failed' where task_name = 'billing:forget_events'"
        )
        owner.execute(failed.encode())
        ((first, ids, _),) = owner.execute(forgetting).fetchall()
        told, _, counts = await exported("alice@example.com")
        assert [job["name"] for job in told["jobs"]] == ["billing:forget_events"]
        receipt = await erase("alice@example.com", OPERATOR)
        assert receipt.erased == counts
        assert receipt.erased["jobs"] == 1
        ((second, again, status),) = owner.execute(forgetting).fetchall()
        assert (second != first, again, status) == (True, ids, "todo")

    async def test_events_that_could_not_be_worked_go_too(self, people: People, owner: psycopg.Connection):
        """With the account; and those that are told later, and cannot be worked, by the job that waits for them."""
        failed = "update sigma.webhook_events set handled_at = null, error = 'KeyError' where source = 'stripe'"
        owner.execute(failed.encode())
        bobs = await exported("bob@example.com")
        theirs = [event["id"] for event in (await exported("alice@example.com"))[0]["stripe_events"]]
        kept = "select id from sigma.webhook_events where id = any(%s)"
        owner.execute(
            "create temporary table before as select * from sigma.webhook_events where id = any(%s)", [theirs]
        )
        receipt = await erase("alice@example.com", OPERATOR)
        assert (receipt.complete, receipt.erased["events"] > len(theirs)) == (True, True)
        assert owner.execute(kept, [theirs]).fetchall() == []
        owner.execute("insert into sigma.webhook_events select * from before")  # as if they were told only now
        await forget_events(*waiting_ids(owner))
        assert owner.execute(kept, [theirs]).fetchall() == []
        assert (await exported("bob@example.com"))[0]["stripe_events"] == bobs[0]["stripe_events"]

    async def test_while_events_are_left_it_is_said_and_they_are_found_again(
        self, people: People, owner: psycopg.Connection
    ):
        (event, *_) = [event["id"] for event in (await exported("alice@example.com"))[0]["stripe_events"]]
        owner.execute("update sigma.webhook_events set handled_at = null where id = %s", [event])
        with psycopg.connect(owner.info.dsn, password=owner.info.password) as another:
            another.execute("select from sigma.webhook_events where id = %s for update", [event])  # is worked now
            receipt = await erase("alice@example.com", OPERATOR)
            assert [line.partition(":")[0] for line in receipt.left] == ["events"]
            with pytest.raises(NotEnded):
                await forget_events(*waiting_ids(owner))
        assert (await exported("alice@example.com"))[2]["events"] == 1
        again = await erase("alice@example.com", OPERATOR)
        assert (again.complete, again.erased["events"]) == (True, 1)

    async def test_of_a_customer_who_is_still_there_nothing_is_forgotten_that_waits_to_be_worked(
        self, people: People, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
    ):
        owner.execute("update sigma.webhook_events set handled_at = null where source = 'stripe'")
        before = owner.execute("select count(*) from sigma.webhook_events where source = 'stripe'").fetchone()
        with monkeypatch.context() as patched:
            patched.setattr(billing, "stripe_client", unavailable)
            receipt = await erase("alice@example.com", OPERATOR)
        assert [line.partition(":")[0] for line in receipt.left] == ["account", "events"]
        with pytest.raises(NotEnded):
            await forget_events(*waiting_ids(owner))
        assert owner.execute("select count(*) from sigma.webhook_events where source = 'stripe'").fetchone() == before

    async def test_a_stranger_gets_no_receipt(self, people: People, owner: psycopg.Connection):
        jobs = "select count(*) from procrastinate.procrastinate_jobs"
        before = owner.execute(jobs).fetchone()
        with pytest.raises(Nobody):
            await erase("charlie@example.com", OPERATOR)
        assert owner.execute(jobs).fetchone() == before

    @pytest.mark.parametrize("disabled", [False, True])
    async def test_an_operator_is_not_erased(self, people: People, owner: psycopg.Connection, disabled: bool):
        owner.execute(
            'update auth.users set raw_app_meta_data = raw_app_meta_data || \'{"role": "admin"}\','
            " banned_until = case when %s then now() + interval '1 day' end where id = %s",
            [disabled, people.alice.user_id],
        )
        with pytest.raises(OperatorsAccount):
            await erase("alice@example.com", OPERATOR)
        assert owner.execute("select count(*) from leads").fetchone() == (2,)

    async def test_no_address_is_nobodys_and_no_part_of_what_was_refused(self, shop: Till, owner: psycopg.Connection):
        owner.execute(
            "with file as (insert into sigma.imports (name, fresh, known, refused) values ('x', 0, 0, 1) returning id)"
            " insert into sigma.import_rows (import_id, line, address, problem)"
            " select id, 1, 'ann@example', 'No.' from file"
        )
        for ask in (erase(" ", OPERATOR), export("", io.BytesIO())):
            with pytest.raises(Nobody):
                await ask
        assert owner.execute("select address from sigma.import_rows").fetchall() == [("ann@example",)]

    async def test_a_lead_alone_goes(self, shop: Till, owner: psycopg.Connection):
        await join_waitlist("charlie@example.com")
        receipt = await erase("charlie@example.com", OPERATOR)
        assert {kind: many for kind, many in receipt.erased.items() if many} == {"lead": 1}
        assert places_of(owner, "charlie@example.com") == []
        assert KEPT_AT_STRIPE not in receipt.kept

    async def test_no_event_is_read_of_somebody_without_a_customer(self, shop: Till, monkeypatch: pytest.MonkeyPatch):
        await join_waitlist("charlie@example.com")
        monkeypatch.setattr(kept, "get_database", unavailable)
        monkeypatch.setattr(kept, "_FORGET", None)
        assert (await erase("charlie@example.com", OPERATOR)).complete

    async def test_while_stripe_is_away_the_rest_goes_and_it_can_be_repeated(
        self, people: People, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
    ):
        with monkeypatch.context() as patched:
            patched.setattr(billing, "stripe_client", unavailable)
            receipt = await erase("alice@example.com", OPERATOR)
        assert not receipt.complete
        assert "still there" in receipt.stripe
        assert receipt.left[0].startswith("account: ")
        assert "goes on by itself" in receipt.left[0]
        assert receipt.erased["lead"] == receipt.erased["mails"] == 1
        assert receipt.erased["account"] == 0
        finishing = "select count(*) from procrastinate.procrastinate_jobs where task_name = 'accounts:finish_leaving'"
        assert owner.execute(finishing).fetchone() == (1,)
        again = await erase("alice@example.com", OPERATOR)
        assert again.complete
        assert again.erased["account"] == again.erased["profile"] == 1
        assert again.erased["lead"] == 0
        assert "was deleted" in again.stripe
        assert set(places_of(owner, "alice@example.com")) <= AT_STRIPE

    async def test_while_files_are_away_it_is_told_and_can_be_repeated(
        self, people: People, monkeypatch: pytest.MonkeyPatch
    ):
        async def away(*_: object) -> None:
            raise IdentityUnavailable

        with monkeypatch.context() as patched:
            for call in ("remove_all", "names_of", "remove_as_service"):
                patched.setattr(storage, call, away)
            receipt = await erase("alice@example.com", OPERATOR)
        assert [line.split(":")[0] for line in receipt.left] == ["files", "account"]
        assert receipt.erased["files"] == 0
        again = await erase("alice@example.com", OPERATOR)
        assert again.complete
        assert again.erased["files"] == 2

    async def test_a_database_that_goes_away_is_an_error_and_not_a_receipt(
        self, people: People, monkeypatch: pytest.MonkeyPatch
    ):
        def away() -> None:
            raise DatabaseUnavailable

        with monkeypatch.context() as patched:
            patched.setattr(person, "get_database", away)
            with pytest.raises(DatabaseUnavailable):
                await erase("alice@example.com", OPERATOR)
        assert (await erase("alice@example.com", OPERATOR)).complete

    async def test_a_bank_debit_under_way_keeps_the_account_until_it_has_come_in(
        self, shop: Till, session: Session, mailing: None, owner: psycopg.Connection
    ):
        await join_waitlist(session.email)
        await shop.buy(session, "sigma_for_good", acts.pay_later)
        await shop.catch_up()
        receipt = await erase(session.email, OPERATOR)
        assert "bank debit" in receipt.left[0]
        assert receipt.erased["lead"] == 1
        assert receipt.erased["account"] == 0
        later = "select 1 from procrastinate.procrastinate_jobs where task_name = 'billing:forget_events'"
        assert owner.execute(later).fetchone() is None  # it would wait for days

    async def test_a_receipt_is_told_as_json(self, people: People):
        told = json.loads((await erase("alice@example.com", OPERATOR)).as_json())
        assert told["account"] == str(people.alice.user_id)
        assert told["erased"]["lead"] == 1
        assert set(told) == set(Receipt.__dataclass_fields__)
