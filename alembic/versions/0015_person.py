"""what it takes to find a person by their address, and to tell them what auth keeps about them"""

from sigma_app.core.migrations import run_sql

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    run_sql("0015_person.up.sql")


def downgrade() -> None:
    run_sql("0015_person.down.sql")
