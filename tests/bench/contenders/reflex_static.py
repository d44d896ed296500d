"""Reflex's own way of serving a built frontend: the mount that `reflex run --env prod` serves pages from.

REFLEX_WEB_WORKDIR names the directory whose `build/client` holds the pages.
"""

from __future__ import annotations

from reflex.utils.exec import get_frontend_mount
from starlette.applications import Starlette

from tests.bench.contenders import serve

if __name__ == "__main__":
    serve(Starlette(routes=[get_frontend_mount()]))
