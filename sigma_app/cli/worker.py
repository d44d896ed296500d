"""`python -m sigma_app worker`: runs the queued jobs in a process of its own, beside any number of others."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from socket import socket
from types import ModuleType

import click

from sigma_app.cli import signals
from sigma_app.cli.database import ready_database_while
from sigma_app.cli.progress import Steps
from sigma_app.cli.serving import listen, serving_beside
from sigma_app.core import logs
from sigma_app.gateways.telemetry import telling
from sigma_app.settings import get_settings


@click.command()
def command() -> None:
    """Run the queued jobs: mails, reminders, events. The server does it by itself, unless SIGMA_WORKER=off.

    With SIGMA_WORKER_PORT it answers monitors there.
    """
    settings = get_settings()
    logs.configure(as_json=settings.env == "production")
    door = None
    if port := settings.worker_port:
        again = "SIGMA_WORKER_PORT={} python -m sigma_app worker"
        door = listen(settings, again, port=port, variable="SIGMA_WORKER_PORT")
    with Steps() as steps:
        with ready_database_while(settings, steps, import_worker) as worker, telling(settings):
            asyncio.run(_work(worker, door, steps))
        steps.say("Stopped.")


def import_worker() -> ModuleType:
    """The entry, which imports every feature's jobs; beside the start of the database, because it takes a while."""
    from sigma_app import worker

    return worker


async def _work(worker: ModuleType, door: socket | None, steps: Steps) -> None:
    with signals.told_to_stop() as stop:
        if not stop.is_set():
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(worker.working_alone())
                if door:
                    await stack.enter_async_context(serving_beside(worker.door(), get_settings(), door))
                steps.say(f"Links in mails lead to {get_settings().base_url}; BASE_URL or PORT changes that.")
                steps.say("Working. Ctrl-C finishes the job in hand and stops.")
                await stop.wait()
