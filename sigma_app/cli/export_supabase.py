"""`python -m sigma_app export-supabase`: takes users, leads and files along to a hosted Supabase project."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from sigma_app.cli import server_file, signals
from sigma_app.cli.database import migrated_database
from sigma_app.cli.progress import bar
from sigma_app.core.errors import StartError
from sigma_app.core.migrations import lays_auth
from sigma_app.gateways.database import owner_url
from sigma_app.settings import Settings, get_settings

_MOST_NAMED = 20


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--upload", is_flag=True, help="Send the files of an export to the project of VITE_SUPABASE_URL.")
def command(directory: Path, upload: bool) -> None:
    """Write what the embedded Supabase keeps into a new DIRECTORY: users, profiles, leads, files.

    A hosted project takes data.sql with psql, and the files with --upload, once the environment names that project;
    docs/supabase.md has the steps. Passwords stay good; everybody signs in anew. What is written holds everybody's
    address: its files are for nobody but you.
    """
    settings = get_settings()
    if upload:
        _upload(directory, settings)
        return
    if settings.is_hosted("auth"):
        raise StartError(
            "VITE_SUPABASE_URL: an export is of what the stand-in keeps here, not of the project that this names."
            " Remove it and its keys, and set DATABASE_URL back, until the export is made."
        )
    if server := server_file.find(settings):
        print(f"{server.base_url} is running; what is written there from now on does not move.", file=sys.stderr)
    rows = None
    try:
        with migrated_database(settings, lambda _: None), _draft_of(directory) as draft, signals.interruptible():
            rows = _write(settings, draft)
    except signals.Leave:
        if rows is None:
            print("Stopped; nothing was written.", file=sys.stderr)
        raise
    print("\n".join(f"{count:>10} {what}" for what, count in rows.items()))
    print(f"Written to {directory}. What comes next is in docs/supabase.md.")


def _upload(directory: Path, settings: Settings) -> None:
    from sigma_app.cli.uploading import upload_files

    try:
        signals.run_until_told(upload_files(directory, settings))
    except signals.Leave:
        print("Stopped; call it again: what was sent stays.", file=sys.stderr)
        raise


@contextmanager
def _draft_of(directory: Path) -> Iterator[Path]:
    """A new directory beside `directory`, renamed to it at the end of the block: there is never half of an export.

    Raises:
        StartError: something is there already, or nothing can be.
    """
    if os.path.lexists(directory):
        raise StartError(f"{directory} is there already. Name a new directory.")
    parent = os.path.abspath(directory.parent)
    try:
        draft = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=parent))
    except OSError as error:
        raise StartError(f"{parent}: {error.strerror}. Make it, or name a directory elsewhere.") from None
    try:
        yield draft
        draft.rename(directory)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _write(settings: Settings, draft: Path) -> dict[str, int]:
    """Write the export, and say what does not move.

    Raises:
        StartError: there is nothing of ours to export, or not all of it.
    """
    from sigma_app.embedded.supabase import export
    from sigma_app.embedded.supabase.left_out import left_out

    if not lays_auth(owner_url(settings)):
        raise StartError("DATABASE_URL: that is a Supabase project already; there is nothing to move.")
    with export.snapshot(owner_url(settings)) as connection, bar("Writing", export.count(connection)) as advance:
        if jobs := export.waiting_jobs(connection):
            print(f"Jobs that wait do not move, and {jobs} do: python -m sigma_app jobs", file=sys.stderr)
        if others := left_out(connection):
            print(f"Not Sigma's, so left out (docs/supabase.md): {_named(others)}", file=sys.stderr)
        return export.write(connection, settings.data_dir / "storage", draft, others, advance)


def _named(others: Sequence[str]) -> str:
    """How many they are and what they are called, on one line that can still be read."""
    more = len(others) - _MOST_NAMED
    named = ", ".join(others[:_MOST_NAMED]) + (f" and {more} more, in manifest.json" if more > 0 else "")
    return f"{len(others)}, {named}."
