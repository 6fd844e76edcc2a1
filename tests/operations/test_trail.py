"""Whatever staff write stands in the audit, or is not written at all: however it is written, on both engines."""

from __future__ import annotations

import ast
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

import charter
from charter.models.base import db, writing
from charter.models.decision import Audit
from charter.models.limits import NotableName
from charter.operations import names, unit
from charter.operations.steps import add_audit
from charter.operations.unit import (
    UnrecordedError,
    insert_if_absent,
    insert_now,
    insert_on,
    operation,
    unrecorded,
)
from tests.house.world import dump
from tests.people import Desk

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
#: Verbs that staff call and that nobody answers for, each with its reason. Another one here is a decision.
UNRECORDED = {
    "staff.touch_session": "when somebody was last seen",
    "staff.replace_hash": "the same password under newer parameters",
    "staff.count_attempt": "attempts are counted before anybody is somebody",
    "staff.forget_attempts": "the same",
    "claims.take": "who is at work on what; it decides nothing and ends by itself",
    "claims.take_next": "the same",
    "claims.free": "the same",
    "views.keep": "one's own choice of filters under a name",
    "views.drop": "the same",
    "importing.add_rows": "the rows of a file whose upload is recorded",
    "importing.break_off": "the same",
}


def row(**more: Any) -> dict[str, Any]:
    return {"name": "Ақселеу Тұрсынбек", "name_fold": "akseleu tursynbek", "added_at": NOW} | more


def through_the_session() -> None:
    db.session.add(NotableName(**row()))


def change_of_an_object() -> None:
    db.session.scalars(select(NotableName).where(NotableName.name == "Сауле Ибраева")).one().name = "Другая"


def one_update_for_many() -> None:
    db.session.execute(update(NotableName).values(name="Другая"))


def deletion_of_an_object() -> None:
    db.session.delete(db.session.scalars(select(NotableName)).first())


def one_delete_for_many() -> None:
    db.session.execute(delete(NotableName))


def core_insert() -> None:
    db.session.connection().execute(insert(NotableName), [row(name_fold="a b"), row(name_fold="c d")])


def core_insert_that_returns() -> None:
    db.session.execute(insert(NotableName).values(row()).returning(NotableName.id)).all()


def a_row_at_once() -> None:
    insert_now(NotableName(**row()))


def rows_unless_there() -> None:
    insert_if_absent(NotableName, [row(id=99)])


def insert_on_conflict() -> None:
    there = db.session.scalars(select(NotableName.id)).first()
    statement = insert_on(db.session.get_bind().dialect.name, NotableName).values(row(id=there))
    db.session.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"name": "Другая"}))


def words_of_sql() -> None:
    db.session.execute(text("update notable_name set name = 'Другая'"))


def words_of_sql_to_the_driver() -> None:
    db.session.connection().exec_driver_sql("UPDATE \"notable_name\" SET name = 'Другая'")


def sql_behind_with() -> None:
    db.session.execute(
        text(
            "WITH one AS (SELECT min(id) AS id FROM notable_name)"
            " UPDATE notable_name SET name = 'Другая' WHERE id IN (SELECT id FROM one)"
        )
    )


WAYS: tuple[Callable[[], None], ...] = (
    through_the_session,
    change_of_an_object,
    one_update_for_many,
    deletion_of_an_object,
    one_delete_for_many,
    core_insert,
    core_insert_that_returns,
    a_row_at_once,
    rows_unless_there,
    insert_on_conflict,
    words_of_sql,
    words_of_sql_to_the_driver,
    sql_behind_with,
)


@pytest.fixture
def staffed(app: Flask, desk: Desk) -> Desk:
    """A desk with one name on the list."""
    with app.app_context():
        names.add("Сауле Ибраева", staff_id=desk.id, now=NOW)
    return desk


def test_whatever_staff_write_unrecorded_is_undone(app: Flask, staffed: Desk) -> None:
    before = dump(app)
    for way in WAYS:

        @operation
        def verb(way: Callable[[], None] = way) -> None:
            way()

        with app.app_context():
            with unit.acting(staffed.id), pytest.raises(UnrecordedError, match="notable_name"):
                verb()
            assert dump(app) == before, way.__name__
            # By the service itself, or recorded, the same would stand.
            verb()
        after = dump(app)
        assert after != before, way.__name__
        with app.app_context(), writing():
            db.session.execute(delete(NotableName))
            for one in before["notable_name"]:
                db.session.execute(insert(NotableName).values(one))
            db.session.commit()


