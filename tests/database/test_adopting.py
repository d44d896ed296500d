"""A database that was made by the documented SQL, with rows in it, becomes equal to one that Sigma made, rows kept."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest

from sigma_app.core.migrations import MigrationError, _run, current, downgrade, head, migrate

# backend_operations.md, to the letter, with users(id) read as auth.users(id) (product.md, item 3). It names policies,
# indexes and functions; the bodies of the policies and the triggers are those of Supabase's own pages.
DOCUMENTED = """
    CREATE TABLE leads (
      id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
      email text,
      created_at timestamptz DEFAULT timezone('utc'::text, now()) NOT NULL
    );
    CREATE TABLE profiles (
      id uuid PRIMARY KEY REFERENCES auth.users(id) ON DELETE CASCADE,
      name text,
      email text,
      image text,
      customer_id text,      -- Stripe customer ID
      price_id text,         -- Stripe price ID
      has_access boolean DEFAULT false,
      created_at timestamptz DEFAULT (now() AT TIME ZONE 'UTC'::text),
      updated_at timestamptz DEFAULT (now() AT TIME ZONE 'UTC'::text)
    );
    CREATE OR REPLACE FUNCTION update_updated_at()
    RETURNS TRIGGER AS $$
    BEGIN
      NEW.updated_at = now();
      RETURN NEW;
    END;
    $$ LANGUAGE plpgsql;
    CREATE OR REPLACE FUNCTION handle_new_user()
    RETURNS TRIGGER AS $$
    BEGIN
      INSERT INTO profiles (id, email)
      VALUES (NEW.id, NEW.email);
      RETURN NEW;
    END;
    $$ LANGUAGE plpgsql;
    CREATE INDEX idx_leads_email ON leads(email);
    CREATE INDEX idx_profiles_email ON profiles(email);
    CREATE INDEX idx_leads_created_at ON leads(created_at);
    CREATE INDEX idx_profiles_updated_at ON profiles(updated_at);
    ALTER TABLE leads ENABLE ROW LEVEL SECURITY;
    ALTER TABLE profiles ENABLE ROW LEVEL SECURITY;
    CREATE POLICY insert_lead ON leads FOR INSERT TO public WITH CHECK (true);
    CREATE POLICY read_own_profile_data ON profiles FOR SELECT USING (auth.uid() = id);
    CREATE POLICY insert_own_profile_data ON profiles FOR INSERT WITH CHECK (auth.uid() = id);
    CREATE POLICY update_own_profile_data ON profiles FOR UPDATE USING (auth.uid() = id);
    CREATE POLICY delete_own_profile_data ON profiles FOR DELETE USING (auth.uid() = id);
    CREATE TRIGGER update_profiles_updated_at BEFORE UPDATE ON profiles
      FOR EACH ROW EXECUTE FUNCTION update_updated_at();
    GRANT ALL ON leads, profiles TO anon, authenticated, service_role;
    GRANT UPDATE (has_access) ON profiles TO authenticated;
"""
AUTH_TRIGGER = """
    CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users
      FOR EACH ROW EXECUTE FUNCTION handle_new_user();
"""
ROWS = """
    insert into leads (email, created_at) values ('Charlie@example.com', '2024-02-29 12:00+00');
    insert into leads (email) values ('dora@example.com');
    insert into auth.users (id, email) select gen_random_uuid(), n || '@example.com' from generate_series(1, 3) as n;
    update profiles set name = 'Alice', customer_id = 'cus_1', has_access = true where email = '1@example.com';
    update profiles set created_at = null where email = '2@example.com';
"""
KEPT = """
    select 'lead', to_jsonb(l) from (select id, email, created_at from leads) as l
    union all select 'profile', to_jsonb(p) from profiles as p order by 1, 2
"""
CATALOG = """
    with place as (
      select oid, nspname from pg_namespace where nspname in ('public', 'auth', 'sigma')
    ), relation as (
      select c.*, nspname || '.' || relname as called from pg_class as c join place on place.oid = relnamespace
    )
    select 'relation', called, concat_ws(' ', relkind, relowner::regrole, relrowsecurity, relforcerowsecurity, relacl)
      from relation
    union all select 'column', called || '.' || attname, concat_ws(' ',
        row_number() over (partition by attrelid order by attnum), format_type(atttypid, atttypmod),
        attnotnull, attidentity, attgenerated, attacl, pg_get_expr(adbin, adrelid))
      from relation join pg_attribute on attrelid = relation.oid
        left join pg_attrdef on adrelid = attrelid and adnum = attnum
      where attnum > 0 and not attisdropped
    union all select 'constraint', called || '.' || conname,
        concat_ws(' ', contype, convalidated, condeferrable, pg_get_constraintdef(pg_constraint.oid))
      from relation join pg_constraint on conrelid = relation.oid
    union all select 'index', called, concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid, indisunique)
      from relation join pg_index on indexrelid = relation.oid
    union all select 'policy', called || '.' || polname, concat_ws(' ', polcmd, polpermissive, polroles::regrole[],
        pg_get_expr(polqual, polrelid), '/', pg_get_expr(polwithcheck, polrelid))
      from relation join pg_policy on polrelid = relation.oid
    union all select 'trigger', called || '.' || tgname, concat_ws(' ', tgenabled, pg_get_triggerdef(pg_trigger.oid))
      from relation join pg_trigger on tgrelid = relation.oid where not tgisinternal
    union all select 'function', p.oid::regprocedure::text,
        concat_ws(' ', proowner::regrole, proacl, pg_get_functiondef(p.oid))
      from pg_proc as p join place on place.oid = pronamespace
    order by 1, 2, 3
