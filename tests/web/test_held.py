"""The desk of what was set aside: bursts are seen as such, and a group is let through as far as it was seen."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import func, select
from time_machine import Traveller as Clock

from charter.models.base import db
from charter.models.decision import Audit
from charter.models.signature import Signature
from charter.operations import holding
from charter.operations.limits import REASONS
from tests.house.test_cost import cost
from tests.operations.test_limits import sign
from tests.pages import Page
from tests.people import Desk, mails, work


def held_count(app: Flask) -> int:
    with app.app_context():
        return int(db.session.scalar(select(func.count()).select_from(Signature).where(Signature.held)) or 0)


def burst(app: Flask, clock: Clock) -> None:
    """Five from one network, two with a filled trap and nothing known of them, one from a domain."""
    for place in range(5):
        sign(app, place, oddity="haste", networks=(b"n" * 32,), domain="burst.example")
    clock.shift(120)
    for place in range(5, 7):
        sign(app, place, oddity="trap", networks=(), domain=None)
    sign(app, 7, oddity="start", networks=(b"m" * 32,), domain="other.example")


def rows(page: Page) -> list[tuple[str, str]]:
    """Name and count of each group."""
    return [
        (row.query("a.who")[0].to_text(), row.query("b.num")[0].to_text()) for row in page.tree.query("div.desk-row")
    ]


def test_a_burst_is_shown_in_groups_the_largest_first(app: Flask, desk: Desk, clock: Clock) -> None:
    burst(app, clock)
    page = desk.browser.get("/staff/held/")
    assert [count for _, count in rows(page)] == ["5", "2", "1"]
    assert rows(page)[0][0] == "Filled in faster than people type"
    assert rows(desk.browser.get("/staff/held/?by=network")) == [
        (f"network {(b'n' * 32).hex()[:6]}", "5"),
        ("unknown", "2"),
        (f"network {(b'm' * 32).hex()[:6]}", "1"),
    ]
    assert [name for name, _ in rows(desk.browser.get("/staff/held/?by=domain"))] == [
        *("burst.example", "unknown", "other.example"),
    ]
    assert [count for _, count in rows(desk.browser.get("/staff/held/?by=minute"))] == ["5", "3"]
    group = desk.browser.get(page.href("key=haste"))
    assert len(group.tree.query("div.desk-row")) == 5
    assert "burst.example" in group.main


@pytest.mark.parametrize("by", ["reason", "network", "domain", "minute"])
def test_a_group_is_let_through_with_its_mails_and_no_other_is(app: Flask, desk: Desk, clock: Clock, by: str) -> None:
    burst(app, clock)
    work(app)
    assert mails(app) == []
    page = desk.browser.get(f"/staff/held/?by={by}")
    after = (
        page.submit(at="/staff/held/release")
        if by != "reason"
        else desk.browser.get(page.href("key=haste")).submit(at="/staff/held/release")
    )
    assert "5 signatures go on" in after.text
    assert held_count(app) == 3
    work(app)
    assert len(mails(app)) == 5
    with app.app_context():
        lines = db.session.scalars(select(Audit).where(Audit.action == "release")).all()
        assert len(lines) == 5
        assert {line.staff_id for line in lines} == {desk.id}
        assert all(line.detail == {"by": by, "count": 5} for line in lines)
        released = db.session.scalars(select(Signature.held_because).where(~Signature.held)).all()
    assert released == ["haste"] * 5, "why it had been set aside stays for the reviewer"


def test_what_came_after_the_page_is_looked_at_first(app: Flask, desk: Desk, clock: Clock) -> None:
    burst(app, clock)
    page = desk.browser.get("/staff/held/?by=network")
    sign(app, 20, oddity="haste", networks=(b"n" * 32,), domain="burst.example")
    assert "5 signatures go on" in page.submit(at="/staff/held/release").text
    assert held_count(app) == 4


def test_a_group_is_let_through_once_however_often_the_button_is_pressed(app: Flask, desk: Desk, clock: Clock) -> None:
    burst(app, clock)
    page = desk.browser.get("/staff/held/?by=network")
    page.submit(at="/staff/held/release")
    assert "Nothing of this group is set aside any more." in page.submit(at="/staff/held/release").text
    work(app)
    assert len(mails(app)) == 5


def test_no_more_than_two_hundred_go_at_once(
    app: Flask, desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert holding.MOST_AT_ONCE == 200
    monkeypatch.setattr(holding, "MOST_AT_ONCE", 3)
    burst(app, clock)
    page = desk.browser.get("/staff/held/?by=network")
    assert "Let the oldest 3 through" in page.main
    page.submit(at="/staff/held/release")
    assert held_count(app) == 5
    with app.app_context():
        assert db.session.scalars(select(Signature.id).where(~Signature.held)).all() == [1, 2, 3]


NO_KEYS = (
    {"by": "minute", "key": "yesterday"},
    {"by": "minute", "key": "9999-12-31T23:59"},
    {"by": "minute", "key": "0001-01-01T00:00"},
    {"by": "network", "key": "zz"},
    {"by": "network", "key": ""},
    {"by": "domain", "key": "' OR 1=1 --"},
    {"by": "reason", "key": "\x00"},
    {"by": "domain", "key": "\ud800"},
    {"by": "reason", "key": "haste", "up_to": "-1"},
    {"by": "reason", "key": "haste", "up_to": "٣"},
    {"by": "reason", "key": "haste", "up_to": ""},
    {"by": "reason", "key": "haste", "up_to": "9" * 5000},
    {"by": "name", "key": "haste"},
    {},
)


def test_a_key_that_is_none_lets_nobody_through_and_breaks_nothing(app: Flask, desk: Desk, clock: Clock) -> None:
    burst(app, clock)
    token = desk.browser.get("/staff/held/").fields(at="/staff/held/release")[1]["csrf_token"]
    for values in NO_KEYS:
        data = {name: value.encode("utf-8", "surrogatepass") for name, value in values.items()}
        answer = desk.browser.client.post("/staff/held/release", data={"up_to": "9999", "csrf_token": token, **data})
        assert answer.status_code in {303, 404}, values
        assert held_count(app) == 8, values
        asked = {name: value for name, value in data.items() if name != "up_to"}
        assert desk.browser.get("/staff/held/", query_string=asked).status in {200, 404}, values


def test_the_page_costs_the_same_for_many(app: Flask, desk: Desk, clock: Clock) -> None:
    paths = ["/staff/held/?by=network", "/staff/held/?by=reason&key=trap"]
    burst(app, clock)
    for path in paths:
        # The first look is recorded.
        cost(app, desk.browser, path)
    few = [len(cost(app, desk.browser, path)) for path in paths]
    for place in range(30):
        sign(app, place, oddity="trap", networks=(bytes([place]) * 32,))
    assert [len(cost(app, desk.browser, path)) for path in paths] == few


def test_every_reason_has_words_and_no_group_an_address(app: Flask, desk: Desk, clock: Clock) -> None:
    for place, reason in enumerate(REASONS):
        sign(app, place, oddity=reason, address=f"person{place}@hidden{place}.example")
    page = desk.browser.get("/staff/held/")
    assert len(rows(page)) == len(REASONS)
    assert not any(name in REASONS for name, _ in rows(page))
    assert "@" not in page.main
