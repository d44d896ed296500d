"""the sandbox that stands in for Stripe: its objects, the requests it remembers, what it is told to do"""

from sigma_app.core.migrations import run_sql

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_sql("0010_sandbox.up.sql")


def downgrade() -> None:
    run_sql("0010_sandbox.down.sql")