"""


def ask(url: str, query: str) -> list[tuple]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture
def documented(empty_url) -> str:
    """The owner's address of a database with the documented tables and some rows, beside the schema auth it needs."""
    _run(empty_url, "upgrade", "0001", None)
    run(empty_url, DOCUMENTED, AUTH_TRIGGER, ROWS)
    return empty_url


def test_it_comes_out_as_one_that_sigma_made_and_keeps_every_row(documented, owner_url):
    before = ask(documented, KEPT)
    assert len(before) == 5
    migrate(documented)
    assert ask(documented, CATALOG) == ask(owner_url, CATALOG)
    assert ask(documented, KEPT) == before


@pytest.mark.parametrize(
    "differently",
    [
        "alter table leads drop constraint leads_pkey; alter table leads alter column id drop not null",
        "alter table leads rename constraint leads_pkey to leads_key; alter table leads force row level security",
        "alter table leads alter column created_at drop not null, alter column created_at set default now()",
        "alter table leads alter column email set not null, alter column id set default gen_random_uuid()::text::uuid",
        "alter table leads drop column created_at",
        "alter table leads add constraint leads_email_format check (email like '%@%') not valid",
        "drop index idx_leads_email; create index idx_leads_email on leads (lower(email))",
        "drop index idx_profiles_email, idx_profiles_updated_at",
        "alter table profiles drop constraint profiles_id_fkey",
        "alter table profiles drop constraint profiles_id_fkey, add foreign key (id) references auth.users",
        "alter table profiles drop constraint profiles_id_fkey,"
        " add constraint theirs foreign key (id) references auth.users on delete cascade",
        "alter table profiles alter column has_access drop default, alter column email set not null",
        "alter trigger update_profiles_updated_at on profiles rename to handle_updated_at",
        "alter trigger on_auth_user_created on auth.users rename to make_profile",
        "alter table auth.users disable trigger on_auth_user_created",
        "drop trigger on_auth_user_created on auth.users; drop function handle_new_user()",
        "alter table profiles disable row level security; drop policy read_own_profile_data on profiles",
    ],
)
def test_it_does_so_also_where_somebody_departed_from_the_document(documented, owner_url, differently):
    run(documented, differently)
    migrate(documented)

    def comparable(url):  # a column that was dropped leaves its number behind
        return [row for row in ask(url, CATALOG) if "drop column" not in differently or row[0] != "column"]

    assert comparable(documented) == comparable(owner_url)
    assert ask(documented, "select (select count(*) from leads), (select count(*) from profiles)") == [(2, 3)]


def test_one_of_the_two_is_enough(empty_url, owner_url):
    run(empty_url, "create table leads (id uuid primary key default gen_random_uuid(), email text)")
    run(empty_url, "insert into leads (email) values ('charlie@example.com')")
    migrate(empty_url)
    assert ask(empty_url, "select email, created_at is not null from leads") == [("charlie@example.com", True)]
    assert {row[:2] for row in ask(empty_url, CATALOG)} == {row[:2] for row in ask(owner_url, CATALOG)}


def test_what_sigma_does_not_know_stays(documented):
    run(
        documented,
        "alter table leads add phone text",
        "update leads set phone = '1'",
        "create index mine on leads (phone)",
    )
    run(documented, "create table notes (updated_at timestamptz)")
    run(documented, "create trigger theirs before update on notes for each row execute function update_updated_at()")
    migrate(documented)
    assert ask(documented, "select distinct phone from leads") == [("1",)]
    assert ask(documented, "select to_regclass('mine')::text") == [("mine",)]
    assert ask(documented, "select count(*) from pg_trigger where tgname = 'theirs'") == [(1,)]


@pytest.mark.parametrize(
    ("rows", "how_many"),
    [
        ("insert into leads (email) values ('charlie@EXAMPLE.com'), ('ok@example.com')", 2),
        ("insert into leads (email) values (null), (null), (null)", 3),
        ("insert into leads (email) values ('not an address')", 1),
        ("insert into leads (email) values (repeat('x', 400) || '@example.com')", 1),
        (
            "alter table leads alter column created_at drop not null;"
            "insert into leads (email, created_at) values ('no@example.com', null)",
            1,
        ),
        (
            "alter table leads drop constraint leads_pkey;"
            "insert into leads select id, 'again-' || email, created_at from leads",
            4,
        ),
        (
            "alter table profiles drop constraint profiles_id_fkey;"
            "insert into profiles (id) values (gen_random_uuid())",
            1,
        ),
    ],
)
def test_rows_that_a_constraint_cannot_accept_are_counted_and_shown_and_left_alone(documented, rows, how_many):
    run(documented, rows)
    before, kept = ask(documented, CATALOG), ask(documented, KEPT)
    with pytest.raises(MigrationError, match=r"of the rows in public\.(leads|profiles), ") as refused:
        migrate(documented)
    line = str(refused.value)
    assert "\n" not in line
    assert f", {how_many} " in line
    query = line[line.index("(select") + 1 : line.rindex("). Change or remove")]
    assert len(ask(documented, query)) == how_many
    assert (ask(documented, CATALOG), ask(documented, KEPT)) == (before, kept)


