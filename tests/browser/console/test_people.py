"""An operator at a browser: accounts, events and jobs, on large screens and small ones, by mouse and by keyboard."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from playwright.sync_api import Page, expect

from sigma_app.features.console.job_words import JOBS
from sigma_app.features.console.mail_words import KINDS
from tests.browser.accounts.conftest import PASSWORD, Portal, Somebody
from tests.browser.console.conftest import let_operate

pytestmark = pytest.mark.browser

SignedIn = Callable[..., Page]
CLOSED = "This account is closed for now. Reply to any mail from us to learn why."


@pytest.fixture
def operator(sigma: Portal, bob: Somebody, signed_in: SignedIn) -> Page:
    """Bob's page, who operates."""
    let_operate(sigma, bob)
    return signed_in(bob)


@pytest.fixture
def charlie(email: str) -> str:
    """Has no account yet."""
    return f"charlie-{email}"


def of(somebody: Somebody) -> str:
    return f"/admin/user?id={somebody.id}"


def fails(sigma: Portal, task: str = "waitlist:send_link", **args: str) -> int:
    """A job that failed for good; tried again, this one finds nothing to do."""
    given = args or {"link": "5f0c6b0e-0000-4000-8000-000000000000"}
    with sigma.database() as owner:
        (job,) = owner.execute(
            "insert into procrastinate.procrastinate_jobs (queue_name, task_name, status, args, attempts)"
            " values ('default', %s, 'failed', %s, 10) returning id",
            [task, json.dumps(given)],
        ).fetchone() or (0,)
        owner.execute("insert into sigma.job_errors (job_id, error) values (%s, 'MailRefused: 422')", [job])
    return job


def on_record(sigma: Portal, subject: object) -> list[str]:
    with sigma.database() as owner:
        rows = owner.execute("select action from sigma.audit_log where subject = %s order by id", [str(subject)])
        return [action for (action,) in rows.fetchall()]


@contextmanager
def without_news(owner: psycopg.Connection, table: str) -> Iterator[None]:
    """Nobody who has a page open is told what happens to a table inside the block."""
    owner.execute(f"alter table {table} disable trigger tell_console".encode())
    try:
        yield
    finally:
        owner.execute(f"alter table {table} enable trigger tell_console".encode())


def test_somebody_is_found_disabled_told_so_and_let_in_again(
    sigma: Portal, alice: Somebody, operator: Page, signed_in: SignedIn
):
    hers = signed_in(alice)
    operator.goto("/admin/users")
    operator.get_by_label("Address begins with").fill(alice.email[:20])
    operator.get_by_role("button", name="Show").click()
    operator.get_by_role("link", name=alice.email).click()
    expect(operator.get_by_role("heading", name=alice.email)).to_be_visible()

    operator.get_by_role("button", name="Disable", exact=True).click()
    expect(operator.get_by_role("button", name="Leave it")).to_be_focused()
    operator.keyboard.press("Enter")
    expect(operator.get_by_role("button", name="Leave it")).to_have_count(0)
    assert on_record(sigma, alice.id) == []

    operator.get_by_role("button", name="Disable", exact=True).click()
    operator.get_by_role("button", name="Disable them").dblclick()
    expect(operator.get_by_role("status").filter(has_text="Disabled.")).to_be_visible()
    hers.wait_for_url("**/sign-in**")
    hers.fill("input[name=email]", alice.email)
    hers.fill("input[name=password]", PASSWORD)
    hers.press("input[name=password]", "Enter")
    expect(hers.get_by_text(CLOSED)).to_be_visible()

    operator.get_by_role("button", name="Enable").dblclick()
    expect(operator.get_by_role("status").filter(has_text="Enabled. They can sign in again.")).to_be_visible()
    expect(operator.get_by_role("button", name="Disable", exact=True)).to_be_visible()
    expect(operator.get_by_role("alert").filter(has_text=re.compile("."))).to_have_count(0)
    hers.press("input[name=password]", "Enter")
    hers.wait_for_url("**/profile")
    assert on_record(sigma, alice.id) == ["user.disable", "user.enable"]