def test_what_is_recorded_by_whoever_did_it_stands(app: Flask, staffed: Desk) -> None:
    other = Desk(app, "Дана", "dana@example.org")

    @operation
    def verb(staff_id: int | None) -> None:
        one_update_for_many()
        add_audit("add-notable", staff_id=staff_id, subject="notable-name", subject_id=1, now=NOW)

    with app.app_context():
        for somebody_else in (None, other.id):
            with unit.acting(staffed.id), pytest.raises(UnrecordedError):
                verb(somebody_else)
        with unit.acting(staffed.id):
            verb(staffed.id)
    assert dump(app)["notable_name"][0]["name"] == "Другая"


def test_many_lines_written_at_once_are_lines_as_well(app: Flask, staffed: Desk) -> None:
    line = {"at": NOW, "staff_id": staffed.id, "action": "release", "subject": "signature", "detail": {}}

    @operation
    def verb() -> None:
        one_update_for_many()
        db.session.execute(insert(Audit), [line | {"subject_id": place} for place in range(3)])

    with app.app_context(), unit.acting(staffed.id):
        verb()
    assert dump(app)["notable_name"][0]["name"] == "Другая"


def test_reading_and_locking_and_finding_nothing_need_no_line(app: Flask, staffed: Desk) -> None:
    @operation
    def verb() -> None:
        db.session.scalars(select(NotableName).with_for_update()).all()
        db.session.execute(update(NotableName).where(NotableName.id == 999).values(name="Другая"))
        insert_if_absent(NotableName, [])

    before = dump(app)
    with app.app_context(), unit.acting(staffed.id):
        verb()
    assert dump(app) == before


def test_a_page_that_forgot_its_line_is_an_error_and_changes_nothing(
    app: Flask, staffed: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = staffed.browser.get("/staff/names/")
    before = dump(app)["notable_name"]
    monkeypatch.setattr(names, "add_audit", lambda *_some, **_more: None)
    answer = page.submit(at="/staff/names/", name="Ақселеу Тұрсынбек")
    assert answer.status == 500
    assert dump(app)["notable_name"] == before
    monkeypatch.undo()
    assert page.submit(at="/staff/names/", name="Ақселеу Тұрсынбек").status == 200
    assert len(dump(app)["notable_name"]) == len(before) + 1


def test_the_audit_only_grows(app: Flask, staffed: Desk) -> None:
    before = dump(app)["audit"]
    assert before
    wrong = ["UPDATE audit SET action = 'approve'", "UPDATE audit SET reason = NULL WHERE id = 1", "DELETE FROM audit"]
    if app.config["CHARTER"].database_url.startswith("postgresql"):
        wrong += ["TRUNCATE audit", "TRUNCATE TABLE audit CASCADE"]
    else:
        wrong += ["REPLACE INTO audit SELECT * FROM audit"]
    for statement in wrong:
        with app.app_context(), writing():
            with pytest.raises(DBAPIError, match="append"):
                db.session.execute(text(statement))
            db.session.rollback()
    assert dump(app)["audit"] == before


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("engine_name")
def test_what_is_unrecorded_stands_here_with_its_reason() -> None:
    marked = set()
    for path in Path(charter.__file__).parent.glob("operations/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef):
                names_of = {one.id for one in node.decorator_list if isinstance(one, ast.Name)}
                if unrecorded.__name__ in names_of:
                    assert operation.__name__ in names_of, node.name
                    marked.add(f"{path.stem}.{node.name}")
    assert marked == set(UNRECORDED)


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("engine_name")
def test_no_operation_goes_past_the_statements_that_are_watched() -> None:
    for path in Path(charter.__file__).parent.glob("operations/**/*.py"):
        words = path.read_text("utf-8")
        assert ".cursor(" not in words, path.name
        assert "driver_connection" not in words, path.name
        assert "dbapi_connection" not in words, path.name
