"""mails are found by the beginning of an address without reading all of them"""

from sigma_app.core.migrations import run_sql

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    run_sql("0018_mail_search.up.sql")


def downgrade() -> None:
    run_sql("0018_mail_search.down.sql")
