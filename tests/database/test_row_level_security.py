"""Who may do what: every role, table, command, own row or another's.

The tables come from the catalog, so a table without row level security, without policies or without an
entry here fails the suite by itself.
"""

from __future__ import annotations

import itertools

import psycopg
import pytest

from sigma_app.core.database import ANONYMOUS, SERVICE

DENIED, NONE, DONE = "denied", "no row", "done"
COMMANDS = ("select", "insert", "update", "delete")
WHOSE = ("own", "another's")
ROLES = ("login", "anon", "authenticated", "service_role")

NOTHING = dict.fromkeys(COMMANDS, DENIED)
EVERYTHING = dict.fromkeys(COMMANDS, DONE)
JOIN_ONLY = NOTHING | {"insert": DONE}
NOT_SEEN = {"select": NONE, "insert": DENIED, "update": NONE, "delete": NONE}

# table -> role -> whose row -> command -> outcome. A lead is nobody's own: both entries say the same.
EXPECTED = {
    "leads": {
        "login": {"own": NOTHING, "another's": NOTHING},
        "anon": {"own": JOIN_ONLY, "another's": JOIN_ONLY},
        "authenticated": {"own": JOIN_ONLY, "another's": JOIN_ONLY},
        "service_role": {"own": EVERYTHING, "another's": EVERYTHING},
    },
    "profiles": {
        "login": {"own": NOTHING, "another's": NOTHING},
        "anon": {"own": NOTHING, "another's": NOTHING},
        "authenticated": {"own": EVERYTHING, "another's": NOT_SEEN},
        "service_role": {"own": EVERYTHING, "another's": EVERYTHING},
    },
}

STATEMENTS = {
    "leads": {
        "select": "select * from leads where email = %(email)s",
        "insert": "insert into leads (email) values ('new-' || %(email)s)",
        "update": "update leads set disposable = true where email = %(email)s",
        "delete": "delete from leads where email = %(email)s",
    },
    "profiles": {
        "select": "select * from profiles where id = %(id)s",
        "insert": "insert into profiles (id, name) values (%(id)s, 'New')",
        "update": "update profiles set name = 'Changed' where id = %(id)s",
        "delete": "delete from profiles where id = %(id)s",
    },
}

