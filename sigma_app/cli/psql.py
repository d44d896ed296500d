"""`python -m sigma_app psql`: psql on Sigma's database, as its owner."""

import subprocess
import sys

import click

from sigma_app.cli import signals
from sigma_app.cli.database import running_database
from sigma_app.gateways.database import owner_url
from sigma_app.gateways.programs import address_and_environment, program
from sigma_app.settings import get_settings


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Open psql on Sigma's database, as its owner. What follows -- goes to psql.

    Example: python -m sigma_app psql -- -c 'select count(*) from leads'
    """
    settings = get_settings()
    with signals.deferred(), running_database(settings, lambda _: None):
        address, environment = address_and_environment(owner_url(settings))
        with signals.left_to_a_child(), signals.interruptible():  # there, Ctrl-C cancels a query
            done = subprocess.run([program("psql"), "--dbname", address, *arguments], env=environment)
    sys.exit(done.returncode)
