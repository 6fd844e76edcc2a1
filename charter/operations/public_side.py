"""Steps of a publication batch: leaves are appended, an entry is built, found, replaced or ends, counters move."""

from __future__ import annotations

import json
import secrets
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, func, select, text, update

from charter.domain.alphabet import sort_key
from charter.domain.calendar import local_date
from charter.domain.fold import fold, skeleton
from charter.domain.signature import Display
from charter.models.base import db
from charter.models.log import LogBatch, LogLeaf
from charter.models.registry import (
    UNINDEXED,
    AffiliationCount,
    DayCount,
    DaySpan,
    EditionCount,
    PublicEntry,
    RegionCount,
    RegistryWord,
)
from charter.models.signature import Signature
from charter.operations import figures, tree
from charter.operations.bulk import Same, Writes
from charter.operations.steps import get_affiliation
from charter.operations.unit import insert_if_absent
from charter.tlog import leaf as leaves
from charter.tlog.record import SALT_BYTES, encode_record
from charter.tlog.tree import hash_leaf

#: The first character of a word that is a filter and nobody's name.
FILTER = "_"


@dataclass
class Changes:
    """What one batch changes on the public side beside its entries. revision: the batch's."""

    revision: int
    regions: defaultdict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    affiliations: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # (slug, region, kind)
    editions: Counter[tuple[str]] = field(default_factory=Counter)  # (slug,)
    days: Counter[tuple[date, str, str]] = field(default_factory=Counter)  # (signed_on, region, kind)
    spans: dict[date, tuple[int, int]] = field(default_factory=dict)  # signed_on → lowest and highest number
    words: Counter[str] = field(default_factory=Counter)
    has_losses: bool = False  # words were taken out of the search index

    def gain(self, row: PublicEntry) -> None:
        """`row` enters the totals, and is found from now on."""
        self.regions[row.region_code, row.kind][_shown_as(row)] += 1
        self.editions[(row.edition_slug,)] += 1
        self.index(row)

    def index(self, row: PublicEntry) -> None:
        """Makes a live entry findable, by what is shown and nothing else, and counts its day and affiliation."""
        row.words = " ".join((*_names_of(row), *filters_of(row)))
        row.sort_key = sort_key(row.name)
        row.changed_revision = self.revision
        self.days[row.signed_on, row.region_code, row.kind] += 1
        self.widen(row)
        if row.affiliation_slug is not None:
            self.affiliations[row.affiliation_slug, row.region_code, row.kind] += 1
        self.words.update(_names_of(row))

    def lose(self, row: PublicEntry) -> None:
        """`row` leaves the totals and is no longer found; it is still as it was."""
        self.regions[row.region_code, row.kind][_shown_as(row)] -= 1
        self.editions[(row.edition_slug,)] -= 1
        self.forget(row)

    def forget(self, row: PublicEntry) -> None:
        """Takes back what `index` did, by the words that were stored: details may be gone already."""
        if row.words is None:
            # An older release wrote it: it was never counted here.
            return
        words = row.words.split()
        self.has_losses = True
        self.words.subtract(word for word in words if not word.startswith(FILTER))
        slug = next((word[2:] for word in words if word.startswith(_AFFILIATION)), None)
        if slug is not None:
            self.affiliations[slug, row.region_code, row.kind] -= 1
        row.words = ""
        row.sort_key = None
        row.changed_revision = self.revision

    def widen(self, row: PublicEntry) -> None:
        """The numbers that bear its date reach as far as its own."""
        low, high = self.spans.get(row.signed_on, (row.number, row.number))
        self.spans[row.signed_on] = min(low, row.number), max(high, row.number)


_REGION, _KIND, _AFFILIATION = "_r", "_k", "_a"


def filters_of(row: PublicEntry) -> tuple[str, ...]:
    """The words that stand for the filters an entry passes: they never equal a folded word."""
    found = (f"{_REGION}{row.region_code.lower()}", f"{_KIND}{row.kind}")
    return found if row.affiliation_slug is None else (*found, f"{_AFFILIATION}{row.affiliation_slug}")


def _names_of(row: PublicEntry) -> tuple[str, ...]:
    return fold(f"{row.name or ''} {row.affiliation_name or ''}")


#: Leaves read at once on the way back to the last number.
_LEAVES_AT_ONCE = 500


def append_batch(
    *, revision: int, at: datetime, first_index: int, data: Sequence[bytes], writes: Writes | None = None
) -> tree.Grown | None:
    """One batch with its leaves, whose bytes are `data`, from `first_index` on. at: whole seconds, UTC.

    writes: gathers it, for a caller who has more to write with it; else it is written at once.
    Returns what becomes of the tree, None where nothing is appended or the tree is not built so far yet.
    """
    is_last = writes is None
    writes = Writes() if writes is None else writes
    hashes = [hash_leaf(leaf) for leaf in data]
    count = len(data)
    # They are our own bytes, checked when they were written.
    parsed = json.loads(b"[%b]" % b",".join(data))
    writes.insert(LogBatch, {"revision": [revision], "at": [at], "tree_size": [first_index + count]})
    writes.insert(
        LogLeaf,
        {
            "index": range(first_index, first_index + count),
            "data": data,
            "hash": hashes,
            "revision": Same(revision),
        },
    )
    figures.count_batch(parsed, writes, first_index=first_index, at=at)
    grown = tree.append_nodes(first_index, hashes, parsed, writes)
    if is_last:
        writes.write()
    return grown


