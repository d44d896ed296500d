"""what Supabase has: its roles, schema auth, auth.users, auth.uid() and its kin

On a Supabase project all of it is there and stays as it is; on a plain Postgres 15+ what is missing is
laid, in Supabase's own shape (supabase/auth, migrations; columns of version 2.196).
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from alembic import op
from sigma_app.core.migrations import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_sql("0001_roles.up.sql")
    if not sa.inspect(op.get_bind()).has_schema("auth"):
        op.execute(sa.schema.CreateSchema("auth"))
        create_users()
        run_sql("0001_auth.up.sql")


def downgrade() -> None:
    # The roles stay: they belong to the whole cluster, and other databases in it may use them.
    run_sql("0001_auth.down.sql")


def create_users() -> None:
    when = sa.TIMESTAMP(timezone=True)
    word = sa.String(255)
    empty = sa.text("''::character varying")
    op.create_table(
        "users",
        sa.Column("instance_id", sa.Uuid()),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("aud", word),
        sa.Column("role", word),
        sa.Column("email", word),
        sa.Column("encrypted_password", word),
        sa.Column("email_confirmed_at", when),
        sa.Column("invited_at", when),
        sa.Column("confirmation_token", word),
        sa.Column("confirmation_sent_at", when),
        sa.Column("recovery_token", word),
        sa.Column("recovery_sent_at", when),
        sa.Column("email_change_token_new", word),
        sa.Column("email_change", word),
        sa.Column("email_change_sent_at", when),
        sa.Column("last_sign_in_at", when),
        sa.Column("raw_app_meta_data", JSONB()),
        sa.Column("raw_user_meta_data", JSONB()),
        sa.Column("is_super_admin", sa.Boolean()),
        sa.Column("created_at", when),
        sa.Column("updated_at", when),
        sa.Column("phone", sa.Text(), server_default=sa.text("null::character varying")),
        sa.Column("phone_confirmed_at", when),
        sa.Column("phone_change", sa.Text(), server_default=empty),
        sa.Column("phone_change_token", word, server_default=empty),
        sa.Column("phone_change_sent_at", when),
        sa.Column("confirmed_at", when, sa.Computed("least(email_confirmed_at, phone_confirmed_at)", persisted=True)),
        sa.Column("email_change_token_current", word, server_default=empty),
        sa.Column("email_change_confirm_status", sa.SmallInteger(), server_default=sa.text("0")),
        sa.Column("banned_until", when),
        sa.Column("reauthentication_token", word, server_default=empty),
        sa.Column("reauthentication_sent_at", when),
        sa.Column("is_sso_user", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("deleted_at", when),
        sa.Column("is_anonymous", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.UniqueConstraint("phone", name="users_phone_key"),
        sa.CheckConstraint(
            "email_change_confirm_status >= 0 and email_change_confirm_status <= 2",
            name="users_email_change_confirm_status_check",
        ),
        schema="auth",
    )
    create_user_indexes()


def create_user_indexes() -> None:
    lower_email = sa.text("lower((email)::text)")
    op.create_index("users_instance_id_idx", "users", ["instance_id"], schema="auth")
    op.create_index("users_instance_id_email_idx", "users", ["instance_id", lower_email], schema="auth")
    op.create_index("users_is_anonymous_idx", "users", ["is_anonymous"], schema="auth")
    not_sso = sa.text("is_sso_user = false")
    op.create_index("users_email_partial_key", "users", ["email"], unique=True, schema="auth", postgresql_where=not_sso)
    # A token is unique unless it is empty or a mere number (an older form that was not random enough to be
    # unique).
    for name in (
        "confirmation_token",
        "recovery_token",
        "email_change_token_current",
        "email_change_token_new",
        "reauthentication_token",
    ):
        where = sa.text(f"{name}::text !~ '^[0-9 ]*$'::text")
        op.create_index(f"{name}_idx", "users", [name], unique=True, schema="auth", postgresql_where=where)
