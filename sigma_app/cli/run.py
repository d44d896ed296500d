"""`python -m sigma_app run`: everything on one port, until Ctrl-C or SIGTERM.

The steps that do not need each other run at once: Postgres starts and migrates in a thread while Python imports the
app. A second start finds the pages built and the schema in place, and answers within a second or two.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from typing import Any

import click
import uvicorn
from starlette.routing import BaseRoute

from sigma_app.cli import server_file, signals
from sigma_app.cli.database import ready_database_while
from sigma_app.cli.parts import describe_parts
from sigma_app.cli.progress import Steps
from sigma_app.core.errors import StartError
from sigma_app.settings import PROJECT_ROOT, Settings, get_settings

_GRACE_SECONDS = 5  # for requests in hand when the server is told to stop


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
            serve(settings, listener, pages, *backend, announce=lambda: _announce(settings, steps))
        steps.say("Stopped.")


def listen(settings: Settings) -> socket.socket:
    """The socket to serve on, taken before anything slow starts.

    Raises:
        StartError: the port is taken or may not be used; the message names it and the way out.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except (socket.gaierror, UnicodeError):  # the latter for a name that cannot be one, too long say
        raise StartError(f"HOST: {settings.host!r} is no address of this machine. Try HOST=127.0.0.1.") from None
    except OSError as error:
        raise StartError(_port_refused(settings, error)) from None
    return listener


def import_backend() -> tuple[Sequence[BaseRoute], Any]:
    """The features' routes and Reflex's ASGI application.

    Importing them is most of a warm start, so callers do it beside something else.
    """
    os.chdir(PROJECT_ROOT)  # Reflex finds rxconfig.py and .web/ from the working directory
    os.environ["REFLEX_ENV_MODE"] = "prod"
    from reflex_base.environment import environment

    environment.REFLEX_SKIP_COMPILE.set(True)
    from sigma_app.sigma_app import ROUTES, app

    return ROUTES, app()


def serve(
    settings: Settings,
    listener: socket.socket,
    pages: Path,
    routes: Sequence[BaseRoute],
    backend: Any,
    announce: Callable[[], None],
) -> None:
    """Serve until told to stop; then finish the requests in hand."""
    from sigma_app.frontend.static import MemoryFiles
    from sigma_app.serve import Site

    site = Site(MemoryFiles(pages, settings.base_url), routes, backend, settings.base_url)
    config = uvicorn.Config(
        site,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # core/origin.py reads them, and only as many as TRUSTED_PROXIES says
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ws_max_size=1024 * 1024,
    )
    server = _Server(config, announce)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        try:
            runner.run(server.serve(sockets=[listener]))
        except SystemExit:  # how uvicorn says that the application did not start, after logging why
            if server.started:
                raise
    if not server.started:
        raise StartError("Sigma did not start; the lines above say why.")


class _Server(uvicorn.Server):
    """Uvicorn, saying when it serves, and stopping in order at the first signal whatever signals follow."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]):
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if signals.leaving():  # asked before uvicorn listened to signals, or since
            self.handle_exit(signal.SIGTERM, None)
        elif self.started:
            self._announce()
            # What was imported stays for good: the collector need not look at it again while requests are served.
            gc.collect()
            gc.freeze()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        signals.leave_quietly()
        self.should_exit = True  # uvicorn's own would drop everything at a second Ctrl-C, and raise the signal again


def _port_refused(settings: Settings, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"PORT: {settings.port} is taken by another program."
            f" Stop that one, or choose another port: PORT={settings.port + 1} make run"
        )
    if error.errno == errno.EACCES:
        return f"PORT: {settings.port} may only be used by root. Choose one above 1023: PORT=3000 make run"
    return f"HOST: cannot listen on {settings.host}, port {settings.port}: {error.strerror}."


def _announce(settings: Settings, steps: Steps) -> None:
    title = f"Sigma is at {settings.base_url}"
    if elsewhere := _address_in_the_network(settings):
        title += f", and for other machines on the network at http://{elsewhere}:{settings.port}"
    steps.block(title, describe_parts(settings), "Ctrl-C stops it.")


def _address_in_the_network(settings: Settings) -> str | None:
    """Where other machines find this one, if Sigma listens on every network and no BASE_URL says otherwise.

    It is the address that the system would send from to one of those that RFC 5737 and 3849 keep for documentation.
    Connecting a UDP socket asks for the route and sends nothing.
    """
    try:
        listens_on = ip_address(settings.host)
    except ValueError:  # a name
        return None
    if settings.public_url is not None or not listens_on.is_unspecified:
        return None
    family, far_away = {4: (socket.AF_INET, "192.0.2.1"), 6: (socket.AF_INET6, "2001:db8::1")}[listens_on.version]
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far_away, 9))
            found = ip_address(probe.getsockname()[0])
    except OSError:  # no network
        return None
    if found.is_loopback or found.is_link_local:
        return None
    return f"[{found}]" if found.version == 6 else str(found)
