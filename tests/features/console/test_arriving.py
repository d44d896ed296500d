"""Whoever comes to a page is told nothing of what was done on another one; who connects again still is."""

from __future__ import annotations

from typing import Any

import pytest

from sigma_app.features.console.lead_page import LeadState

pytestmark = pytest.mark.anyio


async def nobody(_: LeadState) -> None:
    """Who is signed in, outside of an app."""


@pytest.mark.parametrize(("said_at", "outcome"), [("/admin/lead?id=another", ""), ("", "Invited.")])
async def test_what_became_of_a_deed_goes_with_another_page_and_not_with_a_connection(
    monkeypatch: pytest.MonkeyPatch, said_at: str, outcome: str
):
    monkeypatch.setattr(LeadState, "_signed_in", nobody)
    page: Any = LeadState()  # pyright: ignore[reportCallIssue] - of rx.State, outside of an app
    page.outcome, page._said_at = "Invited.", said_at  # the address of a state outside of an app is ""
    await page.load()
    assert page.outcome == outcome
