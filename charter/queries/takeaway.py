"""A selection of the registry read from its first entry to its last: in windows, in one snapshot, in bounded memory.

Entries follow their numbers; in an order by name, and where words were asked for, the numbers alone are read first,
eight bytes each.
"""

from __future__ import annotations

import queue
import threading
from array import array
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, func, select, text

from charter.domain.calendar import local_date
from charter.domain.selection import BY_NAME, Selection
from charter.models.base import db
from charter.models.registry import DaySpan, PublicEntry
from charter.queries import registry, replica, search_index
from charter.queries.registry import AsOf
from charter.queries.search import EntryRow
from charter.queries.snapshot import BrokenOffError, Snapshot
from charter.queries.takeaway_lines import Form

__all__ = ["BrokenOffError", "Reading", "file_name", "has_left_since", "open_reading"]

#: Entries of one window: some milliseconds of the database and less than a megabyte.
WINDOW = 4000
#: Windows that wait at most for a client that reads slower than the database writes.
AHEAD = 2
#: In the order of EntryRow. The record line, with its salt, is not among them.
_COLUMNS = (
    "number, entry, rev, kind, display, name, region_code, affiliation_slug, affiliation_name, edition_slug, signed_on,"
    " ended_on, ended_by, changed_revision"
)
_SIGNED, _ENDED, _REVISION = 10, 11, 13


