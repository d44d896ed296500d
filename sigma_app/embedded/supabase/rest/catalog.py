"""What schema `public` has: tables, views, functions and types, read from Postgres' catalog and kept until it changes.

All identifiers that ever stand in a statement come from here, quoted; what a request names is only looked up.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sigma_app.core.database import Database
from sigma_app.core.exchange import Bound

SCHEMA = "public"
CHANNEL = "pgrst"  # PostgREST's own, so that what its documentation says of reloading holds here
PAUSE_SECONDS = 1.0  # between two readings that nobody told us to make

_EVERYTHING = (Path(__file__).parent / "catalog.sql").read_text()
_ALIKE = 0.75  # of names, to be worth a hint; PostgREST's
# What SQL's own grammar reads in another way than the catalog names it
_SQL_TYPES = {
    "int": "integer",
    "float": "double precision",
    "decimal": "numeric",
    "dec": "numeric",
    "char": "character",
}


def quoted(name: str) -> str:
    """A name of the catalog as an identifier."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Column:
    """A column of a table or view."""

    name: str
    type: str
    """As a column of a JSON record has it."""
    shown_type: str
    default: str | None
    nullable: bool
    description: str | None
    choices: Sequence[str] | None
    """An enum's labels."""
    longest: int | None
    """Characters."""
    quoted: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "quoted", quoted(self.name))

    @property
    def is_json(self) -> bool:
        """Whether arrows lead into it as it is."""
        return self.type in ("json", "jsonb")


@dataclass(frozen=True)
class Rows:
    """Something whose rows are asked for: a table, or what a function returns."""

    name: str
    columns: Mapping[str, Column | None]
    """By name; None where the type is not known."""
    computed: frozenset[str]
    """Functions of a row."""

    def has(self, name: str) -> bool:
        """Whether a request may name this."""
        return name in self.columns or name in self.computed


@dataclass(frozen=True)
class Table(Rows):
    """A table or view."""

    description: str | None
    insertable: bool
    updatable: bool
    deletable: bool
    keys: Sequence[str]
    """The columns of the primary key."""
    full: str
    """Its identifier, with the schema."""


@dataclass(frozen=True)
class Parameter:
    """One of a function's; `name` is empty where it has none."""

    name: str
    type: str
    bound_type: str
    required: bool
    variadic: bool


@dataclass(frozen=True)
class Function:
    """One function, of which others may have the same name."""

    name: str
    description: str | None
    parameters: Sequence[Parameter]
    many: bool
    """Whether it returns a set."""
    composite: bool
    void: bool
    volatile: bool
    rows: Rows
    full: str

    @property
    def scalar(self) -> bool:
        """Whether it returns single values rather than rows."""
        return not self.composite


@dataclass(frozen=True)
class Catalog:
    """One reading."""

    tables: Mapping[str, Table]
    functions: Mapping[str, Sequence[Function]]
    """By name."""
    types: Mapping[str, str]
    """How a type is written, by a name for it."""
    description: str | None
    number: int
    """Stands in statements, so that one prepared for tables as they were is not used again."""

    def table_like(self, name: str) -> str | None:
        """A table whose name is nearly this one."""
        return next(iter(get_close_matches(name, self.tables, 1, _ALIKE)), None)

    def function_like(self, name: str) -> str | None:
        """A function whose name is nearly this one."""
        return next(iter(get_close_matches(name, self.functions, 1, _ALIKE)), None)

    def type(self, name: str) -> str | None:
        """How the type is written that a request calls `name`."""
        name = " ".join(name.lower().split())
        return _SQL_TYPES.get(name) or self.types.get(name)


class Catalogs:
    """The newest catalog of one database."""

    def __init__(self, database: Database):
        """Read nothing yet; be told of changes from now on."""
        self.database = database
        self._catalog: Catalog | None = None
        self._text = b""
        self._told = 1  # of how many changes
        self._known = 0  # and how many of them the catalog has
        self._read_at = 0.0
        self._lock = asyncio.Lock()
        database.listen(CHANNEL, self._heard)

    async def current(self) -> Catalog:
        """The catalog, read now if it changed.

        Raises:
            DatabaseUnavailable: it could not be read.
        """
        if self._catalog is not None and self._known == self._told:
            return self._catalog
        async with self._lock:
            if self._catalog is not None and self._known == self._told:
                return self._catalog  # somebody else just read it
            return await self._read()

    async def newer(self, than: Catalog) -> Catalog | None:
        """Another catalog than the one in which something was not found; None where there is none.

        For databases that tell nobody of their changes. Untold it is read once in `PAUSE_SECONDS` at the most.
        """
        async with self._lock:  # somebody may be reading it just now
            found = self._catalog
            due = self._known != self._told or time.monotonic() - self._read_at > PAUSE_SECONDS
            if found is than and due:
                found = await self._read()
        return None if found is than else found

    def _heard(self, message: str) -> None:
        if message in ("", "reload schema"):
            self._told += 1

    async def _read(self) -> Catalog:
        """Read it anew, with the lock held: who asks meanwhile waits, rather than be answered from what was."""
        told, self._read_at = self._told, time.monotonic()
        *_, result = await self.database.exchange(
            Bound("select set_config('search_path', '', true)"), Bound(_EVERYTHING)
        )
        text = result.get_value(0, 0) or b"{}"
        if self._catalog is None or text != self._text:
            number = self._catalog.number + 1 if self._catalog else 1
            self._text, self._catalog = text, _catalog(json.loads(text), number)
        self._known = told
        return self._catalog


def _catalog(found: Mapping[str, Any], number: int) -> Catalog:
    tables = {each["name"]: _table(each) for each in found["tables"]}
    functions: dict[str, list[Function]] = {}
    for each in found["functions"]:
        functions.setdefault(each["name"], []).append(_function(each, tables))
    return Catalog(tables, functions, found["types"], found["description"], number)


def _table(found: Mapping[str, Any]) -> Table:
    return Table(
        name=found["name"],
        columns={each["name"]: Column(**each) for each in found["columns"]},
        computed=frozenset(found["computed"]),
        description=found["description"],
        insertable=found["insertable"],
        updatable=found["updatable"],
        deletable=found["deletable"],
        keys=found["keys"],
        full=f"{quoted(SCHEMA)}.{quoted(found['name'])}",
    )


def _function(found: Mapping[str, Any], tables: Mapping[str, Table]) -> Function:
    """The rows of one that returns a table's are known as that table's are; of others only the columns' names."""
    name = found["name"]
    table = tables.get(found["row"] or "")
    rows = Rows(found["row"] or name, dict.fromkeys(found["columns"] or ()), frozenset())
    return Function(
        name=name,
        description=found["description"],
        parameters=[Parameter(**each) for each in found["parameters"]],
        many=found["many"],
        composite=found["composite"],
        void=found["void"],
        volatile=found["volatile"],
        rows=Rows(table.name, table.columns, table.computed) if table else rows,
        full=f"{quoted(SCHEMA)}.{quoted(name)}",
    )
