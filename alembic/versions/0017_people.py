"""the console's pages of people, jobs, events and mail: what is kept of each mail, and what these lists are read by"""

from sigma_app.core.migrations import run_sql

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    run_sql("0017_people.up.sql")


def downgrade() -> None:
    run_sql("0017_people.down.sql")
