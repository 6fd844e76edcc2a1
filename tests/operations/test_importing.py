"""Lists of people under strain: two at once, a process that dies anywhere, work taken away while it is done."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select, update
from time_machine import Traveller as Clock

from charter.chores import imports
from charter.domain.errors import DecidedMeanwhileError, DutyRefusedError, FieldRefusedError
from charter.domain.fold import fold
from charter.models.base import db, writing
from charter.models.importing import ImportJob, ImportRow
from charter.models.outbox import Message
from charter.models.signature import Link, Signature, SignatureEvent
from charter.models.staff import StaffAccount
from charter.operations import importing
from charter.operations.importing import NewList
from charter.queries import find
from tests.operations.test_centre import set_signing
from tests.operations.test_races import at_once
from tests.people import Desk, Observer, work

ROUNDS = int(os.environ.get("CHARTER_TEST_ROUNDS", "4"))
HEADER = ["ФИО", "Почта", "Область", "Вид"]
MAPPING = {0: "full_name", 1: "email", 2: "region", 3: "kind"}


def _latin(name: str) -> str:
    return "-".join(fold(name))


def spelled(name: str, place: int) -> str:
    """A name of its own for each round."""
    return name + "".join("абвгдежзик"[int(figure)] for figure in str(place))


def now() -> datetime:
    return datetime.now(UTC)


def brought(app: Flask, desk: Desk, *people: str, sha256: str = "0" * 64) -> int:
    """A list of people, its columns chosen."""
    new = NewList(sha256, "Training", "csv", "utf-8", None, 1, HEADER)
    rows = [
        (place + 2, [f"Әмина {name}", f"{_latin(name)}@example.org", "KZ-75", "independent"])
        for place, name in enumerate(people)
    ]
    with app.app_context():
        job_id = importing.begin(new, staff_id=desk.id, now=now())
        assert importing.add_rows(job_id, rows, staff_id=desk.id, is_last=True)
        importing.choose(job_id, version=2, mapping=MAPPING, defaults={}, again=False, staff_id=desk.id, now=now())
    return job_id


def tried(app: Flask, desk: Desk, *people: str, sha256: str = "0" * 64) -> int:
    job_id = brought(app, desk, *people, sha256=sha256)
    run(app)
    return job_id


def run(app: Flask) -> None:
    """The worker's steps for lists, until there are no more."""
    with app.app_context():
        while imports.step(app.config["CHARTER"]):
            pass


def start(job_id: int, staff_id: int) -> Callable[[], Any]:
    return lambda: importing.start(job_id, version=4, staff_id=staff_id, now=now())


def job(app: Flask, job_id: int) -> ImportJob:
    with app.app_context():
        found = db.session.get_one(ImportJob, job_id)
        db.session.expunge_all()
        return found


def count(app: Flask, model: Any) -> int:
    with app.app_context():
        return db.session.scalars(select(func.count()).select_from(model)).one()


def test_while_signing_is_closed_nobody_is_entered_and_no_list_starts(app: Flask, desk: Desk, clock: Clock) -> None:
    ready = tried(app, desk, "Бір", "Екі")
    under_way = tried(app, desk, "Үш", sha256="1" * 64)
    with app.app_context():
        start(under_way, desk.id)()
    open_page = desk.browser.get(f"/staff/imports/{ready}/")
    set_signing(desk, "closed")
    work(app)
    page = desk.browser.get(f"/staff/imports/{ready}/")
    assert "Start when signing is open again" in page.main
    assert not page.tree.query("#start-form")
    late = open_page.submit("start-form")
    assert "Start when signing is open again" in late.text
    run(app)
    assert job(app, ready).state == "checked"
    assert (job(app, under_way).state, count(app, Signature)) == ("running", 0)
    assert "once it is open again" in desk.browser.get(f"/staff/imports/{under_way}/").main
    set_signing(desk, "open")
    work(app)
    run(app)
    assert (job(app, under_way).state, count(app, Signature)) == ("done", 1)


