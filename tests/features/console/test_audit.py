"""What operators read in the audit log: sentences, whom it was done to, and the parts of it that they ask for."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

import sigma_app
from sigma_app.features.console import bulk, paging
from sigma_app.features.console.audit import COMMAND_LINE, AuditState
from sigma_app.features.console.deed_words import DEEDS, more, sentence
from sigma_app.session.store import Session
from tests.features.console.conftest import set_role
from tests.features.console.operators import shown

pytestmark = pytest.mark.anyio

Wrote = Callable[..., None]
WRITERS = {"acting": 1, "record": 1}  # what writes to the log, and which of its arguments is the action


@pytest.fixture
def wrote(owner: psycopg.Connection) -> Wrote:
    """Puts a deed on record as if somebody had done it."""

    def put(action: str, subject: object = None, at: str = "now", by: Session | None = None, **detail: Any) -> None:
        owner.execute(
            "insert into sigma.audit_log (at, operator, operator_name, action, subject, detail)"
            " values (%s::timestamptz, %s, %s, %s, %s, %s)",
            [
                *(at, by and by.user_id, by.email if by else "the command line", action),
                *(None if subject is None else str(subject), Jsonb(detail)),
            ],
        )

    return put


def actions_written() -> Iterator[str]:
    """Every action that some code puts on record; one that is put together is one for each thing that can be done."""
    root = Path(sigma_app.__file__).parent
    for path in [*root.glob("features/console/*.py"), *root.glob("features/operations/*.py"), *root.glob("cli/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in WRITERS:
                yield from _actions(node.args[WRITERS[node.func.id]])


def _actions(written: ast.expr) -> Iterator[str]:
    match written:
        case ast.Constant(value=str(action)):
            yield action
        case ast.IfExp(body=one, orelse=other):
            yield from (*_actions(one), *_actions(other))
        case ast.JoinedStr(values=[ast.Constant(value=str(about)), ast.FormattedValue()]):
            yield from (about + action for action in bulk.ACTIONS)
        case ast.Name(id="action"):  # passed on by acting()
            return
        case _:
            pytest.fail(f"Nobody can tell which actions this writes: {ast.unparse(written)}")


def test_every_action_that_the_code_writes_has_words():
    written, known = set(actions_written()), {action for deeds in DEEDS.values() for action in deeds}
    assert len(written) > 15
    assert written == known


@pytest.mark.parametrize(
    ("action", "detail", "expected"),
    [
        ("lead.invite", {}, "invited a lead"),
        ("lead.invite", {"leads": ["x"] * 12}, "invited 12 leads"),
        ("leads.erase", {"leads": ["x"]}, "asked for a lead to be erased from the list"),
        ("leads.export", {"filter": {}}, "downloaded everybody on the list as CSV"),
        (
            "leads.export",
            {"filter": {"source": "x", "flagged": "1", "since": "2026-01-01"}},
            "downloaded all leads with source x and a flag, who joined from 2026-01-01 on as CSV",
        ),
        (
            "leads.erase",
            {"filter": {"q": "5 characters of an address", "status": "joined", "until": "2026-11-02"}},
            "asked for all leads with status joined, whose address begins with (5 characters),"
            " who joined up to 2026-11-02 to be erased from the list",
        ),
        (
            "leads.invite",
            {"filter": {"since": "2026-11-01", "until": "2026-11-02"}},
            "asked for all leads who joined from 2026-11-01 to 2026-11-02 to be invited",
        ),
        (
            "leads.flag",
            {
                "filter": {
                    "file": "11111111-1111-4111-8111-111111111111",
                    "status": "joined",
                    "source": "x",
                    "flagged": "1",
                }
            },
            "asked for all leads from one imported file, with status joined, source x and a flag to be flagged",
        ),
        ("leads.judge", {"rows": 1200}, "had a file of 1,200 rows checked"),
        ("user.sign_out", {"device": "x"}, "signed somebody out in one browser"),
        ("job.retry", {}, "had a failed job tried again"),
        ("job.retry", {"task": "mail:send"}, "had all failed jobs of mail:send tried again"),
        (
            *("job.retry", {"task": "mail:forget"}),
            "had all failed jobs of “Forget the mails to somebody” tried again",
        ),
        ("job.retry", {"jobs": 3}, "had 3 failed jobs tried again"),
        ("event.replay", {"source": "stripe", "events": 1}, "had an event worked again"),
        ("event.replay", {"source": "stripe", "events": 2}, "had 2 events worked again"),
    ],
)
def test_a_deed_is_a_sentence(action: str, detail: dict[str, Any], expected: str):
    assert sentence(action, detail) == expected


def test_what_the_sentence_does_not_say_is_said_beside_it_also_what_this_version_does_not_know():
    assert more({"leads": ["x"], "of_tomorrow": 3, "ask": True}) == "of tomorrow: 3, each new lead is asked to confirm"
    assert more({"ask": False, "source": "stripe"}) == ""


async def test_each_deed_leads_to_what_it_was_done_to(operator: Session, stranger: Session, lead, wrote: Wrote, owner):
    listed, run, file = lead("ann@example.com"), uuid4(), uuid4()
    owner.execute(
        "insert into sigma.imports (id, name, fresh, known, refused) values (%s, 'a list.csv', 1, 0, 0)", [file]
    )
    digest = hashlib.sha256(b"kept@example.com").digest()
    (message,) = owner.execute(
        "insert into sigma.messages (key, kind, recipient, digest) values ('k', 'signup', 'kept@example.com', %s)"
        " returning id",
        [digest],
    ).fetchone() or (None,)
    gone = "00000000-0000-4000-8000-000000000000"
    for action, subject, detail, expected in (
        ("user.disable", stranger.user_id, {}, ("bob@example.com", f"/admin/user?id={stranger.user_id}")),
        ("person.erase", gone, {}, (f"an account that is gone: {gone}", "")),
        ("person.erase", None, {}, ("", "")),
        ("lead.flag", listed, {}, ("ann@example.com", f"/admin/lead?id={listed}")),
        ("lead.invite", run, {"leads": [str(listed)]}, ("all of this run", f"/admin/audit?subject={run}")),
        ("leads.flag", None, {"leads": [str(listed)]}, ("ann@example.com", f"/admin/lead?id={listed}")),
        ("leads.flag", None, {"leads": [gone, str(listed)]}, ("", "")),
        (
            *("leads.export", None, {"filter": {"status": "joined", "q": "3 characters of an address"}}),
            ("the list, as it is now", "/admin/leads?status=joined"),
        ),
        ("leads.import", file, {"ask": True}, ("a list.csv", f"/admin/leads/import?id={file}")),
        ("run.stop", run, {}, ("all of this run", f"/admin/audit?subject={run}")),
        ("event.replay", "evt_1", {"source": "stripe"}, ("evt_1", "/admin/event?source=stripe&id=evt_1")),
        ("job.drop", 17, {}, ("job 17", "/admin/job?id=17")),
        ("suppression.add", digest.hex(), {}, ("kept@example.com", f"/admin/message?id={message}")),
        ("suppression.add", "ab" * 32, {}, ("an address with the digest abababababab…", "")),
        ("from.tomorrow", "not an id", {}, ("not an id", "")),
    ):
        wrote(action, subject, **detail)
        row = (await shown(AuditState, operator)).rows[0]
        assert (row.whom, row.href) == expected, action


async def test_a_row_says_who_and_when_to_the_second(operator: Session, wrote: Wrote):
    wrote("user.enable", operator.user_id, at="2026-03-01 12:34:56+02", by=operator)
    row = (await shown(AuditState, operator)).rows[0]
    assert (row.at, row.moment) == ("2026-03-01 10:34:56", "2026-03-01T10:34:56Z")
    assert (row.who, row.by) == (operator.email, f"/admin/audit?who={operator.user_id}")


@pytest.fixture
def three_deeds(operator: Session, stranger: Session, wrote: Wrote) -> UUID:
    """Alice's of January, the command line's of February, Bob's of March; the lead that two of them are about."""
    about = uuid4()
    wrote("lead.flag", about, at="2026-01-10 23:59:59+00", by=operator)
    wrote("operator.grant", operator.user_id, at="2026-02-10 00:00+00")
    wrote("lead.invite", uuid4(), at="2026-03-10 12:00+00", by=stranger, leads=[str(uuid4()), str(about)])
    return about


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["invited 2 leads", "made somebody an operator", "flagged a lead"]),
        ({"who": COMMAND_LINE}, ["made somebody an operator"]),
        ({"who": "{alice}"}, ["flagged a lead"]),
        ({"who": "nobody"}, []),
        ({"kind": "the-list"}, ["invited 2 leads", "flagged a lead"]),
        ({"kind": "mail"}, []),
        ({"kind": "nonsense"}, ["invited 2 leads", "made somebody an operator", "flagged a lead"]),
        ({"since": "2026-02-10"}, ["invited 2 leads", "made somebody an operator"]),
        ({"until": "2026-01-10"}, ["flagged a lead"]),
        ({"since": "2026-02-10", "until": "2026-02-10"}, ["made somebody an operator"]),
        ({"until": "9999-12-31"}, ["invited 2 leads", "made somebody an operator", "flagged a lead"]),
        ({"subject": "{lead}"}, ["invited 2 leads", "flagged a lead"]),
        ({"subject": "{lead}", "kind": "the-list", "who": "{alice}"}, ["flagged a lead"]),
        ({"subject": "\0' or true --"}, []),
    ],
)
async def test_the_log_is_filtered(
    operator: Session, three_deeds: UUID, asked: dict[str, str], expected: list[str], owner
):
    given = {name: said.format(alice=operator.user_id, lead=three_deeds) for name, said in asked.items()}
    page = await shown(AuditState, operator, **given)
    assert [row.what for row in page.rows] == expected
    assert page.mistake == ""


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"since": "yesterday"}, "“yesterday” is no day"),
        ({"until": "2026-02-30"}, "“2026-02-30” is no day"),
        ({"since": "2026-02-02", "until": "2026-02-01"}, "The first day is after the last"),
        ({"subject": "ann@example.com"}, "The log has ids and no addresses"),
    ],
)
async def test_what_cannot_be_asked_for_is_said_to_be_so(
    operator: Session, three_deeds: UUID, asked: dict[str, str], said: str
):
    page = await shown(AuditState, operator, **asked)
    assert said in page.mistake
    assert page.rows == []
    assert (page.since, page.until) == (asked.get("since", ""), asked.get("until", ""))


async def test_operators_of_before_can_be_chosen_too(operator: Session, stranger: Session, wrote: Wrote, owner):
    assert [one.name for one in (await shown(AuditState, operator)).operators] == [operator.email]
    wrote("lead.flag", uuid4(), by=stranger)  # an operator once, and none any more
    assert [one.name for one in (await shown(AuditState, operator)).operators] == [operator.email, stranger.email]
    set_role(owner, stranger.user_id, "admin")
    assert [one.name for one in (await shown(AuditState, operator)).operators] == [operator.email, stranger.email]


async def test_a_long_log_is_read_page_by_page_with_its_filter(operator: Session, wrote: Wrote):
    for number in range(paging.LENGTH + 2):
        wrote("job.drop", number, by=operator)
        wrote("operator.grant", operator.user_id)
    first = await shown(AuditState, operator, kind="events-and-jobs")
    assert len(first.rows) == paging.LENGTH
    assert "kind=events-and-jobs&after=" in first.older
    last = await shown(AuditState, operator, kind="events-and-jobs", after=first.older.partition("after=")[2])
    assert [row.whom for row in last.rows] == ["job 1", "job 0"]
    assert (last.older, bool(last.newer)) == ("", True)
