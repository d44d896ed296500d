"""`python -m sigma_app psql`: psql on Sigma's database, as its owner."""

import subprocess
import sys

import click

from sigma_app.cli.database import migrated_database
from sigma_app.embedded import postgres
from sigma_app.gateways.database import owner_url
from sigma_app.settings import get_settings


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Open psql on Sigma's database, as its owner. What follows -- goes to psql.

    Example: python -m sigma_app psql -- -c 'select count(*) from leads'
    """
    settings = get_settings()
    with migrated_database(settings, lambda _: None):
        psql = postgres.locate(settings).bin / "psql"
        done = subprocess.run([psql, "--dbname", owner_url(settings), *arguments])
    sys.exit(done.returncode)