def build_entry(
    signature: Signature, *, number: int, rev: int, shown: PublicEntry | None = None
) -> tuple[PublicEntry, bytes]:
    """The public record of a confirmed signature with a fresh salt, not yet in the session, and its line.

    shown: the revision before, whose name of the same affiliation stays as it was signed (LOG §1).
    """
    assert signature.confirmed_at is not None
    slug, affiliation_name = get_affiliation(signature)
    if shown is not None and slug is not None and shown.affiliation_slug == slug:
        affiliation_name = shown.affiliation_name
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
        is_indexable=bool(signature.is_indexable) and not is_unlisted,
    )
    return row, line


def count_entry(row: PublicEntry, changes: Changes) -> None:
    """A new entry enters the registry."""
    changes.gain(row)


def replace_entry(row: PublicEntry, fresh: PublicEntry, *, changes: Changes) -> None:
    """A later revision takes the place of a live one."""
    was_counted = row.words is not None
    changes.lose(row)
    if was_counted:
        changes.days[row.signed_on, row.region_code, row.kind] -= 1
    for column in PublicEntry.__table__.columns.keys():  # noqa: SIM118 - not a mapping
        # A record made of a kept line knows nothing of search engines.
        if column not in {"number", "entry"} and (column != "is_indexable" or fresh.is_indexable is not None):
            setattr(row, column, getattr(fresh, column))
    changes.gain(row)


def end_entry(row: PublicEntry, *, by: str, at: datetime, changes: Changes) -> None:
    """Destroys what names the person; number, region and dates stay. by: signatory | centre."""
    if row.words is None:
        # Its day counts for good, and an older release did not count it.
        changes.index(row)
    changes.lose(row)
    changes.regions[row.region_code, row.kind]["withdrawn" if by == "signatory" else "revoked"] += 1
    row.line = row.name = row.affiliation_slug = row.affiliation_name = row.is_indexable = None
    row.ended_on = local_date(at)
    row.ended_by = by


def unindexed_entries(limit: int) -> Sequence[PublicEntry]:
    """Entries that an older release wrote or ended, or that a backup brought: one look into a small index."""
    query = select(PublicEntry).where(text(UNINDEXED)).order_by(PublicEntry.number).limit(limit)
    return db.session.scalars(query).all()


def make_findable(rows: Sequence[PublicEntry], changes: Changes) -> None:
    """Does for them what their own batch would have done today."""
    for row in rows:
        if row.ended_on is None:
            changes.index(row)
            continue
        if row.words is None:
            # It ended unseen: of its signing the day alone is left.
            changes.days[row.signed_on, row.region_code, row.kind] += 1
            changes.widen(row)
            row.words = ""
        changes.forget(row)


def move_counters(changes: Changes) -> None:
    """Writes what was gathered."""
    _add(RegionCount, ("region_code", "kind"), changes.regions)
    _add(
        AffiliationCount,
        ("affiliation_slug", "region_code", "kind"),
        {place: {"listed": change} for place, change in changes.affiliations.items()},
    )
    _add(
        EditionCount,
        ("edition_slug",),
        {place: {"shown": change} for place, change in changes.editions.items()},
    )
    _add(
        DayCount,
        ("signed_on", "region_code", "kind"),
        {place: {"signed": change} for place, change in changes.days.items()},
    )
    figures.count_months(changes.days)
    _widen_spans(changes.spans)
    _move_words(changes.words)


def _add(model: type[Any], keys: tuple[str, ...], changes: Mapping[Any, Mapping[str, int]]) -> None:
    """Adds differences to counters, in one order, so that no two batches could wait in a circle."""
    moved = {place: change for place, change in changes.items() if any(change.values())}
    if not moved:
        return
    counters = [name for name in model.__table__.columns.keys() if name not in keys]  # noqa: SIM118 - not a mapping
    zero = dict.fromkeys(counters, 0)
    insert_if_absent(model, [dict(zip(keys, place, strict=True)) | zero for place in moved])
    for place, change in sorted(moved.items(), key=lambda one: one[0]):
        at = dict(zip(keys, place, strict=True))
        db.session.execute(
            update(model)
            .filter_by(**at)
            .values({name: getattr(model, name) + difference for name, difference in change.items()}),
            execution_options={"synchronize_session": False},
        )


def _widen_spans(spans: Mapping[date, tuple[int, int]]) -> None:
    known = {row.signed_on: row for row in db.session.scalars(select(DaySpan).where(DaySpan.signed_on.in_(spans)))}
    for day, (low, high) in spans.items():
        row = known.get(day)
        if row is None:
            db.session.add(DaySpan(signed_on=day, first_number=low, last_number=high))
        else:
            row.first_number, row.last_number = min(row.first_number, low), max(row.last_number, high)


def _move_words(words: Mapping[str, int]) -> None:
    """A word that nobody is shown by any more leaves the table: it might be a name."""
    moved = {word: change for word, change in sorted(words.items()) if change}
    insert_if_absent(RegistryWord, [{"word": word, "skeleton": skeleton(word), "entries": 0} for word in moved])
    gone = []
    for row in db.session.scalars(select(RegistryWord).where(RegistryWord.word.in_(moved))):
        row.entries += moved[row.word]
        if row.entries <= 0:
            gone.append(row.word)
    db.session.flush()
    if gone:
        db.session.execute(delete(RegistryWord).where(RegistryWord.word.in_(gone)))


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