def test_every_obstacle_of_a_table_is_in_the_one_line(documented):
    run(documented, "insert into leads (email) values (null), ('x'), ('dora@EXAMPLE.com')")
    with pytest.raises(
        MigrationError, match=r"1 break leads_email_format .*1 break leads_email_required .*2 have the same"
    ):
        migrate(documented)


@pytest.mark.parametrize(
    ("differently", "says"),
    [
        ("alter table leads alter column email type varchar(255)", "alter column email type text"),
        ("drop table leads; create view leads as select 1 as id", "it is no table"),
        (
            'create policy "Public profiles are viewable by everyone." on profiles for select using (true)',
            'drop policy "Public profiles are viewable by everyone." on public.profiles',
        ),
    ],
)
def test_what_is_not_ours_to_decide_stops_it_with_the_way_out(documented, differently, says):
    run(documented, differently)
    before = ask(documented, CATALOG)
    with pytest.raises(MigrationError) as refused:
        migrate(documented)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert ask(documented, CATALOG) == before


def test_a_downgrade_keeps_adopted_rows_guarded_and_the_next_upgrade_adopts_them_again(documented, owner_url):
    migrate(documented)
    before = ask(documented, KEPT)
    downgrade(documented, "0001")
    assert current(documented) == "0001"
    assert ask(documented, KEPT) == before
    assert ("guard_profiles_billing",) in ask(documented, "select tgname::text from pg_trigger")
    migrate(documented)
    assert ask(documented, CATALOG) == ask(owner_url, CATALOG)
    assert ask(documented, KEPT) == before


def test_a_downgrade_drops_a_table_that_sigma_made_beside_an_adopted_one(empty_url):
    run(empty_url, "create table leads (id uuid primary key default gen_random_uuid(), email text)")
    run(empty_url, "insert into leads (email) values ('charlie@example.com')")
    migrate(empty_url)
    downgrade(empty_url, "base")
    tables = "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
    assert ask(empty_url, tables) == [("leads",)]
    assert ask(empty_url, "select email from leads") == [("charlie@example.com",)]


class TestOnSupabase:
    """Where the migrating role is no superuser, and schema auth is somebody else's."""

    @pytest.fixture
    def project(self, hosted, lay_project):
        name = hosted.create()
        url = lay_project(name)
        yield hosted.address(name), url
        hosted.drop(name)

    @pytest.fixture
    def fresh(self, hosted, lay_project):
        name = hosted.create()
        url = lay_project(name)
        migrate(url)
        yield hosted.address(name)
        hosted.drop(name)

    def test_it_comes_out_as_a_fresh_one(self, project, fresh):
        superuser, url = project
        run(url, DOCUMENTED, AUTH_TRIGGER, ROWS)
        before = ask(url, KEPT)
        migrate(url)
        assert ask(superuser, CATALOG) == ask(fresh, CATALOG)
        assert ask(url, KEPT) == before

    @pytest.mark.parametrize("called", ["on_auth_user_created", "make_profile"])
    def test_a_trigger_that_others_made_where_we_may_make_none_is_kept(self, project, called):
        superuser, url = project
        run(url, DOCUMENTED)
        run(superuser, AUTH_TRIGGER.replace("on_auth_user_created", called), "revoke trigger on auth.users from owner")
        migrate(url)
        assert current(url) == head()
        run(superuser, f"insert into auth.users (id, email) values ('{uuid4()}', 'alice@example.com')")
        assert ask(url, "select email from profiles") == [("alice@example.com",)]
        triggers = "select tgname::text from pg_trigger where tgrelid = 'auth.users'::regclass and not tgisinternal"
        assert ask(url, triggers) == [(called,)]

    def test_a_function_of_somebody_else_is_one_line_with_what_to_run(self, project, fresh):
        superuser, url = project
        run(url, DOCUMENTED)
        run(superuser, AUTH_TRIGGER, "alter function handle_new_user() owner to supabase_admin")
        with pytest.raises(MigrationError, match="belongs to supabase_admin") as refused:
            migrate(url)
        line = str(refused.value)
        assert "\n" not in line
        statement = line[line.index("alter function") : line.rindex(". Nothing")]
        run(superuser, statement)
        migrate(url)
        assert ask(superuser, CATALOG) == ask(fresh, CATALOG)

    def test_a_table_of_somebody_else_is_one_line_with_what_to_run(self, project):
        superuser, url = project
        run(superuser, "create table leads (email text)")
        with pytest.raises(MigrationError, match=r"run: alter table public\.leads owner to owner"):
            migrate(url)
