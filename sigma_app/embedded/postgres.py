"""The Postgres that stands in when DATABASE_URL is not set: PostgreSQL 18 from a wheel, on a Unix socket.

`start(settings)` brings the cluster of this checkout up, whatever state it was left in, `kept_up(…)` does so again
whenever it ends, and `Cluster.stop()` takes it down. Access is decided by the file system: the socket sits in a
directory that only the server's user (and root) may enter, and inside it every database role is trusted. A password
would have to lie in a file beside the data that it protects, so it would add a step and no protection.

Durability is Postgres' default (fsync, synchronous_commit, full_page_writes) plus data checksums.
Escape hatch: set DATABASE_URL, and nothing here runs.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from sigma_app.embedded.postgres_layout import (
    LOCK,
    ClusterError,
    Layout,
    Owner,
    binaries,
    layout_of,
    prepare,
    refuse_a_lost_home,
    server_binaries,
)
from sigma_app.settings import Settings

DATABASE = "sigma"
OWNER = "postgres"
START_SECONDS = 60.0  # recovery after a crash replays the log since the last checkpoint; a cold disk is slow
STOP_SECONDS = 15.0  # a fast shutdown ends sessions and writes a checkpoint; then it is cut off
POLL_SECONDS = 0.01
LOOK_SECONDS = 0.5  # until a server that ended is missed
PAUSE_SECONDS = 5.0  # until one that does not start is tried again
LOG_LIMIT = 8 * 1024 * 1024  # bytes, then the log of earlier starts moves to postgres.log.1

logger = logging.getLogger(__name__)


@dataclass
class Cluster:
    """A running (or located) embedded Postgres. `stop()` may be called by any process, and twice."""

    layout: Layout

    @property
    def bin(self) -> Path:
        """The directory with `psql`, `pg_dump`, `pg_restore` and `pgbench`."""
        return binaries()

    @property
    def running(self) -> bool:
        """Whether a server listens on this cluster's socket right now."""
        return _listens(self.layout.socket)

    @property
    def pid(self) -> int | None:
        """The postmaster's process id as its lock file says, or None when there is none."""
        return _read_pid_file(self.layout)[0]

    @property
    def alive(self) -> bool:
        """Whether there is a server, whatever it is busy with: starting, recovering, or stopped by a signal, say."""
        pid = self.pid
        return pid is not None and _is_server(self.layout, pid)

    def owner_url(self, database: str = DATABASE) -> str:
        """The address of `database` as its owner, for migrations, backups and psql; never for a request."""
        sockets = quote(str(self.layout.sockets), safe="")
        return f"postgresql://{OWNER}@/{quote(database, safe='')}?host={sockets}"

    def stop(self) -> None:
        """End every session, shut down cleanly, return when it is done. Stopped already is fine."""
        if not self.layout.lock.exists():  # never started
            return
        with _locked(self.layout.data_dir):
            pid, _ = _read_pid_file(self.layout)
            if pid is not None and _is_server(self.layout, pid):
                _end(self.layout, pid)

    def remove(self) -> None:
        """Stop it and take its files away, for good; the data directory itself stays."""
        self.stop()
        for place in {self.layout.home, self.layout.sockets}:
            shutil.rmtree(place, ignore_errors=True)


def locate(settings: Settings) -> Cluster:
    """The cluster of these settings as it stands, started or not; changes nothing.

    Raises:
        ClusterError: the data directory is a copy of one that still uses its cluster.
    """
    return Cluster(layout_of(settings.data_dir))


def refuse_unlaid(settings: Settings) -> None:
    """Refuse to go on where no cluster was made yet, for those who would look for something in an empty one.

    Touches nothing.

    Raises:
        ClusterError: there is none: where it was looked for, and how another is named.
    """
    with _explained(settings.data_dir):
        layout = locate(settings).layout
        refuse_a_lost_home(layout)
        if not layout.laid:
            raise unlaid(settings)


def unlaid(settings: Settings) -> ClusterError:
    """What to say of a data directory in which Sigma has laid no database."""
    return ClusterError(
        f"{settings.data_dir}: no Sigma has laid its database there, and none was made now. SIGMA_DATA_DIR names the"
        " directory of another Sigma, DATABASE_URL another Postgres; python -m sigma_app migrate lays a new database."
    )


def start(settings: Settings) -> Cluster:
    """Bring the cluster up and return when it accepts connections; create it on the first start.

    Adopts a server that already runs on this data directory. Safe to call from several processes at once.
    A warm start takes about 0.05 s, the first one about 1 s (initdb).

    Raises:
        ClusterError: one line with the reason and the way out.
    """
    with _explained(settings.data_dir):
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with _locked(settings.data_dir):
            cluster = locate(settings)  # not before: the first start gives the cluster its name
            owner = prepare(cluster.layout)
            if not _adopted(cluster):
                _initialise(cluster.layout, owner)
                _launch(cluster, owner)
            _ensure_database(cluster)
    return cluster


