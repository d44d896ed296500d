"""`person export` and `erase`, as an operator types them."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from zipfile import ZipFile

import psycopg
import pytest

from sigma_app.cli import erase
from sigma_app.gateways import payments
from sigma_app.gateways.database import login_address
from sigma_app.settings import get_settings
from tests.cli.test_run import assert_one_line
from tests.moving import fill
from tests.sigma import Sigma, free_port
from tests.waiting import until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def full(owner_url: str, owner: psycopg.Connection, tmp_path: Path) -> Sigma:
    """A Sigma with Alice and Bob in it, Alice on the list as well."""
    sigma = Sigma(tmp_path / "data", variables={"DATABASE_URL": owner_url})
    await fill(owner_url, sigma.data_dir)
    owner.execute("insert into leads (email) values ('Alice@example.com')")
    owner.execute("update profiles set customer_id = null, has_access = false")
    return sigma


async def test_what_is_kept_is_written_for_its_person_alone(full: Sigma, tmp_path: Path):
    file = tmp_path / "alice.zip"
    done = full.run("person", "export", "alice@example.com", "--out", str(file))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{file}: 1 lead, 1 account, 1 profile, 2 files.\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with ZipFile(file) as archive:
        assert json.loads(archive.read("data.json"))["waitlist"]["email"] == "Alice@example.com"
        assert len(archive.namelist()) == 3
    assert_one_line(full.run("person", "export", "alice@example.com", "--out", str(file)), "is there already")
    nobody = full.run("person", "export", "charlie@example.com", "--out", str(tmp_path / "charlie.zip"))
    assert_nobody(nobody, "charlie@example.com")
    assert_one_line(full.run("person", "export", "a@example.com", "--out", str(tmp_path / "no" / "a.zip")), "no/.a.zip")
    assert [name for name in os.listdir(tmp_path) if ".zip" in name] == ["alice.zip"]


async def test_erasing_prints_a_receipt_and_can_be_repeated(full: Sigma, owner: psycopg.Connection):
    done = full.run("erase", "alice@example.com", "--by", "Alice, by mail", "--yes")
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()
    assert first.startswith("alice@example.com, erased 20")
    assert first.endswith(" UTC by Alice, by mail")
    assert "  erased   1 lead, 1 account, 1 profile, 2 files" in lines
    assert "  Stripe   There was no customer." in lines
    assert any(line.startswith("  kept     Backups") for line in lines)
    emails = "select email from auth.users union all select email from leads where email ilike 'alice%'"
    assert owner.execute(emails).fetchall() == [("bob@example.com",)]
    owner.execute(
        "insert into sigma.suppressions (digest, reason) values (sha256('alice@example.com'::bytea), 'bounced')"
    )
    again = full.run("erase", "alice@example.com", "--json", "--yes")
    assert again.returncode == 0, again.stderr
    receipt = json.loads(again.stdout)
    assert not any(receipt["erased"].values())
    on_record = owner.execute("select action, subject is null from sigma.audit_log order by id").fetchall()
    assert on_record == [("person.erase", False), ("person.erase", True)]
    assert receipt["asked_by"].endswith("at the command line")


def assert_nobody(done: subprocess.CompletedProcess[str], address: str) -> None:
    """The command says that there is nobody, with a code of its own, and nothing else."""
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines()[-1].startswith(
        f"{address}: Sigma has nobody of that address, and nothing was done."
    )


async def test_an_address_of_nobodys_is_no_receipt(full: Sigma, owner: psycopg.Connection):
    assert_nobody(full.run("erase", " alicia@example.com", "--yes", "--json"), "alicia@example.com")
    assert owner.execute("select count(*) from sigma.audit_log").fetchone() == (0,)
    for command in (["erase"], ["person", "export"]):
        assert "3" in re.findall(r"with\s+(\d)", full.run(*command, "--help").stdout, re.IGNORECASE)


async def test_it_is_on_record_before_anybody_is_erased(full: Sigma, owner: psycopg.Connection, owner_url: str):
    with psycopg.connect(owner_url) as another:
        another.execute("select from leads for update")
        process = full.launch("erase", "alice@example.com", "--yes")
        waiting = "select 1 from pg_locks where not granted"
        await until(lambda: process.poll() is not None or owner.execute(waiting).fetchone())
        assert process.poll() is None, full.log.read_text()
        process.kill()
        process.wait()
        (alice,) = owner.execute("select id::text from auth.users where email like 'alice%'").fetchone() or ("",)
        assert owner.execute("select action, subject from sigma.audit_log").fetchall() == [("person.erase", alice)]


async def test_a_database_that_goes_away_half_way_is_no_start_that_failed(
    full: Sigma, owner: psycopg.Connection, owner_url: str
):
    with psycopg.connect(owner_url) as another:
        another.execute("select from leads for update")
        process = full.launch("erase", "alice@example.com", "--yes")
        waiting = "select pid from pg_locks where not granted"
        await until(lambda: process.poll() is not None or owner.execute(waiting).fetchone())
        owner.execute(f"select pg_terminate_backend(pid) from ({waiting}) as waiting".encode())
        assert process.wait(60) == 1, full.log.read_text()
    assert full.log.read_text().splitlines()[-1].startswith("The database went away half-way: some of it may be erased")
    assert full.run("erase", "alice@example.com", "--yes").returncode == 0
    assert_nobody(full.run("erase", "alice@example.com", "--yes"), "alice@example.com")


@pytest.fixture
def serving(owner_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process's settings are those of a command line beside the database."""
    monkeypatch.setenv("DATABASE_URL", owner_url)
    monkeypatch.setenv("SIGMA_DATA_DIR", str(tmp_path / "data"))
    get_settings.cache_clear()
    login_address.cache_clear()
    yield
    get_settings.cache_clear()
    login_address.cache_clear()


