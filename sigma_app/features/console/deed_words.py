"""The audit log in words: what each deed was, and what it was done to, with the way there.

The log itself has names, ids and numbers only, which outlive whom they name; an address is looked up when it is shown,
and is there for as long as its owner is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString
from urllib.parse import urlencode
from uuid import UUID

from psycopg import AsyncCursor

from sigma_app.core.words import counted
from sigma_app.features.console import job_words, reasons
from sigma_app.features.console.reasons import PASSED

DEEDS: Mapping[str, Mapping[str, str]] = {
    "The list": {
        "lead.invite": "invited {leads}",
        "lead.flag": "flagged {leads}",
        "lead.unflag": "took the flag from {leads}",
        "lead.flag back": "put the flags of {leads} back as they were",
        "lead.erase": "erased {leads} from the list",
        "leads.invite": "asked for {leads} to be invited",
        "leads.flag": "asked for {leads} to be flagged",
        "leads.unflag": "asked for the flags of {leads} to be taken away",
        "leads.erase": "asked for {leads} to be erased from the list",
        "leads.export": "downloaded {leads} as CSV",
        "leads.judge": "had a file of {rows} checked",
        "leads.import": "imported a file of leads",
        "leads.imported": "put {leads} on the list, from a file",
        "run.stop": "stopped a run, or took it back",
        "run.undo": "asked for what a run did to be put back",
    },
    "Accounts": {
        "user.disable": "disabled an account",
        "user.enable": "enabled an account again",
        "user.sign_out": "signed somebody out {where}",
        "user.delete": "deleted an account",
    },
    "One person": {
        "person.export": "downloaded everything that is kept about somebody",
        "person.erase": "forgot everything about somebody",
    },
    "Operators": {
        "operator.grant": "made somebody an operator",
        "operator.revoke": "took the operator's role away",
    },
    "Mail": {
        "suppression.add": "kept an address from mail",
        "suppression.lift": "let an address have mail again",
    },
    "Events and jobs": {
        "event.replay": "had {events} worked again",
        "job.retry": "had {jobs} tried again",
        "job.drop": "deleted a failed job",
    },
}
"""What each action is in words, by what it is about; all that are written are here (tests/features/console)."""

_SENTENCES = {action: words for deeds in DEEDS.values() for action, words in deeds.items()}
_IN_THE_SENTENCE = ("leads", "filter", "rows", "device", "events", "jobs", "source")
_MORE = {"ask": "each new lead is asked to confirm"}
"""What details are called that do not speak for themselves."""
_SUBJECTS = dict.fromkeys(("user", "operator", "person"), "account") | {
    "lead": "lead",
    "leads": "import",
    "run": "run",
    "event": "event",
    "job": "job",
    "suppression": "address",
}
"""What the subject of an action is, by the first word of the action."""
_ACCOUNTS: LiteralString = "select id::text, email as name from sigma.accounts where id = any(%s::uuid[])"
_LEADS: LiteralString = "select id::text, email as name from public.leads where id = any(%s::uuid[])"
_IMPORTS: LiteralString = "select id::text, name from sigma.imports where id = any(%s::uuid[])"
_MAILS: LiteralString = """
select distinct on (digest) encode(digest, 'hex') as id, id::text as message, recipient as name
from sigma.messages where digest = any(%s::bytea[]) order by digest, queued_at desc
"""


@dataclass(frozen=True, slots=True)
class Thing:
    """What something was done to: what it is called, and where it is shown; "" for nowhere."""

    name: str = ""
    href: str = ""


def sentence(action: str, detail: Mapping[str, Any]) -> str:
    """What was done, as in "invited 12 leads"; the bare name of an action that this version does not know.

    >>> sentence("lead.invite", {"leads": ["a", "b"]}), sentence("leads.erase", {"filter": {"status": "joined"}})
    ('invited 2 leads', 'asked for all leads with status joined to be erased from the list')
    >>> sentence("user.sign_out", {}), sentence("from.tomorrow", {})
    ('signed somebody out everywhere', 'from.tomorrow')
    """
    return _SENTENCES.get(action, action).format_map(
        {
            "leads": _leads(detail),
            "rows": _counted(detail.get("rows"), "row"),
            "where": "in one browser" if detail.get("device") else "everywhere",
            "events": _counted(detail.get("events", 1), "event"),
            "jobs": _jobs(detail),
        }
    )


def more(detail: Mapping[str, Any]) -> str:
    """What the log has besides, and the sentence does not say; a detail that this version does not know by its name.

    >>> more({"leads": ["a"], "ask": True, "of_tomorrow": 3})
    'each new lead is asked to confirm, of tomorrow: 3'
    """
    left = {name: value for name, value in detail.items() if name not in (*_IN_THE_SENTENCE, "task", PASSED)}
    passed = f"passed over so far: {reasons.told(detail[PASSED])}" if PASSED in detail else ""
    said = [_MORE[name] if value is True and name in _MORE else _said(name, value) for name, value in left.items()]
    return ", ".join(filter(None, (*said, passed)))


async def things(cursor: AsyncCursor[dict[str, Any]], entries: Sequence[Mapping[str, Any]]) -> list[Thing]:
    """What each of these entries of the log is about, by its address or name where that is still known.

    Args:
        cursor: an operator's.
        entries: with `action`, `subject` and `detail`.

    Raises:
        psycopg.Error: it could not be read.
    """
    subjects = [(_kind(one), one["subject"] or "") for one in entries]
    accounts = await _names(cursor, _ACCOUNTS, _ids(subjects, "account"))
    leads = await _names(cursor, _LEADS, _ids(subjects, "lead") + _single_leads(entries))
    imports = await _names(cursor, _IMPORTS, _ids(subjects, "import"))
    mails = await _mails(cursor, [subject for kind, subject in subjects if kind == "address"])
    found: list[Thing] = []
    for entry, (kind, subject) in zip(entries, subjects, strict=True):
        match kind:
            case "account":
                found.append(_named(accounts, subject, "/admin/user", "an account that is gone"))
            case "lead":
                found.append(_named(leads, subject, "/admin/lead", "a lead that is gone"))
            case "import":
                found.append(_named(imports, subject, "/admin/leads/import", "a file that is gone"))
            case "run":
                found.append(Thing("all of this run", f"/admin/audit?{urlencode({'subject': subject})}"))
            case "list":
                found.append(_of_the_list(entry["detail"], leads))
            case "event":
                query = urlencode({"source": entry["detail"].get("source", ""), "id": subject})
                found.append(Thing(subject, f"/admin/event?{query}"))
            case "job":
                found.append(Thing(f"job {subject}", f"/admin/job?id={subject}"))
            case "address":
                found.append(mails.get(subject, Thing(f"an address with the digest {subject[:12]}…")))
            case _:
                found.append(Thing(subject))
    return found


def _kind(entry: Mapping[str, Any]) -> str:
    """What the subject of an entry is; "list" for leads that were asked for by a filter or one by one."""
    about = entry["action"].partition(".")[0]
    if entry["subject"] is None:
        return "list" if about == "leads" else ""
    if about == "lead" and "leads" in entry["detail"]:
        return "run"
    return _SUBJECTS.get(about, "")


def _ids(subjects: Iterable[tuple[str, str]], wanted: str) -> list[str]:
    return [subject for kind, subject in subjects if kind == wanted and _is_id(subject)]


def _single_leads(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    asked = [one["detail"].get("leads") for one in entries]
    return [ids[0] for ids in asked if isinstance(ids, list) and len(ids) == 1 and _is_id(ids[0])]


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


async def _names(cursor: AsyncCursor[dict[str, Any]], query: LiteralString, ids: list[str]) -> dict[str, str]:
    if not ids:
        return {}
    await cursor.execute(query, [ids])
    return {row["id"]: row["name"] or row["id"] for row in await cursor.fetchall()}


async def _mails(cursor: AsyncCursor[dict[str, Any]], digests: list[str]) -> dict[str, Thing]:
    """By an address's digest, the latest mail to it: a mail has the address, and its page's address has an id."""
    if not digests:
        return {}
    await cursor.execute(_MAILS, [[bytes.fromhex(one) for one in digests]])
    return {row["id"]: Thing(row["name"], f"/admin/message?id={row['message']}") for row in await cursor.fetchall()}


def _named(known: Mapping[str, str], subject: str, route: str, gone: str) -> Thing:
    if subject in known:
        return Thing(known[subject], f"{route}?id={subject}")
    return Thing(f"{gone}: {subject}")


def _of_the_list(detail: Mapping[str, Any], known: Mapping[str, str]) -> Thing:
    asked = detail.get("leads")
    if isinstance(asked, list):
        return _named(known, asked[0], "/admin/lead", "a lead that is gone") if len(asked) == 1 else Thing()
    # What the address began with is not on record, so the list cannot be found again by that.
    query = {name: value for name, value in detail.get("filter", {}).items() if name != "q"}
    return Thing("the list, as it is now", f"/admin/leads?{urlencode(query)}" if query else "/admin/leads")


def _leads(detail: Mapping[str, Any]) -> str:
    if isinstance(asked := detail.get("leads"), list):
        return _counted(len(asked), "lead")
    if (wanted := detail.get("filter")) is None:
        return "a lead"
    said = ", ".join(_filters(wanted))
    return f"all leads {said}" if said else "everybody on the list"


def _filters(wanted: Mapping[str, str]) -> Iterator[str]:
    """What leads are by a filter, each in words that go on after "leads"."""
    if "file" in wanted:
        yield "from one imported file"
    marks = [f"{name} {wanted[name]}" for name in ("status", "source") if name in wanted]
    marks += ["a flag"] if "flagged" in wanted else []
    if marks:
        *rest, last = marks
        yield f"with {', '.join(rest)} and {last}" if rest else f"with {last}"
    if "q" in wanted:
        yield f"whose address begins with ({wanted['q'].removesuffix(' of an address')})"
    match wanted:
        case {"since": first, "until": last}:
            yield f"who joined from {first} to {last}"
        case {"since": first}:
            yield f"who joined from {first} on"
        case {"until": last}:
            yield f"who joined up to {last}"
        case _:
            pass


def _jobs(detail: Mapping[str, Any]) -> str:
    task = detail.get("task", "")
    of = f" of “{job_words.JOBS[task]}”" if task in job_words.JOBS else f" of {task}" if task else ""
    if "jobs" in detail:
        return f"{_counted(detail['jobs'], 'failed job')}{of}"
    return f"all failed jobs{of}" if of else "a failed job"


def _said(name: str, value: Any) -> str:
    """A detail that no sentence is made for: the log outlives versions, and leaves nothing out."""
    return "" if value in (False, None, 0) else f"{name.replace('_', ' ')}: {value}"


def _counted(count: Any, one: str) -> str:
    """Such as "12 leads", or "a lead" for one."""
    article = "an" if one[0] in "aeiou" else "a"
    return f"{article} {one}" if count == 1 else counted(count or 0, one)
