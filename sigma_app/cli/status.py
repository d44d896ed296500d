"""`python -m sigma_app status`: what runs where, for people as a table and for scripts as shell assignments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click

from sigma_app.cli import server_file
from sigma_app.cli.access import describe_access, print_assignments, supabase_assignments
from sigma_app.cli.parts import describe_parts
from sigma_app.core.errors import StartError
from sigma_app.core.migrations import current, head
from sigma_app.embedded import postgres
from sigma_app.gateways.database import owner_url
from sigma_app.settings import Settings, get_settings


@click.command()
@click.option("--env", "as_assignments", is_flag=True, help='Print shell assignments: eval "$(… status --env)".')
def command(as_assignments: bool) -> None:
    """Show what runs where. With --env the addresses, secrets included, as shell assignments."""
    settings = get_settings()
    if as_assignments:
        print_assignments(assignments(settings))
        return
    server = server_file.find(settings)
    api = server_file.find(settings, serving_auth=True)
    parts = describe_parts(settings, server.base_url if server else None, api.base_url if api else None)
    rows = [
        ("server", "running" if server else "stopped", server.base_url if server else "make run starts it"),
        ("schema", *_schema(settings)),
        *_with_access(settings, parts),
    ]
    width = {column: max(len(row[column]) for row in rows) for column in (0, 1)}
    for name, where, what in rows:  # the terminal wraps a long line; columns of their own would break an address
        print(f"{name:<{width[0]}}  {where:<{width[1]}}  {what}")


def assignments(settings: Settings) -> dict[str, str]:
    """What a script needs to talk to this Sigma: `BASE_URL` of the running server (else the configured one),
    `DATABASE_URL` with the owner's rights, and Supabase's address and keys."""
    server = server_file.find(settings)
    api = server_file.find(settings, serving_auth=True)
    return {
        "BASE_URL": server.base_url if server else settings.base_url,
        "DATABASE_URL": owner_url(settings),
        **supabase_assignments(settings, api.base_url if api else settings.base_url),
    }


def _with_access(settings: Settings, parts: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, str, str]]:
    """The rows of the parts, below that of auth the keys."""
    for row in parts:
        yield row
        if row[0] == "auth":
            yield from describe_access(settings)


def _schema(settings: Settings) -> tuple[str, str]:
    if not settings.is_hosted("database") and not postgres.locate(settings).running:
        return "stopped", "the embedded Postgres runs while Sigma does"
    try:
        revision = current(owner_url(settings))
    except StartError as error:
        return "away", str(error)
    newest = head()
    if revision == newest:
        return "current", newest
    return "behind", f"at {revision or 'nothing'}, newest is {newest}: python -m sigma_app migrate"
