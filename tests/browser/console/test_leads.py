"""The console's leads in a real browser: looking through them, acting on one and on many, files out and in."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.accounts.conftest import Portal
from tests.browser.console.conftest import look, shown

pytestmark = pytest.mark.browser

JOBS = 30_000  # ms for what waits for its grace and a worker


@pytest.fixture
def campaign(email: str) -> str:
    """A source that no other test has."""
    return email.partition("@")[0][-30:]


@pytest.fixture
def sixty(sigma: Portal, campaign: str) -> list[str]:
    """Sixty confirmed leads of one source, the newest first."""
    with sigma.database() as owner:
        owner.execute(
            "insert into leads (email, utm_source, created_at) select %(name)s || '-' || n || '@example.com', %(name)s,"
            " now() - n * interval '1 minute' from generate_series(1, 60) as n",
            {"name": campaign},
        )
        owner.execute("select sigma.confirm(id, 5) from leads where utm_source = %s", [campaign])
    return [f"{campaign}-{number}@example.com" for number in range(1, 61)]


def rows(page: Page):
    return page.locator("tbody tr")


def pick(page: Page, action: str, *, reason: str = "") -> None:
    page.get_by_label("With those picked").select_option(action)
    if reason:
        page.get_by_label("Why (for a flag)").fill(reason)
    page.get_by_role("button", name="Go on", exact=True).click()


def test_through_the_pages_and_back_by_the_browsers_own_button(operator: Page, sixty: list[str], campaign: str):
    shown(operator, f"/admin/leads?source={campaign}", "Leads")
    expect(rows(operator)).to_have_count(50)
    expect(operator.get_by_text("60 leads", exact=True)).to_be_visible()
    operator.get_by_role("link", name="Older").click()
    expect(rows(operator)).to_have_count(10)
    expect(rows(operator).last).to_contain_text(sixty[-1])
    operator.go_back()
    expect(rows(operator)).to_have_count(50)
    expect(operator.get_by_label("Source")).to_have_value(campaign)


def test_what_was_typed_stays_and_a_wrong_day_is_said(operator: Page, sixty: list[str], campaign: str):
    shown(operator, "/admin/leads", "Leads")
    operator.get_by_label("Address begins with").fill(f"{campaign}-6".upper())
    operator.get_by_role("button", name="Show").click()
    expect(rows(operator)).to_have_count(2)  # the 6th and the 60th
    expect(operator.get_by_label("Address begins with")).to_have_value(f"{campaign}-6".upper())
    shown(operator, "/admin/leads?since=yesterday", "Leads")
    expect(operator.get_by_role("alert").filter(has_text="“yesterday” is no day")).to_be_visible()
    operator.get_by_label("Joined from").fill("2026-11-02")
    operator.get_by_label("to", exact=True).fill("2026-11-01")
    operator.get_by_role("button", name="Show").click()
    expect(operator.get_by_role("alert").filter(has_text="the first day is after the last")).to_be_visible()
    expect(operator.get_by_label("Joined from")).to_have_value("2026-11-02")
    expect(operator.get_by_label("to", exact=True)).to_have_value("2026-11-01")
    expect(rows(operator)).to_have_count(0)
    expect(operator.get_by_text("Nothing is shown")).to_be_visible()
    shown(operator, f"/admin/leads?source={campaign.upper()}", "Leads")
    expect(rows(operator)).to_have_count(50)
    expect(operator.get_by_text("More filters (1 in use)")).to_be_visible()
    expect(operator.get_by_label("Source")).to_have_value(campaign)
    shown(operator, "/admin/leads?q=nobody-has-this", "Leads")
    expect(operator.get_by_text("Nobody matches.")).to_be_visible()
    operator.get_by_role("link", name="Show everybody").click()
    expect(rows(operator).first).to_be_visible()
    assert operator.url.endswith("/admin/leads")


def test_many_are_flagged_while_a_bar_moves_and_put_back(operator: Page, sixty: list[str], campaign: str):
    shown(operator, f"/admin/leads?source={campaign}", "Leads")
    pick(operator, "flag", reason="looks odd")
    expect(operator.get_by_role("alert").filter(has_text="Pick somebody first")).to_be_visible()
    every = operator.get_by_label("Pick all of this page")
    every.check()
    rows(operator).nth(0).get_by_role("checkbox").uncheck()
    expect(every).to_be_checked(indeterminate=True)
    rows(operator).nth(0).get_by_role("checkbox").check()
    expect(every).to_be_checked()
    rows(operator).nth(0).get_by_role("checkbox").uncheck()
    pick(operator, "flag", reason="looks odd")
    expect(operator.get_by_text("49 leads will be flagged.")).to_be_visible()
    operator.get_by_role("button", name="Do it").click()
    expect(operator.get_by_role("progressbar")).to_be_visible()
    expect(operator.get_by_role("checkbox", checked=True)).to_have_count(0)  # or the next deed would be theirs as well
    expect(operator.get_by_label("With those picked")).to_have_value("")
    expect(operator.get_by_text("49 flagged.")).to_be_visible(timeout=JOBS)
    asked_for = operator.get_by_text("Asked for.")
    expect(asked_for).to_be_visible()
    operator.get_by_role("link", name="49 of these changed since then. Show").click()
    expect(rows(operator).nth(1)).to_contain_text("looks odd")
    operator.goto(f"/admin/leads?source={campaign}&flagged=1")
    expect(rows(operator)).to_have_count(49)
    expect(rows(operator).first).to_contain_text("looks odd")
    expect(asked_for).to_have_count(0)
    operator.get_by_role("button", name="Put back").first.click()
    expect(operator.get_by_text("49 put back.").first).to_be_visible(timeout=JOBS)
    operator.reload()
    expect(operator.get_by_text("Nobody matches.")).to_be_visible()


def test_everybody_of_a_list_is_invited_over_its_pages(operator: Page, sixty: list[str], campaign: str, sigma: Portal):
    shown(operator, f"/admin/leads?source={campaign}", "Leads")
    operator.get_by_label("All 60 of this list").check()
    pick(operator, "invite")
    expect(operator.get_by_text(re.compile("^60 leads will be invited"))).to_be_visible()
    operator.get_by_role("button", name="Do it").dblclick()
    expect(operator.get_by_text("Asked for.")).to_be_visible()
    expect(operator.get_by_text("60 invited.")).to_be_visible(timeout=JOBS)
    with sigma.database() as owner:
        runs = owner.execute(
            "select count(*) from sigma.bulk_runs where filter ->> 'source' = %s", [campaign]
        ).fetchone()
    assert runs == (1,)
    operator.reload()
    operator.get_by_label("All 60 of this list").check()
    pick(operator, "invite")
    expect(
        operator.get_by_text(
            "Nobody will be invited, 60 will be passed over: 60 have an invitation that is still good."
        )
    ).to_be_visible()
    expect(operator.get_by_role("button", name="Do it")).to_have_count(0)


def test_by_the_keyboard_alone_and_the_focus_is_never_lost(operator: Page, sixty: list[str], campaign: str):
    shown(operator, f"/admin/leads?source={campaign}", "Leads")
    rows(operator).nth(39).get_by_role("checkbox").focus()
    press = operator.keyboard.press
    press("Space")
    press("Enter")
    action = operator.get_by_label("With those picked")
    expect(action).to_be_focused()
    expect(action).to_be_in_viewport()
    press("F")  # Flag
    press("Tab")
    operator.keyboard.type("by hand")
    press("Tab")
    go_on = operator.get_by_role("button", name="Go on", exact=True)
    expect(go_on).to_be_focused()
    press("Enter")
    leave = operator.get_by_role("button", name="Leave it")
    expect(leave).to_be_focused()
    press("Enter")
    expect(go_on).to_be_focused()
    press("Enter")
    expect(leave).to_be_focused()
    press("Shift+Tab")
    press("Enter")
    expect(operator.locator(".console-outcomes").filter(has_text="Asked for.")).to_be_focused()
    operator.get_by_role("button", name="Undo").focus()
    press("Enter")
    expect(operator.locator(".console-run").filter(has_text="Taken back before it began").first).to_be_focused()


def test_erasing_asks_for_the_word_and_can_be_taken_back_at_first(
    operator: Page, sixty: list[str], campaign: str, sigma: Portal
):
    shown(operator, f"/admin/leads?source={campaign}", "Leads")
    rows(operator).nth(0).get_by_role("checkbox").check()
    pick(operator, "erase")
    operator.get_by_role("button", name="Erase them").click()
    expect(operator.get_by_role("alert").filter(has_text="Type erase to go on")).to_be_visible()
    operator.get_by_label("Type “erase”").fill("erase")
    operator.get_by_role("button", name="Erase them").click()
    operator.get_by_role("button", name="Undo").click()
    expect(operator.get_by_text("Taken back before it began").first).to_be_visible()
    assert sigma.leads(sixty[0])


def test_a_question_about_one_list_is_withdrawn_when_another_is_shown(
    operator: Page, sixty: list[str], campaign: str, sigma: Portal
):
    shown(operator, f"/admin/leads?q={campaign}-1", "Leads")
    operator.get_by_label(re.compile("^All .* of this list")).check()
    pick(operator, "erase")
    expect(operator.get_by_role("button", name="Erase them")).to_be_visible()
    operator.get_by_label("Address begins with").fill(f"{campaign}-2")
    operator.get_by_role("button", name="Show").click()
    expect(rows(operator).first).to_contain_text(f"{campaign}-2")
    expect(operator.get_by_role("button", name="Erase them")).to_have_count(0)
    assert sigma.leads(sixty[0])


def test_a_question_about_some_is_withdrawn_when_others_are_picked(operator: Page, sixty: list[str], campaign: str):
    shown(operator, f"/admin/leads?source={campaign}", "Leads")
    asked = operator.get_by_role("button", name="Erase them")
    rows(operator).nth(0).get_by_role("checkbox").check()
    rows(operator).nth(1).get_by_role("checkbox").check()
    pick(operator, "erase")
    expect(asked).to_be_visible()
    rows(operator).nth(0).get_by_role("checkbox").uncheck()
    expect(asked).to_have_count(0)
    operator.get_by_role("button", name="Go on", exact=True).click()
    expect(asked).to_be_visible()
    operator.get_by_label("With those picked").select_option("invite")
    expect(asked).to_have_count(0)


def test_a_question_that_comes_late_is_not_asked_of_others(operator: Page, sixty: list[str], campaign: str):
    sent: list[str] = []
    operator.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(str(frame))))
    shown(operator, f"/admin/leads?source={campaign}", "Leads")
    rows(operator).nth(0).get_by_role("checkbox").check()
    operator.get_by_label("With those picked").select_option("erase")
    operator.evaluate(
        "document.getElementById('picked').requestSubmit(); document.querySelectorAll('tbody input')[1].click()"
    )
    deadline = time.monotonic() + 30
    while not any("forget_proposal" in frame for frame in sent):
        assert time.monotonic() < deadline, "The question stands."
        operator.wait_for_timeout(20)  # in which the browser's news is heard
    expect(operator.get_by_role("button", name="Erase them")).to_have_count(0)


def test_what_was_wrong_with_a_choice_is_said_neither_of_a_right_one_nor_of_another_list(
    operator: Page, sixty: list[str], campaign: str
):
    shown(operator, f"/admin/leads?source={campaign}", "Leads")
    wrong = operator.get_by_role("alert").filter(has_text="Pick somebody first")
    pick(operator, "invite")
    expect(wrong).to_be_visible()
    rows(operator).nth(0).get_by_role("checkbox").check()
    pick(operator, "invite")
    expect(operator.get_by_text(re.compile("^1 lead will be invited"))).to_be_visible()
    expect(wrong).to_have_count(0)
    rows(operator).nth(0).get_by_role("checkbox").uncheck()
    pick(operator, "invite")
    expect(wrong).to_be_visible()
    operator.get_by_role("link", name="Older").click()
    expect(rows(operator)).to_have_count(10)
    expect(wrong).to_have_count(0)


def test_one_lead_has_a_story_and_is_erased(operator: Page, sixty: list[str], campaign: str, sigma: Portal):
    shown(operator, f"/admin/leads?q={sixty[0]}", "Leads")
    rows(operator).first.get_by_role("link").click()
    expect(operator.get_by_role("heading", level=1)).to_have_text(sixty[0])
    operator.get_by_role("button", name="Invite").click()
    expect(operator.get_by_text("Invited. The mail is on its way.")).to_be_visible()
    happened = operator.locator(".console-story > li")
    expect(happened.filter(has_text="Was invited")).to_be_visible()
    expect(happened.filter(has_text="invited this lead").get_by_role("link", name="Audit log")).to_be_visible()
    expect(happened.filter(has_text="Was to be sent the invitation.")).to_be_visible()
    expect(operator.get_by_text(re.compile(r"Cannot be invited\. Invited on \d{4}-\d\d-\d\d"))).to_be_visible()
    expect(operator.get_by_role("button", name="Invite")).to_have_count(0)
    expect(operator.get_by_text("Invited. The mail is on its way.")).to_be_visible()
    operator.get_by_label("Why flag it").fill("knows everybody")
    operator.get_by_role("button", name="Flag", exact=True).click()
    expect(operator.locator("dd", has_text="knows everybody")).to_be_visible()
    operator.get_by_role("button", name="Erase …").click()
    operator.get_by_role("button", name="Erase", exact=True).click()
    expect(operator.get_by_text("Type erase to go on", exact=False)).to_be_visible()
    operator.get_by_label("Type “erase”").fill("erase")
    operator.get_by_role("button", name="Erase", exact=True).click()
    expect(operator.get_by_role("heading", level=1)).to_have_text("Nobody here")
    expect(operator.get_by_text("Erased. Mails and events")).to_be_visible()
    assert sigma.leads(sixty[0]) == []
    with sigma.database() as owner:
        said = owner.execute("select detail::text || coalesce(subject, '') from sigma.audit_log").fetchall()
    assert not [words for (words,) in said if sixty[0] in words]


@pytest.mark.parametrize("asked", ["", "?id=nobody", "?id=00000000-0000-0000-0000-000000000000"])
def test_a_lead_that_is_none_is_said_to_be_none(operator: Page, asked: str):
    shown(operator, f"/admin/lead{asked}", "Nobody here")


def test_who_comes_meanwhile_is_announced_and_moves_no_row(
    operator: Page, sixty: list[str], campaign: str, sigma: Portal
):
    shown(operator, f"/admin/leads?source={campaign}", "Leads")
    first = rows(operator).first.inner_text()
    with sigma.database() as owner:
        owner.execute(
            "insert into leads (email, utm_source) values (%s, %s)", [f"{campaign}-new@example.com", campaign]
        )
    link = operator.get_by_role("link", name="1 more since then")
    expect(link).to_be_visible()
    assert rows(operator).first.inner_text() == first
    link.click()
    expect(rows(operator).first).to_contain_text(f"{campaign}-new@example.com")
    expect(operator.get_by_label("Source")).to_have_value(campaign)
    expect(link).to_have_count(0)


def test_the_list_goes_out_as_a_file_and_a_file_comes_in(
    operator: Page, sixty: list[str], campaign: str, sigma: Portal, tmp_path: Path
):
    shown(operator, f"/admin/leads?source={campaign}", "Leads")
    with operator.expect_download() as download:
        operator.get_by_role("button", name="Download this list").click()
    assert download.value.suggested_filename.endswith("-filtered.csv")
    file = tmp_path / f"{campaign}.csv"
    download.value.save_as(file)
    with file.open(newline="") as lines:
        assert [row["email"] for row in csv.DictReader(lines)] == sixty
    with sigma.database() as owner:
        owner.execute("delete from leads where utm_source = %s", [campaign])
    with file.open("a") as lines:
        lines.write("x,no address\n")
    shown(operator, "/admin/leads/import", "Import leads")
    operator.get_by_text("Which columns").click()
    with operator.expect_download() as template:
        operator.get_by_role("link", name="An empty file with these columns").click()
    assert template.value.path().read_text().startswith("email,created_at,")
    operator.get_by_role("button", name="Check this file").click()
    expect(operator.get_by_text("Choose a file first.")).to_be_visible()
    operator.set_input_files("input[type=file]", file)
    operator.get_by_role("button", name="Check this file").click()
    operator.get_by_role("heading", name=file.name).wait_for()
    files = operator.get_by_role("table", name="Files that were checked, newest first")
    listed = files.get_by_role("row").filter(has_text=file.name)
    expect(listed).to_contain_text("checked, not imported")
    numbers = operator.locator(".console-numbers")
    expect(numbers).to_contain_text("new60")
    expect(numbers).to_contain_text("with a mistake1")
    expect(rows(operator).filter(has_text="no address")).to_be_visible()
    expect(rows(operator).filter(has_text="not imported: “id”, “status”")).to_be_visible()
    assert sigma.leads(sixty[0]) == []
    operator.get_by_role("button", name="Import the new ones").click()
    expect(operator.get_by_text("60 imported.")).to_be_visible(timeout=JOBS)
    expect(listed).to_contain_text("imported601")  # by itself
    shown(operator, "/admin/leads/import", "Import leads")
    listed.get_by_role("link").click()
    expect(operator.get_by_text("60 imported.")).to_be_visible()
    assert sigma.leads(sixty[0])
    operator.get_by_role("link", name="Show those imported").click()
    expect(operator.get_by_text("60 leads of one imported file")).to_be_visible()
    expect(rows(operator).first).to_contain_text(sixty[0])


def test_a_search_among_those_of_a_file_stays_among_them(operator: Page, sixty: list[str], campaign: str):
    shown(operator, f"/admin/leads?file={uuid4()}", "Leads")
    operator.get_by_label("Address begins with").fill(campaign)
    operator.get_by_role("button", name="Show").click()
    expect(operator.get_by_label("Address begins with")).to_have_value(campaign)
    expect(operator.get_by_text("0 leads of one imported file")).to_be_visible()


def test_a_file_that_is_none_is_explained(operator: Page, tmp_path: Path):
    file = tmp_path / "picture.csv"
    file.write_bytes(b"\xff\xfe\x00")
    shown(operator, "/admin/leads/import", "Import leads")
    operator.set_input_files("input[type=file]", file)
    operator.get_by_role("button", name="Check this file").click()
    expect(operator.get_by_text("The file is not UTF-8")).to_be_visible()


def test_looks(operator: Page, new_context: Callable[..., BrowserContext], sixty: list[str], sigma: Portal):
    with sigma.database() as owner:
        owner.execute(
            "update leads set flag = %s where email = %s", ["a reason as long as a reason may be " * 5, sixty[0]]
        )
        lead = owner.execute("select id from leads where email = %s", [sixty[0]]).fetchone()
    assert lead
    look(operator, "leads", new_context, f"/admin/leads?q={sixty[0][:-14]}", "Leads")
    look(operator, "lead", new_context, f"/admin/lead?id={lead[0]}", sixty[0])
    look(operator, "import", new_context, "/admin/leads/import", "Import leads")
