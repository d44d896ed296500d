"""billing: what Stripe sells and has sold, as last read there, and why somebody has access"""

from sigma_app.core.migrations import run_sql

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_sql("0011_billing.up.sql")
    run_sql("0011_access.up.sql")


def downgrade() -> None:
    run_sql("0011_access.down.sql")
    run_sql("0011_billing.down.sql")
