"""What happened to one lead, in sentences, each leading to where there is more of it: account, mail, or audit log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import reflex as rx
from psycopg import AsyncCursor

from sigma_app.features.console import deed_words, mail_words
from sigma_app.features.console.parts import exactly, moment, when
from sigma_app.ui.link import link


@dataclass(frozen=True, slots=True)
class Happening:
    """One line: when, as people and as programs read it, and what, with the way to more; "" where there is none."""

    id: str
    at: str
    exactly: str
    words: str
    href: str
    more: str


async def read(cursor: AsyncCursor[dict[str, Any]], lead: Mapping[str, Any]) -> list[Happening]:
    """Everything that happened to a lead, the latest first; as an operator.

    Args:
        cursor: of an operator.
        lead: its columns, and `account`, the id of its account.

    Raises:
        DatabaseUnavailable, psycopg.Error: it could not be read.
    """
    await cursor.execute(_STORY, {"id": lead["id"], "as_text": str(lead["id"])})
    found = [*_steps(lead), *map(_told, await cursor.fetchall())]
    found.sort(key=lambda one: one[0], reverse=True)
    return [Happening(str(index), when(at), exactly(at), words, *way) for index, (at, words, way) in enumerate(found)]


def told(happenings: Any) -> rx.Component:
    """A Var of `list[Happening]`."""
    return rx.el.ol(
        rx.foreach(
            happenings,
            lambda one: rx.el.li(
                moment(one.at, one.exactly),
                rx.el.p(one.words, rx.cond(one.href != "", rx.fragment(" ", link(one.more, href=one.href)))),
                key=one.id,
            ),
        ),
        class_name="console-story",
    )


_Told = tuple[datetime, str, tuple[str, str]]
_NOWHERE = ("", "")
_THIS_ONE = {"leads": [""]}  # of a deed among many this page tells the part that is about one
_STEPS = {
    "created_at": "Joined the list.",
    "confirmed_at": "Confirmed the address.",
    "invited_at": "Was invited, the last time.",
    "reminded_at": "Was reminded of the invitation.",
    "signed_up_at": "Signed up: there is an account with this address.",
    "customer_at": "Got access: became a customer.",
    "unsubscribed_at": "Unsubscribed.",
}
_OF_THE_ACCOUNT = ("signed_up_at", "customer_at")


def _steps(lead: Mapping[str, Any]) -> Iterator[_Told]:
    account = (f"/admin/user?id={lead['account']}", "Account") if lead["account"] else _NOWHERE
    for column, words in _STEPS.items():
        if lead[column]:
            yield lead[column], words, account if column in _OF_THE_ACCOUNT else _NOWHERE


def _told(row: Mapping[str, Any]) -> _Told:
    what, which = row["what"], row["which"]
    letter = mail_words.KINDS.get(f"waitlist:{which}", f"a mail ({which})")
    mail = (f"/admin/message?id={row['way']}", "Mail") if row["way"] else _NOWHERE
    match what:
        case "agreed":
            return row["at"], f"Agreed to the words of version {which}, by the {row['way']}.", _NOWHERE
        case "asked for":
            return row["at"], f"Was to be sent {letter}.", mail
        case "mailed":
            return row["at"], f"{letter[0].upper()}{letter[1:]} was written and handed over.", mail
        case "used":
            return row["at"], f"Opened {letter} and used its link.", mail
        case _:
            way = f"/admin/audit?{urlencode({'subject': row['way']})}" if row["way"] else "/admin/audit"
            said = deed_words.sentence(what, _THIS_ONE).replace(" a lead", " this lead")
            return row["at"], f"{which} {said}.", (way, "Audit log")


_STORY = """
select given_at as at, 'agreed' as what, version as which, source as way from sigma.consents where lead_id = %(id)s
union all
select link.happened, link.what, link.purpose, mail.id::text
from (
  select id, created_at as happened, 'asked for' as what, purpose from sigma.lead_links where lead_id = %(id)s
  union all
  select id, written_at, 'mailed', purpose from sigma.lead_links where lead_id = %(id)s and written_at is not null
  union all
  select id, used_at, 'used', purpose from sigma.lead_links where lead_id = %(id)s and used_at is not null
) as link left join sigma.messages as mail on mail.key = 'lead-link/' || link.id
union all
select at, action, operator_name, subject from sigma.audit_log
  where subject = %(as_text)s or (detail ? 'leads' and detail -> 'leads' ? %(as_text)s)
"""
