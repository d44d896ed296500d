"""The database during a command: started if it is the embedded one, migrated, and stopped by its last user."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from sigma_app.cli import signals
from sigma_app.cli.progress import Steps
from sigma_app.core.errors import StartError
from sigma_app.core.migrations import current, lays_auth, migrate
from sigma_app.embedded import postgres
from sigma_app.gateways.database import login_address, owner_url
from sigma_app.settings import Settings, origin_of

T = TypeVar("T")
Report = Callable[[str], None]


@contextmanager
def running_database(settings: Settings, report: Report, *, new: bool = False) -> Iterator[None]:
    """Have the database up inside the block, which is to be a deferred one (see `signals`).

    The embedded one is started again if it ends before, and stopped at the end unless another command of ours still
    uses it: each user holds a shared lock, and whoever can turn it into an exclusive one is the last.

    Args:
        new: whether the embedded one may be a new one. Whoever looks for something would find nothing in it, and take
            that for an answer.

    Raises:
        StartError: it does not start; or there is none yet, and it may not be a new one.
    """
    if settings.is_hosted("database"):
        yield
        return
    if not new:
        postgres.refuse_unlaid(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (settings.data_dir / "postgres.users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        report("starting Postgres")
        try:
            cluster = postgres.start(settings)
        except StartError:
            signals.leave_if_asked()  # Ctrl-C in a terminal reaches initdb too: then that is all there is to say
            raise
        try:
            if not new and current(owner_url(settings)) is None:  # a first start that ended before its migration
                raise postgres.unlaid(settings)
            with postgres.kept_up(settings, cluster):
                yield
        finally:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                cluster.stop()


@contextmanager
def migrated_database(settings: Settings, report: Report, *, new: bool = False) -> Iterator[None]:
    """As `running_database`, at the newest revision. The block is a deferred one."""
    with signals.deferred(), running_database(settings, report, new=new):
        with signals.interruptible():
            bring_up_to_date(settings, report)
        yield


def bring_up_to_date(settings: Settings, report: Report) -> None:
    """Bring the running database's schema to the newest revision."""
    report("checking the schema")
    migrate(owner_url(settings), lambda revision: report(f"migrated: {revision}"))


def open_to_requests(settings: Settings) -> None:
    """Make sure that requests can log in, and that the stand-in for Supabase, where there is one, can do its work here.

    Raises:
        StartError: the database refuses them, or is a Supabase project's own; or Supabase is said to be where we are.
    """
    refuse_own_address(settings)
    if not settings.is_hosted("auth") and not lays_auth(owner_url(settings)):
        raise StartError(
            "VITE_SUPABASE_URL: DATABASE_URL leads to a Supabase project, whose users only Supabase itself can sign in."
            " Set VITE_SUPABASE_URL, VITE_SUPABASE_ANON_KEY and SUPABASE_SERVICE_ROLE_KEY of that project too"
            " (Supabase dashboard, Project settings, API keys), or choose another database."
        )
    login_address()


def refuse_own_address(settings: Settings) -> None:
    """Refuse to serve with Sigma's own address for Supabase's, as a shell has it that took over `status --env`.

    Commands that serve nothing do no harm with it. A proxy in front may give parts of one address to Supabase.

    Raises:
        StartError: it is.
    """
    url = settings.supabase_url
    if url and not settings.trusted_proxies and origin_of(url) == settings.base_url:
        raise StartError(
            f"VITE_SUPABASE_URL: {settings.base_url} is where Sigma itself is, which with it set serves no Supabase."
            " Remove it to have Sigma's own stand-in there, or name the Supabase that is elsewhere."
        )


@contextmanager
def ready_database_while(settings: Settings, steps: Steps, do: Callable[[], T]) -> Iterator[T]:
    """Have the database up, migrated and open to the requests' login; it starts in a thread while `do` runs.

    Yields what `do` returned. The block is a deferred one. Whoever leaves early waits until Postgres has started, since
    it can be stopped only then, but not for a migration: that loses its connection, and is undone as a whole.
    """
    with signals.deferred(), ExitStack() as stack:
        with steps.step("Database") as step:
            settled = threading.Event()

            def prepare() -> None:
                try:
                    stack.enter_context(running_database(settings, step.update, new=True))
                finally:
                    settled.set()
                bring_up_to_date(settings, step.update)
                open_to_requests(settings)

            ready = _in_thread(prepare)
            try:
                with signals.interruptible():
                    result = do()
                    ready.result()
            finally:
                settled.wait()
        yield result


def _in_thread(do: Callable[[], None]) -> Future[None]:
    """Run `do` in a thread that the end of the process does not wait for."""
    future: Future[None] = Future()

    def work() -> None:
        try:
            do()
        except BaseException as error:  # as concurrent.futures does: whoever asks for the result gets it
            future.set_exception(error)
        else:
            future.set_result(None)

    threading.Thread(target=work, name="database", daemon=True).start()
    return future
