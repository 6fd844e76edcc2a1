"""Steps of a publication batch: leaves are appended, an entry is built or ends, counters move."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, select, update

from charter.domain.calendar import local_date
from charter.domain.signature import Display
from charter.models.base import db
from charter.models.log import LogBatch, LogLeaf
from charter.models.registry import PublicEntry, RegionCount
from charter.models.signature import Signature
from charter.operations.steps import get_affiliation
from charter.operations.unit import insert_if_absent
from charter.tlog import leaf as leaves
from charter.tlog.record import SALT_BYTES, encode_record

#: (region, kind) → column → change
Counts = dict[tuple[str, str], Counter[str]]

#: Leaves read at once on the way back to the last number.
_LEAVES_AT_ONCE = 500


def append_batch(*, revision: int, at: datetime, first_index: int, data: Sequence[bytes]) -> None:
    """One batch with its leaves, whose bytes are `data`, from `first_index` on. at: whole seconds, UTC."""
    db.session.add(LogBatch(revision=revision, at=at, tree_size=first_index + len(data)))
    db.session.flush()
    db.session.add_all(
        LogLeaf(index=first_index + place, data=leaf, hash=leaves.hash_leaf(leaf), revision=revision)
        for place, leaf in enumerate(data)
    )


def build_entry(signature: Signature, *, number: int, rev: int) -> tuple[PublicEntry, bytes]:
    """The public record of a confirmed signature with a fresh salt, not yet in the session, and its line."""
    assert signature.confirmed_at is not None
    slug, affiliation_name = get_affiliation(signature)
    is_unlisted = signature.display == Display.UNLISTED
    name = signature.short_name if signature.display == Display.SHORT else signature.full_name
    signed_on = local_date(signature.confirmed_at)
    line = encode_record(
        entry=signature.entry,
        salt=secrets.token_bytes(SALT_BYTES),
        rev=rev,
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
        rev=rev,
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
    return row, line


def count_entry(row: PublicEntry, counts: Counts) -> None:
    """A new entry enters the totals of its region."""
    counts[row.region_code, row.kind][_shown_as(row)] += 1


def replace_entry(row: PublicEntry, fresh: PublicEntry, *, counts: Counts) -> None:
    """A later revision takes the place of a live one."""
    counts[row.region_code, row.kind][_shown_as(row)] -= 1
    for column in PublicEntry.__table__.columns.keys():  # noqa: SIM118 - not a mapping
        if column not in {"number", "entry"}:
            setattr(row, column, getattr(fresh, column))
    count_entry(row, counts)


def end_entry(row: PublicEntry, *, by: str, at: datetime, counts: Counts) -> None:
    """Destroys what names the person; number, region and dates stay. by: signatory | centre."""
    change = counts[row.region_code, row.kind]
    change[_shown_as(row)] -= 1
    change["withdrawn" if by == "signatory" else "revoked"] += 1
    row.line = row.name = row.affiliation_slug = row.affiliation_name = None
    row.ended_on = local_date(at)
    row.ended_by = by


def move_counters(counts: Mapping[tuple[str, str], Counter[str]]) -> None:
    """Writes what was gathered."""
    changes = {place: change for place, change in counts.items() if any(change.values())}
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


def numbers_given() -> int:
    """The highest registry number that was ever given: the count of `publish` leaves, whatever became of their entries.

    A restore may have leaves whose signatories are lost with their rows: their numbers are never given again. Read
    from the newest leaf back to the last one whose entry is known: each leaf is read once between two publications.
    """
    unknown = 0
    end = (db.session.scalar(select(func.max(LogLeaf.index))) or 0) + 1
    while end > 0:
        first = max(0, end - _LEAVES_AT_ONCE)
        found = db.session.scalars(
            select(LogLeaf.data).where(LogLeaf.index >= first, LogLeaf.index < end).order_by(LogLeaf.index.desc())
        )
        entries = [str(leaves.decode(data)[1]["entry"]) for data in map(bytes, found) if b'"kind":"publish"' in data]
        known = db.session.execute(select(PublicEntry.entry, PublicEntry.number).where(PublicEntry.entry.in_(entries)))
        numbers = {row.entry: row.number for row in known}
        for entry in entries:
            if entry in numbers:
                return int(numbers[entry]) + unknown
            unknown += 1
        end = first
    return unknown


def _shown_as(row: PublicEntry) -> str:
    return "unlisted" if row.display == Display.UNLISTED else "listed"
