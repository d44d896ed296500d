"""`python -m sigma_app migrate`: the schema, ahead of a start (a deployment, a hosted database)."""

import click

from sigma_app.cli.database import migrated_database
from sigma_app.cli.progress import Steps
from sigma_app.settings import get_settings


@click.command()
def command() -> None:
    """Bring the database's schema to the newest version. Safe to run twice, and from several places at once."""
    with Steps() as steps, steps.step("Database") as step, migrated_database(get_settings(), step.update, new=True):
        pass
