"""`python -m sigma_app backup`: one file with everything in it; `backup list` and `backup verify` look after those."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.filesize import decimal

from sigma_app.cli import signals
from sigma_app.cli.database import running_database
from sigma_app.cli.progress import Steps, transfer
from sigma_app.core.errors import StartError
from sigma_app.core.words import counted
from sigma_app.settings import Settings, get_settings

if TYPE_CHECKING:
    from zipfile import ZipFile

    from sigma_app.features.operations.backup.keeping import Kept
    from sigma_app.features.operations.backup.manifest import Manifest

SHORTEST = 12  # characters of a passphrase, as SIGMA_BACKUP_SECRET

_place = click.Path(path_type=Path)


@click.group(invoke_without_command=True)
@click.option("--to", "directory", type=_place, help="The directory to write to; SIGMA_BACKUP_DIR unless given.")
@click.option("--seal", is_flag=True, help="Ask for a passphrase to seal it with, where SIGMA_BACKUP_SECRET has none.")
@click.pass_context
def command(context: click.Context, directory: Path | None, seal: bool) -> None:
    """Write everything into one file: the whole database, the stored files, leads and profiles as CSV, and a manifest.

    Works while Sigma runs. In SIGMA_BACKUP_DIR older backups are removed afterwards, by SIGMA_BACKUP_KEEP_…. The keys
    in the data directory and the environment are not in it: docs/operations/backup.md.
    """
    if context.invoked_subcommand is None:
        _back_up(get_settings(), directory, seal)


@command.command("list")
@click.argument("directory", type=_place, required=False)
def list_command(directory: Path | None) -> None:
    """Show the backups in DIRECTORY, or in SIGMA_BACKUP_DIR."""
    from sigma_app.features.operations.backup.keeping import backups_in

    place = _directory(get_settings(), directory, "list DIRECTORY")
    found = backups_in(place)
    for kept in found:
        what = "sealed" if kept.sealed else "open"
        size = decimal(kept.path.stat().st_size)
        print(f"{kept.path.name:<36}  {_moment(kept.made_at)}  {_age(kept):>9}  {size:>9}  {what}")
    if not found:
        print(f"There is no backup in {place}.", file=sys.stderr)
        sys.exit(1)


@command.command("verify")
@click.argument("file", type=_place, required=False)
def verify_command(file: Path | None) -> None:
    """Restore FILE, or the newest in SIGMA_BACKUP_DIR, into a scratch Postgres, and compare every row and every file.

    Nothing that serves is touched, and nothing is left of it.
    """
    from sigma_app.features.operations.backup.verifying import verify

    settings = get_settings()
    path = file or _newest(_directory(settings, None, "verify FILE")).path
    with opened(settings, path) as (archive, found), Steps() as steps, steps.step("Verify") as step:
        verify(settings, archive, found, step.update)
    print(f"{path.name} is whole, and can be restored: {described(found)}.")
    _warn_of_missing(found)


@contextmanager
def opened(settings: Settings, path: Path) -> Iterator[tuple[ZipFile, Manifest]]:
    """A backup, each of whose members was compared with its manifest.

    Raises:
        StartError: it cannot be opened, or is not what was written.
    """
    from sigma_app.features.operations.backup import container

    with container.reading(path, passphrase_of(settings)) as archive:
        found = container.manifest_of(archive)
        with transfer("Checking", sum(member.size for member in found.members.values())) as advance:
            container.check(archive, found, advance)
        yield archive, found


def passphrase_of(settings: Settings) -> Callable[[], str | None]:
    """What tells the passphrase of a sealed backup: the setting, or who sits at the terminal."""

    def ask() -> str | None:
        if settings.backup_secret:
            return settings.backup_secret.get_secret_value()
        return click.prompt("Passphrase", hide_input=True, err=True) if sys.stdin.isatty() else None

    return ask


def described(found: Manifest) -> str:
    """What is in a backup, in words."""
    rows = sum(table.rows for table in found.tables.values())
    held = f"{counted(rows, 'row')} of {counted(len(found.tables), 'table')} and {counted(found.files, 'file')}"
    return f"{held}, as of {_moment(found.made_at)}"


def _back_up(settings: Settings, directory: Path | None, seal: bool) -> None:
    from sigma_app.features.operations.backup import keeping, making

    place = _directory(settings, directory, "--to DIRECTORY")
    passphrase = settings.backup_secret.get_secret_value() if settings.backup_secret else None
    if seal and not passphrase:
        passphrase = _new_passphrase()
    made = None
    try:
        with (
            signals.deferred(),
            running_database(settings, lambda _: None),
            signals.interruptible(),
            transfer("Backing up", making.total(settings)) as advance,
        ):
            made = making.make(settings, place, passphrase, advance)
    except signals.Leave:
        if made is None:
            print("Stopped; no backup was made.", file=sys.stderr)
        raise
    print(f"{made.path}: {described(made.manifest)}, {decimal(made.size)}.")
    _warn_of_missing(made.manifest)
    if passphrase is None:
        print(
            "It is not sealed: whoever has it has everybody's address. SIGMA_BACKUP_SECRET seals it.", file=sys.stderr
        )
    if settings.backup_dir and place.resolve() == settings.backup_dir.resolve():
        for gone in keeping.rotate(place, _rule(settings)):
            print(f"Removed {gone.name}.")


def _new_passphrase() -> str:
    if not sys.stdin.isatty():
        raise StartError("--seal asks for a passphrase, and nobody sits here. Set SIGMA_BACKUP_SECRET.")
    given = click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    if len(given) < SHORTEST:
        raise StartError(f"A passphrase has {SHORTEST} characters or more. No backup was made.")
    return given


def _directory(settings: Settings, given: Path | None, naming: str) -> Path:
    """Where backups are; `naming` is what names it on the command line."""
    place = given or settings.backup_dir
    if place is None:
        raise StartError(f"Which one? Type: python -m sigma_app backup {naming}. SIGMA_BACKUP_DIR names it for good.")
    return place


def _newest(directory: Path) -> Kept:
    from sigma_app.features.operations.backup.keeping import backups_in

    found = backups_in(directory)
    if not found:
        raise StartError(f"There is no backup in {directory}. Make one: python -m sigma_app backup.")
    return found[0]


def _warn_of_missing(found: Manifest) -> None:
    if found.kind == "project":
        print("Stored files are Supabase's, and not in it: docs/operations/backup.md.", file=sys.stderr)
    if found.missing:
        removed = counted(len(found.missing), "file was", "files were")
        print(f"{removed} removed meanwhile, and not backed up; its manifest names them.", file=sys.stderr)


def _rule(settings: Settings):
    from sigma_app.features.operations.backup.keeping import Rule

    return Rule(settings.backup_keep_daily, settings.backup_keep_weekly, settings.backup_keep_monthly)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _age(kept: Kept) -> str:
    hours = int((datetime.now(UTC) - kept.made_at).total_seconds() // 3600)
    return f"{hours} h old" if hours < 48 else f"{hours // 24} d old"
