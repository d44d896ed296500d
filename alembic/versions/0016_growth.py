"""who comes, and what becomes of them: visits, and the numbers of each day

The indexes on the times of a lead have only those that have come so far, so that joining writes to none of them.
"""

import sqlalchemy as sa

from alembic import op
from sigma_app.core.migrations import run_sql

revision = "0016"
down_revision = "0015"

TIMES = ("confirmed_at", "invited_at", "signed_up_at", "customer_at")


def upgrade() -> None:
    for time in TIMES:
        op.create_index(f"leads_{time}", "leads", [time], postgresql_where=sa.text(f"{time} is not null"))
    run_sql("0016_growth.up.sql")


def downgrade() -> None:
    run_sql("0016_growth.down.sql")
    for time in reversed(TIMES):
        op.drop_index(f"leads_{time}", "leads")
