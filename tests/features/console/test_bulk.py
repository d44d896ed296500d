"""What is done to many leads: asked for, waited for, carried out step by step, stopped, and put back."""

from __future__ import annotations

import asyncio
import re
from uuid import UUID

import psycopg
import pytest

from sigma_app.core.errors import NotLikeThat
from sigma_app.features.console import bulk, importing, reasons
from sigma_app.features.console import runs as runs_page
from sigma_app.features.console.runs import RunsState, runs
from sigma_app.features.console.service import NotAnOperator, NothingToDo, reading
from sigma_app.features.waitlist.imports import forget_imports
from tests.features.console.conftest import set_role
from tests.features.console.operators import scanned, shown
from tests.features.console.pages import does, opened
from tests.features.console.wishes import NOBODY, begin, state_of, to_its_end, wish
from tests.waiting import until

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    monkeypatch.setattr(bulk, "STEP", 2)


async def test_those_picked_are_flagged_each_on_record(operator, owner, lead, due, deeds):
    picked = [lead(f"p{number}@example.com") for number in range(5)]
    other = lead("other@example.com")
    run = await begin(operator, wish("flag", picked, "odd"))
    assert await to_its_end(run) == 0  # nothing before the grace is over
    assert owner.execute("select count(*) from leads where flag is not null").fetchone() == (0,)
    due()
    assert await to_its_end(run) == 3
    assert state_of(owner, run) == ("done", 5, 0)
    assert owner.execute("select flag from leads where id = %s", [other]).fetchone() == (None,)
    named = [one for action, _, detail in deeds() if action == "lead.flag" for one in detail["leads"]]
    assert sorted(named) == sorted(map(str, picked))


async def test_all_that_a_filter_finds_but_who_joins_meanwhile(operator, owner, lead, due):
    for number in range(5):
        lead(f"p{number}@example.com", utm_source="x")
    lead("other@example.com", utm_source="y")
    run = await begin(operator, wish("flag", source="x", reason="odd"))
    lead("late@example.com", utm_source="x")
    due()
    await to_its_end(run)
    assert state_of(owner, run) == ("done", 5, 0)
    flagged = owner.execute("select email from leads where flag = 'odd' order by email").fetchall()
    assert flagged == [(f"p{number}@example.com",) for number in range(5)]


async def test_a_search_is_a_filter_too_and_no_address_stays_behind(operator, owner, lead, due, deeds):
    lead("Ann@example.com")
    lead("bob@example.com")
    run = await begin(operator, wish("erase", q="Ann@example.com"))
    due()
    await to_its_end(run)
    assert owner.execute("select email from leads").fetchall() == [("bob@example.com",)]
    kept = owner.execute("select filter from sigma.bulk_runs").fetchall()
    assert (kept, "Ann" in str(deeds())) == ([({},)], False)


async def test_the_rows_of_files_are_forgotten_for_a_whole_step_while_the_line_is_free(
    operator, owner, owner_url, lead, due, monkeypatch
):
    emails = [f"p{number}@example.com" for number in range(2)]
    ids = [lead(email) for email in emails]
    await importing.take(operator, "in.csv", "\n".join(["email", *emails]).encode(), allow_test_domains=True)
    run = await begin(operator, wish("erase", ids))
    due()
    asked: list[list[str]] = []

    async def forget(session, addresses):
        asked.append(sorted(addresses))
        await forget_imports(session, addresses)

    monkeypatch.setattr(bulk.waitlist, "forget_imports", forget)
    with psycopg.connect(owner_url) as another:
        another.execute("select from sigma.import_rows for update")
        step = asyncio.create_task(bulk.carry_on(run))
        await until(lambda: owner.execute("select 1 from pg_locks where not granted").fetchone())
        line = "select 1 from pg_locks where locktype = 'advisory' and classid = 0 and objid = 1399414125"
        assert owner.execute(line).fetchone() is None  # sigma.hold_line
    assert await step
    assert asked == [emails]
    assert state_of(owner, run) == ("running", 2, 0)
    assert owner.execute("select count(*) from sigma.import_rows").fetchone() == (0,)


async def test_inviting_passes_over_who_may_not_be_mailed(operator, owner, lead, due):
    lead("joined@example.com")
    ready = [lead(f"p{number}@example.com", confirmed=True) for number in range(3)]
    run = await begin(operator, wish("invite"))
    due()
    await to_its_end(run)
    assert state_of(owner, run) == ("done", 3, 1)
    invited = owner.execute("select lead_id from sigma.lead_links where purpose = 'invite'").fetchall()
    assert sorted(invited) == sorted((one,) for one in ready)
    again = await begin(operator, wish("invite", status="invited"))
    due()
    await to_its_end(again)
    assert state_of(owner, again) == ("done", 0, 3)
    assert owner.execute("select count(*) from sigma.lead_links where purpose = 'invite'").fetchone() == (3,)


async def test_within_the_grace_it_is_taken_back_and_no_lead_is_changed(operator, owner, lead, due):
    lead("ann@example.com")
    run = await begin(operator, wish("erase"))
    await bulk.stop(operator, run)
    due()
    assert await to_its_end(run) == 0
    assert state_of(owner, run) == ("stopped", 0, 0)
    assert owner.execute("select count(*) from leads").fetchone() == (1,)


