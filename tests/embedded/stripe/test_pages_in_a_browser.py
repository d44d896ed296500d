"""The sandbox's pages in a real Chromium: nothing that axe finds, nothing wider than a phone, in both schemes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import uvicorn
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, ViewportSize, async_playwright
from playwright.sync_api import sync_playwright
from starlette.applications import Starlette

from sigma_app.embedded.stripe import acts
from sigma_app.embedded.stripe.pages import DASHBOARD_ROUTES, ROUTES
from tests.browser.chromium import launch_options
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

NARROW = ViewportSize(width=320, height=800)  # CSS pixels
FEATURES = {name: {"enabled": True} for name in ("invoice_history", "payment_method_update", "subscription_cancel")}


def options() -> dict:
    with sync_playwright() as playwright:
        return launch_options(playwright)


@pytest.fixture
async def address(wire) -> AsyncIterator[str]:
    """Where the pages are served."""
    app = Starlette(routes=[*ROUTES, *DASHBOARD_ROUTES])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


@pytest.fixture(params=["dark", "light"])
async def page(request) -> AsyncIterator[Page]:
    how = await asyncio.to_thread(options)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**how)
        yield await browser.new_page(color_scheme=request.param, viewport=NARROW)
        await browser.close()


@pytest.fixture
async def paths(sdk, checkout, once, monthly, yearly, alice, product) -> list[str]:
    """A page in every state that looks different."""
    coupon = await sdk.coupons.create_async({"percent_off": 10, "duration": "once"})
    opened = {name: await checkout(once) for name in ("paid", "disputed", "waiting", "asked", "declined", "expired")}
    opened["reduced"] = await checkout(monthly, discounts=[{"coupon": coupon.id}])
    opened["subscribed"] = await checkout(monthly)
    opened["coded"] = await checkout(monthly, allow_promotion_codes=True)
    for name in ("paid", "disputed", "subscribed"):
        await acts.pay(opened[name].id)
    await acts.pay_later(opened["waiting"].id)
    await acts.ask(opened["asked"].id)
    await acts.decline(opened["declined"].id)
    await sdk.checkout.sessions.expire_async(opened["expired"].id)
    await acts.open_dispute((await sdk.charges.list_async()).data[-1].id)
    await acts.set_card(alice.id, "asks")
    subscription = (await sdk.checkout.sessions.retrieve_async(opened["subscribed"].id)).subscription
    await acts.let_a_period_pass(subscription)
    plans = {"enabled": True, "products": [{"product": product.id, "prices": [monthly.id, yearly.id]}]}
    await sdk.billing_portal.configurations.create_async({"features": FEATURES | {"subscription_update": plans}})
    portal = await sdk.billing_portal.sessions.create_async({"customer": alice.id, "return_url": "http://sigma.test/"})
    invoices = (await sdk.invoices.list_async()).data
    return [
        *(f"/sandbox/checkout/{one.id}" for one in opened.values()),
        *(f"/sandbox/invoice/{one.id}" for one in invoices),
        f"/sandbox/portal/{portal.id}",
        "/sandbox/checkout/cs_none",
        "/dev/stripe",
    ]


async def test_axe_finds_no_violation_and_nothing_is_wider_than_the_screen(page, address, paths):
    for path in paths:
        await page.goto(address + path)
        report = await Axe().run(page)
        assert report.violations_count == 0, f"{path}: {report.generate_report()}"
        assert await page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], path


async def test_a_checkout_is_gone_through_by_keyboard(page, address, sdk, checkout, once):
    opened = await checkout(once, cancel_url=f"{address}/back", success_url=f"{address}/dev/stripe")
    await page.goto(f"{address}/sandbox/checkout/{opened.id}")
    for _ in range(3):
        await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Decline the card"
    await page.keyboard.press("Enter")
    await page.get_by_role("alert").wait_for()
    await page.get_by_role("button", name="Pay", exact=True).press("Enter")
    await page.wait_for_url("**/dev/stripe")
    assert (await sdk.checkout.sessions.retrieve_async(opened.id)).payment_status == "paid"


async def test_the_dashboard_is_gone_about_by_keyboard_and_comes_back_to_the_row(page, address, checkout, once):
    for _ in range(5):
        await acts.pay((await checkout(once)).id)
    await page.goto(f"{address}/dev/stripe")
    await page.get_by_role("link", name="Payments").press("Enter")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Give all back"
    row = page.locator("li[id^=ch_]").nth(3)
    await row.get_by_role("button", name="Give all back").press("Enter")
    await page.wait_for_url(f"**#{await row.get_attribute('id')}")
    assert "given back" in await page.locator(":target").inner_text()
    assert await page.evaluate("document.querySelector(':target').getBoundingClientRect().top") < NARROW["height"]