def test_a_browser_that_signs_in_shows_by_itself_and_is_signed_out(
    alice: Somebody, operator: Page, signed_in: SignedIn
):
    operator.goto(of(alice))
    expect(operator.get_by_text("Nowhere.")).to_be_visible()
    hers = signed_in(alice)
    operator.get_by_role("button", name=re.compile("^Sign out .*Chrome")).click()
    hers.wait_for_url("**/sign-in**")
    expect(operator.get_by_text("Nowhere.")).to_be_visible()


def test_a_second_click_does_not_turn_good_news_into_bad(
    sigma: Portal, alice: Somebody, operator: Page, signed_in: SignedIn
):
    signed_in(alice)
    operator.goto(of(alice))
    operator.get_by_role("button", name="Sign out everywhere").dblclick()
    expect(operator.get_by_role("status").filter(has_text="Signed out of 1 browser.")).to_be_visible()
    job = fails(sigma)
    operator.goto(f"/admin/job?id={job}")
    operator.get_by_role("button", name="Try again").dblclick()
    expect(operator.get_by_role("status").filter(has_text="It is in the queue again.")).to_be_visible()
    expect(operator.get_by_role("heading", name="Nothing here")).to_be_visible()  # the job has succeeded
    expect(operator.get_by_role("alert").filter(has_text=re.compile("."))).to_have_count(0)
    assert on_record(sigma, alice.id) == ["user.sign_out"]
    assert on_record(sigma, job) == ["job.retry"]


def test_by_keyboard_the_focus_goes_to_what_came_of_it_or_back_to_the_button(alice: Somebody, operator: Page):
    operator.goto(of(alice))
    operator.get_by_role("button", name="Disable", exact=True).focus()
    operator.keyboard.press("Enter")
    expect(operator.get_by_role("button", name="Leave it")).to_be_focused()
    operator.keyboard.press("Enter")
    expect(operator.get_by_role("button", name="Disable", exact=True)).to_be_focused()
    operator.keyboard.press("Enter")
    expect(operator.get_by_role("button", name="Leave it")).to_be_focused()
    operator.keyboard.press("Shift+Tab")
    expect(operator.get_by_role("button", name="Disable them")).to_be_focused()
    operator.keyboard.press("Enter")
    expect(operator.locator(".console-outcomes")).to_be_focused()
    expect(operator.locator(".console-outcomes")).to_contain_text("Disabled.")
    operator.get_by_role("button", name="Enable").focus()
    operator.keyboard.press("Enter")
    expect(operator.locator(".console-outcomes")).to_be_focused()
    expect(operator.locator(".console-outcomes")).to_contain_text("Enabled.")
    operator.get_by_role("button", name="Delete", exact=True).focus()
    operator.keyboard.press("Enter")
    expect(operator.get_by_label("Type “delete”")).to_be_focused()
    operator.keyboard.press("Tab")
    operator.keyboard.press("Tab")
    operator.keyboard.press("Enter")
    expect(operator.get_by_role("button", name="Delete", exact=True)).to_be_focused()


def test_an_account_is_deleted_only_when_that_is_meant(sigma: Portal, alice: Somebody, operator: Page):
    operator.goto(of(alice))
    operator.get_by_role("button", name="Delete", exact=True).click()
    expect(operator.get_by_label("Type “delete”")).to_be_focused()
    expect(operator.get_by_role("link", name="forget this person")).to_be_visible()
    operator.keyboard.press("Enter")
    expect(operator.get_by_role("alert").filter(has_text="Type delete to go on")).to_be_visible()
    operator.get_by_label("Type “delete”").fill("Delete")
    operator.get_by_role("button", name="Delete them for good").dblclick()
    expect(operator.get_by_role("status").filter(has_text="Deleted")).to_be_visible()
    expect(operator.get_by_role("heading", name="Nothing here")).to_be_visible()
    with sigma.database() as owner:
        assert owner.execute("select from auth.users where id = %s", [alice.id]).fetchone() is None
    assert on_record(sigma, alice.id) == ["user.delete"]


def test_an_operator_cannot_shut_themselves_out(bob: Somebody, operator: Page):
    operator.goto(of(bob))
    expect(operator.get_by_text("you can neither disable nor delete yourself here")).to_be_visible()
    for name in ("Disable", "Delete"):
        expect(operator.get_by_role("button", name=name, exact=True)).to_have_count(0)


