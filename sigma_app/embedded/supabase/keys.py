"""The secret that tokens are signed with, and the two API keys that are such tokens: made once for a data directory."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from sigma_app.core.kept import kept
from sigma_app.embedded.supabase import tokens

FILE = "supabase.json"
_YEARS = 10  # as Supabase's own keys
_SECRET_BYTES = 40


@dataclass(frozen=True)
class Keys:
    """What opens the API."""

    secret: str = field(repr=False)
    """HS256's; who has it may be anybody."""
    anon: str
    """For browsers: opens the gate, and lets in as `anon`."""
    service_role: str = field(repr=False)
    """For servers: row level security does not bind it."""


def keys_in(data_dir: Path) -> Keys:
    """The keys of a data directory, made now if there are none; their file has mode 0600."""
    return Keys(**json.loads(kept(data_dir / FILE, _make)))


def _make() -> bytes:
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    made = {"secret": secret} | {role: _key(secret, role) for role in ("anon", "service_role")}
    return json.dumps(made, indent=2).encode() + b"\n"


def _key(secret: str, role: str) -> str:
    now = int(time.time())
    return tokens.sign({"iss": "supabase", "role": role, "iat": now, "exp": now + _YEARS * 365 * 86400}, secret)
