"""What applicants are told while the queue is long, and what the desk's pages cost."""

from __future__ import annotations

from datetime import date

import pytest
from flask import Flask
from time_machine import Traveller as Clock

from charter.models.base import db, writing
from charter.models.desk import DeskCount
from charter.operations import finding
from charter.queries import queue
from tests.house.test_cost import crowd
from tests.operations.test_signing import confirmed
from tests.people import Desk, Observer
from tests.statements import statements


def mark_queue() -> int:
    """As the worker does each minute."""
    return finding.mark_queue(queue.find_marks(), every=queue.MARK_EVERY)


def test_nothing_is_foretold_while_the_queue_is_short(app: Flask, observer: Observer) -> None:
    assert "just now" not in observer.sign(lang="en").main
    observer.confirm()
    assert "are due before yours" not in observer.browser.get("/en/my/").main


def test_while_the_queue_is_long_applicants_read_how_many_wait_and_when_their_turn_comes(
    app: Flask, observer: Observer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "MARK_EVERY", 1)
    monkeypatch.setattr(finding, "LONG", 2)
    for place in range(3):
        confirmed(app, "Көп Адам", f"{place}@example.org")
    with app.app_context(), writing():
        db.session.add(DeskCount(day=date(2026, 11, 19), region_code="KZ-75", action="approve", waited_days=1, count=1))
        db.session.commit()
    observer.sign_and_confirm()
    with app.app_context():
        assert mark_queue() == 4
    page = observer.browser.get("/en/my/")
    assert "An answer is due by 27\u00a0November 2026." in page.main
    assert "about 3 applications are due before yours" in page.main
    # One a week, and five working days in it: fifteen working days from Friday on.
    assert "we expect to answer by 11\u00a0December 2026" in page.main
    assert "about 3 applications wait just now" in Observer(app, email="new@example.org").sign(lang="en").main


@pytest.mark.parametrize("path", ["/staff/", "/staff/?region=KZ-75&region=KZ-71&kind=party", "/staff/?choose=all"])
def test_a_page_of_the_queue_costs_as_many_statements_for_many_as_for_few(
    app: Flask, desk: Desk, clock: Clock, path: str
) -> None:
    crowd(app, 6, state="confirmed")
    desk.browser.get(path)
    with statements(app) as few:
        desk.browser.get(path)
    crowd(app, 120, state="confirmed")
    with statements(app) as many:
        page = desk.browser.get(path)
    assert page.status == 200
    assert [text for text in many if "PRAGMA" not in text] == [text for text in few if "PRAGMA" not in text]


def test_two_hundred_ticks_are_not_too_many_for_one_form(app: Flask, desk: Desk, clock: Clock) -> None:
    crowd(app, 120, state="confirmed")
    page = desk.browser.get("/staff/?choose=all")
    picked = [node.attrs["value"] for node in page.tree.query("input[name=pick]") if "checked" in node.attrs]
    assert len(picked) == 120
    chosen = page.submit("selection", pick=picked)
    assert "120 applications are chosen." in chosen.main
    report = chosen.submit(at="/staff/bulk/", action="approve", decide="1")
    assert "Decided" in report.main
    assert "120" in report.main