@pytest.mark.parametrize("path", ["user", "event", "job", "message"])
@pytest.mark.parametrize(
    "query", ["", "?id=nonsense", "?id=%00%ff&source=stripe", "?id=00000000-0000-4000-8000-000000000000"]
)
def test_an_address_that_leads_to_nothing_says_so(operator: Page, path: str, query: str):
    operator.goto(f"/admin/{path}{query}")
    expect(operator.get_by_role("heading", name="Nothing here")).to_be_visible()


def test_whoever_comes_to_another_one_never_sees_the_one_before(alice: Somebody, operator: Page):
    operator.add_init_script("""
      window.seen = ""
      new MutationObserver(() => { window.seen += document.body?.innerText ?? "" }).observe(
        document, {childList: true, subtree: true, characterData: true})
    """)
    operator.goto(of(alice))
    expect(operator.get_by_text(alice.email).first).to_be_visible()
    assert alice.email in operator.evaluate("window.seen"), "or it would see nobody"
    operator.goto("/admin/user?id=5f0c6b0e-0000-4000-8000-000000000001")
    expect(operator.get_by_role("heading", name="Nothing here")).to_be_visible()
    assert alice.email not in operator.evaluate("window.seen")


def test_failed_jobs_show_by_themselves_and_are_tried_again_or_deleted(sigma: Portal, operator: Page):
    operator.goto("/admin/jobs")
    expect(operator.get_by_role("heading", name="Now")).to_be_visible()
    first, second = fails(sigma), fails(sigma)
    kept = fails(sigma, "accounts:send_farewell", sealed="c2VhbGVk", user="5f0c6b0e-0000-4000-8000-000000000001")
    expect(operator.get_by_role("link", name=str(second), exact=True)).to_be_visible()
    line = operator.get_by_role("listitem").filter(has_text="waitlist:send_link")
    line.get_by_role("button", name="Try all again").click()
    line.get_by_role("button", name="Try all again").dblclick()
    for job in (first, second):
        expect(operator.get_by_role("link", name=str(job), exact=True)).to_have_count(0)
    operator.get_by_role("link", name=str(kept), exact=True).click()
    expect(operator.get_by_role("heading", name=JOBS["accounts:send_farewell"])).to_be_visible()
    expect(operator.get_by_text("accounts:send_farewell", exact=True)).to_be_visible()
    expect(operator.get_by_text("MailRefused: 422")).to_be_visible()
    expect(operator.get_by_text("c2VhbGVk")).to_have_count(0)
    operator.get_by_role("button", name="Delete", exact=True).click()
    operator.get_by_role("button", name="Delete it").click()
    deleted = f"Deleted, and not to be done any more: {JOBS['accounts:send_farewell']}."
    expect(operator.get_by_role("status").filter(has_text=deleted)).to_be_visible()
    expect(operator.get_by_role("heading", name="Nothing here")).to_be_visible()
    assert on_record(sigma, kept) == ["job.drop"]


def test_an_event_is_read_and_worked_again(sigma: Portal, operator: Page, email: str):
    identity = f"evt_{email.partition('@')[0]}"
    body = {"id": identity, "type": "product.updated", "created": 1, "data": {"object": {"id": "of the object"}}}
    with sigma.database() as owner:
        owner.execute(
            "insert into sigma.webhook_events (source, id, type, body, handled_at)"
            " values ('stripe', %s, 'product.updated', %s, '2026-01-01')",
            [identity, json.dumps(body)],
        )
    operator.goto("/admin/events?type=product.&state=worked")
    operator.get_by_role("link", name=identity).click()
    expect(operator.get_by_text('"id": "of the object"')).to_be_hidden()
    operator.get_by_text("The payload").click()
    expect(operator.get_by_text('"id": "of the object"')).to_be_visible()
    operator.get_by_role("button", name="Work it again").click()
    operator.get_by_role("button", name="Work it again").click()
    expect(operator.get_by_role("status").filter(has_text="It was worked again at")).to_be_visible()
    expect(operator.get_by_role("status").filter(has_text="It changed nobody's access.")).to_be_visible()
    expect(operator.get_by_text("2026-01-01")).to_have_count(0)
    expect(operator.locator("dd").filter(has_text=re.compile("^worked$"))).to_be_visible()
    assert on_record(sigma, identity) == ["event.replay"]


