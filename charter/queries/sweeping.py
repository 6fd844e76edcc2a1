"""Invalidations as staff see them: whom one would mean, how far it is, and what became of whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from charter.domain.sweep import Conditions
from charter.models.affiliation import Affiliation, Region
from charter.models.base import db
from charter.models.limits import SigningTrace
from charter.models.signature import Signature
from charter.models.staff import StaffAccount
from charter.models.sweeping import Invalidation, InvalidationItem, meant_by

PAGE_SIZE = 50
#: Signatures are counted up to here; beyond it stands "more than".
MOST_COUNTED = 10_000
SAMPLES = 20
#: On both sides of one signature: what else came then.
AROUND = timedelta(minutes=10)


@dataclass(frozen=True)
class Work:
    """What a worker may go on with. staff_id: in whose name."""

    invalidation_id: int
    is_undoing: bool
    staff_id: int


@dataclass(frozen=True)
class SweepView:
    """One invalidation. found: by the dry run, at most one more than MOST_COUNTED. affiliation, regions: their names.

    state: draft | proposed | running | cancelled | done | undoing | undone.
    """

    invalidation_id: int
    conditions: Conditions
    affiliation: str | None
    regions: list[str] | None
    reason: str
    note: str | None
    state: str
    version: int
    found: int
    done: int
    skipped: int
    undone: int
    limit_id: int
    staff_id: int
    staff_name: str
    approved_by: int | None
    approver: str | None
    created_at: datetime
    began_at: datetime | None
    ended_at: datetime | None

    @property
    def is_on_its_way(self) -> bool:
        """Whether a worker is at it."""
        return self.state in {"running", "undoing"}

    def is_for(self, regions: Collection[str] | None) -> bool:
        """Whether somebody with these regions, None for all, may see whom it means."""
        mine = self.conditions.regions
        return regions is None or (mine is not None and set(mine) <= set(regions))


@dataclass(frozen=True)
class SweepPage:
    """Newest first. next_before: the id to go on from, None at the end."""

    rows: list[SweepView]
    next_before: int | None


@dataclass(frozen=True)
class Sample:
    """One signature that is meant, or was ended."""

    signature_id: int
    full_name: str
    region: str
    state: str


@dataclass(frozen=True)
class DryRun:
    """Whom it would mean now. count: at most MOST_COUNTED, is_more beyond. by_region: (name, count), most first."""

    count: int
    is_more: bool
    by_state: list[tuple[str, int]]
    by_region: list[tuple[str, int]]
    samples: list[Sample]


@dataclass(frozen=True)
class Report:
    """What became of whom: (state before, outcome, count), and by region what was ended. is_more: of the first only."""

    by_state: list[tuple[str, str, int]]
    by_region: list[tuple[str, int]]
    is_more: bool
    samples: list[Sample]


@dataclass(frozen=True)
class Traits:
    """By what others may be found that came as one signature did."""

    region_code: str
    network: str | None
    domain: str | None
    at: datetime | None


_MAKER, _APPROVER = aliased(StaffAccount), aliased(StaffAccount)
_VIEW = (
    select(Invalidation, _MAKER.name, _APPROVER.name)
    .join(_MAKER, _MAKER.id == Invalidation.staff_id)
    .outerjoin(_APPROVER, _APPROVER.id == Invalidation.approved_by)
)


def find_work() -> Work | None:
    """The oldest that is on its way; a worker that dies leaves it so."""
    row = db.session.execute(
        select(Invalidation.id, Invalidation.state, Invalidation.staff_id, Invalidation.undone_by)
        .where(Invalidation.state.in_(("running", "undoing")))
        .order_by(Invalidation.id)
        .limit(1)
    ).first()
    if row is None:
        return None
    is_undoing = row.state == "undoing"
    return Work(row.id, is_undoing, (row.undone_by if is_undoing else None) or row.staff_id)


def page(language: str, *, before: int | None = None) -> SweepPage:
    """A page of all, by keyset on the id."""
    query = _VIEW.order_by(Invalidation.id.desc()).limit(PAGE_SIZE + 1)
    if before is not None:
        query = query.where(Invalidation.id < before)
    rows = db.session.execute(query).all()
    names, regions = _affiliation_names([row[0] for row in rows], language), _region_names(language)
    shown = [_view(sweep, maker, approver, names, regions) for sweep, maker, approver in rows[:PAGE_SIZE]]
    return SweepPage(shown, shown[-1].invalidation_id if len(rows) > PAGE_SIZE else None)


def find(invalidation_id: int, language: str) -> SweepView | None:
    """One of them."""
    row = db.session.execute(_VIEW.where(Invalidation.id == invalidation_id)).first()
    if row is None:
        return None
    sweep, maker, approver = row
    return _view(sweep, maker, approver, _affiliation_names([sweep], language), _region_names(language))


def _affiliation_names(sweeps: Collection[Invalidation], language: str) -> dict[int, str]:
    ids = {sweep.conditions["affiliation"] for sweep in sweeps if "affiliation" in sweep.conditions}
    if not ids:
        return {}
    rows = db.session.execute(select(Affiliation.id, Affiliation.name).where(Affiliation.id.in_(ids)))
    return {row.id: row.name[language] for row in rows}


def _view(
    sweep: Invalidation, maker: str, approver: str | None, names: dict[int, str], regions: dict[str, str]
) -> SweepView:
    conditions = Conditions.from_json(sweep.conditions)
    return SweepView(
        invalidation_id=sweep.id,
        conditions=conditions,
        affiliation=None if conditions.affiliation is None else names.get(conditions.affiliation),
        regions=None if conditions.regions is None else [regions.get(code, code) for code in conditions.regions],
        reason=sweep.reason,
        note=sweep.note,
        state=sweep.state,
        version=sweep.version,
        found=sweep.found,
        done=sweep.done,
        skipped=sweep.skipped,
        undone=sweep.undone,
        limit_id=sweep.limit_id,
        staff_id=sweep.staff_id,
        staff_name=maker,
        approved_by=sweep.approved_by,
        approver=approver,
        created_at=sweep.created_at,
        began_at=sweep.began_at,
        ended_at=sweep.ended_at,
    )


def dry_run(sweep: SweepView, language: str) -> DryRun:
    """Whom it would mean if it began now: three queries, none of which goes on beyond MOST_COUNTED."""
    query = meant_by(sweep.conditions, Signature.id, Signature.state, Signature.region_code)
    rows = db.session.execute(query.where(Signature.id <= sweep.limit_id).limit(MOST_COUNTED + 1)).all()
    is_more = len(rows) > MOST_COUNTED
    rows = rows[:MOST_COUNTED]
    regions = _region_names(language)
    newest = sorted((row.id for row in rows), reverse=True)[:SAMPLES]
    return DryRun(
        count=len(rows),
        is_more=is_more,
        by_state=Counter(row.state for row in rows).most_common(),
        by_region=[(regions[code], n) for code, n in Counter(row.region_code for row in rows).most_common()],
        samples=_samples(newest, regions),
    )


def report(invalidation_id: int, language: str) -> Report:
    """What became of the first MOST_COUNTED that it came to; three queries."""
    few = (
        select(InvalidationItem.signature_id, InvalidationItem.state_before, InvalidationItem.outcome)
        .where(InvalidationItem.invalidation_id == invalidation_id)
        .order_by(InvalidationItem.signature_id)
        .limit(MOST_COUNTED + 1)
        .subquery()
    )
    rows = db.session.execute(
        select(few.c.state_before, few.c.outcome, Signature.region_code, func.count().label("n"))
        .join(Signature, Signature.id == few.c.signature_id)
        .group_by(few.c.state_before, few.c.outcome, Signature.region_code)
    ).all()
    by_state: Counter[tuple[str, str]] = Counter()
    by_region: Counter[str] = Counter()
    for row in rows:
        by_state[row.state_before, row.outcome] += row.n
        if row.outcome != "skipped":
            by_region[row.region_code] += row.n
    regions = _region_names(language)
    newest = db.session.scalars(
        select(InvalidationItem.signature_id)
        .where(InvalidationItem.invalidation_id == invalidation_id, InvalidationItem.outcome != "skipped")
        .order_by(InvalidationItem.signature_id.desc())
        .limit(SAMPLES)
    ).all()
    return Report(
        by_state=[(before, outcome, n) for (before, outcome), n in by_state.most_common()],
        by_region=[(regions[code], n) for code, n in by_region.most_common()],
        is_more=sum(by_state.values()) > MOST_COUNTED,
        samples=_samples(newest, regions),
    )


def _samples(ids: Collection[int], regions: dict[str, str]) -> list[Sample]:
    rows = db.session.execute(
        select(Signature.id, Signature.full_name, Signature.region_code, Signature.state)
        .where(Signature.id.in_(ids))
        .order_by(Signature.id.desc())
    )
    return [Sample(row.id, row.full_name, regions[row.region_code], row.state) for row in rows]


def _region_names(language: str) -> dict[str, str]:
    return {row.code: row.short[language] for row in db.session.execute(select(Region.code, Region.short))}


def affiliations(language: str) -> list[tuple[int, str]]:
    """Every party, organisation and mission, those that can no longer be chosen too: (id, name)."""
    rows = db.session.execute(select(Affiliation.id, Affiliation.name))
    return sorted(((row.id, row.name[language]) for row in rows), key=lambda one: one[1])


def traits_of(signature_id: int) -> Traits | None:
    """How one signature came, as far as it is still known."""
    row = db.session.execute(
        select(Signature.region_code, SigningTrace.network, SigningTrace.domain, SigningTrace.at)
        .outerjoin(SigningTrace, SigningTrace.signature_id == Signature.id)
        .where(Signature.id == signature_id)
    ).first()
    if row is None:
        return None
    return Traits(row.region_code, row.network and row.network.hex(), row.domain, row.at)
