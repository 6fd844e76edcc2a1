"""Export of personal data: nothing leaves at the word of one; it leaves once, whole, counted, as it was approved."""

from __future__ import annotations

import csv
import io
import tracemalloc
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from time_machine import Traveller as Clock

from charter.domain.errors import NotFoundError
from charter.models.base import db
from charter.models.decision import Audit
from charter.models.signature import Signature
from charter.operations import exporting as operations
from charter.operations.unit import operation
from charter.queries import exporting
from tests.operations.test_proposals import approve, dana
from tests.operations.test_signing import confirmed, decide, get, now, withdraw
from tests.pages import Page
from tests.people import Desk, work

__all__ = ["dana"]

ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
PURPOSE = "The election commission asks for the list of observers."


def propose(desk: Desk, *, states: Any = ("published", "confirmed"), **answers: Any) -> int:
    """The form, filled in; the id of the proposal."""
    page = desk.browser.get("/staff/exports/")
    page = page.submit("export-form", purpose=PURPOSE, states=list(states), **answers)
    assert page.url.startswith("/staff/proposals/"), page.main
    return int(page.url.rstrip("/").rpartition("/")[2])


def fetch(desk: Desk, proposal_id: int) -> Page:
    page = desk.browser.get("/staff/exports/")
    return page.submit(at=f"/staff/exports/{proposal_id}/file")


def table(page: Page) -> list[dict[str, str]]:
    assert page.response.mimetype == "text/csv", page.text
    return list(csv.DictReader(io.StringIO(page.text, newline="")))


def sent(app: Flask) -> list[dict[str, Any]]:
    with app.app_context():
        rows = db.session.scalars(select(Audit.detail).where(Audit.action == "export-sent").order_by(Audit.id)).all()
        db.session.rollback()
        return list(rows)


def people(app: Flask, desk: Desk, clock: Clock) -> None:
    """One published in Astana, one waiting abroad, one declined, one who has withdrawn."""
    published = confirmed(app, "Әмина Оспанова", "amina@example.org")
    decide(app, published, desk.id)
    confirmed(app, "Ерлан Бекенов", "erlan@example.org", region_code="KZ-71")
    declined = confirmed(app, "John Smith", "john@example.org")
    decide(app, declined, desk.id, "decline", "duplicate")
    withdraw(app, confirmed(app, "Мария Петрова", "maria@example.org"))
    clock.shift(11)
    work(app)


