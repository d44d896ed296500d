"""The entry for jobs: collects each feature's jobs and runs them, in the serving process or in one of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from sigma_app.core import jobs
from sigma_app.features.accounts import jobs as accounts_jobs
from sigma_app.features.billing import jobs as billing_jobs
from sigma_app.features.console import jobs as console_jobs
from sigma_app.features.growth import jobs as growth_jobs
from sigma_app.features.mail import jobs as mail_jobs
from sigma_app.features.operations import jobs as operations_jobs
from sigma_app.features.operations import worker_http
from sigma_app.features.waitlist import jobs as waitlist_jobs
from sigma_app.gateways import payments
from sigma_app.gateways.database import login_address, serving_requests
from sigma_app.gateways.mail import sending_mail
from sigma_app.settings import get_settings

# Declared by importing them.
JOBS = (
    *(accounts_jobs, billing_jobs, console_jobs, growth_jobs, mail_jobs, operations_jobs, waitlist_jobs),
    *payments.JOBS,
)


SANDBOX = "sandbox"  # the queue of the sandbox that stands in for Stripe
STAND_IN = "supabase"  # the queue of the embedded Supabase's own jobs (sigma.queue_auth_mail), whose keys they need


@asynccontextmanager
async def working() -> AsyncIterator[None]:
    """Run jobs inside the block, in a process that has the database and the mail open.

    Where auth is hosted the embedded Supabase's are not ours: another process may serve it over this very database.
    """
    settings = get_settings()
    ours = [jobs.QUEUE]
    ours += [] if settings.is_hosted("auth") else [STAND_IN]
    ours += [] if settings.is_hosted("payments") else [SANDBOX]
    if settings.backup_dir:
        ours.append(operations_jobs.BACKUPS)
        operations_jobs.schedule_backups()
    async with jobs.working(login_address(), ours, apart=[billing_jobs.EVENTS]):
        yield


@asynccontextmanager
async def working_for_supabase() -> AsyncIterator[None]:
    """Run the embedded Supabase's jobs inside the block, as `working` does, and leave the application's to it."""
    async with jobs.working(login_address(), (STAND_IN,)):
        yield


@asynccontextmanager
async def working_alone() -> AsyncIterator[None]:
    """Run jobs inside the block, in a process that does nothing else."""
    async with serving_requests(), sending_mail(), payments.reaching_stripe(), working():
        yield


def door() -> Starlette:
    """What such a process answers monitors with."""
    return Starlette(routes=worker_http.ROUTES)
