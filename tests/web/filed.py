"""Entries for the tests of files: written where publication writes them, some with what no name may hold."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import date
from typing import Any

from flask import Flask
from sqlalchemy import func, insert, select, text

from charter.domain.alphabet import sort_key
from charter.models.base import db, writing
from charter.models.log import LogBatch
from charter.models.registry import DaySpan, PublicEntry

#: What gets past every check of input some day must still not run in a spreadsheet, nor break a line in two.
HOSTILE = (
    '=HYPERLINK("http://evil.example","click")',
    "+7 701",
    "-1+1",
    "@SUM(A1)",
    "\tтаб",
    "＝1+1",
    'О"Коннор, "Иван"',
    "Smith, John; Jr.",
    "D'Artagnan’s “quoted”",
    "back\\slash \\N \\.",
    "100% %s {x} ${y}",
    "'already guarded",
    "<b>Жирный</b> & Ко",
)


def enter(app: Flask, rows: Sequence[dict[str, Any]]) -> None:
    """Entries as they stand in the registry; what a row does not say is ordinary."""
    with app.app_context(), writing():
        last = db.session.scalar(select(func.max(PublicEntry.number))) or 0
        revision = db.session.scalar(select(func.max(LogBatch.revision))) or 0
        made = []
        for number, given in enumerate(rows, start=last + 1):
            row = {
                "number": number,
                "entry": secrets.token_hex(16),
                "rev": 1,
                "line": b"{}",
                "kind": "independent",
                "display": "full",
                "name": f"Адам Нөмірұлы {number}",
                "region_code": "KZ-75",
                "affiliation_slug": None,
                "affiliation_name": None,
                "edition_slug": "specimen-1",
                "signed_on": date(2026, 11, 20),
                "ended_on": None,
                "ended_by": None,
                "words": "",
                "changed_revision": revision,
            } | given
            if row["ended_on"] is not None:
                row |= {"line": None, "name": None, "affiliation_slug": None, "affiliation_name": None}
            made.append(row | {"sort_key": sort_key(row["name"])})
        db.session.execute(insert(PublicEntry), made)
        days = {row["signed_on"] for row in made}
        known = set(db.session.scalars(select(DaySpan.signed_on)))
        db.session.add_all(DaySpan(signed_on=day, first_number=1, last_number=10**6) for day in days - known)
        db.session.commit()


def multiply(app: Flask, count: int) -> None:
    """The first entry so many times more, made by the database: rows of ours would take longer than the test."""
    with app.app_context(), writing():
        columns = [column.name for column in PublicEntry.__table__.columns if column.name not in ("number", "entry")]
        numbers, entry = "generate_series(0, :count) AS key", "md5(key::text)"
        if db.engine.dialect.name == "sqlite":
            ones = "replace(printf('%.*c', :count, 'x'), 'x', ',1')"
            numbers, entry = f"json_each('[1' || {ones} || ']')", "hex(randomblob(16))"
        db.session.execute(
            text(
                f"INSERT INTO registry_entry (number, entry, {', '.join(columns)})"
                f" SELECT key + 2, {entry}, {', '.join(f'one.{name}' for name in columns)}"
                f" FROM {numbers}, (SELECT * FROM registry_entry WHERE number = 1) AS one"
            ),
            {"count": count - 1},
        )
        db.session.commit()


def stored(app: Flask) -> list[PublicEntry]:
    """Every entry as it stands in the database, by number."""
    with app.app_context():
        rows = list(db.session.scalars(select(PublicEntry).order_by(PublicEntry.number)))
        for row in rows:
            db.session.expunge(row)
        db.session.rollback()
        return rows
