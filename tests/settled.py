"""This process as another environment would have it: its settings, and Supabase in process or elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from sigma_app import settings as settings_module
from sigma_app.gateways import identity, keys
from sigma_app.settings import Settings, get_settings


@contextmanager
def settled(settings: Settings) -> Iterator[Settings]:
    """Make these the settings of this process inside the block, and forget what followed from others."""
    with patch.object(settings_module, "_settled", settings):
        _forget()
        try:
            yield settings
        finally:
            _forget()
    _forget()


def _forget() -> None:
    for cached in (get_settings, identity.routes, keys.get_links, keys.sealer, keys._key):
        cached.cache_clear()
