"""`python -m sigma_app supabase`: the stand-in for Supabase alone, on a port and a database of its own.

So "hosted" can be tried for real: the app in one process, this in another, joined by environment alone. It reads the
same variables as the app, about itself; but for those that would point it at another Supabase, since it is that one.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import click
from starlette.types import ASGIApp

from sigma_app import settings as environment
from sigma_app.cli import server_file
from sigma_app.cli.access import print_assignments, supabase_assignments
from sigma_app.cli.database import ready_database_while
from sigma_app.cli.parts import describe_mail
from sigma_app.cli.progress import Steps
from sigma_app.cli.serving import address_in_the_network, listen, serve
from sigma_app.gateways.database import owner_url
from sigma_app.settings import PROJECT_ROOT, Settings

PORT = 54321  # of Supabase's own command line
APP = "http://localhost:3000"

_IGNORED = dict.fromkeys(("VITE_SUPABASE_URL", "VITE_SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY"))


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help=f"Where to listen; {PORT} unless PORT says otherwise.")
@click.option("--env", "as_assignments", is_flag=True, help="Print what joins an app to it, as shell assignments.")
def command(port: int | None, as_assignments: bool) -> None:
    """Serve the embedded Supabase alone: auth, REST and storage, on a database of its own.

    Its keys, its files and its Postgres are in the directory `supabase` of the data directory. To join an app to it,
    with the same --port if there is one:

    \b
      (env=$(.venv/bin/python -m sigma_app supabase --env) && set -a && eval "$env" && make run)
    """
    settings = own_settings(port)
    environment.settle(settings)
    if as_assignments:
        print_assignments(assignments(settings))
        return
    listener = listen(settings, "python -m sigma_app supabase --port {}")
    with Steps() as steps:
        with (
            ready_database_while(settings, steps, lambda: application(settings)) as alone,
            server_file.announced(settings),
        ):
            serve(alone, settings, listener, lambda: _announce(settings, steps))
        steps.say("Stopped.")


def own_settings(port: int | None = None) -> Settings:
    """What the environment says to the stand-in.

    `PORT` and `BASE_URL` are about itself; where the app is says `GOTRUE_SITE_URL`.

    Raises:
        SettingsError: one line for each variable at fault.
    """
    read = environment.load(**_IGNORED)
    taken = read.port if "port" in read.model_fields_set else PORT
    own = {"PORT": port or taken, "SIGMA_DATA_DIR": read.data_dir / "supabase"}
    return Settings(**_IGNORED, **own, GOTRUE_SITE_URL=read.auth_site_url or APP)  # pyright: ignore[reportCallIssue]


def assignments(settings: Settings) -> dict[str, str]:
    """What joins an app to it: the address of the running stand-in (else the configured one), both keys, and its
    database with the owner's rights, as a hosted project gives it."""
    server = server_file.find(settings, serving_auth=True)
    base_url = server.base_url if server else settings.base_url
    return supabase_assignments(settings, base_url) | {"DATABASE_URL": owner_url(settings)}


def joining(settings: Settings) -> str:
    """A line for a shell in the project's directory, that starts an app joined to the stand-in, or nothing at all."""
    python = Path(sys.executable)
    if python.is_relative_to(PROJECT_ROOT):
        python = python.relative_to(PROJECT_ROOT)
    port = "" if settings.port == PORT else f" --port {settings.port}"
    # In two steps: what `eval "$(…)"` runs may fail, and the shell goes on with an app that is joined to nothing.
    return f'(env=$({shlex.quote(str(python))} -m sigma_app supabase{port} --env) && set -a && eval "$env" && make run)'


def application(settings: Settings) -> ASGIApp:
    """The stand-in's routes, the mailbox where a developer may look into it, and the jobs that send its mails."""
    from starlette.applications import Starlette

    from sigma_app import worker
    from sigma_app.gateways import identity, mail
    from sigma_app.gateways.database import serving_requests

    @asynccontextmanager
    async def serving(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(serving_requests())
            await stack.enter_async_context(mail.sending_mail())
            if settings.worker:
                await stack.enter_async_context(worker.working_for_supabase())
            yield

    return Starlette(routes=[*identity.routes(), *mail.routes(settings)], lifespan=serving)


def _announce(settings: Settings, steps: Steps) -> None:
    title = f"Supabase's API is at {settings.base_url}"
    if elsewhere := address_in_the_network(settings):
        title += f", and for other machines on the network at http://{elsewhere}:{settings.port}"
    kind = "hosted" if settings.is_hosted("database") else "local"
    app = str(settings.auth_site_url).rstrip("/")
    parts = [
        ("auth", "local", f"{settings.base_url}/auth/v1, for the app at {app}; GOTRUE_SITE_URL changes that"),
        ("rest", "local", f"{settings.base_url}/rest/v1"),
        ("storage", "local", f"{settings.base_url}/storage/v1"),
        ("database", kind, "DATABASE_URL" if kind == "hosted" else str(settings.data_dir)),
        ("mail", "hosted" if settings.is_hosted("mail") else "local", describe_mail(settings, settings.base_url)),
    ]
    steps.block(title, parts, f"Ctrl-C stops it. To join an app: {joining(settings)}")
