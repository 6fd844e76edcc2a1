"""Hashes of the tree as they are stored: several read by one statement, whatever the size of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from sqlalchemy import Connection, func, select

from charter.models.log import LogNode
from charter.tlog import tree

T = TypeVar("T")

_NODES = {
    "sqlite": """WITH wanted (level, place) AS (VALUES {}) SELECT wanted.level, wanted.place, log_node.hash FROM wanted
        CROSS JOIN log_node ON log_node.level = wanted.level AND log_node."index" = wanted.place""",
    "postgresql": """SELECT level, "index", hash FROM log_node
        JOIN unnest(%s::int[], %s::bigint[]) AS wanted (on_level, place) ON level = on_level AND "index" = place""",
}
_LEAVES = {
    "sqlite": 'SELECT "index", hash FROM log_leaf WHERE "index" IN ({})',
    "postgresql": 'SELECT "index", hash FROM log_leaf WHERE "index" = ANY (%s::bigint[])',
}


def built_to(connection: Connection) -> int:
    """How many leaves have the nodes above them: one less than there are where the last one stands alone."""
    last = connection.scalar(select(func.max(LogNode.index)).where(LogNode.level == 1))
    return 0 if last is None else 2 * (int(last) + 1)


def read(connection: Connection, wanted: Iterable[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """(level, index) → hash, of those that are there; level 0 are the leaves. At most two statements."""
    asked = list(dict.fromkeys(wanted))
    leaves = [index for level, index in asked if level == 0]
    inner = [one for one in asked if one[0] > 0]
    found: dict[tuple[int, int], bytes] = {}
    name = connection.dialect.name
    if leaves:
        statement, values = _LEAVES[name], _flat(leaves, name)
        rows = connection.exec_driver_sql(statement.format(", ".join("?" * len(leaves))), values)
        found |= {(0, int(index)): bytes(hash_) for index, hash_ in rows}
    if inner:
        values = _flat([part for one in inner for part in one], name)
        if name == "postgresql":
            values = ([level for level, _ in inner], [index for _, index in inner])
        rows = connection.exec_driver_sql(_NODES[name].format(", ".join(["(?, ?)"] * len(inner))), values)
        found |= {(int(level), int(index)): bytes(hash_) for level, index, hash_ in rows}
    return found


def _flat(values: list[int], name: str) -> tuple[Any, ...]:
    return (values,) if name == "postgresql" else tuple(values)


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