def test_it_leaves_once_when_another_has_approved_and_the_audit_counts_it(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    people(app, desk, clock)
    proposal_id = propose(desk)
    assert not desk.browser.get("/staff/exports/").tree.query('form[action$="/file"]')
    approve(app, proposal_id, dana)
    assert not dana.browser.get("/staff/exports/").tree.query('form[action$="/file"]')
    open_page = desk.browser.get("/staff/exports/")
    rows = table(open_page.submit(at=f"/staff/exports/{proposal_id}/file"))
    assert [(row["name"], row["state"], row["region"]) for row in rows] == [
        ("Әмина Оспанова", "published", "KZ-75"),
        ("Ерлан Бекенов", "confirmed", "KZ-71"),
    ]
    assert "email" not in rows[0]
    assert (rows[0]["number"], rows[0]["signed"], rows[0]["confirmed"]) == ("1", "2026-11-20", "2026-11-20")
    assert sent(app) == [{"count": 2, "is_whole": True, "proposed_by": desk.id, "decided_by": dana.id}]
    again = open_page.submit(at=f"/staff/exports/{proposal_id}/file")
    assert "used up, too old or not yours" in again.text
    assert len(sent(app)) == 1


@ONE_ENGINE
def test_nobody_fetches_anothers_nor_what_is_not_approved_nor_too_late(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    people(app, desk, clock)
    proposal_id = propose(desk)
    token = desk.browser.get("/staff/exports/").fields("export-form")[1]["csrf_token"]
    path = f"/staff/exports/{proposal_id}/file"
    assert "used up" in desk.browser.post(path, {"csrf_token": token}).text
    approve(app, proposal_id, dana)
    theirs = dana.browser.get("/staff/exports/").fields("export-form")[1]["csrf_token"]
    assert "used up" in dana.browser.post(path, {"csrf_token": theirs}).text
    with app.app_context(), pytest.raises(NotFoundError):
        operations.begin(proposal_id, staff_id=desk.id, now=now() + timedelta(hours=24))
    assert sent(app) == []
    assert len(table(fetch(desk, proposal_id))) == 2


@ONE_ENGINE
def test_addresses_leave_only_when_asked_for_and_why(app: Flask, desk: Desk, dana: Desk, clock: Clock) -> None:
    people(app, desk, clock)
    page = desk.browser.get("/staff/exports/")
    refused = page.submit("export-form", purpose=PURPOSE, states=["published"], with_addresses="y")
    assert refused.status == 422
    assert "without it addresses do not leave" in refused.main
    assert PURPOSE in refused.text
    proposal_id = propose(desk, with_addresses="y", why_addresses="They have to be invited by mail.", region="KZ-71")
    judged = dana.browser.get(f"/staff/proposals/{proposal_id}/")
    assert "They have to be invited by mail." in judged.main
    assert "erlan@example.org" not in judged.text
    judged.submit("approve-form")
    (row,) = table(fetch(desk, proposal_id))
    assert (row["name"], row["email"]) == ("Ерлан Бекенов", "erlan@example.org")


@ONE_ENGINE
@pytest.mark.parametrize(
    ("answers", "names"),
    [
        ({"states": ["declined"]}, ["John Smith"]),
        ({"first_on": "2026-11-20", "last_on": "2026-11-20"}, ["Әмина Оспанова", "Ерлан Бекенов"]),
        ({"last_on": "2026-11-19"}, []),
        ({"first_on": "2026-11-21"}, []),
    ],
)
def test_the_scope_is_what_was_approved(
    app: Flask, desk: Desk, dana: Desk, clock: Clock, answers: dict[str, Any], names: list[str]
) -> None:
    people(app, desk, clock)
    proposal_id = propose(desk, **answers)
    judged = dana.browser.get(f"/staff/proposals/{proposal_id}/")
    assert f"How many people {len(names)}" in " ".join(judged.main.split())
    judged.submit("approve-form")
    assert [row["name"] for row in table(fetch(desk, proposal_id))] == names


@ONE_ENGINE
@pytest.mark.parametrize(
    "answers",
    [
        {"purpose": ""},
        {"states": []},
        {"states": ["withdrawn"]},
        {"region": "KZ-99"},
        {"first_on": "2026-11-20", "last_on": "2026-11-19"},
        {"first_on": "yesterday"},
        {"first_on": "0001-01-01"},
        {"last_on": "9999-12-31"},
    ],
)
def test_what_cannot_be_meant_is_asked_again_with_everything_kept(
    app: Flask, desk: Desk, clock: Clock, answers: dict[str, Any]
) -> None:
    page = desk.browser.get("/staff/exports/")
    refused = page.submit("export-form", **{"purpose": PURPOSE, "states": ["published"], **answers})
    assert refused.status == 422
    assert refused.tree.query("#error-summary")
    assert "Not a valid" not in refused.main


@ONE_ENGINE
def test_one_at_a_time_and_only_for_administrators(app: Flask, desk: Desk, dana: Desk, clock: Clock) -> None:
    propose(desk)
    second = desk.browser.get("/staff/exports/").submit("export-form", purpose=PURPOSE, states=["published"])
    assert second.status == 409
    assert "one at a time" in second.main
    reviewer = Desk(app, "Erlan", "erlan@example.org", role="reviewer")
    assert reviewer.browser.get("/staff/exports/").status == 403


@ONE_ENGINE
def test_no_cell_begins_like_a_formula(app: Flask) -> None:
    # None of them gets into a name; this is the second wall.
    for start in "=+-@\t\r＝＋－＠":
        assert exporting._lines([[f"{start}1+1", 5, None]]).decode().lstrip('"').startswith(f"'{start}")
    assert exporting._lines([["Әмина, «А»", 5, None]]) == '"Әмина, «А»",5,\r\n'.encode()


@ONE_ENGINE
def test_who_leaves_while_it_is_sent_is_counted_no_more_and_a_file_that_breaks_off_says_so(
    app: Flask, desk: Desk, dana: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    people(app, desk, clock)
    monkeypatch.setattr(exporting, "WINDOW", 1)
    proposal_id = propose(desk)
    approve(app, proposal_id, dana)
    fetched = exporting.Reading._fetch
    windows: list[int] = []

    def break_off(self: exporting.Reading, sql: str, values: Any) -> Any:
        windows.append(1)
        if len(windows) == 2:
            raise exporting.BrokenOffError("gone")
        return fetched(self, sql, values)

    monkeypatch.setattr(exporting.Reading, "_fetch", break_off)
    page = fetch(desk, proposal_id)
    assert page.text.splitlines()[-1].startswith('"INCOMPLETE')
    assert sent(app) == [{"count": 1, "is_whole": False, "proposed_by": desk.id, "decided_by": dana.id}]


def test_memory_does_not_grow_with_the_number_of_people(
    app: Flask, desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows of the same size, whether there are ten of them or a hundred."""
    signature_id = confirmed(app, "Ерлан Бекенов", "erlan@example.org")
    copy_people(app, signature_id, 2000)
    monkeypatch.setattr(exporting, "WINDOW", 50)
    scope = exporting.Scope(states=("confirmed",))
    peaks = []
    for least in (20, 40):
        with app.app_context(), exporting.Reading(scope, "kk") as reading:
            pieces = reading.table()
            next(pieces)
            next(pieces)
            tracemalloc.start()
            for _ in range(least - 2):
                next(pieces)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.3 + 100_000
    assert get(app, signature_id).state == "confirmed"


def copy_people(app: Flask, signature_id: int, count: int) -> None:
    """More rows of the same person, quickly."""

    @operation
    def copy() -> None:
        row = db.session.get_one(Signature, signature_id)
        kept = {column.key: getattr(row, column.key) for column in Signature.__table__.columns}
        rows = [
            {**kept, "id": signature_id + place, "entry": f"{place:032x}", "mailbox": f"p{place}@example.org"}
            for place in range(1, count + 1)
        ]
        db.session.connection().execute(Signature.__table__.insert(), rows)  # type: ignore[attr-defined]

    with app.app_context():
        copy()
