"""`python -m sigma_app run`: everything on one port, until Ctrl-C or SIGTERM.

The steps that do not need each other run at once: Postgres starts and migrates in a thread while Python imports the
app. A second start finds the pages built and the schema in place, and answers within a second or two.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from socket import socket

import click
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from sigma_app.cli import server_file
from sigma_app.cli.database import ready_database_while
from sigma_app.cli.parts import describe_parts
from sigma_app.cli.progress import Steps
from sigma_app.cli.serving import address_in_the_network, listen, serve
from sigma_app.gateways.telemetry import telling
from sigma_app.settings import PROJECT_ROOT, Settings, get_settings


@click.command()
def command() -> None:
    """Start Sigma: pages, websocket and API on one port."""
    settings = get_settings()
    listener = listen(settings)
    with Steps() as steps:
        with steps.step("Pages") as step:
            from sigma_app.frontend.build import ensure_built

            pages = ensure_built(step.update)
        with (
            ready_database_while(settings, steps, import_backend) as backend,
            server_file.announced(settings),
        ):
            _serve(settings, pages, backend, listener, lambda: _announce(settings, steps))
        steps.say("Stopped.")


def import_backend() -> tuple[Sequence[BaseRoute], ASGIApp]:
    """The features' routes and Reflex's ASGI application.

    Importing them is most of a warm start, so callers do it beside something else.
    """
    os.chdir(PROJECT_ROOT)  # Reflex finds rxconfig.py and .web/ from the working directory
    os.environ["REFLEX_ENV_MODE"] = "prod"
    from reflex_base.environment import environment

    environment.REFLEX_SKIP_COMPILE.set(True)
    from sigma_app.sigma_app import ROUTES, app

    return ROUTES, app()


def _serve(
    settings: Settings,
    pages: Path,
    backend: tuple[Sequence[BaseRoute], ASGIApp],
    listener: socket,
    announce: Callable[[], None],
) -> None:
    from sigma_app.frontend.static import MemoryFiles
    from sigma_app.serve import Site
    from sigma_app.sigma_app import LARGER_BODIES

    site = Site(MemoryFiles(pages, settings.base_url), *backend, settings.base_url)
    with telling(settings):
        serve(site, settings, listener, announce, site.apologize, LARGER_BODIES)


def _announce(settings: Settings, steps: Steps) -> None:
    title = f"Sigma is at {settings.base_url}"
    if elsewhere := address_in_the_network(settings):
        title += f", and for other machines on the network at http://{elsewhere}:{settings.port}"
    console = (
        "console",
        "local",
        f"{settings.base_url}/admin; python -m sigma_app admin grant EMAIL lets an account in",
    )
    steps.block(title, [*describe_parts(settings), console], "Ctrl-C stops it.")
