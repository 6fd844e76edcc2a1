"""Hashes of the tree as they are stored: several read by one statement, whatever the size of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from sqlalchemy import Connection, func, select

from charter.models.log import LogNode
from charter.tlog import tree

T = TypeVar("T")

#: Each hash by its own key: a join could be planned as a walk through a whole table.
_HASH = """CASE level WHEN 0 THEN (SELECT hash FROM log_leaf WHERE "index" = place)
    ELSE (SELECT hash FROM log_node WHERE log_node.level = wanted.level AND "index" = place) END"""
_READ = {
    "sqlite": f"WITH wanted (level, place) AS (VALUES {{}}) SELECT level, place, {_HASH} FROM wanted",  # noqa: S608
    "postgresql": f"SELECT level, place, {_HASH} FROM unnest(%b::int[], %b::bigint[]) AS wanted (level, place)",  # noqa: S608
}


_LAST_PAIR = select(func.max(LogNode.index)).where(LogNode.level == 1)


def built_to(connection: Connection) -> int:
    """How many leaves have the nodes above them: one less than there are where the last one stands alone."""
    last = connection.scalar(_LAST_PAIR)
    return 0 if last is None else 2 * (int(last) + 1)


def read(connection: Connection, wanted: Iterable[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """(level, index) → hash, of those that are there; level 0 are the leaves. One statement."""
    asked = list(dict.fromkeys(wanted))
    if not asked:
        return {}
    name = connection.dialect.name
    values: tuple[Any, ...]
    if name == "postgresql":
        values = ([level for level, _ in asked], [index for _, index in asked])
    else:
        values = tuple(part for one in asked for part in one)
    rows = connection.exec_driver_sql(_READ[name].format(", ".join(["(?, ?)"] * len(asked))), values)
    return {(level, index): bytes(hash_) for level, index, hash_ in rows if hash_ is not None}


def fetch_from(found: Mapping[tuple[int, int], bytes]) -> tree.Fetch:
    """What the pure functions read by. Raises KeyError for a node that was not read, or is not stored."""
    return lambda level, index: found[level, index]


def computed(connection: Connection, compute: Callable[[tree.Fetch], T]) -> T:
    """`compute` over stored nodes, all of which are read together. Raises KeyError if one is missing.

    It is called twice, first to hear which nodes it wants: so those must not depend on what they hold.
    """
    wanted: list[tuple[int, int]] = []

    def note(level: int, index: int) -> bytes:
        wanted.append((level, index))
        return b""

    compute(note)
    return compute(fetch_from(read(connection, wanted)))
