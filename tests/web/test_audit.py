"""The audit in the desk: every read and act is found by whom, what, to what and when, and taken away whole."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, insert, select
from sqlalchemy.exc import OperationalError
from time_machine import Traveller as Clock

from charter.i18n import speaking
from charter.models.base import db, writing
from charter.models.decision import Audit
from charter.operations import names, reading
from charter.queries import audit as queries
from charter.queries.audit import Wanted
from charter.web.staff import trail_words
from tests.house.world import World, dump
from tests.pages import Page
from tests.people import Desk
from tests.statements import statements

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
#: What happens before and after the database.
ON_SQLITE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


def lines(page: Page) -> list[str]:
    """The words of each line that a page shows."""
    return [" ".join(one.to_text().split()) for one in page.tree.query(".trail > li")]


def reads(app: Flask) -> list[tuple[str, str, int | None]]:
    """(what, subject, id) of every read that was recorded, oldest first."""
    return [
        (row["action"], row["subject"], row["subject_id"])
        for row in dump(app)["audit"]
        if row["action"].startswith("read-")
    ]


def fill(app: Flask, count: int, **more: Any) -> None:
    """So many lines, a minute apart."""
    some = {"action": "approve", "subject": "signature", "detail": {}, "staff_id": None} | more
    rows = [some | {"at": NOW - timedelta(minutes=count - place), "subject_id": place} for place in range(count)]
    with app.app_context(), writing():
        db.session.execute(insert(Audit), rows)
        db.session.commit()


# ── reads ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_opening_a_dossier_is_recorded_once_in_ten_minutes_by_each_person(world: World) -> None:
    before = len(reads(world.app))
    signature_id = world.signature_id("waiting")
    path = f"/staff/review/{signature_id}/"
    browser = world.colleague()
    browser.client.head(path)
    assert len(reads(world.app)) == before, "a HEAD shows nothing"
    for _ in range(3):
        browser.get(path)
    assert reads(world.app)[before:] == [("read-dossier", "signature", signature_id)]
    world.clock.shift(11 * 60)
    browser.get(path)
    Desk(world.app, "Дана", "dana@example.org").browser.get(path)
    assert reads(world.app)[before:] == [("read-dossier", "signature", signature_id)] * 3
    browser.get("/staff/review/999999/")
    assert len(reads(world.app)) == before + 3, "what is not there was not read"


@ON_SQLITE
def test_everything_private_that_is_opened_is_recorded(world: World) -> None:
    browser = world.colleague()
    world.clock.shift(11 * 60)
    before = len(reads(world.app))
    browser.get("/staff/letters/")
    browser.get("/staff/mail/")
    browser.get("/staff/held/")
    browser.get("/staff/held/?by=reason&key=people")
    browser.get("/staff/corrections/1/")
    browser.get("/staff/objections/1/")
    browser.get("/staff/mailboxes/").submit(at="/staff/mailboxes/", email="amina@example.org")
    browser.get(f"/staff/review/{world.signature_id('waiting')}/letter/")
    assert reads(world.app)[before:] == [
        ("read-letters", "signature", None),
        ("read-failed-mail", "message", None),
        ("read-held", "signature", None),
        ("read-correction", "correction", 1),
        ("read-objection", "objection", 1),
        ("read-mailbox", "mailbox", world.signature_id("amina")),
        ("read-dossier", "signature", world.signature_id("waiting")),
    ]


@ON_SQLITE
def test_what_cannot_be_recorded_is_not_shown(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_some: object, **_more: object) -> None:
        raise OperationalError("INSERT", {}, Exception("database is locked"))

    browser = world.colleague()
    world.clock.shift(11 * 60)
    monkeypatch.setattr(reading, "add_audit", locked)
    answer = browser.get(f"/staff/review/{world.signature_id('waiting')}/")
    assert answer.status == 503
    assert "Тимур" not in answer.text


def test_two_windows_that_open_the_same_dossier_at_once_are_one_read(app: Flask, desk: Desk) -> None:
    with app.app_context():
        asked: dict[str, Any] = {"subject": "signature", "subject_id": 7, "staff_id": desk.id}
        assert reading.record("dossier", **asked, now=NOW)
        assert not reading.record("dossier", **asked, now=NOW)
        assert reading.record("dossier", **asked, now=NOW, is_each=True)
        assert reading.record("dossier", **asked, now=NOW, detail={"found": 2})
        # The clock went back: that must not silence the record.
        assert reading.record("dossier", **asked, now=NOW - timedelta(hours=1))


# ── search ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@ON_SQLITE
def test_a_line_says_who_did_what_to_what_why_and_what_changed(world: World) -> None:
    page = world.colleague().get("/staff/audit/?action=ask")
    (line,) = lines(page)
    assert "Бруно Сейітов (s1)" in line
    assert "Question asked Application" in line
    assert "Please check the region where you observe." in line
    assert "State Under review → Clarification requested" in line
    assert f"/staff/review/{world.signature_id('saule')}/" in page.href("/staff/review/")


def test_a_number_of_the_registry_finds_all_that_happened_to_it(world: World) -> None:
    browser = world.colleague()
    amina = world.signature_id("amina")
    page = browser.get("/staff/corrections/1/")
    page.submit(at="/staff/corrections/1/", action="approve")
    found = lines(browser.get("/staff/audit/?subject=number&id=1"))
    assert any("Application approved" in line for line in found)
    assert any("Letter: data handed over" in line for line in found)
    assert any("Correction approved Correction 1" in line for line in found), "by way of its correction too"
    assert found == lines(browser.get(f"/staff/audit/?subject=signature&id={amina}"))
    answer = browser.get("/staff/audit/?subject=number&id=999")
    assert (answer.status, lines(answer)) == (422, [])
    assert "no entry with this number" in answer.main


def test_the_search_is_by_person_act_and_days(app: Flask, clock: Clock) -> None:
    desk = Desk(app, "Дана", "dana@example.org", role="auditor")
    with app.app_context():
        names.add("Сауле Ибраева", staff_id=Desk(app, "Бруно", "bruno@example.org").id, now=datetime.now(UTC))
    clock.shift(3 * 86400)
    desk.browser.get("/staff/audit/")
    desk = Desk(app, "Ерке", "yerke@example.org", role="auditor")
    assert len(lines(desk.browser.get("/staff/audit/?action=add-notable"))) == 1
    assert len(lines(desk.browser.get("/staff/audit/?person=2"))) == 2
    assert len(lines(desk.browser.get("/staff/audit/?person=console"))) == 3
    assert len(lines(desk.browser.get("/staff/audit/?person=2&action=approve"))) == 0
    assert len(lines(desk.browser.get("/staff/audit/?until=2026-11-20&action=staff-sign-in"))) == 2
    assert len(lines(desk.browser.get("/staff/audit/?since=2026-11-21&action=staff-sign-in"))) == 1
    assert len(lines(desk.browser.get("/staff/audit/?since=2026-11-20&until=2026-11-20&person=2"))) == 2


@ON_SQLITE
def test_a_search_that_makes_no_sense_is_told_so(desk: Desk) -> None:
    for query, status in (
        ("before=x", 404),
        ("before=99999999999999999999999", 404),
        ("action=nothing", 404),
        ("subject=nobody", 404),
        ("person=bruno", 404),
        ("person=999", 200),
        ("subject=signature", 200),
        ("id=4", 422),
        ("subject=signature&id=four", 422),
        ("since=yesterday", 422),
        ("since=0001-01-01&until=9999-12-31", 200),
    ):
        page = desk.browser.get(f"/staff/audit/?{query}")
        assert page.status == status, query
        assert bool(page.tree.query("[aria-invalid=true]")) is (status == 422), query


def test_pages_follow_each_other_without_gaps_at_the_same_cost(app: Flask) -> None:
    desk = Desk(app, "Дана", "dana@example.org", role="auditor")
    fill(app, 120)
    desk.browser.get("/staff/audit/?action=approve")
    seen: list[str] = []
    url: str | None = "/staff/audit/?action=approve"
    counts = []
    while url is not None:
        with statements(app) as said:
            page = desk.browser.get(url)
        counts.append(len(said))
        seen += lines(page)
        url = next((one.attrs["href"] for one in page.tree.query("a[rel=next]")), None)
    assert len(seen) == len(set(seen)) == 120
    assert "Application 119" in seen[0]
    assert len(set(counts)) == 1


def test_a_day_long_ago_is_found_without_walking_through_everything_since(app: Flask) -> None:
    fill(app, 60)
    with app.app_context():
        early = Wanted(until=NOW - timedelta(minutes=50))
        assert [line.subject_id for line in queries.page(early).lines] == list(range(9, -1, -1))
        assert queries.page(Wanted(until=NOW - timedelta(days=400))).lines == []
        between = Wanted(since=NOW - timedelta(minutes=20), until=NOW - timedelta(minutes=18))
        assert [line.subject_id for line in queries.page(between).lines] == [41, 40]


@ON_SQLITE
def test_an_index_finds_whatever_is_asked(app: Flask) -> None:
    fill(app, 50)
    ways = [
        Wanted(staff_id=1),
        Wanted(action="approve"),
        Wanted(subject="staff", subject_id=4),
        Wanted(subject="signature", subject_id=4),
        Wanted(since=NOW - timedelta(minutes=5), until=NOW),
    ]
    with app.app_context():
        for wanted in ways:
            with statements(app) as said:
                queries.page(wanted, before=10**9)
            text = next(one for one in said if "FROM audit LEFT OUTER JOIN" in one)
            plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", (1,) * text.count("?")).all()
            words = "; ".join(str(row[3]) for row in plan)
            assert "SCAN audit" not in words, (wanted, words)


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("clock")
def test_the_whole_search_is_taken_as_a_file_and_that_is_recorded(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "WINDOW", 50)
    desk = Desk(app, "=Дана", "dana@example.org", role="auditor")
    fill(app, 120, reason="=1+1", before={"state": "confirmed"}, after={"state": "approved"}, staff_id=desk.id)
    answer = desk.browser.client.get("/staff/audit/file/?format=csv&action=approve")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="audit-2026-11-20-1400.csv"'
    assert answer.headers["Cache-Control"] == "no-store"
    rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True).removeprefix("\ufeff"))))
    assert [int(row["subject_id"]) for row in rows] == list(range(119, -1, -1))
    assert rows[0]["reason"] == "'=1+1", "no spreadsheet takes it for a formula"
    assert rows[0]["staff_name"] == "'=Дана"
    assert json.loads(rows[0]["after"]) == {"state": "approved"}
    told = desk.browser.client.get("/staff/audit/file/?format=jsonl&action=approve").get_data(as_text=True)
    found = [json.loads(line) for line in told.splitlines()]
    assert len(found) == 120
    assert found[0]["at"].endswith("Z")
    assert found[0]["before"] == {"state": "confirmed"}
    kept = [row for row in dump(app)["audit"] if row["action"] == "read-audit"]
    assert [row["detail"]["format"] for row in kept] == ["csv", "jsonl"]
    assert kept[0]["detail"]["search"] == {"action": "approve"}


@ON_SQLITE
def test_a_file_that_breaks_off_says_so_and_gives_its_place_back(
    app: Flask, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(app, 20)

    def broken(*_some: object, **_more: object) -> None:
        raise OperationalError("SELECT", {}, Exception("gone"))

    monkeypatch.setattr(queries, "page", broken)
    for _ in range(30):
        answer = desk.browser.client.get("/staff/audit/file/?format=csv")
        assert answer.get_data(as_text=True).endswith("# broken off: not all lines are here\n")


@ON_SQLITE
def test_only_auditors_and_administrators_see_the_audit(app: Flask) -> None:
    for role, status in (("reviewer", 403), ("editor", 403), ("auditor", 200), ("administrator", 200)):
        desk = Desk(app, role, f"{role}@example.org", role=role)
        assert desk.browser.get("/staff/audit/").status == status, role
        assert desk.browser.client.get("/staff/audit/file/?format=csv").status_code == status, role
    with app.app_context():
        count = db.session.scalar(select(func.count()).select_from(Audit).where(Audit.action == "read-audit"))
    assert count == 2, "who was refused has taken nothing"


@ON_SQLITE
def test_every_value_has_words_that_people_can_read(app: Flask) -> None:
    with app.test_request_context("/en/"), speaking("en"):
        words = trail_words.value_words
        assert words("state", "confirmed") == "Under review"
        assert words("state", None) == "–"
        assert words("held", False) == "no"
        assert words("proposed_by", 7) == "s7"
        assert words("about", ["signature", 12]) == "Application 12"
        assert words("stopped_until", "2026-11-20T09:00:00+00:00").startswith("20\xa0November 2026")
        assert words("stopped_until", "soon") == "soon"
        assert words("regions", ["KZ-75", "KZ-71"]) == "KZ-75, KZ-71"
        assert words("search", {"action": "approve"}) == "What happened: approve"
        assert trail_words.reason_or_code("Because I say so") == "Because I say so"
