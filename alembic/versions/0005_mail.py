"""mail: the mailbox that stands in for Resend, addresses that get none, events that providers report"""

from alembic import op
from sigma_app.core.migrations import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_sql("0005_mail.up.sql")


def downgrade() -> None:
    op.execute("drop table sigma.webhook_events, sigma.suppressions, sigma.mailbox")
