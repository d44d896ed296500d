"""Serving an application until Ctrl-C or SIGTERM: the socket, taken early, and uvicorn, which stops in order."""

from __future__ import annotations

import asyncio
import errno
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from sigma_app.cli import signals
from sigma_app.cli.connections import bounded_protocols
from sigma_app.core import logs
from sigma_app.core.body import bounded
from sigma_app.core.error_shape import shaped
from sigma_app.core.errors import StartError
from sigma_app.core.headers import hardened
from sigma_app.core.hosts import answering_to_its_names
from sigma_app.core.metrics import measured
from sigma_app.core.requests import Apology, identified
from sigma_app.core.sockets import paced
from sigma_app.core.spans import traced
from sigma_app.settings import Settings

_GRACE_SECONDS = 5  # for requests in hand when the server is told to stop
# For a connection that nobody uses: longer than clients keep theirs, httpx for 5 seconds and proxies for up to 60, or
# one would now and then send a request into a connection that is just being closed.
_IDLE_SECONDS = 75
_LARGEST_MESSAGE = 256 * 1024  # bytes of a page's event, which is a form at most; it is held in memory


def listen(
    settings: Settings, elsewhere: str = "PORT={} make run", *, port: int | None = None, variable: str = "PORT"
) -> socket.socket:
    """The socket to serve on, taken before anything slow starts.

    Args:
        settings: where to listen.
        elsewhere: the command that does the same on another port, "{}" in it.
        port: another one than PORT.
        variable: what names that one.

    Raises:
        StartError: the port is taken or may not be used; the message names it and the way out.
    """
    port = port or settings.port
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            if not settings.trusted_proxies:  # a proxy asks another backend until this one, which then listens, answers
                listener.listen(2048)
        except OSError:
            listener.close()
            raise
    except (socket.gaierror, UnicodeError):  # the latter for a name that cannot be one, too long say
        raise StartError(f"HOST: {settings.host!r} is no address of this machine. Try HOST=127.0.0.1.") from None
    except OSError as error:
        raise StartError(_port_refused(settings.host, port, variable, error, elsewhere)) from None
    return listener


def serve(
    application: ASGIApp,
    settings: Settings,
    listener: socket.socket,
    announce: Callable[[], None],
    apologize: Apology = lambda *_: None,
    larger_bodies: Mapping[str, int] | None = None,
) -> None:
    """Serve until told to stop; then finish the requests in hand.

    Args:
        application: answers; what every answer has besides, it gets here.
        settings: where people come from, and what is logged how.
        listener: from `listen`.
        announce: called once it serves.
        apologize: the page of what failed (core/requests.py).
        larger_bodies: by path, the bytes that a door takes if they are many (core/body.py).

    Raises:
        StartError: the application did not start, and has logged why.
    """
    logs.configure(as_json=settings.env == "production")
    config = _config(application, settings, apologize, larger_bodies)
    server = _Server(config, announce)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        try:
            runner.run(server.serve(sockets=[listener]))
        except OSError as error:
            raise StartError(_port_refused(settings.host, settings.port, "PORT", error, "PORT={} make run")) from None
        except SystemExit:  # how uvicorn says that the application did not start, after logging why
            if server.started:
                raise
    if not server.started:
        raise StartError("Sigma did not start; the lines above say why.")


@asynccontextmanager
async def serving_beside(application: ASGIApp, settings: Settings, listener: socket.socket) -> AsyncIterator[None]:
    """Serve inside the block, in a process whose business is another; it ends with the block and hears no signal."""
    server = _Beside(_config(application, settings))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def _config(
    application: ASGIApp,
    settings: Settings,
    apologize: Apology = lambda *_: None,
    larger_bodies: Mapping[str, int] | None = None,
) -> uvicorn.Config:
    guarded = answering_to_its_names(paced(bounded(application, larger_bodies or {}), settings), settings)
    return uvicorn.Config(
        hardened(measured(identified(traced(shaped(guarded)), settings.trusted_proxies, apologize)), settings.base_url),
        **bounded_protocols(),
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # core/origin.py reads them, and only as many as TRUSTED_PROXIES says
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_keep_alive=_IDLE_SECONDS,
        ws_max_size=_LARGEST_MESSAGE,
    )


class _Beside(uvicorn.Server):
    """Uvicorn that leaves signals to whoever started it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


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


def _port_refused(host: str, port: int, variable: str, error: OSError, elsewhere: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"{variable}: {port} is taken by another program."
            f" Stop that one, or choose another port: {elsewhere.format(port + 1)}"
        )
    if error.errno == errno.EACCES:
        return f"{variable}: {port} may only be used by root. Choose one above 1023: {elsewhere.format(3000)}"
    return f"HOST: cannot listen on {host}, port {port}: {error.strerror}."


def address_in_the_network(settings: Settings) -> str | None:
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
