"""What a restore finds, and what it could not bring back: counts, entries, numbers and days, never people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, func, select, text

from charter.models.base import db
from charter.models.decision import Decision
from charter.models.edition import Edition
from charter.models.log import RESTORE_MARK, LogBatch
from charter.models.outbox import Message
from charter.models.registry import PublicEntry
from charter.models.signature import Link, Signature
from charter.tlog import leaf as leaves
from charter.tlog.record import commitment

ENDINGS = frozenset({"withdraw", "refuse", "revoke", "erase"})


@dataclass(frozen=True)
class Facts:
    """What a manifest says of a database. schema: the Alembic revision. counts: rows by what they are."""

    schema: str
    revision: int
    tree_size: int
    counts: Mapping[str, int]


def facts(connection: Connection) -> Facts:
    """Of the database behind a connection, in its one snapshot."""
    batch = connection.execute(
        select(LogBatch.revision, LogBatch.tree_size).order_by(LogBatch.revision.desc()).limit(1)
    ).first()

    def count(column: object, *where: object) -> int:
        return int(connection.scalar(select(func.count(column)).where(*where)) or 0)  # type: ignore[arg-type]

    return Facts(
        schema=str(connection.scalar(text("SELECT version_num FROM alembic_version"))),
        revision=batch.revision if batch is not None else 0,
        tree_size=batch.tree_size if batch is not None else 0,
        counts={
            "signatures": count(Signature.id),
            "entries": count(PublicEntry.number),
            "messages_waiting": count(Message.id, Message.done_at.is_(None)),
        },
    )


@dataclass(frozen=True)
class Mark:
    """An unfinished restore: of which backup, and where that ended (None before its rows are in)."""

    sha256: str
    revision: int | None
    tree_size: int | None


def find_mark(connection: Connection) -> Mark | None:
    """The note that a restore left in this PostgreSQL database; None where none is under way."""
    if connection.scalar(text("SELECT to_regclass(:name)"), {"name": RESTORE_MARK}) is None:
        return None
    row = connection.execute(text(f"SELECT sha256, revision, tree_size FROM {RESTORE_MARK}")).one()  # noqa: S608
    return Mark(*row)


def has_tables(connection: Connection) -> bool:
    """Whether anybody's tables are in this PostgreSQL database, whichever schema; the mark is not counted."""
    query = text(
        "SELECT EXISTS (SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
        " WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND relname <> :mark"
        " AND nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%')"
    )
    return bool(connection.scalar(query, {"mark": RESTORE_MARK}))


def some_link(connection: Connection) -> tuple[str, bytes, bytes] | None:
    """Purpose, uid and digest of any link that was mailed: whether a key is the one that made it can be computed."""
    row = connection.execute(
        select(Link.purpose, Link.uid, Link.token_digest).order_by(Link.id.desc()).limit(1)
    ).first()
    return None if row is None else (row.purpose, bytes(row.uid), bytes(row.token_digest))


@dataclass(frozen=True)
class Lost:
    """A signature that the log knows and the database does not. due: the day an answer is due, if it was unanswered.

    number: its registry number if it had been published; never given again. is_over: it had ended again.
    """

    entry: str
    due: str | None
    number: int | None
    is_over: bool = False


@dataclass
class Survey:
    """What became of the leaves after the backup; fed with every batch once all of them are re-applied.

    number: registry numbers given before the first of them.
    Entries whose public line a mirror kept stand as they stood; everybody else's got a line with a fresh salt.
    """

    number: int
    kinds: Counter[str] = field(default_factory=Counter)
    lost: dict[str, Lost] = field(default_factory=dict)
    #: Known entries that were confirmed, published or refused after the backup, as far as they stand now.
    confirmed: list[str] = field(default_factory=list)
    published: dict[str, None] = field(default_factory=dict)
    corrected: dict[str, None] = field(default_factory=dict)
    #: Entries that stand again, by their kept line alone: nobody knows any more who signed. With their numbers.
    unsigned: dict[str, int] = field(default_factory=dict)
    #: How many of the known ones stand as they stood, by their kept line.
    kept: int = 0
    refused: list[str] = field(default_factory=list)
    editions: list[str] = field(default_factory=list)

    def add(self, data: Sequence[bytes]) -> None:
        """Looks up what some leaves name: a few queries."""
        found = [leaves.decode(one) for one in data]
        entries = [str(values["entry"]) for _, values in found if "entry" in values]
        rows = db.session.execute(
            select(Signature.entry, Signature.state, Signature.application_line.is_(None)).where(
                Signature.entry.in_(entries)
            )
        )
        known = {entry: (state, is_lineless) for entry, state, is_lineless in rows}
        decided = set(
            db.session.scalars(
                select(Signature.entry)
                .join(Decision, Decision.signature_id == Signature.id)
                .where(Signature.entry.in_(entries), Decision.action == "decline", Decision.undone_at.is_(None))
            )
        )
        shown = self._shown(entries)
        for kind, values in found:
            self.kinds[kind] += 1
            entry = str(values.get("entry", ""))
            state, is_lineless = known.get(entry, (None, False))
            number = shown.get((entry, values.get("commit")))
            is_kept = number is not None
            if kind == "publish":
                self.number += 1
            if kind == "charter":
                self.editions.append(str(values["charter"]))
            elif state is None:
                self._lose(kind, entry, values, kept_number=number)
            elif kind == "confirm" and is_lineless and state not in {"withdrawn", "declined", "erased"}:
                self.confirmed.append(entry)
            elif is_kept:
                self.kept += 1
                self.published.pop(entry, None)
                self.corrected.pop(entry, None)
            elif kind == "publish" and state == "published":
                self.published[entry] = None
            elif kind == "correct" and state == "published" and entry not in self.published:
                self.corrected[entry] = None
            elif kind == "refuse" and entry not in decided:
                self.refused.append(entry)

    @staticmethod
    def _shown(entries: Sequence[str]) -> dict[tuple[str, object], int]:
        """(entry, `commit` of the line that stands now) → number."""
        query = select(PublicEntry.entry, PublicEntry.number, PublicEntry.line)
        rows = db.session.execute(query.where(PublicEntry.entry.in_(entries), PublicEntry.line.is_not(None)))
        return {(row.entry, commitment(bytes(row.line))): row.number for row in rows}

    def _lose(self, kind: str, entry: str, values: Mapping[str, object], *, kept_number: int | None) -> None:
        if kept_number is not None:
            self.lost.pop(entry, None)
            self.unsigned[entry] = kept_number
        elif kind == "confirm":
            self.lost[entry] = Lost(entry, str(values["due"]), None)
        elif kind == "publish":
            self.lost[entry] = Lost(entry, None, self.number)
        elif kind in ENDINGS and entry in self.lost:
            if self.lost[entry].number is None:
                del self.lost[entry]  # ended before anybody saw it: nothing is missing
            else:
                self.lost[entry] = replace(self.lost[entry], is_over=True)

    def missing_editions(self) -> Sequence[str]:
        """Editions that the log names and the database has not."""
        have = set(db.session.scalars(select(Edition.slug)))
        return [slug for slug in self.editions if slug not in have]