def test_of_two_who_start_a_list_at_once_one_does(app: Flask, desk: Desk, clock: Clock) -> None:
    dana = Desk(app, "Dana", "dana@example.org")
    for place in range(ROUNDS):
        job_id = tried(app, desk, spelled("Бек", place), sha256=f"{place:064}")
        results = at_once(app, start(job_id, desk.id), start(job_id, dana.id))
        assert sorted(type(one).__name__ for one in results) == ["DecidedMeanwhileError", "NoneType"]


def test_of_two_lists_of_one_file_started_at_once_one_runs(app: Flask, desk: Desk, clock: Clock) -> None:
    for place in range(ROUNDS):
        name = spelled("Бек", place)
        first, second = (tried(app, desk, name, sha256=f"{place:064}") for _ in range(2))
        results = at_once(app, start(first, desk.id), start(second, desk.id))
        refused = [one for one in results if isinstance(one, FieldRefusedError)]
        assert [one.field for one in refused] == ["again"]
        run(app)
        assert count(app, Signature) == place + 1


def test_two_workers_enter_everybody_once(app: Flask, desk: Desk, clock: Clock, monkeypatch: Any) -> None:
    monkeypatch.setattr(imports, "ENTERED_AT_ONCE", 2)
    monkeypatch.setattr(imports, "TRIED_AT_ONCE", 2)
    job_id = brought(app, desk, *"АБВГДЕЖ")

    def steps() -> None:
        while imports.step(app.config["CHARTER"]):
            pass

    assert at_once(app, steps, steps) == [None, None]
    with app.app_context():
        start(job_id, desk.id)()
    assert at_once(app, steps, steps) == [None, None]
    assert (job(app, job_id).state, job(app, job_id).done) == ("done", 7)
    assert [count(app, table) for table in (Signature, Link, Message, SignatureEvent)] == [7, 7, 7, 7]


def test_whoever_is_entered_is_found_by_the_words_of_their_own_name(app: Flask, desk: Desk, clock: Clock) -> None:
    job_id = tried(app, desk, "Бек", "Гүл", "Дос")
    with app.app_context():
        start(job_id, desk.id)()
    run(app)
    with app.app_context():
        for place, name in enumerate(("Бек", "Гүл", "Дос")):
            (found,) = find.find(find.Asked("name", words=fold(name)), "en").rows
            assert found.full_name == f"Әмина {name}"
            row = db.session.get_one(ImportRow, (job_id, place + 2))
            assert row.signature_id == found.signature_id
            message = db.session.scalars(select(Message).filter_by(signature_id=found.signature_id)).one()
            assert message.recipient == f"{_latin(name)}@example.org"
            assert db.session.get_one(Link, message.link_id).signature_id == found.signature_id


def test_a_person_on_two_lists_that_run_side_by_side_is_entered_once(app: Flask, desk: Desk, clock: Clock) -> None:
    for place in range(ROUNDS):
        people = [spelled(name, place) for name in ("Бек", "Ли", "Ким")]
        first = tried(app, desk, *people, sha256=f"{place:063}1")
        second = tried(app, desk, *reversed(people), sha256=f"{place:063}2")
        with app.app_context():
            start(first, desk.id)()
            start(second, desk.id)()
            works = {one: imports.queries.find_work(skip=[other]) for one, other in ((first, second), (second, first))}
        verbs = [lambda work=work: imports._look_at(work, app.config["CHARTER"]) for work in works.values()]
        assert at_once(app, *verbs) == [True, True]
        run(app)
        assert count(app, Signature) == 3 * (place + 1)


class KilledError(Exception):
    """The process is gone."""


