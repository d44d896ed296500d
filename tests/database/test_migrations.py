"""Migrations: up, down and up again; by several processes at once; and the models are what they make."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import time
from importlib.resources import files

import psycopg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import inspect
from sqlalchemy.schema import CreateSchema

from alembic import command
from sigma_app.core import migrations
from sigma_app.core.connecting import DatabaseRefused
from sigma_app.core.migrations import VERSIONS, MigrationError, downgrade, head, migrate, migration_engine
from sigma_app.models import User, metadata
from sigma_app.settings import PROJECT_ROOT

QUEUE_SCHEMA = "c70ec4b400a60ad9592787653aae5ae77ae41bf801d56b5bd2712751a07f2009"  # procrastinate 3.10.0
MIGRATE = "import sys; from sigma_app.core.migrations import migrate; migrate(sys.argv[1])"
SCHEMA = """
    select 'column', format('%I.%I.%I', table_schema, table_name, column_name),
      concat_ws(' ', data_type, is_nullable, column_default, generation_expression)
    from information_schema.columns where table_schema in ('public', 'auth', 'sigma', 'billing')
    union all select 'index', indexname::text, indexdef from pg_indexes
      where schemaname in ('public', 'auth', 'sigma', 'billing')
    union all select 'constraint', conname::text, pg_get_constraintdef(oid) from pg_constraint
      where connamespace in ('public'::regnamespace, to_regnamespace('auth'), to_regnamespace('sigma'),
        to_regnamespace('billing'))
    union all select 'function', oid::regprocedure::text, concat_ws(' ', pg_get_functiondef(oid), proacl)
      from pg_proc where pronamespace in ('public'::regnamespace, to_regnamespace('auth'), to_regnamespace('sigma'),
        to_regnamespace('billing'))
    union all select 'trigger', tgname::text, pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
    union all select 'policy', polname::text, concat_ws(' ', polcmd, pg_get_expr(polqual, polrelid))
      from pg_policy
    union all select 'grants', relname::text, relacl::text from pg_class
      where relnamespace in ('public'::regnamespace, to_regnamespace('auth'), to_regnamespace('sigma'),
        to_regnamespace('billing'))
    order by 1, 2, 3
