"""what running Sigma needs: jobs know the request that caused them, and a process whether the schema is its own"""

from sigma_app.core.migrations import run_sql

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    run_sql("0013_operations.up.sql")


def downgrade() -> None:
    run_sql("0013_operations.down.sql")
