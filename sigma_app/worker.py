"""The entry for jobs: collects each feature's jobs and runs them, in the serving process or in one of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sigma_app.core import jobs
from sigma_app.features.accounts import jobs as accounts_jobs
from sigma_app.features.mail import jobs as mail_jobs
from sigma_app.features.waitlist import jobs as waitlist_jobs
from sigma_app.gateways.database import login_address, serving_requests
from sigma_app.gateways.mail import sending_mail

JOBS = (accounts_jobs, mail_jobs, waitlist_jobs)  # declared by importing them


@asynccontextmanager
async def working() -> AsyncIterator[None]:
    """Run jobs inside the block, in a process that has the database and the mail open."""
    async with jobs.working(login_address()):
        yield


@asynccontextmanager
async def working_alone() -> AsyncIterator[None]:
    """Run jobs inside the block, in a process that does nothing else."""
    async with serving_requests(), sending_mail(), working():
        yield
