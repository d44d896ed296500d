"""`backup` and `restore`: what is in the file, what comes back out of it, and what is refused in one line."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from sigma_app.cli import server_file
from sigma_app.cli.backup import described
from sigma_app.core.login import login_url
from sigma_app.core.migrations import current, downgrade, head
from sigma_app.embedded import postgres, postgres_layout
from sigma_app.features.operations.backup.manifest import FORMAT, Manifest, Table, Versions
from sigma_app.gateways.programs import program
from tests.backups import SECRET, Source, changed, manifest_of, rehash, rows
from tests.cli.test_run import assert_one_line, wait_until
from tests.conftest import Server, settings_for
from tests.moving import PASSWORD, PICTURE, fill, standing_in
from tests.sigma import PROJECT_ROOT, Sigma

pytestmark = pytest.mark.anyio

DIGEST = sha256(PICTURE).hexdigest()


@pytest.fixture(scope="module")
async def sealed(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed one."""
    return source.back_up(tmp_path_factory.mktemp("sealed") / "made", SIGMA_BACKUP_SECRET=SECRET)


@pytest.fixture
def target(server: Server, tmp_path: Path) -> Iterator[Sigma]:
    """A Sigma whose database is empty."""
    name = server.create()
    yield Sigma(tmp_path / "target", variables={"DATABASE_URL": server.address(name)})
    server.drop(name)


def is_empty(target: Sigma) -> bool:
    with psycopg.connect(target.variables["DATABASE_URL"]) as connection:
        found = connection.execute("select from pg_class where relnamespace::regnamespace::text !~ '^pg_|^inf'")
        return found.fetchall() == []


async def test_the_manifest_has_the_hash_of_every_member_and_nobody_else_may_read_the_file(source, backup):
    said = manifest_of(backup)
    with ZipFile(backup) as archive:
        assert set(archive.namelist()) == {
            *("database.dump", "leads_backup.csv", "profiles_backup.csv", f"files/{DIGEST}", "manifest.json")
        }
        for name, member in said["members"].items():
            data = archive.read(name)
            assert member == {"size": len(data), "sha256": sha256(data).hexdigest()}
    assert said["versions"]["schema"] == head()
    assert said["versions"]["postgres"].startswith("18.")
    assert said["tables"]["public.leads"]["rows"] == 50
    assert (said["files"], said["missing"]) == (3, [])
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert stat.S_IMODE(backup.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("many", "said"), [(1, "1 row of 1 table and 1 file, "), (1200, "2,400 rows of 2 tables and 1,200 files, ")]
)
def test_how_much_is_in_it_is_said_in_words(many: int, said: str):
    tables = {str(number): Table(many, "", {}) for number in range(min(many, 2))}
    versions = Versions("unknown", "0001", "18.1", "18.1")
    found = Manifest(FORMAT, "whole", datetime(2026, 11, 28, tzinfo=UTC), versions, tables, {}, many, [])
    assert described(found) == f"{said}as of 2026-11-28 00:00 UTC"


async def test_the_lists_are_the_documented_ones(source, backup):
    with ZipFile(backup) as archive:
        for table, first in (("leads", ["id", "email", "created_at"]), ("profiles", ["id", "name", "email", "image"])):
            read = list(csv.reader(io.StringIO(archive.read(f"{table}_backup.csv").decode())))
            assert read[0][: len(first)] == first
            emails = [row[read[0].index("email")] for row in read[1:]]
            assert sorted(emails) == sorted(json.loads(row)["email"] for row in rows(source.url, table))


async def test_what_is_restored_is_the_same_to_the_last_grant(source, backup, target):
    done = target.run("restore", str(backup))
    assert done.returncode == 0, done.stderr
    restored, keys, then = done.stdout.splitlines()
    assert restored.startswith("Restored: ")
    assert f"Before the first start, copy supabase.json and links.key into {target.data_dir}, " in keys
    assert then.startswith("Start Sigma, then: ")
    url = target.variables["DATABASE_URL"]
    for table in manifest_of(backup)["tables"]:
        assert rows(url, table) == rows(source.url, table), table
    assert schema(url) == schema(source.url)
    kept = target.data_dir / "storage" / "content" / DIGEST[:2] / DIGEST
    assert kept.read_bytes() == PICTURE
    assert [stat.S_IMODE(path.stat().st_mode) for path in (kept, kept.parent)] == [0o600, 0o700]


