"""an address that has another account by now, where the accounts are elsewhere"""

from sigma_app.core.migrations import run_sql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_sql("0008_elsewhere.up.sql")


def downgrade() -> None:
    run_sql("0008_elsewhere.down.sql")
