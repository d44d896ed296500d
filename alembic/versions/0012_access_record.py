"""the record of access: every change of its subject, of a deleted profile's, and who made one by hand"""

from sigma_app.core.migrations import run_sql

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_sql("0012_access_record.up.sql")


def downgrade() -> None:
    run_sql("0012_access_record.down.sql")
