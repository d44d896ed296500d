"""The embedded Supabase alone, behind its gate, as `python -m sigma_app run` serves it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette

from sigma_app.core.database import Database, serve_requests_from
from sigma_app.embedded.supabase.app import routes
from tests.bench.contenders import POOL_SIZE, serve
from tests.conftest import settings_for


@asynccontextmanager
async def _live(_: Starlette) -> AsyncIterator[None]:
    async with Database(os.environ["DATABASE_URL"], POOL_SIZE) as database:
        with serve_requests_from(database):
            yield


if __name__ == "__main__":
    serve(Starlette(routes=routes(settings_for(Path(os.environ["BENCH_DATA_DIR"]))), lifespan=_live))
