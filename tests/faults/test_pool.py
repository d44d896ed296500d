"""Every connection of the pool waits for a lock that somebody else holds."""

from __future__ import annotations

from tests.faults.ledger import all_well
from tests.faults.test_kills import EVERYBODY, everybody
from tests.sigma import Sigma

LOCKED = "leads, profiles, auth.users, sigma.webhook_events, sigma.sandbox_objects"


def test_the_pool_is_exhausted_by_locks(sigma: Sigma, long: bool):
    sigma.variables["DATABASE_POOL_SIZE"] = "3"
    sigma.start()
    with everybody(sigma) as crowd:
        crowd.wait_for(*EVERYBODY)
        with sigma.database() as holder, holder.transaction():
            holder.execute(f"lock table {LOCKED} in access exclusive mode".encode())
            crowd.wait_for(*EVERYBODY, outcome="later", count=3 if long else 1)
        crowd.wait_for(*EVERYBODY)
    all_well(crowd, long=long)
