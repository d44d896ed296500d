"""/admin/leads/import: a file of leads, first judged, then imported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import reflex as rx
from psycopg import AsyncCursor

from sigma_app.core.errors import SigmaError
from sigma_app.features.console import asked as asks
from sigma_app.features.console import importing
from sigma_app.features.console.parts import PRIMARY, QUIET, Fact, Row, console_page, numbers, page, part, table
from sigma_app.features.console.state import ConsolePage
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session
from sigma_app.ui.form import plain_form
from sigma_app.ui.link import link

ROUTE = "/admin/leads/import"
FILE = "/admin/leads/import/file"
_SHOWN = 100  # rows with a problem


class ImportState(ConsolePage, SessionState):
    """A file that was judged, if the address names one: what would be imported, what not and why, and how far it is."""

    identity: str = ""
    name: str = ""
    phase_of_it: str = ""
    counts: list[Fact] = []  # noqa: RUF012 - a Var, copied for each state
    problems: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    fresh: int = 0
    done: int = 0
    ended: str = ""
    said: str = ""

    _topics = frozenset({"imports"})

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        found = None
        if identity := asks.identity(asked):
            await cursor.execute("select * from sigma.imports where id = %s", [identity])
            found = await cursor.fetchone()
        if found is None:
            self.identity = self.name = self.phase_of_it = ""
            self.said = "There is no such file. Please choose it again." if asked.get("id") else ""
            return
        self.identity, self.name, self.phase_of_it = str(found["id"]), found["name"], found["state"]
        self.fresh, self.done = found["fresh"], found["done"]
        self.counts = [
            Fact("new", f"{found['fresh']:,}"),
            Fact("on the list already", f"{found['known']:,}"),
            Fact("refused", f"{found['refused']:,}"),
        ]
        self.ended = f"{found['done']:,} imported."
        await cursor.execute(
            "select line, address, problem from sigma.import_rows"
            " where import_id = %s and problem is not null order by lead is not null, line limit %s",
            [found["id"], _SHOWN],
        )
        self.problems = [
            Row(str(row["line"]), [str(row["line"]), row["address"], row["problem"]]) for row in await cursor.fetchall()
        ]

    @rx.event
    async def begin(self, form_data: dict[str, Any]):
        """Import what was judged."""
        fields = form_data if isinstance(form_data, dict) else {}  # a client may send anything
        try:
            session = await self._signed_in()
            if session is None or not self.identity:
                return
            await importing.begin(session, UUID(self.identity), bool(fields.get("ask")))
        except SigmaError as error:
            self.said = str(error)
            return
        await self._show()


def import_page() -> rx.Component:
    """A file of leads."""
    return console_page(
        ImportState,
        "Import leads",
        rx.cond(ImportState.identity != "", _judged(), rx.fragment()),
        part(
            rx.cond(ImportState.identity != "", "Another file", "A file"),
            rx.el.p(ImportState.said, role="status", class_name="said"),
            _choose(),
        ),
        here="/admin/leads",
        script=Path(__file__).parent / "import.js",
        lede=link("All leads", href="/admin/leads"),
    )


def _choose() -> rx.Component:
    return plain_form(
        rx.el.label(
            rx.el.span("CSV, UTF-8, up to 20 MB and 200,000 rows"),
            rx.el.input(type="file", name="file", accept=".csv,text/csv,text/plain", class_name="file-field"),
        ),
        rx.el.p(
            "The first line names the columns. “email” is needed; created_at, consent_version, consent_at,"
            " utm_source, utm_medium, utm_campaign, utm_term, utm_content, referrer, landing_path and referral_code are"
            " taken along; others are left out. Nothing is imported before you have seen what would be.",
            class_name="fine-print",
        ),
        rx.el.progress(max="100", value="0", hidden=True, aria_label="Upload"),
        rx.el.p(role="status", class_name="door-message", custom_attrs={"data-message": ""}),
        rx.el.div(
            rx.el.button("Judge it", type="submit", class_name=QUIET, custom_attrs={"data-send": ""}),
            rx.el.button("Cancel", type="button", hidden=True, class_name=QUIET, custom_attrs={"data-cancel": ""}),
            class_name="console-actions",
        ),
        action=FILE,
        class_name="link-form",
        custom_attrs={"data-import": ""},
    )


def _judged() -> rx.Component:
    return rx.fragment(
        part(
            ImportState.name,
            numbers(ImportState.counts),
            rx.match(
                ImportState.phase_of_it,
                ("judged", _question()),
                (
                    "running",
                    rx.el.div(
                        rx.el.progress(value=f"{ImportState.done}", max=f"{ImportState.fresh}", aria_label="Import"),
                        rx.el.p(ImportState.ended, role="status"),
                        class_name="console-run",
                    ),
                ),
                ("done", rx.el.p(ImportState.ended, role="status", class_name="said")),
                rx.el.p("It was stopped: whoever began it is no operator any more.", class_name="said"),
            ),
        ),
        part(
            "Not imported",
            table(
                "Rows that are not imported, and why",
                ("Line", "Address", "Why"),
                ImportState.problems,
                empty="Every row is new.",
            ),
            intro=f"The first {_SHOWN} of them. Rows are forgotten a day after the file came.",
        ),
    )


def _question() -> rx.Component:
    return rx.cond(
        ImportState.fresh > 0,
        rx.el.form(
            rx.el.label(
                rx.el.input(type="checkbox", name="ask"),
                "Mail each of them the question to confirm. Tick this only if they asked for it.",
            ),
            rx.el.div(
                rx.el.button("Import the new ones", type="submit", class_name=PRIMARY), class_name="console-actions"
            ),
            on_submit=ImportState.begin,
            class_name="console-run",
        ),
        rx.el.p("Nobody in it is new.", class_name="console-empty"),
    )


PAGES = [page(import_page, ROUTE, "Import leads", ImportState)]
