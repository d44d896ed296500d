"""Opening one connection to Postgres, and saying in one line why it did not open.

Also knows the two things about an address that matter later: its password, which is never shown, and
whether a transaction pooler answers there.
"""

from __future__ import annotations

import re

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sigma_app.core.errors import StartError

CONNECT_SECONDS = 5  # libpq's connect_timeout, for each address that the host name resolves to
POOLER_PORT = "6543"  # Supabase's transaction mode
SESSION_PORT = "5432"  # its session mode, and Postgres' own
_SUPABASE = re.compile(r"\.supabase\.(com|co)$")

WAY_OUT = {  # by the variable that holds the address
    "DATABASE_URL": "remove it to use the embedded one",
    "DATABASE_LOGIN_URL": "remove it to use the login that Sigma makes",
}


class DatabaseRefused(StartError):
    """The database does not let us in: DATABASE_URL or DATABASE_LOGIN_URL is wrong, or no server answers there."""

    sqlstate: str | None = None  # what the server said, where it said anything


def connect(url: str, *, variable: str = "DATABASE_URL", autocommit: bool = False) -> psycopg.Connection:
    """One plain connection, for start-up, migrations and the command line; requests use `core.database`.

    Args:
        url: the address.
        variable: where it stands, to say so.
        autocommit: as psycopg has it.

    Raises:
        DatabaseRefused: one line that names the variable and the host, never the password.
    """
    parameters = parse(url, variable)
    options = {"connect_timeout": CONNECT_SECONDS, "prepare_threshold": None if is_pooler(url) else 5}
    try:
        return psycopg.connect(url, autocommit=autocommit, **options)  # pyright: ignore[reportArgumentType]
    except psycopg.OperationalError as error:
        where = f"{parameters.get('host') or 'the local socket'}, database {parameters.get('dbname')}"
        refused = DatabaseRefused(
            f"{variable}: no connection to {where}: {_last_line(error)}."
            f" Check the address and that the server runs, or {WAY_OUT[variable]}."
        )
        refused.sqlstate = error.sqlstate
        raise refused from None


def parse(url: str, variable: str = "DATABASE_URL") -> dict[str, str]:
    """The parts of an address by libpq's names (host, port, user, password, dbname…).

    Raises:
        DatabaseRefused: it is not an address. What is wrong is not repeated: it may be a piece of the
        password.
    """
    try:
        parameters = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except psycopg.ProgrammingError:
        parameters = {"port": "unknown"}
    # An @ or a / that the password did not escape: its tail would be shown as the host or the database.
    torn = "@" in parameters.get("host", "") + parameters.get("dbname", "")
    if torn or (not parameters.get("port", "").replace(",", "").isdecimal() and parameters.get("port")):
        raise DatabaseRefused(
            f"{variable}: not a valid Postgres address. Write it as postgresql://user:password@host:5432/database,"
            " with special characters of the password percent-encoded (@ is %40)."
        )
    return parameters


def is_pooler(url: str) -> bool:
    """Whether a transaction pooler answers there, which keeps no prepared statements between transactions."""
    parameters = parse(url)
    return parameters.get("port") == POOLER_PORT or ".pooler." in parameters.get("host", "")


def session_address(url: str) -> str:
    """The address for a connection that keeps what it is told between transactions, LISTEN and SET above all.

    Supabase's poolers have one on another port of the same host. Other transaction poolers are not told apart by their
    address: a worker cannot work behind one (docs/operating.md).
    """
    parameters = parse(url)
    if parameters.get("port") != POOLER_PORT or not _SUPABASE.search(parameters.get("host", "")):
        return url
    return make_conninfo(**parameters | {"port": SESSION_PORT})


def _last_line(error: psycopg.Error) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".?") if lines else type(error).__name__
