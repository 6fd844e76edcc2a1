"""The log: leaves and batches that nothing may change, and the queue of what the next batch will append."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from charter.models.base import Base, BigId, has_table

#: A table that stands in a PostgreSQL database while `restore` works on it: nobody may serve or publish from it.
RESTORE_MARK = "restore_unfinished"


class LogLeaf(Base):
    """One leaf of the transparency log, byte for byte. Public, append-only by trigger."""

    __tablename__ = "log_leaf"

    index: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)  # from 0, without gaps
    data: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))  # SHA-256(0x00 ‖ data), RFC 6962
    revision: Mapped[int] = mapped_column(ForeignKey("log_batch.revision"))


class LogBatch(Base):
    """One publication. Its number is the `public_revision` that pages, files and caches key on. Append-only."""

    __tablename__ = "log_batch"

    revision: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)  # 1, 2, 3 …
    at: Mapped[datetime]  # never decreasing, whatever the clock does
    tree_size: Mapped[int] = mapped_column(BigId)  # leaves after this batch


class LogNode(Base):
    """The hash of a whole subtree of the tree over the leaves, above them. Public, append-only by trigger.

    level: from 1 on, of 2^level leaves (`log_leaf.hash` is level 0). A root or a proof reads one of each level.
    """

    __tablename__ = "log_node"

    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    index: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class LogPlace(Base):
    """Where the leaves of an entry stand, so that its proof is found without reading the log. Public; made from leaves.

    record_index: of the `publish` or `correct` whose `commit` is that of the present record line.
    A key of the log has a row too, under `key_place`: confirm_index of its `add`, record_index of its `retire`.
    And one row, PLACED, says by its record_index how many leaves are noted here.
    """

    __tablename__ = "log_place"
    __table_args__ = ({"sqlite_with_rowid": False},)

    entry: Mapped[str] = mapped_column(String(32), primary_key=True)
    confirm_index: Mapped[int | None] = mapped_column(BigInteger)
    record_index: Mapped[int | None] = mapped_column(BigInteger)


#: With what the rows of keys begin. Entries are hexadecimal, so in every collation they come before.
KEY_PLACES = "key"
#: `log_place.entry` of the row that says how far the leaves are noted. No entry and no key has this name.
PLACED = "placed"


def key_place(vkey: str) -> str:
    """`log_place.entry` of a key of the log."""
    return KEY_PLACES + hashlib.sha256(vkey.encode()).hexdigest()[:29]


class LogCheckpoint(Base):
    """The tree at one size, signed: written by the batch that reached it, or after. Public, append-only by trigger."""

    __tablename__ = "log_checkpoint"

    size: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    root: Mapped[bytes] = mapped_column(LargeBinary(32))
    at: Mapped[datetime]  # when it was signed
    note: Mapped[str] = mapped_column(Text)  # the whole note with our own signatures, without cosignatures


class LogCosignature(Base):
    """A witness has seen a checkpoint to extend those it knew. One a witness and size; a newer one takes its place."""

    __tablename__ = "log_cosignature"

    size: Mapped[int] = mapped_column(ForeignKey("log_checkpoint.size"), primary_key=True)
    witness: Mapped[str] = mapped_column(String(255), primary_key=True)  # name of its key
    at: Mapped[datetime]  # the witness's own time, signed by it
    line: Mapped[str] = mapped_column(Text)  # the signature line with its newline


class LogStanding(Base):
    """One row: how far the log may be shown. Committed first, then guarded outside the database, then served."""

    __tablename__ = "log_standing"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    guarded_size: Mapped[int] = mapped_column(BigId, default=0)  # the signer's guard has it on its disk
    served_size: Mapped[int] = mapped_column(BigId, default=0)  # of the checkpoint that /log/checkpoint shows


#: The one row of `log_standing`.
THE_STANDING = 1


def has_tree(connection: Connection) -> bool:
    """Whether the tables of the tree are there: the code may be ahead of the database for a while."""
    return has_table(connection, LogNode.__tablename__)


class LogEvent(Base):
    """A leaf to come: queued in the transaction that decided it, deleted by the batch that publishes it."""

    __tablename__ = "log_event"
    __table_args__ = (Index("ix_log_event_effective_at", "effective_at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))  # a leaf kind, or `refresh`: without a leaf, see also leaving.py
    signature_id: Mapped[int | None] = mapped_column(ForeignKey("signature.id"), index=True)
    decision_id: Mapped[int | None] = mapped_column(ForeignKey("decision.id"))
    values: Mapped[dict[str, Any]]  # the leaf's own values that are fixed already
    effective_at: Mapped[datetime]  # not before: decisions can be undone until then
