"""Whether what the database shows is still what its log says: walks over rows by their keys, a few at a time.

Each reads one snapshot, so that a batch in between disturbs none. A finding names a number, an index or a region.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, func, select

from charter.models import nodes, places
from charter.models.affiliation import Region
from charter.models.base import db
from charter.models.figures import AnswerCount, DueCount, LogTotal, WaitingApplication, is_migrated
from charter.models.log import LogCheckpoint, LogLeaf, LogPlace, has_tree
from charter.models.registry import PublicEntry, RegionCount
from charter.queries import schema
from charter.queries import tree as trees
from charter.tlog import canonical, leaf, note, tree

#: Leaves looked at together: a whole subtree, so that all nodes above them are read by one statement.
WINDOW_LEVEL = 10
WINDOW = 1 << WINDOW_LEVEL
ENTRIES_AT_ONCE = 500
CHECKPOINTS_AT_ONCE = 50


@dataclass(frozen=True)
class Finding:
    """walk, position: where `look` finds it again. code: one of a closed list. what: for the operator, no names."""

    walk: str
    position: int
    code: str
    what: str


@dataclass(frozen=True)
class Seen:
    """What one step has found. following: the position that the next step begins at; None at the end of the walk."""

    findings: tuple[Finding, ...] = ()
    following: int | None = None


def is_possible() -> bool:
    """Whether tree and places cover the leaves, and no restore is under way: before, nothing can be compared."""
    connection = db.session.connection()
    if schema.is_being_restored(connection):
        return False
    if not has_tree(connection):
        return False
    size = trees.size(connection)
    placed = places.placed_to(connection)
    is_placed = placed is None or size - placed <= places.MOST_LEAVES
    return is_placed and size - nodes.built_to(connection) <= 1


def look(walk: str, position: int, *, most: int | None = None) -> Seen:
    """One step of a walk from a position on, 0 for its beginning; most: rows. Raises SQLAlchemyError."""
    return WALKS[walk](position, most)


# ── entries ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _entries(position: int, most: int | None) -> Seen:
    """Columns against the line, the line against its leaf. position: the number to begin after."""
    limit = most or ENTRIES_AT_ONCE
    query = select(PublicEntry.__table__).where(PublicEntry.number > position)
    rows = db.session.execute(query.order_by(PublicEntry.number).limit(limit)).all()
    live = [row.entry for row in rows if row.ended_on is None]
    noted = db.session.execute(
        select(LogPlace.entry, LogPlace.record_index, LogLeaf.data)
        .join(LogLeaf, LogLeaf.index == LogPlace.record_index)
        .where(LogPlace.entry.in_(live))
    )
    found = {row.entry: places.Standing(row.record_index, bytes(row.data)) for row in noted}
    committed = _newest(found, live, kind="publish")
    before, findings = position, []
    for row in rows:
        code = _wrong_entry(row, committed.get(row.entry))
        if code is not None:
            findings.append(Finding("entries", before, code, f"entry number {row.number}"))
        before = row.number
    return Seen(tuple(findings), before if len(rows) == limit else None)


def _newest(noted: Mapping[str, places.Standing], entries: Sequence[str], *, kind: str) -> dict[str, bytes]:
    """The leaves of these entries by what is noted, or by what no step has noted yet, if it stands further on."""
    rest = places.not_noted(db.session.connection(), entries, kind=kind)
    return {entry: max(one[entry] for one in (noted, rest) if entry in one).data for entry in {*noted, *rest}}


def _wrong_entry(row: Any, data: bytes | None) -> str | None:
    if row.ended_on is not None:
        left = {row.line, row.name, row.affiliation_slug, row.affiliation_name}
        return None if left == {None} else "ended_shown"
    line = bytes(row.line)
    try:
        record = canonical.decode(line)
        kind, values = leaf.decode(data or b"")
    except canonical.NotCanonicalError:
        return "line"
    except leaf.LeafError:
        return "commitment"
    is_committed = (values.get("commit"), values.get("entry")) == (hashlib.sha256(line).hexdigest(), row.entry)
    if kind not in {"publish", "correct"} or not is_committed or values.get("rev") != row.rev:
        return "commitment"
    columns = {
        "affiliation": row.affiliation_slug,
        "affiliation_name": row.affiliation_name,
        "charter": row.edition_slug,
        "display": row.display,
        "entry": row.entry,
        "kind": row.kind,
        "name": row.name,
        "number": row.number,
        "region": row.region_code,
        "rev": row.rev,
        "signed": row.signed_on.isoformat(),
    }
    shown = {key: value for key, value in columns.items() if value is not None}
    return None if shown == {key: value for key, value in record.items() if key != "salt"} else "columns"


# ── leaves and nodes ─────────────────────────────────────────────────────────────────────────────────────────────────


def _leaves(position: int, _most: int | None) -> Seen:
    """Each leaf against its hash, and every node above. position: index of the first leaf, a multiple of WINDOW."""
    connection = db.session.connection()
    size = trees.size(connection)
    end = min(size, position + WINDOW)
    rows = connection.execute(
        select(LogLeaf.index.label("place"), LogLeaf.data, LogLeaf.hash)
        .where(LogLeaf.index >= position, LogLeaf.index < position + WINDOW)
        .order_by(LogLeaf.index)
    ).all()
    findings = []
    if [row.place for row in rows] != list(range(position, end)):
        findings.append(Finding("leaves", position, "sequence", f"leaves from index {position} on"))
    else:
        wrong = [row.place for row in rows if tree.hash_leaf(bytes(row.data)) != bytes(row.hash)]
        findings += [Finding("leaves", position, "leaf", f"leaf {index}") for index in wrong]
        hashes = [bytes(row.hash) for row in rows]
        findings += [
            Finding("leaves", position, "node", f"node {level}/{index}")
            for level, index in _wrong_nodes(connection, position, hashes)
        ]
    return Seen(tuple(findings), end if end == position + WINDOW and end < size else None)


def _wrong_nodes(connection: Connection, first: int, hashes: Sequence[bytes]) -> list[tuple[int, int]]:
    """Of the whole subtrees that these leaves complete, inside their window and above it."""
    row, level = list(hashes), 0
    wanted: dict[tuple[int, int], bytes] = {}
    while len(row) > 1:
        row = [tree.hash_node(row[place], row[place + 1]) for place in range(0, len(row) - 1, 2)]
        level += 1
        wanted |= {(level, (first >> level) + place): one for place, one in enumerate(row)}
    end = first + len(hashes)
    above = []
    if len(hashes) == WINDOW:
        level = WINDOW_LEVEL
        while end % (2 << level) == 0:
            level += 1
            above.append((level, (end >> level) - 1))
    children = [(level - 1, 2 * index + side) for level, index in above for side in (0, 1)]
    found = nodes.read(connection, [*wanted, *above, *children])
    for level, index in above:
        left, right = (found.get((level - 1, 2 * index + side), b"") for side in (0, 1))
        wanted[level, index] = tree.hash_node(left, right)
    return [place for place, one in wanted.items() if found.get(place) != one]


# ── checkpoints ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _checkpoints(position: int, most: int | None) -> Seen:
    """What was signed against the tree. position: the size to begin after."""
    limit = most or CHECKPOINTS_AT_ONCE
    connection = db.session.connection()
    rows = connection.execute(
        select(LogCheckpoint.size, LogCheckpoint.root, LogCheckpoint.note)
        .where(LogCheckpoint.size > position)
        .order_by(LogCheckpoint.size)
        .limit(limit)
    ).all()
    whole = trees.size(connection)
    stored = nodes.read(connection, [one for row in rows for one in tree.subtrees(0, row.size)])
    before, findings = position, []
    for row in rows:
        if row.size > whole or not _is_of_tree(row, nodes.fetch_from(stored)):
            findings.append(Finding("checkpoints", before, "checkpoint", f"checkpoint of {row.size} leaves"))
        before = row.size
    return Seen(tuple(findings), before if len(rows) == limit else None)


def _is_of_tree(row: Any, fetch: tree.Fetch) -> bool:
    try:
        signed, _ = note.read(row.note)
        return tree.root(row.size, fetch) == bytes(row.root) == signed.root and signed.size == row.size
    except (note.NoteError, KeyError):
        return False


# ── counters ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _counters(position: int, _most: int | None) -> Seen:
    """One region's totals against its entries. position: its place among them."""
    code = db.session.scalar(select(Region.code).order_by(Region.code).offset(position).limit(1))
    if code is None:
        return Seen() if _is_balanced() else Seen((Finding("counters", position, "figures", "figures of the log"),))
    is_listed = PublicEntry.display != "unlisted"
    counted: dict[str, list[int]] = {}
    for row in db.session.execute(
        select(PublicEntry.kind, PublicEntry.ended_by, is_listed.label("is_listed"), func.count().label("entries"))
        .where(PublicEntry.region_code == code)
        .group_by(PublicEntry.kind, PublicEntry.ended_by, is_listed)
    ):
        place = {"signatory": 2, "centre": 3}.get(row.ended_by, 0 if row.is_listed else 1)
        counted.setdefault(row.kind, [0, 0, 0, 0])[place] += row.entries
    table = RegionCount
    query = select(table.kind, table.listed, table.unlisted, table.withdrawn, table.revoked)
    kept = {row.kind: list(row[1:]) for row in db.session.execute(query.where(table.region_code == code))}
    is_same = {kind: sums for kind, sums in kept.items() if any(sums)} == counted
    findings = () if is_same else (Finding("counters", position, "counter", f"totals of {code}"),)
    return Seen(findings, position + 1)


