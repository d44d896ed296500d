"""`python -m sigma_app dev`: hot reload, through `reflex run`, with the database that a normal start would use."""

import os
import subprocess
import sys

import click

from sigma_app.cli.database import migrated_database
from sigma_app.cli.progress import Steps
from sigma_app.cli.run import listen
from sigma_app.frontend import toolchain
from sigma_app.settings import PROJECT_ROOT, get_settings

_BACKEND_OFFSET = 5000  # the API's port is this far above the pages': 3000 and 8000


@click.command()
def command() -> None:
    """Start Sigma with hot reload: pages on PORT, the API 5000 above it."""
    settings = get_settings()
    listen(settings).close()  # says so now if the port is taken; Reflex would silently take another
    environment = {
        **toolchain.environment(os.environ),
        "REFLEX_USE_NPM": "1",
        "REFLEX_API_URL": f"http://localhost:{settings.port + _BACKEND_OFFSET}",
    }
    ports = ["--frontend-port", str(settings.port), "--backend-port", str(settings.port + _BACKEND_OFFSET)]
    with Steps() as steps:
        with steps.step("Database") as step:
            database = migrated_database(settings, step.update)
            database.__enter__()
        try:
            command_line = [sys.executable, "-m", "reflex", "run", "--env", "dev", *ports]
            done = subprocess.run(command_line, cwd=PROJECT_ROOT, env=environment)
        finally:
            database.__exit__(None, None, None)
    sys.exit(done.returncode)