def test_a_mail_is_followed_and_an_address_kept_from_mail_and_given_it_again(
    sigma: Portal, charlie: str, operator: Page, page: Page
):
    operator.goto(f"/admin/mail?email={charlie}")
    expect(operator.get_by_text("No mail matches.")).to_be_visible()
    expect(operator.get_by_role("link", name="Show all mail")).to_have_attribute("href", "/admin/mail")
    page.goto("/sign-up")
    page.fill("input[name=email]", charlie)
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    operator.get_by_role("link", name=charlie).click()  # it shows by itself
    expect(operator.get_by_role("heading", name=charlie)).to_be_visible()
    expect(operator.get_by_text(KINDS["accounts:signup"], exact=True)).to_be_visible()
    expect(operator.get_by_text("accounts:signup", exact=True)).to_be_visible()
    expect(operator.get_by_role("link", name="the mailbox of this Sigma")).to_have_attribute("href", "/dev/mailbox")

    operator.get_by_role("link", name="yes", exact=True).click()
    expect(operator.get_by_text(f"{charlie} gets mail.")).to_be_visible()
    operator.get_by_role("button", name="Send it no more mail").click()
    operator.get_by_role("button", name="Send it no more mail").dblclick()
    expect(operator.get_by_text(re.compile(f"{charlie} gets no mail since .*: by hand"))).to_be_visible()
    operator.get_by_role("button", name="Send it mail again").click()
    operator.get_by_role("button", name="Send it mail again").click()
    expect(operator.get_by_text(f"{charlie} gets mail.")).to_be_visible()
    digest = hashlib.sha256(charlie.encode()).hexdigest()
    assert on_record(sigma, digest) == ["suppression.add", "suppression.lift"]

    operator.get_by_label("Address", exact=True).fill("nobody")
    operator.get_by_role("button", name="Show").last.click()
    expect(operator.get_by_role("alert").filter(has_text="@")).to_be_visible()


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_its_screen_however_long_the_values(
    sigma: Portal, bob: Somebody, alice: Somebody, signed_in: SignedIn, screenshot, width: int, scheme: str
):
    let_operate(sigma, bob)
    with sigma.database() as owner:
        long = f"{'very.long.' * 18}{alice.id}@example.com"
        owner.execute("update auth.users set email = %s where id = %s", [long, alice.id])
        owner.execute("update profiles set name = %s where id = %s", ["Featherstone" * 8, alice.id])
        owner.execute(
            "insert into sigma.webhook_events (source, id, type, body, error) values ('stripe', %s, %s, %s, %s)",
            [f"evt_{alice.id}{'x' * 80}", "type." * 20, json.dumps({"long": "y" * 400}), "z" * 300],
        )
        (message,) = owner.execute(
            "insert into sigma.messages (key, kind, recipient, digest, provider_id, note, bounced_at)"
            " values (%s, 'accounts:' || repeat('kind', 20), %s, sha256('x'), repeat('p', 90), repeat('n', 200), now())"
            " returning id",
            [f"{alice.id}{'k' * 100}", long],
        ).fetchone() or (None,)
    job = fails(sigma, "some:task_with_quite_a_long_name_that_nobody_would_give", link="w" * 300)
    page = signed_in(bob, viewport={"width": width, "height": 900}, color_scheme=scheme)
    event = f"event?source=stripe&id=evt_{alice.id}{'x' * 80}"
    pages = (
        "users",
        f"user?id={alice.id}",
        "events?state=failed",
        event,
        "jobs",
        f"job?id={job}",
        "mail",
        f"message?id={message}",
    )
    for path in pages:
        page.goto(f"/admin/{path}")
        expect(page.locator("main h1")).to_be_visible()
        expect(page.get_by_role("heading", name="Nothing here")).to_have_count(0)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, path
        screenshot(page, f"console-{path.partition('?')[0]}-{width}-{scheme}")
    with sigma.database() as owner:
        owner.execute("delete from procrastinate.procrastinate_jobs where id = %s", [job])
        owner.execute("delete from sigma.webhook_events where error like 'zzz%'")
        owner.execute("delete from sigma.messages where id = %s", [message])


