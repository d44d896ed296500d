"""Leads and profiles behave as documented in backend_operations.md, and as product.md settles the rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from sigma_app.core.database import ANONYMOUS, SERVICE

DOCUMENTED_COLUMNS = {
    "leads": [
        ("id", "uuid", "NO", "gen_random_uuid()"),
        ("email", "text", "YES", None),
        ("created_at", "timestamp with time zone", "NO", "timezone('utc'::text, now())"),
    ],
    "profiles": [
        ("id", "uuid", "NO", None),
        ("name", "text", "YES", None),
        ("email", "text", "YES", None),
        ("image", "text", "YES", None),
        ("customer_id", "text", "YES", None),
        ("price_id", "text", "YES", None),
        ("has_access", "boolean", "YES", "false"),
        ("created_at", "timestamp with time zone", "YES", "(now() AT TIME ZONE 'UTC'::text)"),
        ("updated_at", "timestamp with time zone", "YES", "(now() AT TIME ZONE 'UTC'::text)"),
    ],
}


@pytest.mark.parametrize("table", DOCUMENTED_COLUMNS)
def test_columns_types_and_defaults_are_the_documented_ones(owner, table):
    rows = owner.execute(
        "select column_name, data_type, is_nullable, column_default from information_schema.columns"
        " where table_schema = 'public' and table_name = %s order by ordinal_position",
        [table],
    ).fetchall()
    assert rows[: len(DOCUMENTED_COLUMNS[table])] == DOCUMENTED_COLUMNS[table]


def test_indexes_have_the_documented_names(owner):
    names = {name for (name,) in owner.execute("select indexname from pg_indexes where schemaname = 'public'")}
    assert names >= {
        "idx_leads_email",
        "idx_profiles_email",
        "idx_leads_created_at",
        "idx_profiles_updated_at",
    }


def test_policies_have_the_documented_names(owner):
    found = owner.execute("select policyname from pg_policies where schemaname = 'public'")
    assert {name for (name,) in found} == {
        "insert_lead",
        "read_own_profile_data",
        "insert_own_profile_data",
        "update_own_profile_data",
        "delete_own_profile_data",
        "operators_read",
    }


class TestJoining:
    def test_an_address_is_on_the_list_once_whatever_its_case(self, owner):
        owner.execute("insert into leads (email) values ('Charlie@Example.com')")
        with pytest.raises(psycopg.errors.UniqueViolation) as refused:
            owner.execute("insert into leads (email) values ('charlie@example.COM')")
        assert refused.value.diag.constraint_name == "leads_email_lower_key"

    def test_a_repeat_join_by_a_visitor_says_23505_or_does_nothing(self, owner, attempt):
        owner.execute("insert into leads (email) values ('charlie@example.com')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            attempt(ANONYMOUS, "insert into leads (email) values ('charlie@example.com')")
        assert (
            attempt(ANONYMOUS, "insert into leads (email) values ('charlie@example.com') on conflict do nothing") == 0
        )

    @pytest.mark.parametrize("column", ["id", "created_at", "consent_at", "disposable"])
    def test_a_visitor_cannot_choose(self, attempt, column):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attempt(ANONYMOUS, f"insert into leads (email, {column}) values ('charlie@example.com', default)")

    def test_a_visitor_gets_nothing_back_and_then_nothing_is_stored(self, owner, attempt):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attempt(ANONYMOUS, "insert into leads (email) values ('charlie@example.com') returning id")
        assert owner.execute("select count(*) from leads").fetchone() == (0,)

    @pytest.mark.parametrize(
        ("email", "constraint"),
        [
            (None, "leads_email_required"),
            ("", "leads_email_format"),
            ("charlie", "leads_email_format"),
            ("@example.com", "leads_email_format"),
            (" charlie@example.com", "leads_email_format"),
            ("charlie@example.com\n", "leads_email_format"),
            ("c" * 310 + "@example.com", "leads_email_length"),
        ],
    )
    def test_what_is_no_address_is_refused(self, owner, email, constraint):
        with pytest.raises(psycopg.errors.CheckViolation) as refused:
            owner.execute("insert into leads (email) values (%s)", [email])
        assert refused.value.diag.constraint_name == constraint

    @pytest.mark.parametrize("email", ["charlie+tag@sub.example.co.uk", "δοκιμή@παράδειγμα.ελ", '"a@b"@example.com'])
    def test_what_is_an_address_is_taken(self, owner, email):
        assert owner.execute("insert into leads (email) values (%s)", [email]).rowcount == 1

    def test_what_a_visitor_sends_along_is_bounded(self, owner):
        columns = owner.execute(
            "select column_name from information_schema.columns where table_schema = 'public'"
            " and table_name = 'leads' and data_type = 'text'"
            " and has_column_privilege('anon', 'public.leads', column_name, 'insert')"
        ).fetchall()
        for (column,) in columns:
            long = "x" * 5000 if column != "email" else "x" * 5000 + "@example.com"
            row = {"email": "charlie@example.com"} | {column: long}
            with pytest.raises(psycopg.errors.CheckViolation) as refused:
                owner.execute(
                    f"insert into leads ({', '.join(row)}) values ({', '.join(['%s'] * len(row))})",
                    [*row.values()],
                )
            assert refused.value.diag.constraint_name == f"leads_{column}_length"

    def test_the_time_of_consent_is_the_databases(self, owner):
        stamped = owner.execute(
            "insert into leads (email, consent_version) values ('charlie@example.com', '1')"
            " returning consent_at = now()"
        ).fetchone()
        without = owner.execute("insert into leads (email) values ('dora@example.com') returning consent_at").fetchone()
        assert (stamped, without) == ((True,), (None,))

    def test_a_new_consent_gets_a_new_time_and_a_withdrawn_one_none(self, owner):
        old = datetime.now(UTC) - timedelta(days=90)
        owner.execute(
            "insert into leads (email, consent_version, consent_at) values ('charlie@example.com', '1', %s)",
            [old],
        )
        assert owner.execute("select consent_at from leads").fetchone() == (old,)
        owner.execute("update leads set consent_version = '2'")
        assert owner.execute("select consent_at > %s from leads", [old]).fetchone() == (True,)
        owner.execute("update leads set consent_version = null")
        assert owner.execute("select consent_at from leads").fetchone() == (None,)

    def test_the_documented_default_is_right_for_the_login_role_whatever_the_servers_time_zone(self, owner, login_url):
        database = owner.info.dbname
        owner.execute(f"alter database {database} set timezone = 'Asia/Tokyo'")
        with psycopg.connect(login_url) as connection:
            connection.execute("set local role anon")
            connection.execute("insert into leads (email) values ('charlie@example.com')")
        query = "select count(*) from leads where abs(extract(epoch from now() - created_at)) < 60"
        assert owner.execute(query).fetchone() == (1,)


class TestFounderCount:
    def test_anybody_may_ask_how_many_are_on_the_list(self, owner, attempt, alice):
        owner.execute("insert into leads (email) select n || '@example.com' from generate_series(1, 3) as n")
        for actor in (ANONYMOUS, alice.actor, SERVICE):
            assert attempt(actor, "select where founder_count() = 3") == 1

    def test_the_login_role_by_itself_may_not(self, attempt):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attempt(None, "select founder_count()")

    def test_a_long_list_is_estimated_within_two_percent_and_fast(self, owner):
        with owner.transaction():
            for index in ("leads_email_lower_key", "idx_leads_email", "idx_leads_created_at"):
                owner.execute(f"drop index {index}".encode())  # only to fill the table sooner
            owner.execute("insert into leads (email) select n || '@example.com' from generate_series(1, 150000) as n")
        owner.execute("analyze leads")
        started = datetime.now(UTC)
        (count,) = owner.execute("select founder_count()").fetchone() or (0,)
        assert datetime.now(UTC) - started < timedelta(seconds=1)
        assert count == pytest.approx(150_000, rel=0.02)


class TestProfiles:
    def test_signing_up_makes_a_profile(self, owner, alice):
        rows = owner.execute("select id, email, has_access from profiles").fetchall()
        assert rows == [(alice.id, alice.email, False)]

    def test_a_profile_that_is_there_already_never_breaks_a_registration(self, owner):
        # On a hosted project another trigger may be first: triggers run by name, and 'a' comes before 'o'.
        owner.execute(
            """
            create function eager() returns trigger language plpgsql as
              $$ begin insert into public.profiles (id, name) values (new.id, 'First'); return new; end $$;
            create trigger a_first after insert on auth.users for each row execute function eager();
            """
        )
        owner.execute("insert into auth.users (id, email) values (%s, 'alice@example.com')", [uuid4()])
        assert owner.execute("select name, email from profiles").fetchall() == [("First", None)]

    def test_deleting_a_user_deletes_the_profile_and_no_other(self, owner, alice, bob):
        owner.execute("delete from auth.users where id = %s", [alice.id])
        assert owner.execute("select id from profiles").fetchall() == [(bob.id,)]

    def test_a_profile_needs_its_user(self, attempt):
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            attempt(SERVICE, "insert into profiles (id) values (%s)", [uuid4()])

    def test_a_change_moves_updated_at(self, owner, alice):
        owner.execute("update profiles set updated_at = now()")  # even if the statement says otherwise
        before = owner.execute("select updated_at from profiles").fetchone()
        owner.execute("update profiles set name = 'Alice', updated_at = '2001-01-01'")
        after = owner.execute("select updated_at from profiles").fetchone()
        assert before < after


class TestBillingColumns:
    GIVEN = ("has_access = true", "customer_id = 'cus_1'", "price_id = 'price_1'")

    @pytest.mark.parametrize("change", GIVEN)
    def test_a_user_cannot_give_themselves_what_checkout_sells(self, attempt, alice, change):
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as refused:
            attempt(alice.actor, f"update profiles set {change} where id = %s", [alice.id])
        assert refused.value.diag.sqlstate == "42501"
        assert "checkout" in (refused.value.diag.message_hint or "")

    def test_a_user_cannot_become_somebody_else(self, attempt, alice, bob):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attempt(alice.actor, "update profiles set id = %s where id = %s", [bob.id, alice.id])

    @pytest.mark.parametrize("column", ["has_access", "customer_id", "price_id"])
    def test_a_user_cannot_start_a_profile_with_it(self, owner, attempt, alice, column):
        owner.execute("delete from profiles")
        value = {"has_access": "true"}.get(column, "'x'")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attempt(alice.actor, f"insert into profiles (id, {column}) values (%s, {value})", [alice.id])

    def test_the_guard_holds_without_the_column_grants_too(self, owner, attempt, alice):
        owner.execute("delete from profiles")
        owner.execute("grant insert on profiles to authenticated")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="starts without"):
            attempt(alice.actor, "insert into profiles (id, has_access) values (%s, true)", [alice.id])

    def test_switching_row_security_off_does_not_switch_the_guard_off(self, owner, alice, login_url):
        with psycopg.connect(login_url) as connection:
            connection.execute("set local row_security = off")
            connection.execute("set local role authenticated")
            connection.execute("select set_config('request.jwt.claims', %s, true)", [alice.actor.claims])
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("update profiles set has_access = true")

    def test_deleting_and_making_it_anew_loses_access_rather_than_gaining_it(self, owner, alice, login_url):
        owner.execute("update profiles set has_access = true, customer_id = 'cus_1'")
        with psycopg.connect(login_url) as connection:
            connection.execute("set local role authenticated")
            connection.execute("select set_config('request.jwt.claims', %s, true)", [alice.actor.claims])
            connection.execute("delete from profiles where id = %s", [alice.id])
            connection.execute("insert into profiles (id, name) values (%s, 'Alice')", [alice.id])
        assert owner.execute("select has_access, customer_id from profiles").fetchall() == [(False, None)]

    def test_the_documented_patch_works_for_a_user_who_has_access(self, owner, attempt, alice):
        patch = "update profiles set name = 'John Doe', has_access = true where id = %s"
        owner.execute("update profiles set has_access = true")
        assert attempt(alice.actor, patch, [alice.id]) == 1

    def test_the_documented_patch_changes_nothing_at_all_for_one_who_has_not(self, owner, attempt, alice):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attempt(
                alice.actor,
                "update profiles set name = 'John Doe', has_access = true where id = %s",
                [alice.id],
            )
        assert owner.execute("select name from profiles").fetchall() == [(None,)]

    @pytest.mark.parametrize("change", GIVEN)
    def test_the_service_may(self, attempt, alice, change):
        assert attempt(SERVICE, f"update profiles set {change} where id = %s", [alice.id]) == 1


class TestFunctions:
    def test_every_function_with_its_owners_rights_has_an_empty_search_path_and_is_not_for_everybody(self, owner):
        rows = owner.execute(
            """
            select proname, proconfig, exists (
              select from aclexplode(coalesce(proacl, acldefault('f', proowner))) where grantee = 0
            )
            from pg_proc
            where prosecdef and pronamespace = any (array['public', 'sigma', 'billing']::regnamespace[])
            """
        ).fetchall()
        assert {name for name, _, _ in rows} >= {"handle_new_user", "founder_count"}
        for name, config, for_everybody in rows:
            assert config == ['search_path=""'], name
            assert not for_everybody, name

    def test_visitors_may_call_the_count_and_whether_they_have_access_and_no_other_function_of_ours(self, owner):
        rows = owner.execute(
            """
            select proname from pg_proc cross join unnest(array['anon', 'authenticated']) as role
            where pronamespace = 'public'::regnamespace
              and has_function_privilege(role, pg_proc.oid, 'execute')
            order by 1
            """
        ).fetchall()
        assert rows == [("founder_count",), ("founder_count",), ("has_access",)]  # the last for those who signed in

    def test_who_asks_is_read_from_the_claims_or_from_the_older_settings(self, owner):
        ask = "select auth.uid()::text, auth.role(), auth.email(), auth.jwt() ->> 'sub'"
        with owner.transaction():
            assert owner.execute(ask).fetchone() == (None, None, None, None)
            who = str(uuid4())
            claims = f'{{"sub": "{who}", "role": "authenticated", "email": "alice@example.com"}}'
            owner.execute("select set_config('request.jwt.claims', %s, true)", [claims])
            assert owner.execute(ask).fetchone() == (who, "authenticated", "alice@example.com", who)
            other = str(uuid4())
            owner.execute("select set_config('request.jwt.claim.sub', %s, true)", [other])
            assert owner.execute("select auth.uid()::text").fetchone() == (other,)
        assert owner.execute(ask).fetchone() == (
            None,
            None,
            None,
            None,
        )  # now empty strings rather than unset


class TestSessions:
    """What the portal keeps of those who are signed in (alembic/versions/0007_sessions.up.sql)."""

    OPEN = "insert into sigma.sessions (digest, user_id, email, tokens, tokens_end_at) values (%s, %s, %s, 'x', now())"

    def test_only_the_service_opens_and_reads_them(self, owner, attempt, alice):
        assert attempt(SERVICE, self.OPEN, [b"1", alice.id, alice.email]) == 1
        owner.execute(self.OPEN, [b"1", alice.id, alice.email])
        for actor in (None, ANONYMOUS, alice.actor):
            for statement in (
                "select * from sigma.sessions",
                "delete from sigma.sessions",
                "update sigma.sessions set recovered = true",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    attempt(actor, statement)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                attempt(actor, self.OPEN, [b"2", alice.id, alice.email])

    def test_a_session_is_somebodys_and_goes_with_them(self, owner, alice, bob):
        owner.execute(self.OPEN, [b"1", alice.id, alice.email])
        owner.execute(self.OPEN, [b"2", bob.id, bob.email])
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            owner.execute(self.OPEN, [b"3", uuid4(), "charlie@example.com"])
        owner.execute("delete from auth.users where id = %s", [alice.id])
        assert owner.execute("select user_id from sigma.sessions").fetchall() == [(bob.id,)]

    def test_two_sessions_have_no_cookie_in_common(self, owner, alice, bob):
        owner.execute(self.OPEN, [b"1", alice.id, alice.email])
        with pytest.raises(psycopg.errors.UniqueViolation):
            owner.execute(self.OPEN, [b"1", bob.id, bob.email])

    def test_whoever_deletes_one_its_name_is_told_once_that_is_certain(self, owner, owner_url, alice):
        owner.execute(self.OPEN, [b"1", alice.id, alice.email])
        (session,) = owner.execute("select id::text from sigma.sessions").fetchone()
        with psycopg.connect(owner_url, autocommit=True) as other:
            other.execute("listen sigma_sessions")
            with pytest.raises(ZeroDivisionError), owner.transaction():
                owner.execute("delete from sigma.sessions")
                raise ZeroDivisionError
            owner.execute("delete from auth.users where id = %s", [alice.id])
            assert [notice.payload for notice in other.notifies(timeout=10, stop_after=1)] == [session]
            assert list(other.notifies(timeout=0)) == []


class TestTheAddress:
    def test_the_profiles_and_the_sessions_follow_the_accounts(self, owner, alice, bob):
        for number, person in enumerate((alice, bob)):
            owner.execute(TestSessions.OPEN, [bytes([number]), person.id, person.email])
        owner.execute("update auth.users set email = 'new@example.com' where id = %s", [alice.id])
        for table, key in (("public.profiles", "id"), ("sigma.sessions", "user_id")):
            rows = owner.execute(f"select {key}, email from {table}").fetchall()
            assert set(rows) == {(alice.id, "new@example.com"), (bob.id, bob.email)}

    def test_whatever_else_of_an_account_changes_leaves_the_profile_alone(self, owner, alice):
        owner.execute("update profiles set email = 'mine@example.com'")
        before = owner.execute("select email, updated_at from profiles").fetchone()
        owner.execute("update auth.users set email = email, last_sign_in_at = now() where id = %s", [alice.id])
        owner.execute("update auth.users set email = null where id = %s", [alice.id])
        assert owner.execute("select email, updated_at from profiles").fetchone() == before

    def test_an_account_without_a_profile_moves_all_the_same(self, owner, alice):
        owner.execute("delete from profiles")
        assert owner.execute("update auth.users set email = 'new@example.com'").rowcount == 1


class TestUsersWhoLiveElsewhere:
    """Where the accounts are in a Supabase project, and this database is another one."""

    NOTE = "select sigma.note_user(%s, %s)"
    FORGET = "select sigma.forget_user(%s)"

    def test_who_is_not_here_yet_is_noted_with_a_profile(self, owner):
        elsewhere = uuid4()
        owner.execute(self.NOTE, [elsewhere, "alice@example.com"])
        assert owner.execute("select id, email from auth.users").fetchall() == [(elsewhere, "alice@example.com")]
        assert owner.execute("select id, email, has_access from profiles").fetchall() == [
            (elsewhere, "alice@example.com", False)
        ]

    def test_no_password_opens_what_is_noted(self, owner):
        owner.execute(self.NOTE, [uuid4(), "alice@example.com"])
        assert owner.execute("select encrypted_password from auth.users").fetchone() in ((None,), ("",))

    def test_their_address_follows_with_profile_and_sessions(self, owner):
        elsewhere = uuid4()
        owner.execute(self.NOTE, [elsewhere, "alice@example.com"])
        owner.execute(TestSessions.OPEN, [b"1", elsewhere, "alice@example.com"])
        owner.execute(self.NOTE, [elsewhere, "new@example.com"])
        for table in ("auth.users", "public.profiles", "sigma.sessions"):
            assert owner.execute(f"select email from {table}").fetchall() == [("new@example.com",)]

    def test_an_address_goes_to_whoever_shows_up_with_it(self, owner):
        before, now = uuid4(), uuid4()
        for account in (before, now):
            owner.execute(self.NOTE, [account, "alice@example.com"])
        assert dict(owner.execute("select id, email from auth.users").fetchall()) == {
            before: None,
            now: "alice@example.com",
        }
        owner.execute(self.NOTE, [before, "alice.before@example.com"])
        assert dict(owner.execute("select id, email from profiles").fetchall()) == {
            before: "alice.before@example.com",
            now: "alice@example.com",
        }

    def test_an_address_of_somebody_who_is_really_here_stays_theirs(self, owner, alice):
        elsewhere = uuid4()
        for _ in range(2):
            owner.execute(self.NOTE, [elsewhere, alice.email])
        assert dict(owner.execute("select id, email from auth.users").fetchall()) == {
            alice.id: alice.email,
            elsewhere: None,
        }

    def test_a_user_who_is_really_here_never_changes(self, owner, alice):
        before = owner.execute("select u::text from auth.users as u").fetchall()
        owner.execute(self.NOTE, [alice.id, "new@example.com"])
        owner.execute(self.NOTE, [alice.id, alice.email])
        owner.execute(self.FORGET, [alice.id])
        assert owner.execute("select u::text from auth.users as u").fetchall() == before

    def test_they_are_forgotten_with_all_that_is_theirs(self, owner, alice):
        elsewhere = uuid4()
        owner.execute(self.NOTE, [elsewhere, "elsewhere@example.com"])
        owner.execute(TestSessions.OPEN, [b"1", elsewhere, "elsewhere@example.com"])
        owner.execute(self.FORGET, [elsewhere])
        owner.execute(self.FORGET, [uuid4()])
        assert owner.execute("select id from auth.users").fetchall() == [(alice.id,)]
        assert owner.execute("select count(*) from sigma.sessions").fetchone() == (0,)

    def test_nobody_but_the_service_notes_or_forgets(self, attempt, alice):
        for actor in (None, ANONYMOUS, alice.actor):
            for statement, values in ((self.NOTE, [alice.id, "x@example.com"]), (self.FORGET, [alice.id])):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    attempt(actor, statement, values)
        assert attempt(SERVICE, self.NOTE, [uuid4(), "x@example.com"]) == 1
        assert attempt(SERVICE, self.FORGET, [alice.id]) == 1


class TestPictures:
    def test_there_is_no_bucket_before_the_first_picture(self, owner):
        assert owner.execute("select from storage.buckets").rowcount == 0

    def test_everybody_has_their_own_folder_and_no_other(self, owner, alice, bob, attempt):
        owner.execute("insert into storage.buckets (id, name) values ('pictures', 'pictures')")
        files = {person: f"{person.id}/picture.webp" for person in (alice, bob)}
        add = "insert into storage.objects (bucket_id, name, owner) values ('pictures', %s, %s)"
        for person, name in files.items():
            owner.execute(add, [name, person.id])
        with_mine = [(f"{alice.id}/new.webp", True), (f"{bob.id}/new.webp", False), ("new.webp", False)]
        for name, allowed in [*with_mine, (f"x/{alice.id}/new.webp", False)]:
            if allowed:
                assert attempt(alice.actor, add, [name, alice.id]) == 1
            else:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    attempt(alice.actor, add, [name, alice.id])
        assert attempt(alice.actor, "select from storage.objects") == 1
        assert attempt(alice.actor, "select from storage.objects where name = %s", [files[bob]]) == 0
        assert attempt(ANONYMOUS, "select from storage.objects") == 0
        assert attempt(alice.actor, "update storage.objects set name = %s", [f"{bob.id}/mine.webp"]) == 0
