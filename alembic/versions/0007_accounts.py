"""what the portal keeps of those who are signed in, and where their pictures go"""

from sigma_app.core.migrations import run_sql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_sql("0007_sessions.up.sql")
    run_sql("0007_pictures.up.sql")


def downgrade() -> None:
    run_sql("0007_pictures.down.sql")
    run_sql("0007_sessions.down.sql")