def test_what_was_done_is_still_said_when_a_connection_that_was_lost_is_back(
    sigma: Portal, alice: Somebody, operator: Page
):
    operator.goto(of(alice))
    operator.get_by_role("button", name="Disable", exact=True).click()
    operator.get_by_role("button", name="Disable them").click()
    said = operator.get_by_role("status").filter(has_text="Disabled.")
    expect(said).to_be_visible()
    operator.context.set_offline(True)
    with sigma.database() as owner:
        owner.execute("update profiles set name = 'Ada, meanwhile' where id = %s", [alice.id])
    operator.context.set_offline(False)
    expect(operator.get_by_text("Ada, meanwhile")).to_be_visible()
    expect(said).to_be_visible()


def test_an_open_event_hears_of_its_job_and_of_its_end(sigma: Portal, operator: Page, email: str):
    identity = f"evt_{email.partition('@')[0]}"
    with sigma.database() as owner:
        with without_news(owner, "sigma.webhook_events"):
            owner.execute(
                "insert into sigma.webhook_events (source, id, type, body) values ('stripe', %s, 'invoice.paid', '{}')",
                [identity],
            )
        operator.goto(f"/admin/event?source=stripe&id={identity}")
        expect(operator.get_by_text("no job of it is in the queue any more")).to_be_visible()
        owner.execute(
            "insert into procrastinate.procrastinate_jobs (queue_name, task_name, args, scheduled_at)"
            " values ('default', 'billing:apply_event', %s, now() + interval '1 day')",
            [json.dumps({"event_id": identity})],
        )
        expect(operator.get_by_text("It waits for its turn.")).to_be_visible()
        with without_news(owner, "procrastinate.procrastinate_jobs"):  # other jobs go on meanwhile
            for tries in (1, 2):  # the first may be seen for what was told before
                owner.execute(
                    "update sigma.webhook_events set error = 'Odd', tries = %s where id = %s", [tries, identity]
                )
                expect(
                    operator.get_by_text(re.compile(f"could not be worked so far, after {tries} failed"))
                ).to_be_visible()
            owner.execute("delete from sigma.webhook_events where id = %s", [identity])
            expect(operator.get_by_role("heading", name="Nothing here")).to_be_visible()


def test_an_account_shows_by_itself_that_its_owner_is_on_the_list(sigma: Portal, alice: Somebody, operator: Page):
    operator.goto(of(alice))
    place = operator.get_by_role("link", name="their place and story")
    expect(operator.get_by_text("Signed up")).to_be_visible()
    expect(place).to_have_count(0)
    with sigma.database() as owner:
        owner.execute("insert into leads (email) values (%s)", [alice.email])
    expect(place).to_be_visible()


def test_a_search_among_the_mails_of_an_account_stays_among_them(alice: Somebody, operator: Page):
    operator.goto(f"/admin/mail?user={alice.id}")
    operator.get_by_label("State").select_option("bounced")
    operator.get_by_role("button", name="Show").first.click()
    operator.wait_for_url("**state=bounced*")
    expect(operator.get_by_text(f"Those to {alice.email}.")).to_be_visible()


def test_what_was_done_shows_without_waiting_for_news_of_it(sigma: Portal, charlie: str, operator: Page):
    operator.goto(f"/admin/mail?address={charlie}")
    with sigma.database() as owner, without_news(owner, "sigma.suppressions"):
        operator.get_by_role("button", name="Send it no more mail").click()
        operator.get_by_role("button", name="Send it no more mail").click()
        expect(operator.get_by_text(f"{charlie} gets no mail since")).to_be_visible()


def test_what_was_said_goes_when_something_else_is_asked(alice: Somebody, operator: Page):
    operator.goto(of(alice))
    operator.get_by_role("button", name="Disable", exact=True).click()
    operator.get_by_role("button", name="Disable them").click()
    said = operator.get_by_role("status").filter(has_text="Disabled.")
    expect(said).to_be_visible()
    operator.get_by_role("button", name="Delete", exact=True).click()
    expect(operator.get_by_label("Type “delete”")).to_be_visible()
    expect(said).to_have_count(0)
