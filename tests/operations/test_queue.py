"""The queue: its filters, who is at work on what, selections, and what is counted; the same on both engines."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from time_machine import Traveller as Clock

from charter.domain.errors import DutyRefusedError, FieldRefusedError, NotFoundError, TooLateError
from charter.domain.queue import FREE, MINE, NO_AFFILIATION, OWN_WORDS, QueueFilter, expected_on
from charter.models.base import db
from charter.models.decision import Decision
from charter.models.desk import Claim, DeskCount, QueueMark
from charter.models.log import LogEvent
from charter.models.registry import PublicEntry
from charter.models.signature import Signature, SignatureEvent
from charter.operations import claims, erasing, finding, review, selection, signing, views
from charter.operations.selection import Outcome
from charter.queries import queue
from charter.queries import review as queries
from tests.operations.test_races import at_once
from tests.operations.test_signing import confirmed, correct, decide, get, leaves, now, sign, withdraw
from tests.people import Desk, work
from tests.statements import statements

TODAY = date(2026, 11, 20)
PEOPLE = (
    ("Айгүл Сәрсенова", {"region_code": "KZ-75"}),
    ("Бақыт Жүнісов", {"region_code": "KZ-71"}),
    ("Вера Ким", {"region_code": "KZ-71", "affiliation_text": "Planet Express"}),
    ("Дана Оспан", {"region_code": "KZ-19", "kind": "party", "affiliation_slug": "amanat"}),
)


def people(app: Flask) -> list[int]:
    return [confirmed(app, name, f"person{place}@example.org", **more) for place, (name, more) in enumerate(PEOPLE)]


def shown(app: Flask, staff_id: int = 0, regions: frozenset[str] | None = None, **wanted: Any) -> list[int]:
    with app.app_context():
        page = queue.queue(
            "en", today=TODAY, wanted=QueueFilter(**wanted), regions=regions, staff_id=staff_id, now=now()
        )
        return [row.signature_id for row in page.rows]


def take_next(app: Flask, staff_id: int, **wanted: Any) -> int | None:
    with app.app_context():
        return claims.take_next(QueueFilter(**wanted), staff_id=staff_id, today=TODAY, now=now())


def decide_all(app: Flask, staff_id: int, versions: dict[int, int], action: str = "approve", **more: Any) -> Outcome:
    with app.app_context():
        return selection.decide_all(
            versions,
            action=action,
            reason=more.get("reason"),
            note=None,
            staff_id=staff_id,
            undo_seconds=10,
            now=now(),
        )


def mark_queue() -> int:
    """As the worker does each minute."""
    return finding.mark_queue(queue.find_marks(), every=queue.MARK_EVERY)


def counted(app: Flask) -> dict[tuple[str, str, int], int]:
    with app.app_context():
        rows = db.session.scalars(select(DeskCount))
        return {(row.region_code, row.action, row.waited_days): row.count for row in rows if row.count}


# ── filters ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_filter_shows_what_it_says_and_all_of_them_hold_together(app: Flask, desk: Desk, clock: Clock) -> None:
    one, two, three, four = ids = people(app)
    assert shown(app) == ids
    assert shown(app, regions=frozenset({"KZ-75", "KZ-19"})) == [one, four]
    with app.app_context():
        decide_id = review.decide(
            two,
            action="ask",
            expected_version=2,
            reason="name-unclear",
            note=None,
            staff_id=desk.id,
            undo_seconds=0,
            now=now(),
        )
        assert decide_id
    assert shown(app, state="clarification") == [two]
    with app.app_context():
        signing.answer(two, "Иә.", now=now())
    assert shown(app, was_answered=True) == [two]
    assert shown(app, kind="party") == [four]
    assert shown(app, affiliation="amanat") == [four]
    assert shown(app, affiliation=OWN_WORDS) == [three]
    assert shown(app, affiliation=NO_AFFILIATION) == [one, two]
    assert shown(app, affiliation="nobody") == []
    assert shown(app, is_late=True) == []
    with app.app_context():
        late = queue.queue("en", today=TODAY + timedelta(days=20), wanted=QueueFilter(is_late=True))
        assert [row.signature_id for row in late.rows] == ids
        assert all(row.is_late for row in late.rows)


def test_pages_of_several_regions_follow_one_another_without_a_gap(app: Flask, clock: Clock) -> None:
    ids = people(app)
    wanted = QueueFilter(regions=("KZ-71", "KZ-75"))
    found: list[int] = []
    after = None
    with app.app_context():
        for _ in range(4):
            page = queue.queue("en", today=TODAY, wanted=wanted, after=after, size=1)
            found += [row.signature_id for row in page.rows]
            after = page.next_after
            if after is None:
                break
    assert found == ids[:3]


def test_a_reviewer_of_some_regions_meets_nothing_from_elsewhere(app: Flask, clock: Clock) -> None:
    one, two, three, _four = people(app)
    dana = Desk(app, "Dana", "dana@example.org", role="reviewer", regions=["KZ-71"])
    assert shown(app, regions=frozenset({"KZ-71"})) == [two, three]
    assert shown(app, regions=frozenset({"KZ-71"}), kind="party") == []
    page = dana.queue()
    assert "Бақыт Жүнісов" in page.main
    assert "Айгүл" not in page.main
    assert dana.browser.get(f"/staff/review/{one}/").status == 403
    assert dana.browser.get("/staff/?region=KZ-75").main.count("Айгүл") == 0
    assert take_next(app, dana.id) == two
    with app.app_context(), pytest.raises(DutyRefusedError):
        claims.take(one, staff_id=dana.id, now=now())
    outcome = decide_all(app, dana.id, {one: 2, two: 2})
    assert (outcome.decided, dict(outcome.skipped)) == (1, {one: "elsewhere"})
    assert get(app, one).state == "confirmed"


@pytest.mark.parametrize(
    "query", ["state=published", "kind=x", "late=2", "claimed=Bruno", "region=" + "x" * 101, "affiliation=%00"]
)
def test_an_address_that_asks_for_no_filter_of_ours_is_not_found(app: Flask, desk: Desk, query: str) -> None:
    assert desk.browser.get(f"/staff/?{query}").status == 404
    assert desk.browser.get("/staff/?state=confirmed&kind=&region=&late=").status == 200


# ── who is at work ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_who_ask_for_the_next_one_get_two(app: Flask, desk: Desk, clock: Clock) -> None:
    one, two, three, _four = people(app)
    dana = Desk(app, "Dana", "dana@example.org")
    assert (take_next(app, desk.id), take_next(app, dana.id)) == (one, two)
    assert take_next(app, desk.id) == one, "it is still one's own"
    assert shown(app, staff_id=desk.id, claimed=MINE) == [one]
    assert shown(app, staff_id=dana.id, claimed=FREE)[:2] == [two, three]
    assert "Bruno" in dana.queue().main
    told = dana.browser.get(f"/staff/review/{one}/")
    assert "Bruno is at work on this until" in told.main
    with app.app_context():
        assert not claims.take(one, staff_id=dana.id, now=now())
    over = told.submit(at=f"/staff/claims/{one}/take")
    assert "You are at work on this" in over.main
    clock.shift(15 * 60)
    with app.app_context():
        assert claims.take(one, staff_id=desk.id, now=now()), "it has run out"


def test_a_claim_of_a_clock_that_has_gone_back_since_has_run_out(app: Flask, desk: Desk, clock: Clock) -> None:
    one = people(app)[0]
    dana = Desk(app, "Dana", "dana@example.org")
    moment = now()
    clock.shift(86_400)
    assert take_next(app, dana.id) == one
    clock.move_to(moment)
    assert shown(app, staff_id=dana.id, claimed=MINE) == []
    assert shown(app, staff_id=desk.id, claimed=FREE)[0] == one
    with app.app_context():
        assert queries.find_claim(one, now=now()) is None
    assert take_next(app, desk.id) == one


def test_many_at_once_never_get_the_same(app: Flask, desk: Desk, clock: Clock) -> None:
    people(app)
    others = [desk.id, *(Desk(app, f"R{place}", f"r{place}@example.org").id for place in range(3))]
    got = at_once(app, *[lambda who=who: take_next_here(who) for who in others])
    assert len(set(got)) == len(others), got


def take_next_here(staff_id: int) -> int | None:
    return claims.take_next(QueueFilter(), staff_id=staff_id, today=TODAY, now=now())


def test_a_claim_never_stands_in_the_way_of_a_decision_and_ends_with_it(app: Flask, desk: Desk, clock: Clock) -> None:
    one = people(app)[0]
    dana = Desk(app, "Dana", "dana@example.org")
    assert take_next(app, dana.id) == one
    decide(app, one, desk.id)
    with app.app_context():
        assert db.session.get(Claim, one) is None


def test_a_decision_leads_to_the_next_of_the_same_view_and_takes_it(app: Flask, desk: Desk, clock: Clock) -> None:
    _one, two, three, _four = people(app)
    page = desk.browser.get(f"/staff/review/{two}/?region=KZ-71")
    assert page.href(f"/staff/review/{three}/").endswith("?region=KZ-71")
    after = desk.decide(page, "approve")
    assert after.url == f"/staff/review/{three}/?region=KZ-71"
    assert "You are at work on this" in after.main
    last = desk.decide(after, "approve")
    assert last.url == "/staff/?region=KZ-71"


def test_a_script_is_told_where_to_go_and_what_the_page_cannot_know(app: Flask, desk: Desk, clock: Clock) -> None:
    one, two, _three, _four = people(app)
    url, fields = desk.browser.get(f"/staff/review/{one}/").fields(at="/staff/review/")
    answer = desk.browser.client.post(url, data={**fields, "action": "approve"}, headers={"Accept": "application/json"})
    assert answer.json["url"] == f"/staff/review/{two}/"
    assert "Take back" in answer.json["slots"]
    assert "You are at work on this" in answer.json["slots"]


def test_reading_a_dossier_takes_nothing(app: Flask, desk: Desk, clock: Clock) -> None:
    one = people(app)[0]
    desk.browser.get(f"/staff/review/{one}/")
    with app.app_context():
        assert db.session.scalars(select(Claim)).all() == []


# ── views ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_view_is_kept_for_oneself_under_its_name_and_goes_again(app: Flask, desk: Desk, clock: Clock) -> None:
    people(app)
    kept = desk.browser.get("/staff/?region=KZ-71&kind=independent").submit(at="/staff/views/", name="Алматы қаласы")
    assert "The view is kept." in kept.text
    assert kept.href("kind=independent") == "/staff/?region=KZ-71&kind=independent"
    dana = Desk(app, "Dana", "dana@example.org")
    assert "Алматы қаласы" not in dana.queue().main
    with app.app_context(), pytest.raises(NotFoundError):
        views.drop(1, staff_id=dana.id)
    gone = kept.submit(at="/drop")
    assert "Алматы қаласы" not in gone.main
    empty = desk.browser.get("/staff/?kind=party").submit(at="/staff/views/", name=" ")
    assert empty.status == 422
    assert "Fill in this field" in empty.main


def test_nobody_keeps_more_than_twenty_views(app: Flask, desk: Desk, clock: Clock) -> None:
    with app.app_context():
        for place in range(views.MOST_VIEWS):
            views.keep(f"{place}", "late=1", staff_id=desk.id, now=now())
        views.keep("3", "kind=party", staff_id=desk.id, now=now())
        with pytest.raises(FieldRefusedError):
            views.keep("one more", "", staff_id=desk.id, now=now())


# ── selections ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_selection_is_decided_as_it_was_seen_and_what_changed_is_left_alone(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    one, two, three, four = people(app)
    page = desk.queue().submit("selection", pick=[f"{one}.2", f"{two}.2", f"{three}.2", f"{four}.2"])
    assert "4 applications are chosen." in page.main
    previewed = page.submit(at="/staff/bulk/", action="decline", decline_reason="abuse", note="Позвоните нам.")
    assert "Позвоните нам." in previewed.main
    assert "Decide on 4 applications" in previewed.main
    correct(app, two, full_name="Бақыт Жүнісұлы")
    withdraw(app, three)
    report = previewed.submit(
        at="/staff/bulk/", action="decline", decline_reason="abuse", note="Позвоните нам.", decide="1"
    )
    assert "/staff/bulk/" in report.url
    assert [get(app, each).state for each in (one, two, three, four)] == [
        "declined",
        "confirmed",
        "withdrawn",
        "declined",
    ]
    assert "Бақыт" in report.main
    with app.app_context():
        marks = set(db.session.scalars(select(Decision.bulk)))
        assert len(marks) == 1
        assert db.session.scalar(select(func.count()).select_from(LogEvent).where(LogEvent.kind == "refuse")) == 2
    clock.shift(61)
    work(app)
    assert [leaf["kind"] for leaf in leaves(app, get(app, one).entry)] == ["confirm", "refuse"]


def test_a_selection_is_taken_back_as_a_whole_within_a_minute(app: Flask, desk: Desk, clock: Clock) -> None:
    one, two, three, _four = people(app)
    outcome = decide_all(app, desk.id, {one: 2, two: 2, three: 2})
    assert outcome.decided == 3
    clock.shift(50)
    work(app)
    withdraw(app, three)
    with app.app_context():
        back, late = selection.undo_all(str(outcome.mark), staff_id=desk.id, now=now())
    assert (back, late) == (2, [three])
    assert [get(app, each).state for each in (one, two, three)] == ["confirmed", "confirmed", "withdrawn"]
    assert sum(counted(app).values()) == 1
    clock.shift(60)
    work(app)
    with app.app_context():
        assert db.session.scalars(select(PublicEntry)).first() is None
        with pytest.raises(TooLateError):
            selection.undo_all(str(outcome.mark), staff_id=desk.id, now=now())
        with pytest.raises(NotFoundError):
            selection.undo_all("0" * 32, staff_id=desk.id, now=now())


def test_a_minute_later_a_selection_stands(app: Flask, desk: Desk, clock: Clock) -> None:
    one = people(app)[0]
    outcome = decide_all(app, desk.id, {one: 2})
    clock.shift(61)
    with app.app_context(), pytest.raises(TooLateError):
        selection.undo_all(str(outcome.mark), staff_id=desk.id, now=now())
    assert get(app, one).state == "approved"


def test_deciding_on_four_costs_as_many_statements_as_on_two(
    app: Flask, desk: Desk, clock: Clock, engine_name: str
) -> None:
    one, two, three, four = people(app)
    five, six = (confirmed(app, "Ерлан Б", f"more{place}@example.org") for place in range(2))
    with app.app_context(), statements(app) as few:
        selection.decide_all(
            {five: 2, six: 2},
            action="ask",
            reason="name-unclear",
            note=None,
            staff_id=desk.id,
            undo_seconds=10,
            now=now(),
        )
    with app.app_context(), statements(app) as many:
        selection.decide_all(
            dict.fromkeys((one, two, three, four), 2),
            action="ask",
            reason="name-unclear",
            note=None,
            staff_id=desk.id,
            undo_seconds=10,
            now=now(),
        )
    # On SQLite a row is a call into the library, not a way to a server.
    inserted = [text for text in many if text.startswith("INSERT")] if engine_name == "sqlite" else []
    assert len(many) - len(inserted) <= len(few) + 1, "one more row of figures at most"


@pytest.mark.parametrize("count", [0, 201])
def test_neither_nothing_nor_too_many_are_decided_together(app: Flask, desk: Desk, clock: Clock, count: int) -> None:
    with pytest.raises(FieldRefusedError):
        decide_all(app, desk.id, dict.fromkeys(range(1, count + 1), 2))


def test_a_list_that_nobody_signed_decides_nothing(app: Flask, desk: Desk, clock: Clock) -> None:
    one = people(app)[0]
    dana = Desk(app, "Dana", "dana@example.org")
    page = desk.queue().submit("selection", pick=f"{one}.2")
    _url, fields = page.fields(at="/staff/bulk/")
    for listed in ("", "x.y.z", f"{fields['list'].rpartition('.')[0]}.{27 * 'A'}", f"X{fields['list'][1:]}"):
        assert (
            "This selection is too old"
            in page.submit(at="/staff/bulk/", action="approve", decide="1", list=listed).text
        )
    own = dana.queue().submit("selection", pick=f"{one}.2")
    assert (
        "This selection is too old"
        in own.submit(at="/staff/bulk/", action="approve", decide="1", list=fields["list"]).text
    )
    clock.shift(3601)
    desk = Desk(app, "Erlan", "erlan@example.org")
    assert get(app, one).state == "confirmed"
    assert "Choose at least one application" in desk.queue().submit("selection").text


def test_a_selection_against_a_single_decision_has_one_winner(app: Flask, desk: Desk, clock: Clock) -> None:
    dana = Desk(app, "Dana", "dana@example.org")
    for one in people(app):

        def single(one: int = one) -> int:
            return review.decide(
                one,
                action="decline",
                expected_version=2,
                reason="abuse",
                note=None,
                staff_id=dana.id,
                undo_seconds=10,
                now=now(),
            )

        def together(one: int = one) -> Outcome:
            return selection.decide_all(
                {one: 2}, action="approve", reason=None, note=None, staff_id=desk.id, undo_seconds=10, now=now()
            )

        alone, chosen = at_once(app, single, together)
        assert isinstance(alone, int) != (isinstance(chosen, Outcome) and chosen.decided == 1), (alone, chosen)
        with app.app_context():
            moves = db.session.scalars(select(SignatureEvent.move).where(SignatureEvent.signature_id == one)).all()
            assert sum(move in {"approve", "decline"} for move in moves) == 1


# ── what is counted ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_decision_and_a_whole_selection_are_taken_back_in_the_same_order_of_locks(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    one = people(app)[0]
    outcome = decide_all(app, desk.id, {one: 2})
    with app.app_context():
        decision_id = db.session.scalars(select(Decision.id).where(Decision.bulk == outcome.mark)).one()
    with statements(app) as seen, app.app_context():
        review.undo(decision_id, staff_id=desk.id, now=now())
        on_postgresql = db.engine.name == "postgresql"
    locked = [re.search(r"FROM (\w+)", text)[1] for text in seen if "FOR UPDATE" in text]  # type: ignore[index]
    assert locked[:2] == (["signature", "decision"] if on_postgresql else [])


def test_each_decision_is_counted_by_region_answer_and_days_and_undo_takes_it_off(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    one, two, _three, _four = people(app)
    clock.shift(3 * 86_400)
    # Its session has ended meanwhile; operations are asked directly.
    decision_id = decide(app, one, desk.id)
    decide(app, two, desk.id, "decline", "abuse")
    assert counted(app) == {("KZ-75", "approve", 3): 1, ("KZ-71", "decline", 3): 1}
    with app.app_context():
        review.undo(decision_id, staff_id=desk.id, now=now())
    assert counted(app) == {("KZ-71", "decline", 3): 1}


def test_a_long_queue_has_marks_and_says_how_many_wait_before(
    app: Flask, desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = people(app)
    with app.app_context():
        assert mark_queue() == 0
        assert queue.find_length(None, today=TODAY) is None
    monkeypatch.setattr(queue, "MARK_EVERY", 1)
    monkeypatch.setattr(finding, "LONG", 2)
    with app.app_context():
        assert mark_queue() == mark_queue() == 4
        place = db.session.get_one(Signature, ids[2])
        assert place.due_on is not None
        found = queue.find_length((place.due_on, place.id), today=TODAY + timedelta(days=1))
        assert found is not None
        assert (found.before, found.week) == (2, 0)
    for one in ids[:3]:
        decide(app, one, desk.id)
    with app.app_context():
        assert mark_queue() == 0
        assert db.session.scalars(select(QueueMark)).all() == []


def test_the_day_that_is_expected_follows_the_pace_of_the_last_week_on_working_days() -> None:
    friday = date(2026, 11, 20)
    assert expected_on(100, week=500, today=friday, holidays=()) == date(2026, 11, 23)
    assert expected_on(0, week=500, today=friday, holidays=()) == friday
    assert expected_on(150, week=500, today=friday, holidays={date(2026, 11, 23)}) == date(2026, 11, 25)
    assert expected_on(100, week=0, today=friday, holidays=()) is None
    assert expected_on(100_000, week=1, today=friday, holidays=()) is None


# ── erasing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_erased_applicant_leaves_no_claim_behind_that_matters(app: Flask, desk: Desk, clock: Clock) -> None:
    one, two, _three, _four = people(app)
    assert take_next(app, desk.id) == one
    with app.app_context():
        erasing.erase(get(app, one).entry, now=now())
    assert take_next(app, desk.id) == two
    assert sign(app, "Жаңа Адам", "new@example.org")
