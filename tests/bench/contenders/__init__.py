"""The programs that Sigma is measured against, each `python -m tests.bench.contenders.<name> <port>`.

Each is served by uvicorn with Sigma's own settings (cli/run.py): httptools, uvloop, no access log, no extra headers.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import uvicorn

ANONYMOUS_CLAIMS = '{"role":"anon"}'
CONSENT_VERSION = os.environ.get("BENCH_CONSENT_VERSION", "")
POOL_SIZE = 10  # as Sigma's own

BECOME = "select set_config('role', 'anon', true), set_config('request.jwt.claims', %s, true)"
INSERT = (
    "insert into public.leads (email, referrer, landing_path, consent_version)"
    " values (%s, %s, %s, %s) on conflict do nothing"
)


def serve(app: Any) -> None:
    """Serve an ASGI application on the port that the command line names, until told to stop."""
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
