"""`python -m sigma_app build`: the production frontend, ahead of time (an image, a test run)."""

import click

from sigma_app.cli.progress import Steps
from sigma_app.frontend.build import ensure_built


@click.command()
def command() -> None:
    """Build the production frontend if its sources changed."""
    with Steps() as steps, steps.step("Pages") as step:
        ensure_built(step.update)
