"""The people of an export: how many, and one line of a table each, in windows and in one snapshot."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, select
from sqlalchemy.orm import InstrumentedAttribute

from charter.domain.calendar import TIME_ZONE, local_date
from charter.domain.exporting import Scope
from charter.models.affiliation import Affiliation, Region
from charter.models.base import db
from charter.models.signature import Signature
from charter.queries.snapshot import BrokenOffError, Snapshot
from charter.queries.takeaway_lines import FORMULA_STARTS, GUARD

__all__ = ["COLUMNS", "MOST_COUNTED", "BrokenOffError", "Reading", "Scope", "count"]

#: Applications looked at in one window, whether they are in the scope or not: some milliseconds of the database.
WINDOW = 4000
#: Beyond this a page says "more than".
MOST_COUNTED = 1000
COLUMNS = (
    *("number", "state", "name", "kind", "affiliation", "region", "region_name"),
    *("signed", "confirmed", "ended"),
)
#: Only where it was asked for.
ADDRESS = "email"
_STARTS = tuple(map(chr, FORMULA_STARTS))


def count(scope: Scope) -> int:
    """How many it would be, up to MOST_COUNTED + 1."""
    found = select(Signature.id).where(*_conditions(scope)).limit(MOST_COUNTED + 1).subquery()
    return db.session.scalar(select(func.count()).select_from(found)) or 0


def _conditions(scope: Scope) -> list[ColumnElement[bool]]:
    # Who is forgotten has no name.
    found = [Signature.state.in_(scope.states), Signature.full_name != ""]
    if scope.region is not None:
        found.append(Signature.region_code == scope.region)
    if scope.first_on is not None:
        found.append(Signature.submitted_at >= datetime.combine(scope.first_on, time(), TIME_ZONE).astimezone(UTC))
    if scope.last_on is not None:
        behind = scope.last_on + timedelta(days=1)
        found.append(Signature.submitted_at < datetime.combine(behind, time(), TIME_ZONE).astimezone(UTC))
    return found


class Reading(Snapshot):
    """The people of a scope as of one moment. Close it: it holds a connection until then."""

    def __init__(self, scope: Scope, language: str) -> None:
        """language: of the names of regions and affiliations. Needs an application context. Raises SQLAlchemyError."""
        self._scope, self._language = scope, language
        super().__init__()

    def _prepare(self) -> None:
        self._query = _query(self._scope)
        self._last = self._connection.scalar(select(func.max(Signature.id))) or 0

    def _rows(self, sql: str, values: Mapping[str, Any]) -> list[Any]:
        return list(self._connection.execute(self._query, dict(values)).all())

    def table(self) -> Iterator[bytes]:
        """A table (RFC 4180, UTF-8) in pieces: its head, then a window each. Raises BrokenOffError."""
        yield _lines([[*COLUMNS, *([ADDRESS] if self._scope.with_addresses else [])]])
        for first in range(0, self._last, WINDOW):
            rows = self._fetch("", {"first": first, "last": first + WINDOW})
            if rows:
                self.count += len(rows)
                yield _lines([self._cells(row) for row in rows])

    def _cells(self, row: Any) -> list[object]:
        affiliation = row.affiliation_text if row.affiliation is None else row.affiliation[self._language]
        cells = [row.number, row.state, row.full_name, row.kind, affiliation, row.region_code]
        cells += [row.region[self._language], *map(_day, (row.submitted_at, row.confirmed_at, row.ended_at))]
        return [*cells, row.email] if self._scope.with_addresses else cells


def _query(scope: Scope) -> Select[*tuple[Any, ...]]:
    columns: list[InstrumentedAttribute[Any]] = [
        *(Signature.number, Signature.state, Signature.full_name, Signature.kind, Signature.affiliation_text),
        *(Signature.region_code, Signature.submitted_at, Signature.confirmed_at, Signature.ended_at),
    ]
    if scope.with_addresses:
        # What was not asked for is not even read.
        columns.append(Signature.email)
    query: Select[*tuple[Any, ...]] = (
        select(*columns, Affiliation.name.label("affiliation"), Region.name.label("region"))
        .join(Region, Region.code == Signature.region_code)
        .outerjoin(Affiliation, Affiliation.id == Signature.affiliation_id)
        .where(Signature.id > bindparam("first"), Signature.id <= bindparam("last"), *_conditions(scope))
        .order_by(Signature.id)
    )
    return query


def _day(moment: datetime | None) -> str:
    return "" if moment is None else local_date(moment).isoformat()


def _lines(rows: list[list[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([[_safe(cell) for cell in row] for row in rows])
    return text.getvalue().encode()


def _safe(cell: object) -> object:
    """A spreadsheet must not take a name for a formula."""
    return GUARD + cell if isinstance(cell, str) and cell.startswith(_STARTS) else cell
