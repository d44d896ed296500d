"""The role that requests log in with: it owns nothing, and may become anon, authenticated or service_role.

On a plain Postgres it is `authenticator`, as PostgREST has it; on Supabase, which keeps that one for itself,
`sigma_login`. Its password follows from the owner's, so any number of backends with the same DATABASE_URL
agree on it without telling each other. Escape hatch: DATABASE_LOGIN_URL names a login of one's own.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from sigma_app.core.connecting import DatabaseRefused, connect, parse
from sigma_app.core.migrations import ADVISORY_LOCK, MigrationError

LOGIN = "authenticator"
LOGIN_ON_SUPABASE = "sigma_login"
AUTHENTICATION_FAILED = ("28P01", "28000")  # invalid_password, invalid_authorization_specification


def login_url(owner_url: str, given: str | None = None) -> str:
    """The address that requests connect with, ready to use; the database must have been migrated.

    Args:
        owner_url: the owner's address (DATABASE_URL, or that of the embedded cluster).
        given: DATABASE_LOGIN_URL, which wins.

    Raises:
        DatabaseRefused: the database does not answer, or not to this login.
        MigrationError: the login is missing, or the owner may not set its password.
    """
    if given:
        connect(given, variable="DATABASE_LOGIN_URL").close()
        return given
    with connect(owner_url) as owner:
        role = _role(owner)
        url = _derive(owner_url, role)
        if _opens(url):
            return url
        if _password(owner_url):
            _set_password(owner, role, _password(owner_url))
    connect(url).close()
    return url


def _role(owner: psycopg.Connection) -> str:
    """Which login this database has; asked of the database, since a custom domain hides whose it is."""
    row = owner.execute("select from pg_roles where rolname = 'supabase_admin'").fetchone()
    name = LOGIN if row is None else LOGIN_ON_SUPABASE
    if owner.execute("select from pg_roles where rolname = %s", [name]).fetchone() is None:
        raise MigrationError(f"The role {name} is missing. Run python -m sigma_app migrate first.")
    return name


def _derive(owner_url: str, role: str) -> str:
    """The owner's address with another user and password. On Supabase's pooler users are `name.project`."""
    project = (parse(owner_url).get("user") or "").partition(".")[2]
    user = quote(f"{role}.{project}" if project else role, safe="")
    password = _password(owner_url)
    parts = urlsplit(owner_url)
    hosts = parts.netloc.rpartition("@")[2]
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name not in ("user", "password")]
    netloc = f"{user}:{password}@{hosts}" if password else f"{user}@{hosts}"
    return urlunsplit(parts._replace(netloc=netloc, query=urlencode(kept, quote_via=quote)))


def _password(owner_url: str) -> str:
    """The login's password, or "" where the owner has none either: a trusted socket, a certificate."""
    owners = parse(owner_url).get("password", "")
    return hmac.new(owners.encode(), b"sigma login role", hashlib.sha256).hexdigest() if owners else ""


def _opens(url: str) -> bool:
    """Whether the login works already; any other obstacle than its password is an error of its own."""
    try:
        connect(url).close()
    except DatabaseRefused as error:
        if error.sqlstate in AUTHENTICATION_FAILED or "password authentication failed" in str(error):
            return False
        raise
    return True


def _set_password(owner: psycopg.Connection, role: str, password: str) -> None:
    """Set it, one process at a time: two ALTER ROLE at once would fail with "tuple concurrently updated".

    The server gets a SCRAM verifier made here, so that the password reaches no statement log.
    """
    verifier = owner.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    with owner.transaction():
        owner.execute("select pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
        statement = sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(verifier))
        try:
            owner.execute(statement)
        except psycopg.errors.InsufficientPrivilege:
            raise MigrationError(
                f"DATABASE_URL: its user may not set the password of the role {role}."
                " Have an administrator grant that, or set DATABASE_LOGIN_URL to a login of your own."
            ) from None
