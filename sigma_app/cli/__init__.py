"""The command line, `python -m sigma_app …`: one module per command.

What a person can mend (a taken port, a malformed variable, a database that is away) is one or more plain lines on
standard error and exit code 2, never a traceback.
"""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn

import click

from sigma_app.cli import signals

_COMMANDS = {
    "run": "Start Sigma: pages, websocket and API on one port.",
    "supabase": "Serve the embedded Supabase alone, to try a hosted one.",
    "dev": "Start Sigma with hot reload, for working on it.",
    "worker": "Run the queued jobs in a process of its own.",
    "build": "Build the production frontend if its sources changed.",
    "migrate": "Bring the database's schema to the newest version.",
    "status": "Show what runs where.",
    "admin": "Say who operates Sigma, at /admin.",
    "invite": "Mail invitations to those whose turn it is.",
    "person": "Write what is kept about a person, for them to read.",
    "erase": "Forget a person, with a receipt.",
    "backup": "Write everything into one file; list and verify backups.",
    "restore": "Put a backup into an empty Sigma.",
    "jobs": "Show the queue of jobs, and what failed in it.",
    "stripe-setup": "Lay products, prices, portal and webhook at Stripe.",
    "stripe-events": "Show Stripe's events that wait or failed, and replay them.",
    "reconcile": "Compare everything with Stripe, and repair what differs.",
    "access-why": "Show why somebody has access, or why not.",
    "export-supabase": "Take users, leads and files along to a hosted Supabase project.",
    "psql": "Open psql on Sigma's database, as its owner.",
}


class _Commands(click.Group):
    """Imports a command's module only when it is the one called: `run` must answer within seconds."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        return importlib.import_module(f"sigma_app.cli.{cmd_name.replace('-', '_')}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Sigma, from the command line."""


def main() -> None:
    """Run the command line; exits the process."""
    signals.install()
    try:
        cli(standalone_mode=True, prog_name="python -m sigma_app")
    except _mendable() as error:
        _give_up(str(error))
    except OSError as error:
        from sigma_app.cli.obstacles import explain

        message = explain(error)
        if message is None:
            raise
        _give_up(message)
    finally:
        signals.ignore()


def _give_up(message: str) -> NoReturn:
    for line in message.splitlines():
        print(line, file=sys.stderr)
    sys.exit(2)


def _mendable() -> tuple[type[Exception], ...]:
    """The errors that a person can mend; their message says how."""
    from sigma_app.core.errors import StartError
    from sigma_app.settings import SettingsError

    return (StartError, SettingsError)
