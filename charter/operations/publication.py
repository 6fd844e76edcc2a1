"""Publication: one batch appends the leaves, moves the public side and raises `public_revision`, all or nothing."""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update

from charter.domain.calendar import local_date
from charter.domain.signature import Actor, Display, Move
from charter.models.base import db
from charter.models.log import LogBatch, LogEvent, LogLeaf
from charter.models.registry import PublicEntry, RegionCount
from charter.models.signature import Link, Signature
from charter.operations.steps import add_event, get_affiliation, queue_message
from charter.operations.unit import insert_if_absent, lock, operation
from charter.tlog import leaf as leaves
from charter.tlog.record import SALT_BYTES, commitment, encode_record

#: Events in one batch; the next one follows at once when there are more.
MOST_EVENTS = 1000


@dataclass(frozen=True)
class BatchResult:
    """revision: the new public_revision. leaf_count: leaves appended. is_full: more events may be waiting."""

    revision: int
    leaf_count: int
    is_full: bool


@dataclass
class _Batch:
    """What one batch gathers before it is written."""

    at: datetime
    revision: int
    next_number: int
    leaves: list[bytes]
    #: (region, kind) → column → change
    counts: dict[tuple[str, str], Counter[str]]

    def append(self, kind: str, **values: object) -> None:
        self.leaves.append(leaves.encode(kind, t=leaves.format_time(self.at), **values))


@operation
def publish_batch(*, now: datetime) -> BatchResult | None:
    """Publishes what is due and returns what was done, or None when nothing is.

    In one transaction: leaves appended, public records written or destroyed, counters moved, `public_revision` raised
    by one, message `published` queued, the events deleted. Only one publisher works at a time (LOG §3).
    The time of a batch never goes back, whatever the clock does.
    """
    lock("publisher", "one")
    events, is_full = _take_events(now)
    if not events:
        return None
    last = db.session.scalars(select(LogBatch).order_by(LogBatch.revision.desc()).limit(1)).first()
    at = now.replace(microsecond=0)
    batch = _Batch(
        at=at if last is None else max(at, last.at),
        revision=1 if last is None else last.revision + 1,
        next_number=(db.session.scalar(select(func.max(PublicEntry.number))) or 0) + 1,
        leaves=[],
        counts=defaultdict(Counter),
    )
    _apply(events, batch, now=now)
    first_index = 0 if last is None else last.tree_size
    db.session.add(
        LogBatch(revision=batch.revision, at=batch.at, tree_size=first_index + len(batch.leaves)),
    )
    db.session.flush()
    db.session.add_all(
        LogLeaf(index=first_index + place, data=data, hash=leaves.hash_leaf(data), revision=batch.revision)
        for place, data in enumerate(batch.leaves)
    )
    _move_counters(batch)
    for event in events:
        db.session.delete(event)
    return BatchResult(batch.revision, len(batch.leaves), is_full=is_full)


def _take_events(now: datetime) -> tuple[Sequence[LogEvent], bool]:
    """What is due, with its signatures locked first and the events read afterwards.

    Withdrawing and undoing lock the signature and then delete the event: in the same order here, neither can be
    overwritten by a batch that saw the event a moment too early, and nobody waits in a circle.
    """
    due = db.session.execute(
        select(LogEvent.id, LogEvent.signature_id)
        .where(LogEvent.effective_at <= now)
        .order_by(LogEvent.id)
        .limit(MOST_EVENTS)
    ).all()
    signature_ids = {row.signature_id for row in due if row.signature_id is not None}
    db.session.scalars(
        select(Signature).where(Signature.id.in_(signature_ids)).order_by(Signature.id).with_for_update()
    ).all()
    events = db.session.scalars(
        select(LogEvent).where(LogEvent.id.in_([row.id for row in due])).order_by(LogEvent.id)
    ).all()
    return events, len(due) == MOST_EVENTS


def _apply(events: Sequence[LogEvent], batch: _Batch, *, now: datetime) -> None:
    ids = {event.signature_id for event in events if event.kind in {"publish", "withdraw"}}
    signatures = {row.id: row for row in db.session.scalars(select(Signature).where(Signature.id.in_(ids)))}
    entries = [signature.entry for signature in signatures.values()]
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
        elif event.kind == "withdraw":
            batch.append("withdraw", **event.values)
            row = public.get(str(event.values["entry"]))
            if row is not None and row.ended_on is None:
                _end(row, by="signatory", batch=batch)
        elif event.kind != "refresh":
            batch.append(event.kind, **event.values)


def _publish(signature: Signature, link: Link | None, batch: _Batch, *, now: datetime) -> PublicEntry:
    assert signature.confirmed_at is not None
    number = batch.next_number
    batch.next_number += 1
    slug, affiliation_name = get_affiliation(signature)
    is_unlisted = signature.display == Display.UNLISTED
    name = signature.short_name if signature.display == Display.SHORT else signature.full_name
    signed_on = local_date(signature.confirmed_at)
    line = encode_record(
        entry=signature.entry,
        salt=secrets.token_bytes(SALT_BYTES),
        rev=1,
        number=number,
        kind=signature.kind,
        display=signature.display,
        name=name,
        region=signature.region_code,
        affiliation=slug,
        affiliation_name=affiliation_name,
        charter=signature.edition_slug,
        signed_on=signed_on,
    )
    row = PublicEntry(
        number=number,
        entry=signature.entry,
        rev=1,
        line=line,
        kind=signature.kind,
        display=signature.display,
        name=None if is_unlisted else name,
        region_code=signature.region_code,
        affiliation_slug=None if is_unlisted else slug,
        affiliation_name=None if is_unlisted else affiliation_name,
        edition_slug=signature.edition_slug,
        signed_on=signed_on,
    )
    db.session.add(row)
    batch.append("publish", commit=commitment(line), entry=signature.entry, rev=1)
    batch.counts[signature.region_code, signature.kind]["unlisted" if is_unlisted else "listed"] += 1
    signature.number = number
    before = signature.move(Move.PUBLISH)
    add_event(signature, Move.PUBLISH, before=before, actor=Actor.SERVICE, now=now)
    queue_message("published", signature, link=link, now=now, values={"number": number, "entry": signature.entry})
    return row


def _end(row: PublicEntry, *, by: str, batch: _Batch) -> None:
    change = batch.counts[row.region_code, row.kind]
    change["unlisted" if row.display == Display.UNLISTED else "listed"] -= 1
    change["withdrawn" if by == "signatory" else "revoked"] += 1
    row.line = row.name = row.affiliation_slug = row.affiliation_name = None
    row.ended_on = local_date(batch.at)
    row.ended_by = by


def _move_counters(batch: _Batch) -> None:
    changes = {place: change for place, change in batch.counts.items() if any(change.values())}
    insert_if_absent(
        RegionCount,
        [
            {"region_code": region, "kind": kind, "listed": 0, "unlisted": 0, "withdrawn": 0, "revoked": 0}
            for region, kind in changes
        ],
    )
    for (region, kind), change in sorted(changes.items()):
        db.session.execute(
            update(RegionCount)
            .where(RegionCount.region_code == region, RegionCount.kind == kind)
            .values({column: getattr(RegionCount, column) + difference for column, difference in change.items()})
        )
