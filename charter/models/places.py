"""Where the leaves of the newest entries stand, which no step has noted yet."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, select

from charter.models.log import PLACED, LogLeaf, LogPlace

#: So many leaves are looked through at most. More of them are not noted only after a restore, for a while.
MOST_LEAVES = 20_000


class Standing(NamedTuple):
    """A leaf. at: its index."""

    at: int
    data: bytes


_PLACED_TO = select(LogPlace.record_index).where(LogPlace.entry == PLACED)
_REST = (
    select(LogLeaf.index, LogLeaf.data)
    .where(LogLeaf.index >= _PLACED_TO.scalar_subquery())
    .order_by(LogLeaf.index)
    .limit(MOST_LEAVES)
)


def placed_to(connection: Connection) -> int | None:
    """How many leaves are noted; None while every batch has noted its own."""
    found: int | None = connection.scalar(_PLACED_TO)
    return found


def not_noted(connection: Connection, entries: Collection[str], *, kind: str) -> dict[str, Standing]:
    """The leaves of a kind that stand in the log and not in `log_place`, by entry. kind: confirm | publish.

    There are some for a moment after each batch. Reads all leaves since, whatever the size of the log.
    """
    said = f'"kind":"{kind}"'.encode()
    found: dict[str, Standing] = {}
    for index, data in connection.execute(_REST):
        if said in bytes(data) and (entry := str(json.loads(data)["entry"])) in entries:
            found[entry] = Standing(index, bytes(data))
    return found
