"""whose events are whose is found without reading all of them"""

from sigma_app.core.migrations import run_sql

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    run_sql("0019_whose_events.up.sql")


def downgrade() -> None:
    run_sql("0019_whose_events.down.sql")
