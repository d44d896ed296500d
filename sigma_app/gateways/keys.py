"""The key that links are made with: the same in all servers and workers of one Sigma, and in none of its tables.

It follows from the password in DATABASE_URL, as the login's own does (core/login.py), so there is nothing to set and
nothing to copy. Where the database asks for no password, as the embedded one, it is a file in the data directory, made
at the first need. Another key breaks no link in a mail that was sent, only six-digit codes that are not typed yet.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from functools import cache
from pathlib import Path

from sigma_app.core.connecting import parse
from sigma_app.core.links import Links
from sigma_app.gateways.database import owner_url
from sigma_app.settings import get_settings

_BYTES = 32


@cache
def get_links() -> Links:
    """What this process makes links with."""
    settings = get_settings()
    password = parse(owner_url(settings)).get("password", "")
    if password:
        return Links(hmac.new(password.encode(), b"sigma links", hashlib.sha256).digest())
    return Links(_kept(settings.data_dir / "links.key"))


def _kept(path: Path) -> bytes:
    """The key in the file `path`; the first to ask makes it, whole or not at all."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with open(draft, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(secrets.token_bytes(_BYTES))
        try:
            os.link(draft, path)  # fails where another process was first, and then theirs counts
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()