@contextmanager
def dying_at(app: Flask, statement: int) -> Iterator[list[int]]:
    """Breaks off before the so-manieth statement, as if the process had been killed there."""
    seen = [0]

    def look(*_args: object) -> None:
        seen[0] += 1
        if seen[0] == statement:
            raise KilledError

    with app.app_context():
        engine = db.engine
        event.listen(engine, "before_cursor_execute", look)
        try:
            yield seen
        finally:
            event.remove(engine, "before_cursor_execute", look)
            db.session.rollback()


def test_a_worker_that_dies_before_any_statement_doubles_and_loses_nobody(
    app: Flask, desk: Desk, clock: Clock, monkeypatch: Any
) -> None:
    monkeypatch.setattr(imports, "ENTERED_AT_ONCE", 2)
    monkeypatch.setattr(imports, "TRIED_AT_ONCE", 2)
    monkeypatch.setattr(imports, "EMPTIED_AT_ONCE", 3)
    job_id = brought(app, desk, *"АБВ", "А")
    deaths = statement = 0
    is_started = False
    while True:
        if not is_started and job(app, job_id).state == "checked":
            with app.app_context():
                start(job_id, desk.id)()
            is_started = True
        statement += 1
        with dying_at(app, statement):
            try:
                is_more = imports.step(app.config["CHARTER"])
            except KilledError:
                deaths += 1
                continue
        statement = 0
        if not is_more and is_started:
            break
    assert deaths > 60
    assert (job(app, job_id).state, job(app, job_id).done, job(app, job_id).duplicates) == ("done", 3, 1)
    assert [count(app, table) for table in (Signature, Link, Message, SignatureEvent)] == [3, 3, 3, 3]
    with app.app_context():
        rows = db.session.execute(select(ImportRow.state, ImportRow.cells, ImportRow.identity)).all()
    assert sorted(row.state for row in rows) == ["done", "done", "done", "duplicate", "header"]
    assert all(row.cells is None and row.identity is None for row in rows)


def test_calling_off_ends_a_list_between_two_steps(app: Flask, desk: Desk, clock: Clock, monkeypatch: Any) -> None:
    monkeypatch.setattr(imports, "ENTERED_AT_ONCE", 2)
    job_id = tried(app, desk, *"АБВГД")
    with app.app_context():
        start(job_id, desk.id)()
        imports.step(app.config["CHARTER"])
        importing.cancel(job_id, staff_id=desk.id, now=now())
    run(app)
    found = job(app, job_id)
    assert (found.state, found.done) == ("cancelled", 2)
    assert count(app, Signature) == 2
    with app.app_context():
        states = db.session.execute(
            select(ImportRow.state, func.count()).where(ImportRow.job_id == job_id).group_by(ImportRow.state)
        ).all()
        assert {row[0]: row[1] for row in states} == {"header": 1, "done": 2, "skipped": 3}
        with pytest.raises(DecidedMeanwhileError):
            start(job_id, desk.id)()


def test_whoever_may_no_longer_import_brings_nobody_in(app: Flask, desk: Desk, clock: Clock) -> None:
    job_id = tried(app, desk, "Бек")
    with app.app_context():
        start(job_id, desk.id)()
        with writing():
            db.session.execute(update(StaffAccount).values(role="auditor"))
            db.session.commit()
    run(app)
    assert (job(app, job_id).state, job(app, job_id).error) == ("failed", "no-right")
    assert count(app, Signature) == 0
    with app.app_context(), pytest.raises(DutyRefusedError):
        importing.begin(NewList("1" * 64, "x", "csv", None, None, 1, HEADER), staff_id=desk.id, now=now())


def test_who_signed_after_a_list_was_tried_is_not_entered_by_it(app: Flask, desk: Desk, clock: Clock) -> None:
    job_id = tried(app, desk, "Бек")
    amina = Observer(app, full_name="Әмина Бек", email="bek@example.org")
    amina.sign_and_confirm()
    with app.app_context():
        start(job_id, desk.id)()
    run(app)
    work(app)
    with app.app_context():
        live = db.session.scalars(select(Signature.state)).all()
    assert live == ["confirmed"]
    assert job(app, job_id).done == 0