async def test_it_stops_in_the_middle_and_flags_go_back_but_for_those_changed_since(operator, owner, lead, due, deeds):
    ids = [lead(f"p{number}@example.com", flag="before" if number == 0 else None) for number in range(5)]
    run = await begin(operator, wish("flag", ids, "odd"))
    due()
    assert await bulk.carry_on(run)
    assert await bulk.carry_on(run)
    await bulk.stop(operator, run)
    assert await to_its_end(run) == 0
    assert state_of(owner, run) == ("stopped", 4, 0)
    owner.execute("update leads set flag = 'mine' where id = %s", [ids[1]])
    await bulk.undo(operator, run)
    await to_its_end(run)
    assert state_of(owner, run)[0] == "undone"
    flags = [owner.execute("select flag from leads where id = %s", [one]).fetchone() for one in ids]
    assert flags == [("before",), ("mine",), (None,), (None,), (None,)]
    put = [one for action, _, detail in deeds() if action == "lead.flag back" for one in detail["leads"]]
    assert sorted(put) == sorted(str(one) for one in (ids[0], ids[2], ids[3]))
    (told,) = (await shown(RunsState, operator)).runs
    assert told.said == "3 put back, 1 left as they are: changed or gone since."
    with pytest.raises(NothingToDo):
        await bulk.undo(operator, run)
    assert state_of(owner, run)[0] == "undone"


async def test_its_bar_moves_with_each_step(operator, lead, due):
    run = await begin(operator, wish("flag", [lead(f"p{number}@example.com") for number in range(5)], "odd"))
    due()
    bar = []
    while await bulk.carry_on(run):
        (told,) = (await shown(RunsState, operator)).runs
        bar.append((told.looked_at, told.total, told.so_far, told.running))
    assert bar == [(done, 5, f"{done} flagged so far.", True) for done in (2, 4, 5)]


async def test_flags_that_were_taken_away_go_back(operator, owner, lead, due):
    ids = [lead(f"p{number}@example.com", flag=f"why {number}") for number in range(3)]
    run = await begin(operator, wish("unflag", ids))
    due()
    await to_its_end(run)
    assert owner.execute("select count(*) from leads where flag is null").fetchone() == (3,)
    await bulk.undo(operator, run)
    await to_its_end(run)
    assert owner.execute("select flag from leads order by email").fetchall() == [
        (f"why {number}",) for number in range(3)
    ]


async def test_a_month_later_it_is_not_known_why_and_nothing_is_put_back(operator, owner, lead, due):
    run = await begin(operator, wish("flag", [lead("ann@example.com")], "a friend of Bob's"))
    due()
    await to_its_end(run)
    await bulk.forget_old()
    assert owner.execute("select reason from sigma.bulk_runs").fetchall() == [("a friend of Bob's",)]
    owner.execute("update sigma.bulk_runs set created_at = now() - interval '31 days'")
    with pytest.raises(NothingToDo):
        await bulk.undo(operator, run)
    await bulk.forget_old()
    assert owner.execute("select reason from sigma.bulk_runs").fetchall() == [(None,)]
    assert owner.execute("select count(*) from sigma.bulk_changes").fetchone() == (0,)


async def test_a_step_that_fails_changes_nothing_and_is_taken_again(operator, owner, lead, due, monkeypatch):
    ids = [lead(f"p{number}@example.com") for number in range(4)]
    run = await begin(operator, wish("flag", ids, "odd"))
    due()
    real, seen = bulk.waitlist.flag, []

    async def dies(transaction, one, reason):
        seen.append(one)
        if len(seen) == 4:
            raise ConnectionError
        return await real(transaction, one, reason)

    monkeypatch.setattr(bulk.waitlist, "flag", dies)
    with pytest.raises(ConnectionError):
        await to_its_end(run)
    assert state_of(owner, run) == ("running", 2, 0)
    assert owner.execute("select count(*) from leads where flag is not null").fetchone() == (2,)
    await to_its_end(run)
    assert state_of(owner, run) == ("done", 4, 0)


async def test_a_run_ends_with_its_operators_role(operator, owner, lead, due, deeds):
    lead("ann@example.com")
    run = await begin(operator, wish("erase"))
    due()
    set_role(owner, operator.user_id, None)
    assert await to_its_end(run) == 0
    assert state_of(owner, run) == ("stopped", 0, 0)
    assert owner.execute("select count(*) from leads").fetchone() == (1,)


@pytest.mark.parametrize("loses", ["the role", "the account"])
async def test_putting_back_ends_with_the_operator_as_well(operator, owner, lead, due, loses):
    run = await begin(operator, wish("flag", [lead("ann@example.com")], "odd"))
    due()
    await to_its_end(run)
    await bulk.undo(operator, run)
    if loses == "the role":
        set_role(owner, operator.user_id, None)
    else:
        owner.execute("delete from auth.users where id = %s", [operator.user_id])
    assert await to_its_end(run) == 0
    assert state_of(owner, run)[0] == "stopped"


