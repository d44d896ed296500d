"""/admin/leads/import: a file of leads, first checked, then imported; and the files of the last month."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import reflex as rx
from psycopg import AsyncCursor

from sigma_app.core.errors import SigmaError
from sigma_app.features.console import asked as asks
from sigma_app.features.console import importing
from sigma_app.features.console.parts import (
    PRIMARY,
    QUIET,
    Fact,
    Row,
    console_page,
    numbers,
    page,
    part,
    table,
    when,
)
from sigma_app.features.console.service import NothingToDo
from sigma_app.features.console.state import ConsolePage
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session
from sigma_app.ui.form import plain_form
from sigma_app.ui.link import link

ROUTE = "/admin/leads/import"
FILE = "/admin/leads/import/file"
_SHOWN = 100  # rows that are not imported
_MOST = 50  # files of before
_FORGOTTEN = "forgotten"  # a file that was checked, and its rows gone before anybody imported it
FILES = ("File", "Checked (UTC)", "By", "State", "Imported", "Left out")
STATES = {
    "judged": "checked, not imported",
    "running": "being imported",
    "done": "imported",
    "failed": "stopped",
    _FORGOTTEN: "forgotten before it was imported",
}
_TEMPLATE = f"data:text/csv;charset=utf-8,{quote(importing.TEMPLATE)}"
_COLUMNS = (
    ("email", "The address. The only column that has to be there."),
    ("created_at", "When they joined, as 2026-11-28T09:00:00+00:00; without it, the moment of the import."),
    ("consent_version, consent_at", "Which words they agreed to, and when. Whoever has the second needs the first."),
    ("utm_source, utm_medium, utm_campaign, utm_term, utm_content", "The campaign that they came by."),
    ("referrer, landing_path, referral_code", "The page that led here, where they came in, and the code of a friend."),
)


class ImportState(ConsolePage, SessionState):
    """A file that was checked, if the address names one: what would be imported, what not and why, how far it is; and
    those of before."""

    files: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    identity: str = ""
    name: str = ""
    phase_of_it: str = ""
    counts: list[Fact] = []  # noqa: RUF012 - a Var, copied for each state
    problems: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    how_many: str = ""
    fresh: int = 0
    done: int = 0
    ended: str = ""
    said: str = ""

    _topics = frozenset({"imports"})

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        await cursor.execute(_FILES, {"only": None, "most": _MOST})
        self.files = [_row(file) for file in await cursor.fetchall()]
        found = None
        if identity := asks.identity(asked):
            await cursor.execute(_FILES, {"only": identity, "most": 1})
            found = await cursor.fetchone()
        if found is None:
            self.identity = self.name = self.phase_of_it = ""
            self.said = "There is no such file. Please choose it again." if asked.get("id") else ""
            return
        self.identity, self.name, self.phase_of_it = str(found["id"]), found["name"], _state_of(found)
        self.fresh, self.done = found["fresh"], found["done"]
        self.counts = [
            Fact("new", f"{found['fresh']:,}"),
            Fact("on the list already", f"{found['known']:,}"),
            Fact("have an account", f"{found['holders']:,}"),
            Fact("with a mistake", f"{found['refused']:,}"),
        ]
        self.ended = f"{found['done']:,} imported."
        if found["state"] == "done" and found["done"] < found["fresh"]:
            self.ended += (
                f" {found['fresh'] - found['done']:,} joined or were erased meanwhile, and were left as they are."
            )
        await cursor.execute(
            "select line, address, problem from sigma.import_rows"
            " where import_id = %s and problem is not null order by lead is not null, line limit %s",
            [found["id"], _SHOWN],
        )
        self.problems = [
            Row(str(row["line"]), [str(row["line"]), row["address"], row["problem"]]) for row in await cursor.fetchall()
        ]
        left = found["known"] + found["holders"] + found["refused"]
        self.how_many = f"The first {_SHOWN} lines of {left:,}. " if left > _SHOWN and self.problems else ""

    @rx.event
    async def begin(self, form_data: dict[str, Any]):
        """Import what was checked."""
        fields = form_data if isinstance(form_data, dict) else {}  # a client may send anything
        try:
            session = await self._signed_in()
            if session is None or not self.identity:
                return
            with suppress(NothingToDo):  # a second click, or somebody else's; how far it is is shown
                await importing.begin(session, UUID(self.identity), bool(fields.get("ask")))
        except SigmaError as error:
            self.said = str(error)
            return
        await self._show()


# Each row of a file is new, on the list, refused, or, for the rest, of somebody with an account. How many there are in
# all is on record, since the rows themselves are soon forgotten.
_FILES = """
select file.*, account.email as operator_name,
  coalesce(judged.rows - file.fresh - file.known - file.refused, 0) as holders,
  file.state = 'judged'
    and exists (select from sigma.import_rows where import_id = file.id and problem is null) as is_ready