async def test_the_receipt_is_printed_whatever_ends_badly_afterwards(
    full: Sigma, serving: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    @asynccontextmanager
    async def ending_badly() -> AsyncIterator[None]:
        yield
        raise OSError("The connection was cut.")

    monkeypatch.setattr(payments, "reaching_stripe", ending_badly)
    with pytest.raises(OSError, match="cut"):
        await erase._erase("alice@example.com", "Alice", as_json=False)
    assert "erased   1 lead, 1 account" in capsys.readouterr().out


async def test_nobody_is_erased_without_having_been_asked_about(full: Sigma, owner: psycopg.Connection):
    assert_one_line(full.run("erase", "alice@example.com"), "--yes", "nothing was erased")
    assert owner.execute("select count(*) from auth.users").fetchone() == (2,)


async def test_an_operator_is_revoked_first(full: Sigma, owner: psycopg.Connection):
    owner.execute("update auth.users set email_confirmed_at = now()")
    assert full.run("admin", "grant", "alice@example.com").returncode == 0
    assert_one_line(full.run("erase", "alice@example.com", "--yes"), "admin revoke", "Nothing was erased")
    assert owner.execute("select count(*) from auth.users").fetchone() == (2,)
    assert full.run("admin", "revoke", "alice@example.com").returncode == 0
    assert full.run("erase", "alice@example.com", "--yes").returncode == 0
    assert owner.execute("select count(*) from auth.users").fetchone() == (1,)


async def test_where_nobody_can_say_whose_an_address_is_nothing_is_begun(full: Sigma, owner: psycopg.Connection):
    full.variables |= {
        "VITE_SUPABASE_URL": f"http://127.0.0.1:{free_port()}",
        "VITE_SUPABASE_ANON_KEY": "sb_publishable_x",
        "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_x",
    }
    assert_one_line(full.run("erase", "alice@example.com", "--yes"), "does not answer", "Nothing was erased")
    file = full.data_dir / "a.zip"
    done = full.run("person", "export", "alice@example.com", "--out", str(file))
    assert_one_line(done, "does not answer", "Nothing was written")
    assert not file.exists()
    assert owner.execute("select email from leads where email ilike 'alice%'").fetchall() == [("Alice@example.com",)]
    assert owner.execute("select count(*) from auth.users").fetchone() == (2,)
    assert owner.execute("select count(*) from sigma.audit_log").fetchone() == (0,)


async def test_what_is_left_ends_with_1_and_says_why(full: Sigma, owner: psycopg.Connection):
    owner.execute(
        "insert into billing.customers (id, user_id) select 'cus_1', id from auth.users where email like 'alice%'"
    )
    full.variables |= {
        "STRIPE_SECRET_KEY": "sk_test_wrong",
        "STRIPE_WEBHOOK_SECRET": "whsec_x",
    }  # no network, no Stripe
    done = full.run("erase", "alice@example.com", "--yes")
    assert done.returncode == 1, done.stderr
    assert "  left     account: " in done.stdout
    assert "The customer cus_1 is still there: what is left says why." in done.stdout
    assert_one_line(full.run("person", "export", "alice@example.com", "--out", str(full.data_dir / "a.zip")), "Stripe")
    assert not (full.data_dir / "a.zip").exists()
    del full.variables["STRIPE_SECRET_KEY"], full.variables["STRIPE_WEBHOOK_SECRET"]
    assert full.run("erase", "alice@example.com", "--yes").returncode == 0
    assert owner.execute("select email from auth.users").fetchall() == [("bob@example.com",)]