class Reading(Snapshot):
    """The entries of one selection as of one publication."""

    def __init__(self, selection: Selection) -> None:
        """Begins the snapshot. Needs an application context, of which nothing is kept. Raises SQLAlchemyError."""
        self._selection = selection
        super().__init__()

    def _prepare(self) -> None:
        self._where, self._values = self._conditions()
        self._numbers = self._find_numbers()

    def lines(self, form: Form, *, end: str) -> Iterator[bytes]:
        """Whole lines in UTF-8, a window at a time. end: what each line ends with. Raises BrokenOffError."""
        char, tail = ("char" if self._is_sqlite else "chr"), end.encode()
        ending = " || ".join(f"{char}({ord(one)})" for one in end)
        # As bytes: the driver would decode a text that is encoded again at once. Both are UTF-8 as they stand, in
        # PostgreSQL by the encoding of the connection; `convert_to` would look at each letter once more.
        if self._is_sqlite:
            joined = f"CAST(group_concat({form.line}, {ending}) AS BLOB)"
        else:
            joined = f"textsend(string_agg({form.line}, {ending}))"
        for found in self._ahead(f"{joined}, max(number)"):
            data = bytes(found)
            # Nothing that is stored holds a line break: names are single lines (`domain/text.py`).
            self.count += data.count(tail) + 1
            yield data + tail

    def _ahead(self, columns: str) -> Iterator[Any]:
        """The first of `columns` of each window that has entries; the second is the last number of the window.

        While one window is on its way to who asked, the database puts the next ones together, AHEAD of them at most.
        """
        ready: queue.Queue[Any] = queue.Queue(AHEAD)
        is_left = threading.Event()

        def hand_over(one: Any) -> bool:
            while not is_left.is_set():
                with suppress(queue.Full):
                    ready.put(one, timeout=0.5)
                    return True
            return False

        def read() -> None:
            try:
                for window in self._windows():
                    sql = f"SELECT {columns} FROM ({window.sql}) AS entries"  # noqa: S608 - all of it is ours
                    found, last = self._fetch(sql, window.values)[0]
                    if found is None:
                        window.is_over = True
                        continue
                    window.values["after"] = last
                    if not hand_over(found):
                        return
            except BaseException as error:
                hand_over(error)
            else:
                hand_over(None)

        threading.Thread(target=read, name="takeaway", daemon=True).start()
        try:
            while (found := ready.get()) is not None:
                if isinstance(found, BaseException):
                    raise found
                yield found
        finally:
            is_left.set()

    def rows(self) -> Iterator[list[EntryRow]]:
        """The same as values. Raises BrokenOffError."""
        for window in self._windows():
            found = [_row(one) for one in self._fetch(window.sql, window.values)]
            if not found:
                window.is_over = True
                continue
            window.values["after"] = found[-1].number
            self.count += len(found)
            yield found

    # ── what is asked ────────────────────────────────────────────────────────────────────────────────────────────

    def _windows(self) -> Iterator[_Window]:
        begin = f"SELECT {_COLUMNS} FROM registry_entry WHERE"  # noqa: S608 - all of it is ours
        end = f"ORDER BY {'sort_key, number' if self._selection.order == BY_NAME else 'number'} LIMIT {WINDOW}"
        if self._numbers is None:
            conditions = " AND ".join(["number > :after", *self._where])
            window = _Window(f"{begin} {conditions} {end}", self._values | {"after": 0})
            while not window.is_over:
                yield window
            return
        wanted = "SELECT value FROM json_each(:numbers)" if self._is_sqlite else "SELECT unnest(:numbers::bigint[])"
        for first in range(0, len(self._numbers), WINDOW):
            numbers = self._numbers[first : first + WINDOW].tolist()
            values: dict[str, Any] = {"numbers": str(numbers) if self._is_sqlite else numbers}
            yield _Window(f"{begin} number IN ({wanted}) {end}", values)

    def _conditions(self) -> tuple[list[str], dict[str, Any]]:
        """SQL that each entry fulfils, and its values."""
        selection = self._selection
        asked: dict[str, Any] = {
            "region_code = :region": selection.region,
            "kind = :kind": selection.kind,
            "affiliation_slug = :affiliation": selection.affiliation,
            "edition_slug = :edition": selection.edition,
            "signed_on >= :first_day": selection.signed_from,
            "signed_on <= :last_day": selection.signed_to,
        }
        asked = {sql: value for sql, value in asked.items() if value is not None}
        if selection.has_dates:
            # Between which numbers these dates lie: nothing beyond is looked at.
            days = {sql: value for sql, value in asked.items() if sql.startswith("signed_on")}
            spans = select(func.min(DaySpan.first_number), func.max(DaySpan.last_number)).where(
                text(" AND ".join(days))
            )
            first, last = self._connection.execute(spans, self._bound(days)).one()
            asked |= {"registry_entry.number >= :first": first or 0, "registry_entry.number <= :last": last or 0}
        where = list(asked)
        if selection.region or selection.kind or selection.edition:
            # As in every list: these have left the registry with an ended entry.
            where.append("ended_on IS NULL")
        return where, self._bound(asked)

    def _bound(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """name of the value in the SQL → value."""
        return {
            sql.rpartition(":")[2]: value.isoformat() if self._is_sqlite and isinstance(value, date) else value
            for sql, value in asked.items()
        }

    def _find_numbers(self) -> array[int] | None:
        """What was selected, in its order; None where the numbers themselves lead from one window to the next."""
        selection = self._selection
        if selection.is_empty:
            return array("q")
        is_by_name = selection.order == BY_NAME
        if not selection.words and not is_by_name:
            return None
        query = select(PublicEntry.number).order_by(PublicEntry.sort_key, PublicEntry.number)
        # Who has ended has no name to stand by.
        query = query.where(PublicEntry.ended_on.is_(None), PublicEntry.sort_key.is_not(None))
        if selection.words:
            found = self._found()
            if not is_by_name:
                return found
            query = query.where(search_index.among(found))
        elif self._where:
            query = query.where(text(" AND ".join(self._where)))
        numbers = array("q")
        for rows in self._connection.execute(query.execution_options(yield_per=WINDOW), self._values).partitions():
            numbers.extend(row.number for row in rows)
        return numbers

    def _found(self) -> array[int]:
        """The numbers of the entries that hold the words, as the search finds them, in the page's own transaction."""
        self._meet()
        selection = self._selection
        filters: list[ColumnElement[bool]] = []
        # Region and affiliation are words of the index themselves.
        if selection.kind is not None:
            filters.append(PublicEntry.kind == selection.kind)
        if selection.edition is not None:
            filters.append(PublicEntry.edition_slug == selection.edition)
        if selection.signed_from is not None:
            filters.append(PublicEntry.signed_on >= selection.signed_from)
        if selection.signed_to is not None:
            filters.append(PublicEntry.signed_on <= selection.signed_to)
        numbers = array("q", [0])
        while True:
            bounds = [(">", numbers[-1])]
            part = search_index.Part(WINDOW, is_descending=False, bounds=bounds, filters=filters)
            found = search_index.find_numbers(selection, part)
            numbers.extend(found)
            if len(found) < WINDOW:
                return numbers[1:]

    def _meet(self) -> None:
        """Takes both transactions to the same publication, if one came in between."""
        while registry.find_as_of() != self.as_of:
            db.session.rollback()
            self._connection.rollback()
            self._begin()


def file_name(as_of: AsOf | None, ending: str, *parts: str) -> str:
    """`charter-registry-r123-2026-11-22.csv`: the publication that a file stands at, and its day in Kazakhstan.

    parts: words for a selection, in a-z, 0-9 and hyphens.
    """
    stand = "r0" if as_of is None else f"r{as_of.revision}-{local_date(as_of.at).isoformat()}"
    return "-".join(("charter-registry", *parts, f"{stand}.{ending}"))


def has_left_since(revision: int) -> bool:
    """Whether an entry was ended or corrected by a later publication than this: by a small part of an index."""
    changed = (PublicEntry.changed_revision > revision) & (PublicEntry.ended_on.is_not(None) | (PublicEntry.rev > 1))
    return db.session.scalar(select(PublicEntry.number).where(changed).limit(1)) is not None


def open_reading(selection: Selection) -> Reading:
    """Begins to read, on the replica if there is one and it is well. Raises SQLAlchemyError."""
    return replica.read_public(lambda: Reading(selection))


class _Window:
    """SQL of the next entries and its values. is_over: there are none any more."""

    def __init__(self, sql: str, values: dict[str, Any]) -> None:
        self.sql, self.values, self.is_over = sql, values, False


def _row(values: Any) -> EntryRow:
    found = list(values)
    for place in (_SIGNED, _ENDED):
        # SQLite keeps days as texts.
        if isinstance(found[place], str):
            found[place] = date.fromisoformat(found[place])
    found[_REVISION] = found[_REVISION] or 0
    return EntryRow(*found)
