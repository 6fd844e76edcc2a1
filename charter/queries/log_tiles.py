"""The log as others fetch it: tiles and bundles by their places, one record line, and all of them in one snapshot."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import func, literal, select
from sqlalchemy.exc import DBAPIError

from charter.models.base import db
from charter.models.log import THE_STANDING, LogCheckpoint, LogLeaf, LogNode, LogStanding, has_tree
from charter.models.registry import PublicEntry, RegionCount
from charter.queries import replica, tree
from charter.queries.snapshot import Snapshot
from charter.queries.standing import Served, guarded_checkpoint
from charter.tlog import canonical
from charter.tlog.tiles import HEIGHT, WIDTH, Tile, bundle

#: Record lines of one window: less than a megabyte.
WINDOW = 2000
#: Between a publication and its guard pass some milliseconds; so long somebody waits who comes in between, and so
#: often looks.
PATIENCE_SECONDS = 2.0
LOOK_SECONDS = 0.05
#: What a column of the database can hold.
_MOST_LEAVES = 2**63 - 1


# ── tiles ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def find_tile(tile: Tile) -> bytes | None:
    """The bytes of a tile or bundle; None if the log is not so large. One statement, however large it is.

    Only what the signer's guard has on its disk: a cache may keep it for a year, so it must never be taken back.
    """
    found = replica.read_public(lambda: _read_tile(tile))
    if found is None and replica.is_well() is not None:
        # A replica may be a moment behind the checkpoint that has led here.
        db.session.rollback()
        found = _read_tile(tile)
    return found


def _read_tile(tile: Tile) -> bytes | None:
    height = 0 if tile.level is None else HEIGHT * tile.level
    first = tile.index * WIDTH
    end = first + tile.width
    if end << height > _MOST_LEAVES:
        return None
    is_leaves = height == 0
    index = LogLeaf.index if is_leaves else LogNode.index
    query = (
        select(LogLeaf.data if tile.level is None else LogLeaf.hash if is_leaves else LogNode.hash)
        .join(LogStanding, LogStanding.id == THE_STANDING)
        .where(LogStanding.guarded_size >= end << height, index >= first, index < end)
        .order_by(index)
    )
    if not is_leaves:
        query = query.where(LogNode.level == height)
    try:
        found = [bytes(one) for one in db.session.scalars(query)]
    except DBAPIError:
        db.session.rollback()
        if has_tree(db.session.connection()):
            raise
        return None
    if len(found) != tile.width:
        return None
    return bundle(found) if tile.level is None else b"".join(found)


# ── record lines ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Record:
    """What is kept of an entry. line: its record line, byte for byte; None once it has ended."""

    line: bytes | None


def find_record(entry: str) -> Record | None:
    """Of one entry; None if there never was one. One statement."""
    row = db.session.execute(select(PublicEntry.line).where(PublicEntry.entry == entry)).first()
    return None if row is None else Record(None if row.line is None else bytes(row.line))


def find_vkey() -> str | None:
    """The verifier key that the log named last and that signs today; None before it names one."""
    connection = db.session.connection()
    found = tree.keys(connection) if has_tree(connection) else []
    return next((one.vkey for one in reversed(found) if one.retired_at is None), None)


class RegistryReading(Snapshot):
    """Every record line as of one checkpoint, by entry.

    checkpoint: of exactly this publication, None while it may not be given away. records: how many lines there are, as
    the batches have counted. is_coming: the checkpoint is signed, and waits for nothing but the guard.
    """

    checkpoint: Served | None
    records: int
    is_coming: bool

    def _prepare(self) -> None:
        found = guarded_checkpoint(self._connection)
        self.checkpoint = found if found is not None and found.size == self.tree_size else None
        self.records, self.is_coming = 0, False
        if self.checkpoint is not None:
            shown = select(func.coalesce(func.sum(RegionCount.listed + RegionCount.unlisted), 0))
            self.records = int(self._connection.execute(shown).scalar_one())
        elif has_tree(self._connection):
            signed = select(literal(1)).where(LogCheckpoint.size == self.tree_size)
            self.is_coming = self._connection.scalar(signed) is not None

    def file(self) -> Iterator[bytes]:
        """The whole file of LOG §2, a window at a time. Raises BrokenOffError."""
        assert self.checkpoint is not None
        about = {"checkpoint": self.checkpoint.text, "kind": "registry", "records": self.records, "v": 1}
        yield canonical.encode(about) + b"\n"
        # By the unique index: hexadecimal digits stand in the same order under every collation.
        begin = "SELECT entry, line FROM registry_entry WHERE entry > :after AND line IS NOT NULL ORDER BY entry"
        sql = f"{begin} LIMIT {WINDOW}"
        after = ""
        while rows := self._fetch(sql, {"after": after}):
            after = rows[-1][0]
            self.count += len(rows)
            yield b"".join(bytes(line) + b"\n" for _, line in rows)


def open_registry() -> RegistryReading | None:
    """Begins to read, on the replica if there is one and it is well; None while there is nothing to be shown.

    Raises SQLAlchemyError.
    """
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        reading = replica.read_public(RegistryReading)
        if reading.checkpoint is not None:
            return reading
        reading.close()
        if not reading.is_coming or time.monotonic() >= give_up_at:
            return None
        time.sleep(LOOK_SECONDS)
