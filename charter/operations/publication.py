"""Publication: one batch appends the leaves, moves the public side and raises `public_revision`, all or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select

from charter.domain.moments import LONGEST_UNDO
from charter.domain.signature import Actor, Display, Move
from charter.models.base import db
from charter.models.leaving import is_leaving
from charter.models.log import LogBatch, LogEvent
from charter.models.moments import has_come
from charter.models.registry import PublicEntry
from charter.models.signature import Link, Signature
from charter.operations import affiliations, centre, editions, tree
from charter.operations.bulk import Writes
from charter.operations.corrections import take_effect
from charter.operations.public_side import (
    Changes,
    append_batch,
    build_entry,
    count_entry,
    end_entry,
    make_findable,
    move_counters,
    numbers_given,
    replace_entry,
    unindexed_entries,
)
from charter.operations.steps import add_event, follow_mergers, queue_message
from charter.operations.unit import lock, operation
from charter.tlog import leaf as leaves
from charter.tlog.note import Checkpoint
from charter.tlog.record import commitment
from charter.tlog.signer import Signer

#: Events in one batch; the next one follows at once when there are more.
MOST_EVENTS = 1000


@dataclass(frozen=True)
class BatchResult:
    """revision: the new public_revision. leaf_count: leaves appended. is_full: more events may be waiting.

    has_losses: somebody is no longer found by words that were in the search index.
    """

    revision: int
    leaf_count: int
    is_full: bool
    has_losses: bool


@dataclass
class _Batch:
    """What one batch gathers before it is written."""

    at: datetime
    revision: int
    leaves: list[bytes]
    changes: Changes
    last_number: int | None = None

    def append(self, kind: str, **values: object) -> None:
        self.leaves.append(leaves.encode(kind, t=leaves.format_time(self.at), **values))

    def take_number(self) -> int:
        """The next registry number; looked up once, where something is published."""
        self.last_number = (numbers_given() if self.last_number is None else self.last_number) + 1
        return self.last_number


@operation
def publish_batch(
    *, now: datetime, signer: Signer | None = None, after: Checkpoint | None = None
) -> BatchResult | None:
    """Publishes what is due and returns what was done, or None when nothing is.

    In one transaction: leaves appended, public records written or destroyed, counters moved, `public_revision` raised
    by one, message `published` queued, the events deleted, the tree's new size signed. Only one publisher works at a
    time (LOG §3). signer: without one the checkpoint is left to `tree.sign_newest`; a log that begins names its key
    first. after: what was signed last; ForkError unless the tree extends it.
    The time of a batch never goes back, whatever the clock does.
    """
    lock("publisher", "one")
    events, is_full = _take_events(now)
    unindexed = unindexed_entries(MOST_EVENTS)
    if not events and not unindexed:
        return None
    last = db.session.scalars(select(LogBatch).order_by(LogBatch.revision.desc()).limit(1)).first()
    at = now.replace(microsecond=0)
    revision = 1 if last is None else last.revision + 1
    batch = _Batch(at=at if last is None else max(at, last.at), revision=revision, leaves=[], changes=Changes(revision))
    make_findable(unindexed, batch.changes)
    if last is None and signer is not None:
        batch.append("key", action="add", vkey=signer.vkey)
    _apply(events, batch, now=now)
    first_index = 0 if last is None else last.tree_size
    writes = Writes()
    grown = append_batch(
        revision=batch.revision, at=batch.at, first_index=first_index, data=batch.leaves, writes=writes
    )
    if grown is not None and signer is not None:
        retired = [str(event.values["vkey"]) for event in events if _retires(event)]
        size = first_index + len(batch.leaves)
        tree.add_checkpoint(
            size, grown.root, signer, at=batch.at, after=after, grown=grown, writes=writes, without=retired
        )
    writes.write()
    move_counters(batch.changes)
    for event in events:
        db.session.delete(event)
    return BatchResult(
        batch.revision,
        len(batch.leaves),
        is_full=is_full or len(unindexed) == MOST_EVENTS,
        has_losses=batch.changes.has_losses,
    )


def _retires(event: LogEvent) -> bool:
    return event.kind == "key" and event.values["action"] == "retire"


def _take_events(now: datetime) -> tuple[Sequence[LogEvent], bool]:
    """What is due for the log, with its signatures locked first and the events read afterwards.

    Withdrawing and undoing lock the signature and then delete the event: in the same order here, neither can be
    overwritten by a batch that saw the event a moment too early, and nobody waits in a circle.
    """
    due = db.session.execute(
        select(LogEvent.id, LogEvent.signature_id, LogEvent.kind, LogEvent.values)
        .where(has_come(LogEvent.effective_at, now=now, longest=LONGEST_UNDO), ~is_leaving())
        .order_by(LogEvent.id)
        .limit(MOST_EVENTS)
    ).all()
    signature_ids = {row.signature_id for row in due if row.signature_id is not None}
    whose: ColumnElement[bool] = Signature.id.in_(signature_ids)
    # Whoever chooses once more while we look would believe that we have yet to look.
    entries = {str(row.values["entry"]) for row in due if row.kind == "refresh" and "entry" in row.values}
    if entries:
        whose = or_(whose, Signature.entry.in_(entries))
    db.session.scalars(select(Signature).where(whose).order_by(Signature.id).with_for_update()).all()
    events = db.session.scalars(
        select(LogEvent).where(LogEvent.id.in_([row.id for row in due])).order_by(LogEvent.id)
    ).all()
    return events, len(due) == MOST_EVENTS


#: Leaves that end an entry → by whom, as the registry says it. Who is erased while listed has withdrawn first.
_ENDED_BY = {"withdraw": "signatory", "erase": "signatory", "revoke": "centre"}


def _apply(events: Sequence[LogEvent], batch: _Batch, *, now: datetime) -> None:
    ids = {event.signature_id for event in events if event.kind in {"publish", "correct"} or event.kind in _ENDED_BY}
    signatures = {row.id: row for row in db.session.scalars(select(Signature).where(Signature.id.in_(ids)))}
    entries = {signature.entry for signature in signatures.values()}
    # A restore from a mirror brings entries back whose signatures are lost.
    entries |= {str(event.values["entry"]) for event in events if event.kind in _ENDED_BY}
    refreshed = {str(event.values["entry"]) for event in events if event.kind == "refresh" and "entry" in event.values}
    entries |= refreshed
    indexable = {
        row.entry: bool(row.is_indexable)
        for row in db.session.execute(
            select(Signature.entry, Signature.is_indexable).where(Signature.entry.in_(refreshed))
        )
    }
    public = {row.entry: row for row in db.session.scalars(select(PublicEntry).where(PublicEntry.entry.in_(entries)))}
    links = {
        link.signature_id: link
        for link in db.session.scalars(
            select(Link).where(Link.signature_id.in_(ids), Link.purpose == "personal").order_by(Link.id)
        )
    }
    for event in events:
        if event.kind == "publish":
            assert event.signature_id is not None
            signature = signatures[event.signature_id]
            public[signature.entry] = _publish(signature, links.get(signature.id), batch, now=now)
        elif event.kind in _ENDED_BY:
            row = public.get(str(event.values["entry"]))
            has_ended = row is not None and row.ended_on is not None
            # What has ended cannot end again (LOG §1): two who ended it at the same time are one end.
            if event.kind == "erase" or not has_ended:
                batch.append(event.kind, **event.values)
            if row is not None and not has_ended:
                end_entry(row, by=_ENDED_BY[event.kind], at=batch.at, changes=batch.changes)
        elif event.kind == "correct" and "commit" not in event.values:
            assert event.signature_id is not None
            row = public.get(signatures[event.signature_id].entry)
            if row is not None and row.ended_on is None:
                signature = signatures[event.signature_id]
                more = take_effect(signature, event.values, links.get(signature.id), now=now)
                _correct(signature, row, batch, more=more)
        elif event.kind == "refresh":
            # A change without a leaf: what stands beside the line of an entry.
            row = public.get(str(event.values.get("entry", "")))
            if row is not None and row.ended_on is None:
                row.is_indexable = indexable.get(row.entry, False) and row.display != Display.UNLISTED
                row.changed_revision = batch.revision
            elif "charter" in event.values:
                editions.enter(str(event.values["charter"]), now=batch.at)
            elif affiliations.FACES in event.values:
                affiliations.bring_out()
            elif "centre" in event.values:
                centre.bring_out(now=now)
        else:
            batch.append(event.kind, **event.values)
            if event.kind == "charter":
                editions.enter(str(event.values["charter"]), now=batch.at)


def _correct(signature: Signature, row: PublicEntry, batch: _Batch, *, more: Mapping[str, object]) -> None:
    """A new revision of a live entry from what the signature says now. more: `reason` and `approvals`, if any."""
    fresh, line = build_entry(signature, number=row.number, rev=row.rev + 1, shown=row)
    replace_entry(row, fresh, changes=batch.changes)
    batch.append("correct", commit=commitment(line), entry=signature.entry, rev=row.rev, **more)


def _publish(signature: Signature, link: Link | None, batch: _Batch, *, now: datetime) -> PublicEntry:
    number = batch.take_number()
    follow_mergers(signature)
    row, line = build_entry(signature, number=number, rev=1)
    db.session.add(row)
    batch.append("publish", commit=commitment(line), entry=signature.entry, rev=1)
    count_entry(row, batch.changes)
    signature.number = number
    before = signature.move(Move.PUBLISH)
    add_event(signature, Move.PUBLISH, before=before, actor=Actor.SERVICE, now=now)
    queue_message("published", signature, link=link, now=now, values={"number": number, "entry": signature.entry})
    return row