"""


def everything(url: str) -> list[tuple]:
    with psycopg.connect(url) as connection:
        return connection.execute(SCHEMA).fetchall()


def test_up_down_and_up_again_gives_the_same_schema(empty_url):
    before = everything(empty_url)
    migrate(empty_url)
    first = everything(empty_url)
    downgrade(empty_url, "base")
    assert [row for row in everything(empty_url) if "alembic_version" not in row[1]] == before
    migrate(empty_url)
    assert everything(empty_url) == first
    assert migrations.current(empty_url) == head()


def test_down_and_up_works_with_rows_in_the_tables(owner, owner_url, alice):
    owner.execute("insert into leads (email) values (%s)", [alice.email])
    downgrade(owner_url, "0001")
    migrate(owner_url)
    assert owner.execute("select count(*) from auth.users").fetchone() == (1,)


def test_models_equal_migrations(owner_url):
    """Columns, types, defaults and indexes, as `alembic check` compares them."""
    config = migrations.alembic_config()
    with migration_engine(owner_url) as connection:
        config.attributes["connection"] = connection
        command.check(config)


def test_tables_made_from_the_models_equal_those_of_the_migrations_to_the_letter(empty_url, owner_url):
    """Defaults, checks and foreign keys too, which `alembic check` compares loosely or not at all."""
    with migration_engine(empty_url) as connection:
        connection.execute(CreateSchema("auth"))
        connection.execute(CreateSchema("sigma"))
        connection.execute(CreateSchema("billing"))
        metadata.create_all(connection)
        connection.commit()

    def ours(url):
        kinds = ("column", "index", "constraint")
        names = ("leads", "lead_links", "consents", "profiles")
        without_a_model = ("leads_by_address", "audit_log_leads")
        return {
            row
            for row in everything(url)
            if row[0] in kinds
            and any(name in row[1] for name in names)
            and not any(name in row[1] for name in without_a_model)
        }

    assert ours(empty_url) == ours(owner_url)


def test_every_column_of_the_user_model_is_in_supabases_table_with_its_type(owner_url):
    with migration_engine(owner_url) as connection:
        found = {column["name"]: column for column in inspect(connection).get_columns("users", schema="auth")}
        for column in metadata.tables["auth.users"].columns:
            types = [kind.compile(dialect=connection.dialect) for kind in (found[column.name]["type"], column.type)]
            assert types[0] == types[1], column.name
            assert found[column.name]["nullable"] == column.nullable, column.name


def test_the_user_model_holds_no_secret():
    assert not [name for name in User.model_fields if "password" in name or "token" in name]


def test_two_processes_at_once_both_come_up(empty_url):
    program = [sys.executable, "-c", MIGRATE, empty_url]
    both = [subprocess.Popen(program, cwd=PROJECT_ROOT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert migrations.current(empty_url) == head()


def test_one_waits_for_its_turn_longer_than_for_a_table(empty_url, monkeypatch):
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT", "100ms")
    with psycopg.connect(empty_url) as other:
        other.execute("select pg_advisory_xact_lock(%s)", [migrations.ADVISORY_LOCK])
        waiting = threading.Thread(target=migrate, args=[empty_url])
        waiting.start()
        time.sleep(0.5)
        assert migrations.current(empty_url) is None
    waiting.join(timeout=30)
    assert migrations.current(empty_url) == head()


def test_a_table_that_is_in_use_makes_it_give_up_rather_than_hold_everybody_up(owner_url, monkeypatch):
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT", "100ms")
    with psycopg.connect(owner_url) as busy:
        busy.execute("select * from leads")
        with pytest.raises(MigrationError, match="try again") as refused:
            downgrade(owner_url, "0001")
    assert "\n" not in str(refused.value)
    assert migrations.current(owner_url) == head()


def test_a_revision_that_fails_leaves_nothing_behind(empty_url):
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("create table public.leads (email integer)")
    before = everything(empty_url)
    with pytest.raises(MigrationError, match="Sigma needs text") as refused:
        migrate(empty_url)
    assert "\n" not in str(refused.value)
    assert everything(empty_url) == before


def test_a_database_newer_than_the_code_is_one_line_that_says_so(owner, owner_url):
    owner.execute("update sigma.alembic_version set version_num = '0099'")
    for attempt in (migrations.current, migrate, lambda url: downgrade(url, "base")):
        with pytest.raises(
            MigrationError, match=f"at revision 0099, newer than .* knows {head()} and older"
        ) as refused:
            attempt(owner_url)
        assert "\n" not in str(refused.value)
    assert owner.execute("select version_num from sigma.alembic_version").fetchall() == [("0099",)]


def test_a_revision_to_go_to_that_there_is_none_of_is_one_line(owner_url):
    with pytest.raises(MigrationError, match="0099") as refused:
        downgrade(owner_url, "0099")
    assert "\n" not in str(refused.value)


def test_whatever_else_postgres_says_when_asked_for_the_revision_is_one_line(owner, owner_url):
    owner.execute("alter table sigma.alembic_version rename version_num to something_else")
    with pytest.raises(MigrationError, match="does not exist") as refused:
        migrate(owner_url)
    assert "\n" not in str(refused.value)


def test_progress_is_told_revision_by_revision(empty_url):
    told = []
    migrate(empty_url, told.append)
    assert [line.split()[0] for line in told] == [f"{n:04}" for n in range(1, int(head()) + 1)]
    migrate(empty_url, told.append)
    assert len(told) == int(head())


def test_an_up_to_date_database_is_recognised_without_alembic_and_fast(owner_url):
    check = "; ".join(
        (
            "import sys, time, psycopg",
            "from sigma_app.core.migrations import migrate",
            "start = time.perf_counter()",
            "migrate(sys.argv[1])",
            "print(time.perf_counter() - start, 'alembic' in sys.modules, 'sqlalchemy' in sys.modules)",
        )
    )
    done = subprocess.run(
        [sys.executable, "-c", check, owner_url], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    seconds, *imported = done.stdout.split()
    assert imported == ["False", "False"]
    assert float(seconds) < 0.3  # measured 0.01; the machine may be busy


def test_the_head_is_what_alembic_takes_for_it():
    assert ScriptDirectory.from_config(migrations.alembic_config()).get_current_head() == head()


def test_every_sql_file_belongs_to_a_revision():
    used = "".join(path.read_text() for path in VERSIONS.glob("*.py"))
    assert [path.name for path in VERSIONS.glob("*.sql") if f'run_sql("{path.name}")' not in used] == []


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://sigma:hunter2@127.0.0.1:1/sigma", "127.0.0.1"),
        ("postgresql://sigma:hunter2@nowhere.invalid/sigma", "nowhere.invalid"),
        ("postgresql://sigma:hun@ter2@localhost/sigma", "percent-encoded"),
        ("postgresql://sigma:hunter2@localhost:port/sigma", "percent-encoded"),
        ("postgresql://sigma:hun/ter2@localhost/sigma", "percent-encoded"),
    ],
)
def test_an_address_that_does_not_work_is_one_line_that_names_the_variable_and_not_the_password(url, says):
    with pytest.raises(DatabaseRefused) as refused:
        migrate(url)
    line = str(refused.value)
    assert line.startswith("DATABASE_URL: ")
    assert says in line
    assert "\n" not in line
    assert "ter2" not in line


def test_the_queue_is_the_one_that_the_migration_was_written_for():
    """A procrastinate with another schema needs a revision of its own: docs/decisions/0008-jobs.md."""
    schema = files("procrastinate.sql").joinpath("schema.sql").read_bytes()
    assert hashlib.sha256(schema).hexdigest() == QUEUE_SCHEMA
