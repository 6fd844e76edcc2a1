"""The next application is fetched while this one is read, and stands there as soon as the decision is stored."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from sqlalchemy import func, select

from charter.models.decision import Decision
from charter.models.desk import Claim
from tests.house.test_cost import crowd
from tests.journeys.test_desk_pages import Desktop, desktop

__all__ = ["desktop"]

pytestmark = [pytest.mark.journey, pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)]


def test_one_decision_after_another_needs_no_page_to_be_loaded(desktop: Desktop) -> None:
    crowd(desktop.world.app, 4, state="confirmed")
    visitor = desktop.visit("kk")
    loaded: list[str] = []
    page = visitor.page
    visitor.open("/staff/")
    with page.expect_response("**/staff/review/**"):
        page.locator("main [data-open]").first.click()
    page.wait_for_load_state("networkidle")
    page.on("request", lambda one: loaded.append(one.url) if one.resource_type == "document" else None)
    for turn in range(2):
        here = page.url
        page.keyboard.press("a")
        page.locator("form[data-decide] button:not([name])").click()
        expect(page).not_to_have_url(here)
        expect(page.locator("main h1")).to_be_focused()
        page.wait_for_load_state("networkidle")
        expect(page.locator("[data-slot=undo] button")).to_be_visible()
        expect(page.locator("[data-slot=claim] form[action$='/free']")).to_be_visible()
        assert desktop.world.scalar(select(func.count()).select_from(Decision).where(Decision.bulk.is_(None))) > turn
    assert loaded == []
    assert desktop.world.scalar(select(func.count()).select_from(Claim)) == 1
    # What is refused is shown as ever: nothing was chosen here.
    page.locator("form[data-decide] button:not([name])").click()
    expect(page.locator("#error-summary")).to_be_visible()
    visitor.problems.clear()
    visitor.close()