from sigma.imports as file
  left join sigma.accounts as account on account.id = file.operator
  left join lateral (
    select (detail ->> 'rows')::bigint as rows from sigma.audit_log
    where subject = file.id::text and action = 'leads.judge' order by id desc limit 1
  ) as judged on true
where file.id = coalesce(%(only)s::uuid, file.id)
order by file.created_at desc, file.id limit %(most)s
"""


def _state_of(file: Mapping[str, Any]) -> str:
    """How a file stands: one of `STATES`."""
    return _FORGOTTEN if file["state"] == "judged" and file["fresh"] and not file["is_ready"] else file["state"]


def _row(file: Mapping[str, Any]) -> Row:
    return Row(
        str(file["id"]),
        [
            file["name"],
            when(file["created_at"]),
            file["operator_name"] or "somebody who left",
            STATES[_state_of(file)],
            f"{file['done']:,}",
            f"{file['known'] + file['holders'] + file['refused']:,}",
        ],
        href=f"{ROUTE}?id={file['id']}",
        tone="bad" if file["state"] == "failed" else "",
    )


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
        part(
            "Files of the last 30 days",
            table(
                "Files that were checked, newest first",
                FILES,
                ImportState.files,
                empty="None yet. Each file that is checked stands here for 30 days, with what became of it.",
                numbers=("Imported", "Left out"),
            ),
        ),
        here="/admin/leads",
        script=Path(__file__).parent / "import.js",
        lede=link("All leads", href="/admin/leads"),
    )


def _choose() -> rx.Component:
    return plain_form(
        rx.el.label(
            rx.el.span(f"A CSV file in UTF-8, up to {importing.LARGEST >> 20} MB and {importing.MOST_ROWS:,} rows"),
            rx.el.input(type="file", name="file", accept=".csv,text/csv,text/plain", class_name="file-field"),
        ),
        rx.el.p(
            "Nothing is on the list before you have seen what would be. An address that is there already stays as it"
            " is, and its line is left out: a file can be imported again without harm. So is that of somebody with an"
            " account.",
            class_name="fine-print",
        ),
        rx.el.details(
            rx.el.summary("Which columns", class_name=QUIET),
            rx.el.p("The first line names them, in any order. You are told which others there are; they are left out."),
            rx.el.dl(
                *(rx.el.div(rx.el.dt(name), rx.el.dd(words)) for name, words in _COLUMNS), class_name="console-facts"
            ),
            link("An empty file with these columns", href=_TEMPLATE, download="leads.csv", class_name=QUIET),
            class_name="console-fold",
        ),
        rx.el.progress(max="100", value="0", hidden=True, aria_label="Upload"),
        rx.el.p(role="status", class_name="door-message", custom_attrs={"data-message": ""}),
        rx.el.div(
            rx.el.button("Check this file", type="submit", class_name=QUIET, custom_attrs={"data-send": ""}),
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
                (
                    "done",
                    rx.el.div(
                        rx.el.p(ImportState.ended, role="status", class_name="said"),
                        rx.cond(
                            ImportState.done > 0,
                            link(
                                "Show those imported",
                                href=f"/admin/leads?file={ImportState.identity}",
                                class_name=QUIET,
                            ),
                        ),
                        class_name="console-acts",
                    ),
                ),
                (
                    _FORGOTTEN,
                    rx.el.p("What was in it is forgotten by now. To import it, choose it again.", class_name="said"),
                ),
                rx.el.p("It was stopped: whoever began it is no operator any more.", class_name="said"),
            ),
        ),
        part(
            "Not imported",
            rx.el.p(
                ImportState.how_many,
                "What is written here is forgotten in the night after the import, or, without one, at the latest two"
                " nights after the file came.",
                class_name="fine-print",
            ),
            table(
                "Lines that are not imported, and why",
                ("Line", "Address", "Why"),
                ImportState.problems,
                empty="Nothing is left out, or it is forgotten by now.",
            ),
        ),
    )


def _question() -> rx.Component:
    return rx.cond(
        ImportState.fresh > 0,
        rx.el.form(
            rx.el.label(
                rx.el.input(type="checkbox", name="ask"),
                "Mail each of them the question whether to confirm. Tick this only if they asked to be on the list.",
            ),
            rx.el.div(
                rx.el.button("Import the new ones", type="submit", class_name=PRIMARY), class_name="console-actions"
            ),
            on_submit=ImportState.begin,
            class_name="console-run",
        ),
        rx.el.p("Nobody in it is new: there is nothing to import.", class_name="console-empty"),
    )


PAGES = [page(import_page, ROUTE, "Import leads", ImportState)]
