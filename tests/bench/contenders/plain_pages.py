"""Pages from a directory, served as Sigma serves them, with no backend behind.

BENCH_PAGES names the directory of finished pages.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from starlette.applications import Starlette

from sigma_app.frontend.static import MemoryFiles
from sigma_app.serve import Site
from tests.bench.contenders import serve

if __name__ == "__main__":
    origin = f"http://127.0.0.1:{sys.argv[1]}"
    serve(Site(MemoryFiles(Path(os.environ["BENCH_PAGES"]), origin), [], Starlette(), origin))
