"""confirmed leads: their links, their consents, their place in line

What a lead does after joining is columns of its own, one time each; `status` says the latest of them. Links, consents
and the counts that make a place fast to tell are in schema `sigma`, which is not served over REST.
"""

import sqlalchemy as sa

from alembic import op
from sigma_app.core.migrations import run_sql

revision = "0004"
down_revision = "0003"

TIMES = ("confirmed_at", "invited_at", "reminded_at", "signed_up_at", "customer_at", "unsubscribed_at")
STATUS = (
    "case when customer_at is not null then 'customer' when signed_up_at is not null then 'signed up'"
    " when unsubscribed_at is not null then 'unsubscribed' when invited_at is not null then 'invited'"
    " when confirmed_at is not null then 'confirmed' else 'joined' end"
)


def upgrade() -> None:
    for name in TIMES:
        op.add_column("leads", sa.Column(name, sa.TIMESTAMP(timezone=True)))
    op.add_column("leads", sa.Column("status", sa.Text(), sa.Computed(STATUS, persisted=True)))
    op.add_column("leads", sa.Column("share_code", sa.Text()))
    op.add_column("leads", sa.Column("mailbox", sa.Text()))
    op.add_column("leads", sa.Column("flag", sa.Text()))
    op.add_column("leads", sa.Column("referrals", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("leads", sa.Column("line_number", sa.Numeric()))
    op.add_column("leads", sa.Column("line_key", sa.BigInteger()))
    op.create_index("leads_share_code_key", "leads", ["share_code"], unique=True)
    op.create_index("leads_mailbox", "leads", ["mailbox"])
    op.create_index("leads_line_number", "leads", ["line_number"])
    op.create_index("leads_line_key", "leads", ["line_key", sa.text("line_number desc")], unique=True)
    run_sql("0004_line.up.sql")


def downgrade() -> None:
    run_sql("0004_line.down.sql")
    for name in ("leads_line_key", "leads_line_number", "leads_mailbox", "leads_share_code_key"):
        op.drop_index(name, "leads")
    names = ("status", *TIMES, "share_code", "mailbox", "flag", "referrals", "line_number", "line_key")
    for name in names:
        op.drop_column("leads", name)