LEAD_FORM = {
    "email", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "referrer",
    "landing_path", "referral_code", "consent_version",
}  # fmt: skip
COLUMNS = {
    ("leads", "anon", "INSERT"): LEAD_FORM,
    ("leads", "authenticated", "INSERT"): LEAD_FORM,
    ("profiles", "authenticated", "SELECT"): {
        "id", "name", "email", "image", "customer_id", "price_id", "has_access", "created_at", "updated_at",
    },
    ("profiles", "authenticated", "INSERT"): {"id", "name", "email", "image"},
    ("profiles", "authenticated", "UPDATE"): {
        "id", "name", "email", "image", "customer_id", "price_id", "has_access",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def shared_url(server, template):
    """One database for all of these tests, which change rows only: making one costs 0.3 s."""
    name = server.create(template)
    yield server.address(name)
    server.drop(name)


@pytest.fixture
def owner_url(shared_url):
    """The shared database, without rows."""
    with psycopg.connect(shared_url, autocommit=True) as connection:
        connection.execute("delete from leads; delete from auth.users")
    return shared_url


def tables(owner: psycopg.Connection) -> set[str]:
    """Everything in `public` that holds or shows rows."""
    rows = owner.execute(
        "select relname from pg_class"
        " where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f')"
    )
    return {name for (name,) in rows}


def test_every_table_in_public_has_its_expectations_here(owner):
    assert tables(owner) == set(EXPECTED) == set(STATEMENTS)


def test_every_table_in_public_has_row_level_security_and_policies(owner):
    bare = owner.execute(
        """
        select c.relname from pg_class as c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
          and not (c.relrowsecurity and exists (select from pg_policy where polrelid = c.oid))
        """
    ).fetchall()
    assert bare == []


@pytest.mark.parametrize(
    ("role", "table", "command", "whose"),
    [pytest.param(*case, id=" ".join(case)) for case in itertools.product(ROLES, EXPECTED, COMMANDS, WHOSE)],
)
def test_matrix(owner, attempt, alice, bob, role, table, command, whose):
    owner.execute("insert into leads (email) values (%s), (%s)", [alice.email, bob.email])
    target = alice if whose == "own" else bob
    if command == "insert":  # the place in the table must be free, or the answer would be about that
        owner.execute("delete from profiles where id = %s", [target.id])
    actor = {"login": None, "anon": ANONYMOUS, "authenticated": alice.actor, "service_role": SERVICE}[role]

    try:
        rows = attempt(actor, STATEMENTS[table][command], {"id": target.id, "email": target.email})
        outcome = DONE if rows == 1 else NONE
    except psycopg.errors.InsufficientPrivilege:
        outcome = DENIED

    assert outcome == EXPECTED[table][role][whose][command]


def test_each_role_has_exactly_the_columns_that_it_needs(owner):
    rows = owner.execute(
        """
        select c.relname, role, privilege, array_agg(a.attname::text)
        from pg_class as c
        join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        cross join unnest(array['anon', 'authenticated', 'authenticator']) as role
        cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) as privilege
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
          and has_column_privilege(role, c.oid, a.attnum, privilege)
        group by 1, 2, 3
        """
    )
    assert {(table, role, privilege): set(names) for table, role, privilege, names in rows} == COLUMNS


@pytest.mark.parametrize("privilege", ["TRUNCATE", "TRIGGER", "REFERENCES"])
def test_no_visitor_may_go_around_the_policies(owner, privilege):
    holders = owner.execute(
        """
        select c.relname, role from pg_class as c
        cross join unnest(array['anon', 'authenticated', 'authenticator']) as role
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
          and has_table_privilege(role, c.oid, %s)
        """,
        [privilege],
    ).fetchall()
    assert holders == []


@pytest.mark.parametrize("schema", ["sigma", "procrastinate"])
def test_no_visitor_may_touch_anything_of_the_service(owner, schema):
    """These schemas are not served over REST and have no policies: here the grants are the last word."""
    held = owner.execute(
        """
        select c.relname, role, privilege
        from pg_class as c
        cross join unnest(array['anon', 'authenticated', 'authenticator']) as role
        cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) as privilege
        where c.relnamespace = %(schema)s::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
          and has_table_privilege(role, c.oid, privilege)
        union all
        select p.oid::regprocedure::text, role, 'EXECUTE' from pg_proc as p
        cross join unnest(array['anon', 'authenticated', 'authenticator']) as role
        where p.pronamespace = %(schema)s::regnamespace and has_function_privilege(role, p.oid, 'EXECUTE')
        """,
        {"schema": schema},
    ).fetchall()
    assert held == []
    roles = owner.execute(
        "select role from unnest(array['anon', 'authenticated', 'authenticator']) as role"
        " where has_schema_privilege(role, %s, 'USAGE') or has_schema_privilege(role, %s, 'CREATE')",
        [schema, schema],
    ).fetchall()
    assert roles == []


def test_every_function_that_runs_as_its_owner_has_a_search_path_of_its_own(owner):
    loose = owner.execute(
        """
        select oid::regprocedure::text from pg_proc
        where pronamespace = any (array['public', 'sigma', 'billing', 'procrastinate', 'auth']::regnamespace[])
          and prosecdef
          and not coalesce(array_to_string(proconfig, ',') like '%search_path=%', false)
        """
    ).fetchall()
    assert loose == []


def test_no_visitor_may_read_or_write_users(attempt, alice):
    for actor in (None, ANONYMOUS, alice.actor):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attempt(actor, "select * from auth.users")


def test_no_visitor_may_create_anything_in_public(attempt, alice):
    for actor in (None, ANONYMOUS, alice.actor, SERVICE):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attempt(actor, "create table public.mine (id integer)")


def test_the_login_role_owns_nothing_and_inherits_nothing(owner):
    row = owner.execute(
        """
        select r.rolsuper, r.rolbypassrls, r.rolinherit, r.rolcreaterole, r.rolcreatedb,
          (select count(*) from pg_shdepend where refobjid = r.oid and deptype = 'o')
        from pg_roles as r where r.rolname = 'authenticator'
        """
    ).fetchone()
    assert row == (False, False, False, False, False, 0)


def test_every_policy_asks_who_it_is_once_for_a_statement(owner):
    """`auth.uid()` in a policy is evaluated for each row, `(select auth.uid())` once."""
    rows = owner.execute(
        "select polname, concat(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) from pg_policy"
    ).fetchall()
    slow = [name for name, text in rows if text.count("auth.uid()") != text.count("SELECT auth.uid()")]
    assert rows
    assert slow == []
