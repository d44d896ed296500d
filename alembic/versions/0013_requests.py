"""jobs keep the id of the request that caused them"""

from sigma_app.core.migrations import run_sql

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    run_sql("0013_requests.up.sql")


def downgrade() -> None:
    run_sql("0013_requests.down.sql")
