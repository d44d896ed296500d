"""the job queue, in a schema of its own

The schema is procrastinate's own, read from the pinned package and put into `procrastinate`. The schema's comment
keeps its version: a later procrastinate that changes its tables needs a revision here that runs the package's own
migrations on databases whose comment names an older version, and only the comment on others
(docs/decisions/0008-jobs.md).
"""

from importlib.metadata import version
from importlib.resources import files

from alembic import op
from sigma_app.core.migrations import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("create schema procrastinate")
    op.execute(f"comment on schema procrastinate is 'procrastinate {version('procrastinate')}'")
    # The package's statements name no schema, so they go where the path leads; a colon or a % in them means nothing.
    op.execute("set local search_path = procrastinate")
    schema = files("procrastinate.sql").joinpath("schema.sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(schema, execution_options={"no_parameters": True})
    op.execute("reset search_path")
    run_sql("0003_jobs.up.sql")


def downgrade() -> None:
    op.execute("drop table sigma.job_errors")
    op.execute("drop function sigma.queue_job")
    op.execute("drop schema procrastinate cascade")
