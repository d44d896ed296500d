"""leads and profiles, with their policies, triggers and grants

Columns, types, defaults, index and policy names as documented in backend_operations.md; the rest settles what
that document leaves open.

The document calls both tables current: a database may have them already, with rows, made by its SQL. Such a
table is adopted: what is missing is added, policies, functions and triggers of the documented names become
ours, every row stays as it is. Rows that a constraint cannot accept stop the migration, which says how many
they are and how to see them.

The downgrade drops what the upgrade made. A table that was adopted is not dropped: it keeps its rows and all
that the upgrade put around it, the guard on the billing columns above all, and the next upgrade adopts it again.
"""

import sqlalchemy as sa

from alembic import op
from sigma_app.core.migrations import VERSION_SCHEMA, run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # Which tables were there before Sigma, for the downgrade.
    op.create_table("adopted", sa.Column("name", sa.Text(), primary_key=True), schema=VERSION_SCHEMA)
    create_leads(schema=place_of("leads"))
    create_profiles(schema=place_of("profiles"))
    run_sql("0002_adopt.up.sql")
    run_sql("0002_leads_and_profiles.up.sql")


def downgrade() -> None:
    run_sql("0002_leads_and_profiles.down.sql")
    op.drop_table("adopted", schema=VERSION_SCHEMA)


def place_of(table: str) -> str:
    """The schema to create a table in: beside the versions where there is one already, as the pattern to adopt
    that one by."""
    found = op.get_bind().scalar(sa.select(sa.func.to_regclass(f"public.{table}")))
    return VERSION_SCHEMA if found else "public"


def bounded(column: str, characters: int) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"char_length({column}) <= {characters}", name=f"leads_{column}_length")


def create_leads(schema: str) -> None:
    utc_now = sa.text("timezone('utc'::text, now())")
    op.create_table(
        "leads",
        sa.Column("id", sa.Uuid(), primary_key=True, server_default=sa.text("gen_random_uuid()")),
        sa.Column("email", sa.Text()),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=utc_now),
        # Where the visitor came from, as far as the address of the page and the browser say.
        sa.Column("utm_source", sa.Text()),
        sa.Column("utm_medium", sa.Text()),
        sa.Column("utm_campaign", sa.Text()),
        sa.Column("utm_term", sa.Text()),
        sa.Column("utm_content", sa.Text()),
        sa.Column("referrer", sa.Text()),
        sa.Column("landing_path", sa.Text()),
        sa.Column("referral_code", sa.Text()),  # the code that was used, not one's own
        sa.Column("consent_version", sa.Text()),  # which text was agreed to, and when
        sa.Column("consent_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("disposable", sa.Boolean()),  # a throw-away domain? null: not looked at yet
        # `email` is nullable as documented, and still never null: a lead without an address is none.
        sa.CheckConstraint("email is not null", name="leads_email_required"),
        sa.CheckConstraint("email ~ '^[^\\s@][^\\s]*@[^\\s@]+$'", name="leads_email_format"),
        bounded("email", 320),  # RFC 5321, 4.5.3.1: 64 before the @, 255 after it
        *(bounded(f"utm_{name}", 200) for name in ("source", "medium", "campaign", "term", "content")),
        bounded("referrer", 500),
        bounded("landing_path", 500),
        bounded("referral_code", 64),
        bounded("consent_version", 64),
        sa.CheckConstraint("(consent_version is null) = (consent_at is null)", name="leads_consent_complete"),
        schema=schema,
    )
    op.create_index("leads_email_lower_key", "leads", [sa.text("lower(email)")], unique=True, schema=schema)
    op.create_index("idx_leads_email", "leads", ["email"], schema=schema)
    op.create_index("idx_leads_created_at", "leads", ["created_at"], schema=schema)


def create_profiles(schema: str) -> None:
    utc_now = sa.text("(now() at time zone 'UTC'::text)")
    op.create_table(
        "profiles",
        sa.Column(
            "id",
            sa.Uuid(),
            sa.ForeignKey("auth.users.id", ondelete="CASCADE", name="profiles_id_fkey"),
            primary_key=True,
        ),
        sa.Column("name", sa.Text()),
        sa.Column("email", sa.Text()),
        sa.Column("image", sa.Text()),
        sa.Column("customer_id", sa.Text()),  # Stripe's customer
        sa.Column("price_id", sa.Text()),  # Stripe's price
        sa.Column("has_access", sa.Boolean(), server_default=sa.false()),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=utc_now),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=utc_now),
        schema=schema,
    )
    op.create_index("idx_profiles_email", "profiles", ["email"], schema=schema)
    op.create_index("idx_profiles_updated_at", "profiles", ["updated_at"], schema=schema)
