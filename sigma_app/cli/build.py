"""`python -m sigma_app build`: the production frontend, ahead of time (an image, a test run)."""

import click

from sigma_app.cli.progress import Steps
from sigma_app.frontend.build import ensure_built
from sigma_app.settings import get_settings


@click.command()
def command() -> None:
    """Build the production frontend if its sources changed."""
    get_settings()  # the export reads them too, and would put many lines around a mistake
    with Steps() as steps, steps.step("Pages") as step:
        ensure_built(step.update)