def _is_balanced() -> bool:
    """Every application waits, or was answered, or was withdrawn before; and those that wait are due on some day."""
    if not is_migrated(db.session.connection()):
        return True
    total = db.session.execute(select(LogTotal.applications, LogTotal.withdrawn_waiting)).first()
    answered = db.session.scalar(select(func.coalesce(func.sum(AnswerCount.answered), 0))) or 0
    waiting = db.session.scalar(select(func.coalesce(func.sum(DueCount.waiting), 0))) or 0
    by_day = db.session.execute(
        select(WaitingApplication.due_on, func.count()).group_by(WaitingApplication.due_on).order_by("due_on")
    ).all()
    kept = db.session.execute(
        select(DueCount.due_on, DueCount.waiting).where(DueCount.waiting != 0).order_by(DueCount.due_on)
    ).all()
    is_answered = (0 if total is None else total.applications - total.withdrawn_waiting) == answered + waiting
    return is_answered and [tuple(row) for row in by_day] == [tuple(row) for row in kept]


def _waiting(position: int, most: int | None) -> Seen:
    """Applications without an answer against their leaves. position: how many are behind; they are never many."""
    if not is_migrated(db.session.connection()):
        return Seen()
    limit = most or ENTRIES_AT_ONCE
    table = WaitingApplication
    rows = db.session.execute(
        select(table.entry, table.due_on, LogPlace.confirm_index, LogLeaf.data)
        .outerjoin(LogPlace, LogPlace.entry == table.entry)
        .outerjoin(LogLeaf, LogLeaf.index == LogPlace.confirm_index)
        .order_by(table.entry)
        .offset(position)
        .limit(limit)
    ).all()
    noted = {row.entry: places.Standing(row.confirm_index, bytes(row.data)) for row in rows if row.data is not None}
    leaves = _newest(noted, [row.entry for row in rows], kind="confirm")
    findings = [
        Finding("waiting", position + place, "due", f"application {row.entry}")
        for place, row in enumerate(rows)
        if not _is_due(row.entry, row.due_on, leaves.get(row.entry, b""))
    ]
    return Seen(tuple(findings), position + limit if len(rows) == limit else None)


def _is_due(entry: str, due_on: date, data: bytes) -> bool:
    try:
        kind, values = leaf.decode(data)
    except leaf.LeafError:
        return False
    return (kind, values.get("entry"), values.get("due")) == ("confirm", entry, due_on.isoformat())


WALKS: dict[str, Callable[[int, int | None], Seen]] = {
    "entries": _entries,
    "leaves": _leaves,
    "checkpoints": _checkpoints,
    "counters": _counters,
    "waiting": _waiting,
}
