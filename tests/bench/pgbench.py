"""Postgres' own load generator inserting the same row under the same role: what the database alone can do."""

from __future__ import annotations

import subprocess
from pathlib import Path
from statistics import quantiles

from sigma_app.embedded.postgres_layout import binaries
from sigma_app.features.waitlist.consent import CONSENT_VERSION
from tests.bench.contenders import ANONYMOUS_CLAIMS
from tests.bench.load import LANDING_PATH, REFERRER, Outcome
from tests.bench.machine import children_on

_SCRIPT = """\
\\set number random(1, 9007199254740991)
begin;
select set_config('role', 'anon', true), set_config('request.jwt.claims', '{claims}', true);
insert into public.leads (email, referrer, landing_path, consent_version) values \
('{marker}-' || :client_id::text || '-' || :number::text || '@example.com', '{referrer}', '{path}', '{consent}') \
on conflict do nothing;
commit;
"""


class Pgbench:
    """A turn of pgbench in the prepared protocol, on the servers' cores: it is server and visitors in one."""

    def __init__(
        self, login: str, scratch: Path, clients: int, seconds: float, on: set[int] | None, marker: str
    ) -> None:
        self._login = login
        self._scratch = scratch
        self._clients = clients
        self._seconds = max(1, round(seconds))  # it knows whole seconds only
        self._on = on
        self._marker = marker

    def __call__(self, turn: str) -> Outcome:
        """Run once."""
        script = self._scratch / f"{turn}.sql"
        script.write_text(
            _SCRIPT.format(
                claims=ANONYMOUS_CLAIMS,
                marker=f"{self._marker}-{turn}",
                referrer=REFERRER,
                path=LANDING_PATH,
                consent=CONSENT_VERSION,
            )
        )
        log = self._scratch / f"pgbench-{turn}"
        arguments = ["--no-vacuum", "--protocol=prepared", f"--client={self._clients}", f"--time={self._seconds}"]
        arguments += [f"--file={script}", "--log", f"--log-prefix={log}"]
        with children_on(self._on):
            done = subprocess.run(
                [str(binaries() / "pgbench"), *arguments, self._login],
                capture_output=True,
                text=True,
                timeout=self._seconds + 60,
            )
        if done.returncode != 0:
            raise RuntimeError(f"pgbench failed: {done.stderr}")
        return self._read(log)

    def _read(self, log: Path) -> Outcome:
        """A line for each transaction: client, number, microseconds, script, end in seconds and microseconds."""
        fields = [
            line.split() for part in log.parent.glob(f"{log.name}.*") for line in part.read_text().splitlines() if line
        ]
        took = [int(field[2]) / 1000 for field in fields]
        ends = [int(field[4]) + int(field[5]) / 1e6 for field in fields]
        begin = min(end - milliseconds / 1000 for end, milliseconds in zip(ends, took, strict=True))
        share = quantiles(took, n=100)
        return Outcome(len(took), max(ends) - begin, share[49], share[98], 0.0, {"committed": len(took)})
