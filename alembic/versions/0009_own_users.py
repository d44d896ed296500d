"""nobody is noted by name in a database whose users are Supabase's own"""

from sigma_app.core.migrations import run_sql

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run_sql("0009_own_users.up.sql")


def downgrade() -> None:
    run_sql("0008_elsewhere.up.sql")  # the function as it was
