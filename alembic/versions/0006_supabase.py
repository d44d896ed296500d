"""what the embedded Supabase keeps: the rest of schema auth, schema storage, and news of changed tables

On a Supabase project all of it is there and stays as it is: it is laid only beside an `auth` that Sigma laid.
"""

from alembic import op
from sigma_app.core.migrations import run_sql

revision = "0006"
down_revision = "0005"

_IS_OURS = "select obj_description(to_regnamespace('auth'), 'pg_namespace') like 'Laid by Sigma%'"


def upgrade() -> None:
    if is_ours():
        run_sql("0006_auth.up.sql")
        run_sql("0006_storage.up.sql")
        run_sql("0006_rest.up.sql")


def downgrade() -> None:
    if is_ours():
        run_sql("0006_rest.down.sql")
        run_sql("0006_storage.down.sql")
        run_sql("0006_auth.down.sql")


def is_ours() -> bool:
    return bool(op.get_bind().exec_driver_sql(_IS_OURS, execution_options={"no_parameters": True}).scalar())