@contextlib.contextmanager
def kept_up(settings: Settings, cluster: Cluster) -> Iterator[None]:
    """Start the cluster's server again wherever it ends inside the block: killed, or for want of memory or disk.

    What it had acknowledged is in its log, from which it recovers. Nobody else stops it meanwhile on purpose: the block
    is that of somebody who uses it.
    """
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            if not cluster.alive and not _started_again(settings):
                over.wait(PAUSE_SECONDS)

    watch = threading.Thread(target=look, name="postgres", daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()


def _started_again(settings: Settings) -> bool:
    logger.error("The database ended; it is started again.")
    try:
        start(settings)
    except (ClusterError, psycopg.Error, OSError) as error:
        logger.error("The database does not start: %s", error)
        return False
    logger.warning("The database was started again.")
    return True


@contextlib.contextmanager
def _explained(data_dir: Path) -> Iterator[None]:
    """Turn what the operating system says into one line with a way out."""
    try:
        yield
    except OSError as error:
        where = error.filename or data_dir
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ClusterError(_no_space(Path(where))) from None
        raise ClusterError(
            f"{where}: {error.strerror or error}. Sigma keeps its database there:"
            " make it writable, or set SIGMA_DATA_DIR to another place."
        ) from None


def _no_space(where: Path) -> str:
    return f"{where}: no space left on that disk. Free some, or set SIGMA_DATA_DIR to another disk."


@contextlib.contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    """One process at a time starts or stops; the kernel lets go of the lock when its holder dies."""
    deadline = time.monotonic() + START_SECONDS
    with (data_dir / LOCK).open("a") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ClusterError(
                        f"Another process has been starting or stopping the database in {data_dir}"
                        f" for {START_SECONDS:.0f} s. End it, then try again."
                    ) from None
                time.sleep(POLL_SECONDS)
        yield


def _adopted(cluster: Cluster) -> bool:
    """Whether a server runs here already; waits for one that is recovering, stopping or dying."""
    deadline = time.monotonic() + START_SECONDS
    while not _is_ready(cluster):
        pid, _ = _read_pid_file(cluster.layout)
        if pid is None or not _is_server(cluster.layout, pid):
            return False
        if time.monotonic() > deadline:
            raise ClusterError(f"The database server (process {pid}) is there but not ready. See {cluster.layout.log}.")
        time.sleep(POLL_SECONDS)
    return True


def _initialise(layout: Layout, owner: Owner | None) -> None:
    """Create the cluster beside its place, then rename it: no half cluster is ever taken for a whole one."""
    for leftover in layout.home.glob("data.new*"):
        shutil.rmtree(leftover)
    if layout.laid:
        return
    scratch = Path(tempfile.mkdtemp(prefix="data.new", dir=layout.home))
    if owner:
        os.chown(scratch, owner.uid, owner.gid)
    # The builtin provider sorts by code point and folds case by Unicode's rules, the same on every machine
    # and after every upgrade of its C library. --locale=C is for the rest, and every system has it.
    locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    access = ["--auth-local=trust", "--auth-host=reject", "--no-instructions"]
    initdb = str(server_binaries() / "initdb")
    done = subprocess.run(
        [initdb, f"--pgdata={scratch}", f"--username={OWNER}", *locale, "--data-checksums", *access],
        capture_output=True,
        text=True,
        **_as_owner(layout, owner),
    )
    if done.returncode != 0:
        shutil.rmtree(scratch, ignore_errors=True)
        raise _refusal(layout, done.stderr)
    scratch.rename(layout.data)


def _launch(cluster: Cluster, owner: Owner | None) -> None:
    """Start the postmaster and wait until it accepts connections."""
    layout = cluster.layout
    _clear_stale_locks(layout)
    _rotate_log(layout)
    deadline = time.monotonic() + START_SECONDS
    while True:
        offset = layout.log.stat().st_size if layout.log.exists() else 0
        pid = _spawn(layout, owner)
        while _is_alive(pid):
            if _is_ready(cluster, pid):
                return
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGQUIT)
                raise ClusterError(f"The database did not come up in {START_SECONDS:.0f} s. See {layout.log}.")
            time.sleep(POLL_SECONDS)
        said = layout.log.read_bytes()[offset:].decode(errors="replace")
        # Right after a kill -9 of the postmaster its children still hold the shared memory, for as long as
        # it takes them to notice. Postgres refuses to start beside them, rightly; they go by themselves.
        if "is still in use" not in said or time.monotonic() > deadline:
            raise _refusal(layout, said)
        time.sleep(0.1)


