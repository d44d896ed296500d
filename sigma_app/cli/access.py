"""How to reach Supabase, hosted or the stand-in of our own: for people, and for scripts as assignments."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from sigma_app.gateways.access import access
from sigma_app.settings import Settings

_SHOWN = 12  # characters of a secret key, all of which are the same in every one


def describe_access(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Rows for `status`: the key for browsers, and the beginning of the one for servers."""
    try:
        found = access(settings)
    except OSError as error:  # of somebody who may look at the rest only
        yield "keys", "hidden", f"{error.filename}: {error.strerror}"
        return
    yield "key", "anon", found.anon_key
    yield "key", "service_role", f"{found.service_role_key[:_SHOWN]}…, a secret; status --env prints it whole"


def supabase_assignments(settings: Settings, base_url: str) -> dict[str, str]:
    """The variables that point an app, or a script, to the Supabase of these settings."""
    found = access(settings, base_url)
    return {
        "VITE_SUPABASE_URL": found.url,
        "VITE_SUPABASE_ANON_KEY": found.anon_key,
        "SUPABASE_SERVICE_ROLE_KEY": found.service_role_key,
    }


def print_assignments(assignments: Mapping[str, str]) -> None:
    """One line for each variable, that a shell or a `.env` takes."""
    for name, value in assignments.items():
        print(f"{name}={shlex.quote(value)}")
