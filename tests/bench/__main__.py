"""`python -m tests.bench [names] [--full]`: runs the benchmarks, prints their tables, writes bench.json."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from tests.bench import (
    files,
    growth,
    joins,
    leads,
    line,
    pages,
    portal,
    queue,
    reference,
    rest,
    signins,
    starts,
    static,
    webhooks,
)
from tests.bench.machine import facts
from tests.bench.report import FILE, Report, Unavailable, write

BENCHMARKS: dict[str, Callable[[argparse.Namespace], Report]] = {
    "pages": pages.measure,
    "joins": joins.measure,
    "starts": starts.measure,
    "static": static.measure,
    "queue": queue.measure,
    "line": line.measure,
    "leads": leads.measure,
    "growth": growth.measure,
    "signins": signins.measure,
    "files": files.measure,
    "rest": rest.measure,
    "portal": portal.measure,
    "webhooks": webhooks.measure,
    "reference": reference.measure,
}


def main() -> int:
    """Run what was asked for; the exit code says whether it could be measured, not whether every bar is met."""
    options = _options()
    machine = facts()
    print("  " + " · ".join(f"{name} {value}" for name, value in machine.items()))
    failed = 0
    for name in options.names or BENCHMARKS:
        try:
            report = BENCHMARKS[name](options)
        except Unavailable as reason:
            print(f"\n  {name}: not measured. {reason}", file=sys.stderr)
            failed += 1
            continue
        report.show()
        write(machine, report)
    print(f"\n  Written to {FILE.name}.")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], metavar="name", help=", ".join(BENCHMARKS))
    parser.add_argument("--full", action="store_true", help="starts: also a first start that builds the frontend")
    parser.add_argument("--rounds", type=int, help="how often each contender has its turn")
    parser.add_argument("--seconds", type=float, default=2.0, help="joins, static: how long a turn lasts")
    parser.add_argument("--float", action="store_true", help="joins, static: pin nothing to a core")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
