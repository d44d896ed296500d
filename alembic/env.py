"""How Alembic reaches the database: with the connection that `sigma_app.core.migrations` hands it.

`alembic revision --autogenerate` and other direct calls, which hand nothing, use the owner's address of this
checkout: DATABASE_URL, or the embedded cluster, which must be running.
"""

from __future__ import annotations

from sqlalchemy import Connection

from alembic import context
from sigma_app.core.migrations import VERSION_SCHEMA, VERSION_TABLE, migration_engine, take_turn


def compared(item, name, kind, reflected, counterpart) -> bool:
    """What autogenerate looks at: not the schema `auth`, which is Supabase's to change, and in `sigma` only what has a
    model."""
    if kind != "table":
        return True
    return item.schema != "auth" and not (item.schema == VERSION_SCHEMA and reflected and counterpart is None)


def named(name, kind, _parents) -> bool:
    """Which schemas autogenerate looks into."""
    return kind != "schema" or name in (None, VERSION_SCHEMA, "billing")


def migrate(connection: Connection) -> None:
    """Run the revisions in one transaction, after waiting for our turn."""
    progress = context.config.attributes.get("progress")

    def announce(**applied) -> None:
        if progress:
            step = applied["step"]
            progress(f"{step.up_revision_id} {step.up_revision.doc}")

    context.configure(
        connection=connection,
        target_metadata=_metadata(),
        include_schemas=True,
        include_name=named,
        include_object=compared,
        compare_server_default=True,
        version_table=VERSION_TABLE,
        version_table_schema=VERSION_SCHEMA,
        on_version_apply=announce,  # pyright: ignore[reportArgumentType] - called by keyword
    )
    with context.begin_transaction():
        take_turn(connection)
        context.run_migrations()


def _metadata():
    """The models, for the commands that compare them: a migration must not need today's models."""
    if context.config.attributes.get("without_models"):
        return None
    from sigma_app.models import metadata

    return metadata


def _owner_url() -> str:
    from sigma_app.embedded import postgres
    from sigma_app.settings import get_settings

    settings = get_settings()
    given = settings.database_url
    return given.get_secret_value() if given else postgres.locate(settings).owner_url()


if handed := context.config.attributes.get("connection"):
    migrate(handed)
else:
    with migration_engine(_owner_url()) as own:
        migrate(own)
