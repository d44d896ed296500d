"""Leads as a file, out and in."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from sigma_app.core.csv_cells import defused, plain
from sigma_app.core.database import SERVICE, get_database
from sigma_app.core.errors import NotLikeThat
from sigma_app.features.console import exporting, importing
from sigma_app.features.console.import_page import ImportState
from sigma_app.features.console.leads import LeadFilter
from sigma_app.features.console.service import NotAnOperator, NothingToDo
from sigma_app.features.waitlist import service as waitlist
from tests.features.accounts.people import places_of
from tests.features.console.conftest import set_role
from tests.features.console.operators import fact, shown
from tests.waiting import until

pytestmark = pytest.mark.anyio


async def exported(operator, **asked: str) -> list[dict[str, str]]:
    pieces = [piece async for piece in exporting.lines(operator, LeadFilter.read(asked))]
    return list(csv.DictReader(io.StringIO(b"".join(pieces).decode(), newline="")))


async def imported(operator, text: str, *, ask: bool = False) -> UUID:
    identity = await importing.take(operator, "in.csv", text.encode(), allow_test_domains=True)
    await finish(operator, identity, ask=ask)
    return identity


async def finish(operator, identity: UUID, *, ask: bool = False) -> None:
    await importing.begin(operator, identity, ask)
    while await importing.carry_on(identity):
        pass


def prove(owner, email: str, at: str | None = "now") -> None:
    """Somebody has proved that the address of their account is theirs, or has not yet."""
    owner.execute("update auth.users set email_confirmed_at = %s where email = %s", [at, email])


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "'=1", "'plain", "'", ""])
def test_no_cell_is_a_formula_and_every_cell_comes_back(text):
    assert not defused(text).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert plain(defused(text)) == text


def test_other_cells_stay_as_they_are():
    assert [defused(text) for text in ("ann@example.com", "a=b", "1")] == ["ann@example.com", "a=b", "1"]
    assert plain("it's") == "it's"


async def test_nobody_is_left_out_where_this_machines_clock_is_behind(operator, lead, monkeypatch):
    class Behind(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) - timedelta(hours=1)

    lead("ann@example.com")
    monkeypatch.setattr(exporting, "datetime", Behind)
    assert [row["email"] for row in await exported(operator)] == ["ann@example.com"]


async def test_a_file_of_all_leads_or_of_some(operator, lead, monkeypatch, deeds):
    monkeypatch.setattr(exporting, "AT_ONCE", 3)
    for number in range(10):
        lead(
            f"p{number}@example.com",
            utm_source="=HYPERLINK(1)" if number % 2 else "x",
            created_at="2026-01-01T00:00:00Z",
        )
    rows = await exported(operator)
    assert sorted(row["email"] for row in rows) == [f"p{number}@example.com" for number in range(10)]
    assert {row["utm_source"] for row in rows} == {"x", "'=HYPERLINK(1)"}
    assert {row["created_at"] for row in rows} == {"2026-01-01T00:00:00+00:00"}
    assert [row["email"] for row in await exported(operator, q="p3")] == ["p3@example.com"]
    assert [(action, detail) for action, _, detail in deeds()] == [
        ("leads.export", {"filter": {}}),
        ("leads.export", {"filter": {"q": "2 characters of an address"}}),
    ]


async def test_nobody_else_gets_a_file_and_one_who_loses_the_role_gets_no_more_of_it(
    operator, stranger, owner, lead, monkeypatch
):
    monkeypatch.setattr(exporting, "AT_ONCE", 1)
    lead("ann@example.com")
    lead("bob@example.com")
    with pytest.raises(NotAnOperator):
        await exported(stranger)
    pieces = exporting.lines(operator, LeadFilter())
    await anext(pieces)
    await anext(pieces)
    set_role(owner, operator.user_id, None)
    with pytest.raises(NotAnOperator):
        await anext(pieces)


async def test_what_goes_out_comes_in_again(operator, owner, lead):
    lead("ann@example.com", utm_source="=1+1", referrer="'quoted", created_at="2026-01-01T00:00:00Z")
    pieces = [piece async for piece in exporting.lines(operator, LeadFilter())]
    owner.execute("delete from leads")
    await imported(operator, b"".join(pieces).decode())
    kept = owner.execute("select email, utm_source, referrer, created_at from leads").fetchall()
    assert kept == [("ann@example.com", "=1+1", "'quoted", datetime(2026, 1, 1, tzinfo=UTC))]


async def test_each_row_is_judged_before_anything_is_on_the_list(operator, owner, lead):
    lead("known@example.com")
    text = "\n".join(
        [
            "Email;utm_source;created_at;consent_at;other",
            "new@example.com;x;2026-01-01T00:00:00Z;;1",
            "KNOWN@example.com;;;;",
            "",
            "nobody;;;;",
            "NEW@example.com;;;;",
            "late@example.com;;2999-01-01;;",
            "when@example.com;;yesterday;;",
            "agreed@example.com;;;2026-01-01;",
        ]
    )
    identity = await importing.take(operator, "in.csv", text.encode(), allow_test_domains=True)
    assert owner.execute("select count(*) from leads").fetchone() == (1,)
    row = owner.execute("select fresh, known, refused from sigma.imports where id = %s", [identity]).fetchone()
    assert row == (1, 1, 5)
    problems = dict(
        owner.execute("select line, problem from sigma.import_rows where problem is not null order by line").fetchall()
    )
    assert list(problems) == [1, 3, 5, 6, 7, 8, 9]
    assert "“other”" in problems[1]
    assert problems[6] == "The same address as in line 2."
    assert "future" in problems[7]


async def test_a_row_with_more_cells_than_headings_is_refused(operator, owner):
    text = b"email,utm_source\nann@example.com,x\nbob@example.com,x,y\nExample, Carl,carl@example.com\n"
    await importing.take(operator, "in.csv", text, allow_test_domains=True)
    found = owner.execute("select line, address, problem from sigma.import_rows where lead is null order by line")
    assert [(line, address, "names 2 columns" in problem) for line, address, problem in found] == [
        (3, "bob@example.com", True),
        (4, "Example", True),
    ]
    assert owner.execute("select fresh, refused from sigma.imports").fetchone() == (1, 2)


async def test_a_column_that_is_named_twice_is_refused(operator):
    with pytest.raises(NotLikeThat, match="“email” twice"):
        await importing.take(operator, "in.csv", b"email,Email\na@b.co,c@d.co\n", allow_test_domains=True)


@pytest.mark.parametrize("typed", ["ann", "a b@example.com", "ann@localhost", "ann@x.test"])
async def test_an_address_that_cannot_join_cannot_be_imported_and_for_the_same_reason(operator, owner, typed):
    with pytest.raises(waitlist.InvalidAddress) as refusal:
        waitlist.read_address(typed)
    await importing.take(operator, "in.csv", f"email\n{typed}\n".encode(), allow_test_domains=False)
    assert owner.execute("select problem from sigma.import_rows").fetchall() == [(str(refusal.value),)]


async def test_the_template_is_a_file_that_can_be_imported(operator, owner):
    filled_in = importing.TEMPLATE + "ann@example.com,2026-01-01,2026-01-01,hn,cpc,,,,,/,,v1\r\n"
    await importing.take(operator, "in.csv", filled_in.encode(), allow_test_domains=True)
    assert owner.execute("select fresh, refused from sigma.imports").fetchone() == (1, 0)
    assert owner.execute("select count(*) from sigma.import_rows").fetchone() == (1,)


async def test_those_who_came_by_a_file_are_found_again(operator, owner, lead, deeds, monkeypatch):
    monkeypatch.setattr(importing, "STEP", 2)
    lead("known@example.com")
    emails = [f"p{number}@example.com" for number in range(5)]
    identity = await imported(operator, "\n".join(["email", "known@example.com", *emails]))
    assert sorted(row["email"] for row in await exported(operator, file=str(identity))) == emails
    named = [one for action, _, detail in deeds() if action == "leads.imported" for one in detail["leads"]]
    assert len(named) == 5
    assert await exported(operator, file=str(UUID(int=0))) == []


async def test_importing_puts_the_new_ones_on_the_list_once(operator, owner, lead, monkeypatch, deeds):
    monkeypatch.setattr(importing, "STEP", 2)
    text = "email,utm_source,consent_version,consent_at\n" + "\n".join(
        f"p{number}@example.com,x,v1,2026-01-01" for number in range(5)
    )
    identity = await importing.take(operator, "in.csv", text.encode(), allow_test_domains=True)
    lead("p1@example.com")  # joins by itself meanwhile
    await importing.begin(operator, identity, False)
    before = deeds()
    with pytest.raises(NothingToDo):
        await importing.begin(operator, identity, True)  # a second click
    assert deeds() == before
    jobs = "select count(*) from procrastinate.procrastinate_jobs where task_name = 'console:import'"
    assert owner.execute(jobs).fetchone() == (1,)
    while await importing.carry_on(identity):
        pass
    assert owner.execute("select state, done from sigma.imports").fetchone() == ("done", 4)
    assert owner.execute("select count(*), count(consent_at) from leads").fetchone() == (5, 4)
    assert owner.execute("select count(*) from sigma.lead_links").fetchone() == (0,)


async def test_they_are_asked_to_confirm_where_that_is_wished(operator, owner):
    await imported(operator, "email\nann@example.com\nbob@example.com\n", ask=True)
    assert owner.execute("select count(*) from sigma.lead_links where purpose = 'confirm'").fetchone() == (2,)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "email"),
        (b"address\nann@example.com\n", "email"),
        (b"email\n", "nothing"),
        ("email\nann@exämple.com\n".encode("latin-1"), "line 2"),
        (b"\xff\xfe", "UTF-8"),
        (b"email\n" + b"x" * 200_000, "cannot be read"),
    ],
)
async def test_a_file_that_cannot_be_read_is_explained(operator, owner, data, word):
    with pytest.raises(NotLikeThat, match=f"(?i){word}"):
        await importing.take(operator, "in.csv", data, allow_test_domains=True)
    assert owner.execute("select count(*) from sigma.imports").fetchone() == (0,)


async def test_a_quote_that_is_never_closed_is_one_refused_row(operator, owner):
    await importing.take(operator, "in.csv", b'email\n"ann@example.com\nbob@example.com\n', allow_test_domains=True)
    assert owner.execute("select fresh, refused from sigma.imports").fetchone() == (0, 1)


async def test_too_many_rows_are_refused(operator, monkeypatch):
    monkeypatch.setattr(importing, "MOST_ROWS", 2)
    with pytest.raises(NotLikeThat, match="more than 2 rows"):
        await importing.take(
            operator, "in.csv", b"email\na@example.com\nb@example.com\nc@example.com\n", allow_test_domains=True
        )


async def test_refused_rows_count_as_well(operator, monkeypatch):
    monkeypatch.setattr(importing, "MOST_ROWS", 2)
    with pytest.raises(NotLikeThat, match="more than 2 rows"):
        await importing.take(operator, "in.csv", b"email\na\nb\nc\n", allow_test_domains=True)


async def test_a_character_that_cannot_be_kept_is_left_out(operator, owner):
    text = b"email,utm_source,created_at\na\0nn@example.com,x\0y,\nbob\0,,2026\0\n"
    await importing.take(operator, "in.csv", text, allow_test_domains=True)
    assert owner.execute("select lead from sigma.import_rows where problem is null").fetchall() == [
        ({"email": "ann@example.com", "utm_source": "xy"},)
    ]


async def test_whoever_is_erased_is_not_brought_back_by_a_file_that_waits(operator, owner, lead):
    identity = await importing.take(
        operator, "in.csv", b"email\nAnn <ann@example.com>\nbob@example.com\n", allow_test_domains=True
    )
    ann = lead("ann@example.com")
    async with get_database().transaction(SERVICE) as transaction:
        assert await waitlist.erase(transaction, [ann]) == [ann]
    await importing.begin(operator, identity, False)
    while await importing.carry_on(identity):
        pass
    assert owner.execute("select email from leads").fetchall() == [("bob@example.com",)]


@pytest.mark.parametrize(
    "row",
    [
        "Ann <ann@example.com>,x,y",
        "mailto:ann%40example.com,x,y",
        '"ann@example.com, bob@example.com",x',
        '"Write to Ann@Example.com.",x',
        *(
            f'"{cell}",x'
            for cell in (
                *(
                    "ann@example.com|bob@example.com",
                    "ann@example.com/bob@example.com",
                    "bob@example.com&ann@example.com",
                ),
                *(
                    "e=Ann@example.com",
                    "ann@example.com!",
                    "*ann@example.com*",
                    "x{ann@example.com}",
                    "_ann@example.com_",
                ),
                *("ann@example.com?subject=x", "https://example.com/?to=ann@example.com#x"),
            )
        ),
        "late@example.com,ann@example.com",
    ],
)
async def test_of_whoever_is_erased_no_row_is_left_refused_or_not(operator, owner, row):
    text = f"email,created_at\n{row}\njoann@example.com,\n"
    await importing.take(operator, "ann@example.com.csv", text.encode(), allow_test_domains=True)
    assert owner.execute("select count(*) from sigma.import_rows").fetchone() == (2,)
    async with get_database().transaction(SERVICE) as transaction:
        await waitlist.erase_address(transaction, "ann@example.com")
    assert set(places_of(owner, "ann@example.com")) == {"sigma.import_rows"}
    kept = owner.execute("select address from sigma.import_rows order by line").fetchall()
    assert kept[-1] == ("joann@example.com",)
    assert [address for (address,) in kept[:-1]] == (["late@example.com"] if row.startswith("late") else [])
    assert "ann@example.com" not in str(owner.execute("select problem from sigma.import_rows").fetchall())


async def test_of_a_cell_that_names_others_too_it_is_told_only_that_there_is_one(operator):
    text = b'email\n"ann@example.com, bob@example.com"\njoann@example.com\njoann@example.com\nann@example\n'
    within = "It stands in a cell with more in it, which may be about others and is not told."
    await importing.take(operator, "in.csv", text, allow_test_domains=True)
    async with get_database().transaction(SERVICE) as transaction:
        told = await waitlist.imports_of(transaction, "Ann@example.com")
        assert told == [{"address": "Ann@example.com", "problem": within}] * 2  # the refused one of Joann's has it, too
        told = await waitlist.imports_of(transaction, "ann@example")
    assert told.pop() == {"address": "ann@example", "problem": "The part after the @ has no ending, such as .com."}
    assert told == [{"address": "ann@example", "problem": within}] * 2


async def test_whoever_is_erased_while_a_file_is_read_is_not_left_in_it(operator, owner, owner_url, lead):
    waiting = "select count(*) from pg_locks where not granted and locktype = %s"

    async def erase() -> None:
        async with get_database().transaction(SERVICE) as transaction:
            await waitlist.erase_address(transaction, "ann@example.com")

    lead("ann@example.com")
    with psycopg.connect(owner_url) as another:
        another.execute("lock table leads in access exclusive mode")
        take = importing.take(operator, "in.csv", b"email\nann@example.com\n", allow_test_domains=True)
        taking = asyncio.create_task(take)  # has kept its rows, and asks whose address is known
        await until(lambda: owner.execute(waiting, ["relation"]).fetchone() == (1,))
        erasing = asyncio.create_task(erase())
        await until(
            lambda: (
                owner.execute(waiting, ["advisory"]).fetchone() != (0,)
                or owner.execute(waiting, ["relation"]).fetchone() != (1,)
            )
        )
    await asyncio.gather(taking, erasing)
    assert owner.execute("select count(*) from leads").fetchone() == (0,)
    assert owner.execute("select count(*) from sigma.import_rows").fetchone() == (0,)


async def test_no_address_of_a_file_stands_in_what_is_said_of_it(operator, owner):
    text = b"email,created_at,carl@example.com\nann@example.com,bob@example.com,\n"
    await importing.take(operator, "in.csv", text, allow_test_domains=True)
    said = owner.execute("select problem from sigma.import_rows order by line").fetchall()
    assert ["an address" in one for (one,) in said] == [True, True]
    assert "@" not in str(said)


async def test_who_has_unsubscribed_elsewhere_is_warned_of(operator, owner):
    text = b"email,flag,unsubscribed_at\nann@example.com,,2026-01-01\n"
    await importing.take(operator, "in.csv", text, allow_test_domains=True)
    (said,) = owner.execute("select problem from sigma.import_rows where line = 1").fetchone()
    assert said.startswith("Columns that are not imported: “flag”, “unsubscribed_at”. Whoever has an unsubscribed_at")


async def test_rows_of_an_import_under_way_are_not_forgotten(operator, owner):
    identity = await importing.take(operator, "in.csv", b"email\nann@example.com\n", allow_test_domains=True)
    await importing.begin(operator, identity, False)
    owner.execute("update sigma.imports set created_at = now() - interval '2 days'")
    await importing.forget_old()
    while await importing.carry_on(identity):
        pass
    assert owner.execute("select done from sigma.imports").fetchone() == (1,)


async def test_whoever_has_an_account_is_left_out_and_told_so_before_anything_is_imported(
    operator, stranger, owner, lead, deeds
):
    prove(owner, stranger.email)
    lead("known@example.com")
    text = f"email\n{stranger.email.upper()}\nann@example.com\nknown@example.com\nnobody\n"
    identity = await importing.take(operator, "in.csv", text.encode(), allow_test_domains=True)
    page = await shown(ImportState, operator, id=str(identity))
    counts = [("new", "1"), ("on the list already", "1"), ("have an account", "1"), ("with a mistake", "1")]
    assert [(one.name, one.value) for one in page.counts] == counts
    assert [row.cells[2] for row in page.problems if row.cells[0] == "2"] == [importing.HAS_ACCOUNT]
    await finish(operator, identity, ask=True)
    assert owner.execute("select email from leads order by email").fetchall() == [
        ("ann@example.com",),
        ("known@example.com",),
    ]
    assert owner.execute("select count(*) from sigma.lead_links").fetchone() == (1,)
    await importing.forget_old()
    page = await shown(ImportState, operator, id=str(identity))
    assert ([(one.name, one.value) for one in page.counts], page.problems) == (counts, [])
    assert page.files[0].cells[3:] == ["imported", "1", "3"]


async def test_who_gets_an_account_after_the_check_is_left_out_as_well(operator, stranger, owner):
    prove(owner, stranger.email, None)
    text = f"email\n{stranger.email}\nann@example.com\n"
    identity = await importing.take(operator, "in.csv", text.encode(), allow_test_domains=True)
    assert fact((await shown(ImportState, operator, id=str(identity))).counts, "new") == "2"  # anybody may sign up so
    prove(owner, stranger.email)
    await finish(operator, identity, ask=True)
    assert owner.execute("select email from leads").fetchall() == [("ann@example.com",)]
    page = await shown(ImportState, operator, id=str(identity))
    assert (fact(page.counts, "new"), fact(page.counts, "have an account")) == ("1", "1")
    assert page.ended == "1 imported."


async def test_a_cell_without_an_address_is_told_as_one_of_a_file(operator, owner):
    await importing.take(operator, "in.csv", b"utm_source,email\nx,\nx, \nx\n", allow_test_domains=True)
    said = owner.execute("select problem from sigma.import_rows order by line").fetchall()
    assert said == [("There is no address in this row.",)] * 3


async def test_the_files_of_before_are_listed_with_what_became_of_them(operator, stranger, owner):
    assert (await shown(ImportState, operator)).files == []
    await imported(operator, "email\nann@example.com\nnobody\n")
    waits = await importing.take(operator, "second.csv", b"email\nbob@x.example\n", allow_test_domains=True)
    page = await shown(ImportState, operator)
    assert [[one.cells[0], *one.cells[2:]] for one in page.files] == [
        ["second.csv", operator.email, "checked, not imported", "0", "0"],
        ["in.csv", operator.email, "imported", "1", "1"],
    ]
    assert page.files[0].href == f"/admin/leads/import?id={waits}"
    set_role(owner, stranger.user_id, "admin")
    owner.execute("update sigma.imports set operator = null, state = 'failed' where id = %s", [waits])
    first = (await shown(ImportState, stranger)).files[0]
    assert (first.cells[2:4], first.tone) == (["somebody who left", "stopped"], "bad")


async def test_a_file_that_was_forgotten_is_not_offered_to_be_imported(operator, owner, deeds):
    identity = await importing.take(operator, "in.csv", b"email\nann@example.com\n", allow_test_domains=True)
    owner.execute("update sigma.imports set created_at = now() - interval '2 days'")
    await importing.forget_old()
    page = await shown(ImportState, operator, id=str(identity))
    assert (page.phase_of_it, page.files[0].cells[3]) == ("forgotten", "forgotten before it was imported")
    before = deeds()
    with pytest.raises(NothingToDo):
        await importing.begin(operator, identity, False)
    assert deeds() == before


@pytest.mark.parametrize(("asked", "ending"), [({}, ""), ({"q": ""}, ""), ({"status": "joined"}, "-filtered")])
def test_the_file_of_a_search_says_so_by_its_name(asked: dict[str, str], ending: str):
    assert exporting.name_of(asked) == f"leads-{datetime.now(UTC):%Y-%m-%d}{ending}.csv"


async def test_nobody_else_imports_and_rows_are_forgotten(operator, stranger, owner):
    with pytest.raises(NotAnOperator):
        await importing.take(stranger, "in.csv", b"email\nann@example.com\n", allow_test_domains=True)
    identity = await importing.take(operator, "in.csv", b"email\nann@example.com\n", allow_test_domains=True)
    with pytest.raises(NotAnOperator):
        await importing.begin(stranger, identity, False)
    await importing.forget_old()
    assert owner.execute("select count(*) from sigma.import_rows").fetchone() == (1,)
    owner.execute("update sigma.imports set created_at = now() - %s", [timedelta(days=2)])
    await importing.forget_old()
    assert owner.execute("select count(*) from sigma.import_rows").fetchone() == (0,)