async def test_what_cannot_be_put_back_is_not(operator, owner, lead, due):
    run = await begin(operator, wish("invite", [lead("ann@example.com", confirmed=True)]))
    due()
    await to_its_end(run)
    with pytest.raises(NothingToDo):
        await bulk.undo(operator, run)
    assert state_of(owner, run) == ("done", 1, 0)


async def test_what_was_not_done_is_not_on_record(operator, owner, lead, due, deeds):
    nobody = UUID(int=0)
    run = await begin(operator, wish("flag", [lead("ann@example.com", flag="odd")], "odd"))
    await bulk.stop(operator, run)
    before = deeds()
    for act, one in ((bulk.stop, run), (bulk.undo, run), (bulk.stop, nobody), (bulk.undo, nobody)):
        with pytest.raises(NothingToDo):
            await act(operator, one)
    assert deeds() == before


async def test_why_a_run_was_not_stopped_or_put_back_is_said_on_the_page(operator, cookie, owner, lead, monkeypatch):
    run = await begin(operator, wish("flag", [lead("ann@example.com")], "odd"))
    stop, undo = RunsState.stop.fn, RunsState.undo.fn  # pyright: ignore[reportAttributeAccessIssue] - event handlers
    async with opened(RunsState, cookie, owner, monkeypatch) as page:
        await does(page, stop, str(run))
        assert (page.said, page.runs[0].can_stop) == ("", False)
        for act in (stop, undo):
            await does(page, act, str(run))
            assert page.said == "It is so already; nothing was done."
        await begin(operator, wish("flag", [lead("bob@example.com")], "odd"))
        await until(lambda: len(page.runs) == 2)
        assert page.said != ""
        await does(page, RunsState._show)  # anew, or another list
        assert page.said == ""
    assert str(RunsState.said) in str(runs())


async def test_of_the_record_of_a_run_only_what_it_can_have_is_read(operator, owner, lead, due):
    run = await begin(operator, wish("flag", [lead("ann@example.com")], "odd"))
    due()
    await to_its_end(run)

    async def read(known: tuple[UUID, ...] = ()) -> list[bool]:
        values = {"most": 20, "passed": reasons.PASSED, "known": list(known)}
        return await scanned(operator, runs_page._LATEST, values, "audit_log")

    assert await read() == [False, False]
    page = await shown(RunsState, operator)
    assert (page.runs[0].said, page.runs[0].so_far) == ("1 flagged.", "")
    await bulk.undo(operator, run)
    assert await read() == [False, False]
    await to_its_end(run)
    assert await read() == [False, True]
    assert await read((run,)) == [False, False]
    for _ in range(2):
        async with reading(operator) as cursor:
            await page._read_again(cursor, {}, operator, page._topics)
        assert (page.runs[0].said, list(page._back.values())) == ("1 put back.", [1])
    owner.execute("update sigma.bulk_runs set passed_over = 1")
    assert await read((run,)) == [True, False]


async def test_what_moves_each_second_is_not_announced(operator, owner, lead, due):
    run = await begin(operator, wish("flag", [lead(f"p{number}@example.com") for number in range(3)], "odd"))
    due()
    await bulk.carry_on(run)
    page = await shown(RunsState, operator)
    assert (page.runs[0].said, page.runs[0].so_far) == ("Under way.", "2 flagged so far.")
    drawn = str(runs())
    assert re.search(r'"aria-live":"off"[^}]*\},\s*\w+\??\.\["so_far"\]', drawn), drawn


async def test_an_address_that_was_searched_for_goes_with_a_run_that_was_taken_back(operator, owner, lead):
    lead("ann@example.com")
    run = await begin(operator, wish("flag", q="ann@example.com", reason="odd"))
    await bulk.stop(operator, run)
    assert owner.execute("select filter from sigma.bulk_runs").fetchall() == [({},)]


async def test_nobody_else_begins_stops_or_undoes(operator, stranger, owner, lead):
    one = lead("ann@example.com")
    with pytest.raises(NotAnOperator):
        await bulk.begin(stranger, wish("erase", [one]), NOBODY)
    run = await begin(operator, wish("erase", [one]))
    with pytest.raises(NotAnOperator):
        await bulk.stop(stranger, run)
    with pytest.raises(NotAnOperator):
        await bulk.undo(stranger, run)
    assert state_of(owner, run)[0] == "waiting"


@pytest.mark.parametrize(("action", "reason"), [("", ""), ("promote", ""), ("flag", "  ")])
def test_what_is_wrong_with_a_wish_is_said(action, reason):
    with pytest.raises(NotLikeThat):
        wish(action, reason=reason)


async def test_it_is_a_job_that_waits_for_the_grace(operator, owner, lead):
    await begin(operator, wish("flag", [lead("ann@example.com")], "odd"))
    rows = owner.execute(
        "select scheduled_at > now() + interval '5 seconds', args - '_request' ? 'run'"
        " from procrastinate.procrastinate_jobs where task_name = 'console:carry_on'"
    ).fetchall()
    assert rows == [(True, True)]
