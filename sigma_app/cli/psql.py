"""`python -m sigma_app psql`: psql on Sigma's database, as its owner."""

import os
import subprocess
import sys

import click
from psycopg.conninfo import make_conninfo

from sigma_app.cli import signals
from sigma_app.cli.database import bring_up_to_date, running_database
from sigma_app.core.connecting import parse
from sigma_app.core.migrations import current
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
    with signals.deferred(), running_database(settings, lambda _: None):
        if not settings.is_hosted("database") and current(owner_url(settings)) is None:
            print("The embedded database is new; laying its schema.", file=sys.stderr)
            bring_up_to_date(settings, lambda _: None)
        psql = postgres.locate(settings).bin / "psql"
        address, environment = _without_password(owner_url(settings))
        with signals.left_to_a_child(), signals.interruptible():  # there, Ctrl-C cancels a query
            done = subprocess.run([psql, "--dbname", address, *arguments], env={**os.environ, **environment})
    sys.exit(done.returncode)


def _without_password(url: str) -> tuple[str, dict[str, str]]:
    """An address for a command line, which every user of the machine can see, and the password for its environment."""
    parameters = parse(url)
    password = parameters.pop("password", None)
    return make_conninfo(**parameters), {} if password is None else {"PGPASSWORD": password}
