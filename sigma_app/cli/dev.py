"""`python -m sigma_app dev`: hot reload, through `reflex run`, with the database that a normal start would use."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress

import click

from sigma_app.cli import signals
from sigma_app.cli.database import migrated_database, open_to_requests
from sigma_app.cli.progress import Steps
from sigma_app.cli.serving import listen
from sigma_app.core.errors import StartError
from sigma_app.frontend import toolchain
from sigma_app.settings import PROJECT_ROOT, get_settings

_GRACE_SECONDS = 5
HIGHEST_PORT = 65535
BACKEND_OFFSET = 5000  # the API's port is this far above the pages': 3000 and 8000


@click.command()
def command() -> None:
    """Start Sigma with hot reload: pages on PORT, the API 5000 above it."""
    settings = get_settings()
    if settings.port + BACKEND_OFFSET > HIGHEST_PORT:
        raise StartError(
            f"PORT: {settings.port} leaves no room for the API's, {BACKEND_OFFSET} above. Choose a lower one."
        )
    listen(settings).close()  # says so now if the port is taken; Reflex would silently take another
    environment = {
        **toolchain.environment(os.environ),
        "REFLEX_USE_NPM": "1",
        "REFLEX_API_URL": f"http://localhost:{settings.port + BACKEND_OFFSET}",
    }
    ports = ["--frontend-port", str(settings.port), "--backend-port", str(settings.port + BACKEND_OFFSET)]
    reflex = [sys.executable, "-m", "reflex", "run", "--env", "dev", "--backend-host", "127.0.0.1", *ports]
    code = 0
    with ExitStack() as stack:
        with Steps() as steps, steps.step("Database") as step:
            stack.enter_context(migrated_database(settings, step.update, new=True))
            open_to_requests(settings)  # says so now if they are refused; Reflex would take many lines
        process = subprocess.Popen(reflex, cwd=PROJECT_ROOT, env=environment, start_new_session=True)
        stack.callback(_end, process)
        with suppress(signals.Leave), signals.interruptible():
            code = process.wait()
    sys.exit(code)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop Reflex with the servers it started; alone, it leaves Vite behind."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, how)
            process.wait(timeout=_GRACE_SECONDS)