def _spawn(layout: Layout, owner: Owner | None) -> int:
    """Start the postmaster in a session of its own, where Ctrl-C in our terminal does not reach it.

    A shell stands between, and is gone at once: the server is nobody's child here, whoever stops it, and
    whatever becomes of this process.

    Returns:
        The postmaster's process id.
    """
    sockets = str(layout.sockets).replace('"', '""')
    sockets = f'"{sockets}"'  # the setting is a list, and a path may hold a comma
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": sockets,
        "unix_socket_permissions": "0700",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    server = [str(server_binaries() / "postgres"), "-D", str(layout.data), *options]
    with layout.log.open("ab") as log:
        shell = subprocess.run(
            ["/bin/sh", "-c", '"$0" "$@" >&2 & echo $!', *server],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            check=True,
            **_as_owner(layout, owner),
        )
    return int(shell.stdout)


def _as_owner(layout: Layout, owner: Owner | None) -> dict:
    """How to run a program as the server's user: its ids, a place to stand, a plain environment."""
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
    common = {"cwd": layout.home, "env": environment, "umask": 0o077}
    return common | ({"user": owner.uid, "group": owner.gid, "extra_groups": []} if owner else {})


def _refusal(layout: Layout, said: str) -> ClusterError:
    """Postgres' own reason for not starting, in one line."""
    if "No space left on device" in said:
        return ClusterError(_no_space(layout.home))
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["it gave no reason"]
    reason = next((line for line in lines if "FATAL" in line or "error:" in line), lines[-1])
    return ClusterError(
        f"The database in {layout.home} did not start: {reason}. See {layout.log}, or set DATABASE_URL."
    )


def _rotate_log(layout: Layout) -> None:
    if layout.log.exists() and layout.log.stat().st_size > LOG_LIMIT:
        layout.log.replace(layout.log.with_suffix(".log.1"))


def _is_ready(cluster: Cluster, pid: int | None = None) -> bool:
    """Whether the postmaster (that one, if `pid` is given) says it is ready, and lets us in."""
    found, status = _read_pid_file(cluster.layout)
    if found is None or pid not in (None, found) or status != "ready":
        return False
    try:  # its word is not enough: after a kill -9 the file still says so
        psycopg.connect(cluster.owner_url("postgres")).close()
    except psycopg.OperationalError:
        return False
    return True


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _read_pid_file(layout: Layout) -> tuple[int | None, str]:
    """The postmaster's pid and status, lines 1 and 8 of its lock file (pidfile.h in Postgres' sources)."""
    try:
        lines = (layout.data / "postmaster.pid").read_text().splitlines()
        return int(lines[0]), lines[7].strip() if len(lines) > 7 else "starting"
    except (OSError, ValueError, IndexError):
        return None, ""


def _clear_stale_locks(layout: Layout) -> None:
    """Remove the lock files of a postmaster that is gone, which is known here: `_adopted` has looked.

    Postgres does so itself unless some process of the same user now has that number: after a reboot, in a
    container, or as a zombie that nobody reaped. Children of the old postmaster that still live are not
    overlooked: Postgres finds their shared memory by the directory's inode and refuses to start.
    """
    (layout.data / "postmaster.pid").unlink(missing_ok=True)
    layout.socket.with_name(f"{layout.socket.name}.lock").unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    """Whether a process has this number; a zombie is none."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_server(layout: Layout, pid: int) -> bool:
    """Whether the process with this number is a live postmaster of this cluster."""
    try:
        return _is_alive(pid) and str(layout.data) in psutil.Process(pid).cmdline()
    except psutil.NoSuchProcess:
        return False


def _end(layout: Layout, pid: int) -> None:
    """Fast shutdown, then an immediate one if it does not finish: that recovers at the next start."""
    for kind in (signal.SIGINT, signal.SIGQUIT):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, kind)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            if _read_pid_file(layout)[0] != pid or not _is_server(layout, pid):
                return
            time.sleep(POLL_SECONDS)
    raise ClusterError(f"The database server (process {pid}) does not stop. End it, then try again.")


def _ensure_database(cluster: Cluster) -> None:
    """Create Sigma's own database on the first start."""
    with psycopg.connect(cluster.owner_url("postgres"), autocommit=True) as connection:
        if connection.execute("select from pg_database where datname = %s", [DATABASE]).fetchone() is None:
            connection.execute(f"create database {DATABASE}".encode())
