"""the operator's console: who operates, what they may read, what they did, and what runs on their behalf

Leads get an index for each way in which the console lists them: newest first, alone or by status, source or flag, and
by the beginning of their address.
"""

import sqlalchemy as sa

from alembic import op
from sigma_app.core.migrations import run_sql

revision = "0014"
down_revision = "0013"

BEGINNING = sa.literal_column("lower(email)").label("beginning")
NEWEST = [sa.text("created_at desc"), sa.text("id desc")]


def upgrade() -> None:
    op.create_index("leads_newest", "leads", NEWEST)
    op.create_index("leads_newest_by_status", "leads", ["status", *NEWEST])
    op.create_index("leads_newest_by_source", "leads", ["utm_source", *NEWEST])
    op.create_index("leads_newest_flagged", "leads", NEWEST, postgresql_where=sa.text("flag is not null"))
    op.create_index("leads_email_prefix", "leads", [BEGINNING], postgresql_ops={"beginning": "text_pattern_ops"})
    run_sql("0014_console.up.sql")


def downgrade() -> None:
    run_sql("0014_console.down.sql")
    for name in ("email_prefix", "newest_flagged", "newest_by_source", "newest_by_status", "newest"):
        op.drop_index(f"leads_{name}", "leads")