def schema(url: str) -> list[str]:
    """Everything but the rows, as pg_dump writes it, which puts (a or b) or c for a or b or c that was read again."""
    command = [program("pg_dump"), "--schema-only", "--restrict-key=none", "--dbname", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return said.replace("(", "").replace(")", "").splitlines()


async def test_of_the_directory_only_the_last_part_is_made(source, tmp_path):
    done = source.sigma.run("backup", "--to", str(tmp_path / "mounted" / "sigma"))
    assert_one_line(done, f"{tmp_path / 'mounted'}: there is no such directory")
    assert not (tmp_path / "mounted").exists()


async def test_on_a_new_machine_sigma_starts_and_people_sign_in(backup, tmp_path):
    """Where no role and no database of Sigma's has ever been."""
    sigma = Sigma(tmp_path / "new")
    try:
        done = sigma.run("restore", str(backup))
        assert done.returncode == 0, done.stderr
        sigma.launch("worker")
        wait_until(lambda: "Working." in sigma.log.read_text())
        url = sigma.assignments["DATABASE_URL"]
        async with standing_in(login_url(url), sigma.data_dir) as client:
            body = {"email": "alice@example.com", "password": PASSWORD}
            answer = await client.post("/auth/v1/token?grant_type=password", json=body)
            assert answer.status_code == 200, answer.text
            picture = await client.get("/storage/v1/object/avatars/alice/picture%20one.png")
            assert picture.content == PICTURE
        assert sigma.stop() == 0
    finally:
        sigma.remove()


async def test_what_holds_rows_is_refused_and_left_as_it_is(source, backup):
    before = rows(source.url, "leads")
    done = source.sigma.run("restore", str(backup))
    assert_one_line(done, "holds rows already", "50 in public.leads", "SIGMA_DATA_DIR")
    assert rows(source.url, "leads") == before


async def test_files_that_are_there_are_refused_too(backup, target):
    (target.data_dir / "storage" / "content" / "ab").mkdir(parents=True)
    (target.data_dir / "storage" / "content" / "ab" / "file").touch()
    assert_one_line(target.run("restore", str(backup)), "holds files already")
    assert is_empty(target)


async def test_one_that_was_only_started_is_as_good_as_empty(source, backup, target):
    assert target.run("migrate").returncode == 0
    done = target.run("restore", str(backup))
    assert done.returncode == 0, done.stderr
    assert rows(target.variables["DATABASE_URL"], "leads") == rows(source.url, "leads")


async def test_nothing_is_restored_beside_a_running_server(backup, target):
    with server_file.announced(settings_for(target.data_dir, PORT=target.port)):
        assert_one_line(target.run("restore", str(backup)), "is running", "Stop it first")
    assert is_empty(target)


async def test_an_older_backup_is_migrated_forward(server, template, tmp_path, target):
    name = server.create(template)
    url = server.address(name)
    try:
        downgrade(url, "0012")
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute("insert into leads (email) values ('old@example.com')")
        path = Source(Sigma(tmp_path / "old", variables={"DATABASE_URL": url}), url).back_up(tmp_path / "made")
        assert current(url) == "0012"  # making one migrates nothing
    finally:
        server.drop(name)
    done = target.run("restore", str(path))
    assert done.returncode == 0, done.stderr
    assert current(target.variables["DATABASE_URL"]) == head()
    assert '"email": "old@example.com"' in rows(target.variables["DATABASE_URL"], "leads")[0]


@pytest.mark.parametrize("what", ["schema", "format"])
async def test_a_newer_sigmas_is_refused_in_plain_words(what, backup, target, tmp_path):
    def later(said) -> None:
        if what == "schema":
            said["versions"]["schema"] = "9999"
        else:
            said["format"] = 99

    done = target.run("restore", str(changed(backup, tmp_path / "later.zip", manifest=later)))
    assert_one_line(done, "newer Sigma", "then try again")
    assert is_empty(target)


@pytest.mark.parametrize("command", ["restore", "backup verify"])
@pytest.mark.parametrize("how", ["cut short", "another dump", "no file"])
async def test_what_was_changed_or_cut_short_is_refused_before_anything_is_done(command, how, backup, target, tmp_path):
    spoilt = tmp_path / "spoilt.zip"
    if how == "cut short":
        spoilt.write_bytes(backup.read_bytes()[:-1000])
    elif how == "another dump":
        changed(backup, spoilt, lambda members: members.update({"database.dump": members["leads_backup.csv"]}))
    said = {"cut short": "cut short or was changed", "another dump": "not what was written", "no file": "is no file"}
    assert_one_line(target.run(*command.split(), str(spoilt)), said[how])
    assert is_empty(target)


@pytest.mark.parametrize("part", [0.05, 0.9])
async def test_a_dump_that_ends_too_early_changes_nothing(part, backup, target, tmp_path):
    """In its table of contents, or among its rows: as one that was written so, which no hash tells."""

    def break_it(members) -> None:
        members["database.dump"] = members["database.dump"][: int(len(members["database.dump"]) * part)]
        said = json.loads(members["manifest.json"])
        rehash(members, said)
        members["manifest.json"] = json.dumps(said).encode()

    assert_one_line(target.run("restore", str(changed(backup, tmp_path / "broken.zip", break_it))), "pg_restore: ")
    assert not [path for path in (target.data_dir / "storage").rglob("*") if path.is_file()]
    assert is_empty(target)


async def test_a_sealed_one_says_nothing_without_its_passphrase_and_everything_with_it(source, sealed, target):
    data = sealed.read_bytes()
    for word in (b"PGDMP", b"leads_backup.csv", b"example.com", PICTURE[:64]):
        assert word not in data
    assert_one_line(target.run("restore", str(sealed)), "is sealed", "SIGMA_BACKUP_SECRET")
    target.variables["SIGMA_BACKUP_SECRET"] = "another one entirely"
    assert_one_line(target.run("restore", str(sealed)), "not the passphrase")
    assert is_empty(target)
    target.variables["SIGMA_BACKUP_SECRET"] = SECRET
    done = target.run("restore", str(sealed))
    assert done.returncode == 0, done.stderr
    assert rows(target.variables["DATABASE_URL"], "leads") == rows(source.url, "leads")


@pytest.mark.parametrize("how", ["a byte", "cut short", "another's seal"])
async def test_a_sealed_one_that_was_changed_is_refused(how, sealed, source, target, tmp_path):
    spoilt = tmp_path / "spoilt.zip"
    data = sealed.read_bytes()
    if how == "a byte":
        at = len(data) // 2
        spoilt.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    elif how == "cut short":
        changed(sealed, spoilt, lambda members: members.update({"backup.zip.age": members["backup.zip.age"][:-9000]}))
    else:
        other = source.back_up(tmp_path / "other", SIGMA_BACKUP_SECRET=SECRET)
        with ZipFile(other) as theirs:
            key = theirs.read("key.age")
        changed(sealed, spoilt, lambda members: members.update({"key.age": key}))
    target.variables["SIGMA_BACKUP_SECRET"] = SECRET
    assert_one_line(target.run("restore", str(spoilt)), "Take another backup")
    assert is_empty(target)


async def test_a_sealed_one_opens_with_age_alone(sealed, tmp_path):
    """As docs/operations/backup.md has it, for who has no Sigma: here with age's other maker's library."""
    import pyrage

    with ZipFile(sealed) as outer:
        key = pyrage.passphrase.decrypt(outer.read("key.age"), SECRET).decode()  # pyright: ignore[reportAttributeAccessIssue]
        identity = pyrage.x25519.Identity.from_str(key)  # pyright: ignore[reportAttributeAccessIssue]
        inner = pyrage.decrypt(outer.read("backup.zip.age"), [identity])  # pyright: ignore[reportAttributeAccessIssue]
    with ZipFile(io.BytesIO(inner)) as archive:
        assert archive.testzip() is None
        assert "manifest.json" in archive.namelist()


def test_an_open_one_is_restored_without_sigma_as_its_page_says(source, backup, start_embedded):
    page = (PROJECT_ROOT / "docs" / "operations" / "backup.md").read_text()
    block = page.partition("## Without Sigma")[2].partition("```sh")[2].partition("```")[0]
    with start_embedded() as server:
        host = str(conninfo_to_dict(server.address("postgres"))["host"])
        environment = {"PATH": f"{program('psql').parent}:{os.defpath}", "PGHOST": host, "PGUSER": "postgres"}
        command = block.replace("FILE", str(backup))
        for end in (" &&", "\n"):  # the embedded one has made a database of the name in it
            command = command.replace(f" sigma{end}", f" empty{end}")
        subprocess.run(["bash", "-euo", "pipefail", "-c", command], env=environment, check=True)
        for table in ("auth.users", "leads"):
            assert rows(server.address("empty"), table) == rows(source.url, table)


async def test_verifying_leaves_nothing_behind(source, backup, sealed):
    sigma = Sigma(source.sigma.data_dir, variables=source.sigma.variables | {"SIGMA_BACKUP_SECRET": SECRET})
    for path in (backup, sealed):
        done = sigma.run("backup", "verify", str(path))
        assert done.returncode == 0, done.stderr
        assert f"{path.name} is whole, and can be restored: " in done.stdout
    assert not list(sigma.data_dir.glob("scratch.*"))
    homes = postgres_layout.SYSTEM_ROOT.glob("*/belongs_to")  # where root keeps clusters
    assert not [home for home in homes if str(sigma.data_dir) in home.read_text()]


async def test_rows_that_are_not_what_was_backed_up_are_found(source, backup, tmp_path):
    def other_rows(said) -> None:
        said["tables"]["public.leads"]["sha256"] = "0" * 64

    def other_columns(said) -> None:
        said["tables"]["public.leads"]["columns"]["more"] = "text"

    for change, said in (
        (other_rows, "public.leads holds other rows"),
        (other_columns, "public.leads is not there as"),
    ):
        path = changed(backup, tmp_path / f"{change.__name__}.zip", manifest=change)
        assert_one_line(source.sigma.run("backup", "verify", str(path)), said)
    assert not list(source.sigma.data_dir.glob("scratch.*"))


async def test_what_a_killed_verification_left_is_taken_away_by_the_next(source, backup):
    sigma = Sigma(source.sigma.data_dir, variables=source.sigma.variables)
    process = sigma.launch("backup", "verify", str(backup))
    wait_until(lambda: list(sigma.data_dir.glob("scratch.*/postgres.id")) or process.poll() is not None)
    process.kill()
    process.wait()
    (left,) = sigma.data_dir.glob("scratch.*")
    cluster = postgres.locate(settings_for(left))
    assert sigma.run("backup", "verify", str(backup)).returncode == 0
    assert not left.exists()
    assert not cluster.running
    assert not cluster.layout.home.exists()


class Waiting:
    """A backup that waits at a stored file, the dump already written."""

    def __init__(self, owner_url: str, tmp_path: Path) -> None:
        self.sigma = Sigma(tmp_path / "data", variables={"DATABASE_URL": owner_url})
        self.directory = tmp_path / "backups"
        self.content = self.sigma.data_dir / "storage" / "content" / DIGEST[:2] / DIGEST

    def start(self) -> subprocess.Popen[str]:
        self.content.unlink()
        os.mkfifo(self.content)  # who opens it waits until somebody writes
        process = self.sigma.launch("backup", "--to", str(self.directory))
        wait_until(lambda: self.drafts() and self.drafts()[0].stat().st_size > 20_000)
        return process

    def drafts(self) -> list[Path]:
        return list(self.directory.glob(".*"))

    def go_on(self) -> None:
        self.content.unlink()
        self.content.write_bytes(PICTURE)


@pytest.fixture(params=["open", "sealed"])
async def waiting(request, owner_url: str, tmp_path: Path) -> Waiting:
    waiting = Waiting(owner_url, tmp_path)
    await fill(owner_url, waiting.sigma.data_dir)
    if request.param == "sealed":
        waiting.sigma.variables["SIGMA_BACKUP_SECRET"] = SECRET
    return waiting


async def test_killed_half_way_it_leaves_nothing_that_passes_for_a_backup(waiting: Waiting):
    process = waiting.start()
    process.kill()
    process.wait()
    (draft,) = waiting.directory.iterdir()
    listed = waiting.sigma.run("backup", "list", str(waiting.directory))
    assert (listed.returncode, listed.stdout) == (1, "")
    assert_one_line(waiting.sigma.run("backup", "verify", str(draft)), "cut short or was changed")
    waiting.go_on()
    assert waiting.sigma.run("backup", "--to", str(waiting.directory)).returncode == 0
    (made,) = waiting.directory.iterdir()  # and the draft is gone
    assert made != draft


async def test_interrupted_it_leaves_nothing(waiting: Waiting):
    process = waiting.start()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 128 + signal.SIGINT
    assert "Stopped; no backup was made." in waiting.sigma.log.read_text()
    assert list(waiting.directory.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with hardly any room."""
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs takes root")
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", place], capture_output=True).returncode:
        pytest.skip("no tmpfs can be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("secret", ["", SECRET])
async def test_a_full_disk_is_one_line_and_leaves_nothing(source, small_disk, secret):
    sigma = Sigma(source.sigma.data_dir, variables=source.sigma.variables | {"SIGMA_BACKUP_SECRET": secret})
    done = sigma.run("backup", "--to", str(small_disk))
    assert_one_line(done, str(small_disk), "No space left on device", "name another directory")
    assert list(small_disk.iterdir()) == []


async def test_a_file_that_was_removed_meanwhile_is_named_and_one_that_the_disk_changed_is_refused(owner_url, tmp_path):
    waiting = Waiting(owner_url, tmp_path)
    await fill(owner_url, waiting.sigma.data_dir)
    waiting.content.unlink()
    done = waiting.sigma.run("backup", "--to", str(waiting.directory))
    assert done.returncode == 0
    assert "3 files were removed meanwhile" in done.stderr
    (path,) = waiting.directory.iterdir()
    assert sorted(manifest_of(path)["missing"]) == [
        *("avatars/alice", "avatars/alice/picture one.png", "avatars/bob/the same.png")
    ]
    assert waiting.sigma.run("backup", "verify", str(path)).returncode == 0
    waiting.content.write_bytes(b"something else")
    done = waiting.sigma.run("backup", "--to", str(tmp_path / "second"))
    assert_one_line(done, str(waiting.content), "does not hold what its name says")
    assert list((tmp_path / "second").iterdir()) == []


async def test_in_its_directory_older_ones_go_by_the_rule_and_elsewhere_none(source, tmp_path):
    directory = tmp_path / "kept"
    directory.mkdir()
    old = [directory / f"sigma-202001{day:02}T020000Z.zip" for day in range(1, 9)]
    for path in [*old, directory / "notes.txt"]:
        path.touch()
    variables = source.sigma.variables | {
        "SIGMA_BACKUP_DIR": str(directory),
        "SIGMA_BACKUP_KEEP_DAILY": "3",
        "SIGMA_BACKUP_KEEP_WEEKLY": "0",
        "SIGMA_BACKUP_KEEP_MONTHLY": "0",
    }
    sigma = Sigma(source.sigma.data_dir, variables=variables)
    assert sigma.run("backup", "--to", str(tmp_path / "elsewhere")).returncode == 0
    assert all(path.exists() for path in old)
    done = sigma.run("backup")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Removed sigma-2020") == 6
    left = {path.name for path in directory.iterdir()}
    assert {"notes.txt", old[-1].name, old[-2].name} < left
    assert len(left) == 4
    listed = sigma.run("backup", "list").stdout.splitlines()
    assert len(listed) == 3
    assert listed[0].split()[0] not in {path.name for path in old}
    shutil.rmtree(directory)
    assert_one_line(sigma.run("backup", "verify"), "no backup in", "python -m sigma_app backup")


async def test_what_cannot_be_is_one_line(source, target, tmp_path):
    for command, naming in (("", "--to DIRECTORY"), ("list", "list DIRECTORY"), ("verify", "verify FILE")):
        done = source.sigma.run("backup", *command.split())
        assert_one_line(done, f"Type: python -m sigma_app backup {naming}.", "SIGMA_BACKUP_DIR")
    (tmp_path / "file").touch()
    assert_one_line(source.sigma.run("backup", "--to", str(tmp_path / "file")), str(tmp_path / "file"))
    assert_one_line(target.run("backup", "--to", str(tmp_path / "b")), "nothing to back up")
    assert_one_line(source.sigma.run("backup", "--to", str(tmp_path / "b"), "--seal"), "SIGMA_BACKUP_SECRET")
    assert not (tmp_path / "b").exists()


async def test_the_embedded_one_is_backed_up_and_stopped_again(tmp_path):
    sigma = Sigma(tmp_path / "data")
    try:
        assert sigma.run("migrate").returncode == 0
        done = sigma.run("backup", "--to", str(tmp_path / "made"))
        assert done.returncode == 0, done.stderr
        assert not postgres.locate(settings_for(sigma.data_dir)).running
    finally:
        sigma.remove()


async def test_a_supabase_project_is_not_filled_with_sigmas_own_accounts(backup, target):
    with psycopg.connect(target.variables["DATABASE_URL"], autocommit=True) as owner:
        owner.execute("create schema auth")
    assert_one_line(target.run("restore", str(backup)), "Supabase project", "export-supabase")
