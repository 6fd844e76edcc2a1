"""What staff see of signatures that were set aside: in groups with counts, and the signatures of one group."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select

from charter.models.affiliation import Region
from charter.models.base import db
from charter.models.holding import GROUPINGS, is_held, is_in_group, key_of
from charter.models.limits import SigningTrace
from charter.models.signature import Signature

__all__ = ["GROUPINGS", "MOST_LOOKED_AT", "HeldGroup", "HeldGroups", "HeldOne", "groups", "members"]

#: Of the newest so many the groups are made.
MOST_LOOKED_AT = 5000
MOST_GROUPS = 50
MOST_MEMBERS = 200


@dataclass(frozen=True)
class HeldGroup:
    """Signatures that have something in common. key: of the group; last_id: of its newest, as it was seen.

    reasons: codes of why they were set aside, the most frequent first.
    """

    key: str
    count: int
    reasons: tuple[str, ...]
    first_at: datetime
    last_at: datetime
    last_id: int


@dataclass(frozen=True)
class HeldGroups:
    """The largest groups first. count: signatures looked at; is_more: there are older ones."""

    groups: list[HeldGroup]
    count: int
    is_more: bool


@dataclass(frozen=True)
class HeldOne:
    """One signature that was set aside. seconds: for which its form was open, None where nothing says so."""

    signature_id: int
    full_name: str
    kind: str
    region: str
    reason: str | None
    domain: str | None
    seconds: int | None
    submitted_at: datetime


def groups(by: str, regions: frozenset[str] | None = None) -> HeldGroups:
    """The newest MOST_LOOKED_AT of what is set aside, grouped: one query.

    by: one of GROUPINGS. regions: codes; None: everywhere.
    """
    rows = db.session.execute(
        select(Signature.id, Signature.held_because, Signature.submitted_at, SigningTrace.network, SigningTrace.domain)
        .outerjoin(SigningTrace, SigningTrace.signature_id == Signature.id)
        .where(is_held(), *_within(regions))
        .order_by(Signature.id.desc())
        .limit(MOST_LOOKED_AT + 1)
    ).all()
    found: dict[str, list[tuple[int, str | None, datetime]]] = {}
    for signature_id, reason, submitted_at, network, domain in rows[:MOST_LOOKED_AT]:
        key = key_of(by, reason=reason, network=network, domain=domain, submitted_at=submitted_at)
        found.setdefault(key, []).append((signature_id, reason, submitted_at))
    made = [_group(key, members) for key, members in found.items()]
    made.sort(key=lambda group: (-group.count, -group.last_id))
    return HeldGroups(made[:MOST_GROUPS], min(len(rows), MOST_LOOKED_AT), len(rows) > MOST_LOOKED_AT)


def _within(regions: frozenset[str] | None) -> list[ColumnElement[bool]]:
    return [] if regions is None else [Signature.region_code.in_(regions)]


def _group(key: str, members: list[tuple[int, str | None, datetime]]) -> HeldGroup:
    moments = [at for _, _, at in members]
    return HeldGroup(
        key=key,
        count=len(members),
        reasons=_frequent(reason for _, reason, _ in members if reason),
        first_at=min(moments),
        last_at=max(moments),
        last_id=max(signature_id for signature_id, _, _ in members),
    )


def _frequent(reasons: Iterable[str]) -> tuple[str, ...]:
    counts: dict[str, int] = {}
    for reason in reasons:
        counts[reason] = counts.get(reason, 0) + 1
    return tuple(sorted(counts, key=lambda reason: (-counts[reason], reason)))


def members(by: str, key: str, language: str, regions: frozenset[str] | None = None) -> list[HeldOne]:
    """The oldest MOST_MEMBERS of one group: one query."""
    rows = db.session.execute(
        select(Signature, Region, SigningTrace.domain, SigningTrace.seconds)
        .join(Region, Region.code == Signature.region_code)
        .outerjoin(SigningTrace, SigningTrace.signature_id == Signature.id)
        .where(is_held(), is_in_group(by, key), *_within(regions))
        .order_by(Signature.id)
        .limit(MOST_MEMBERS)
    )
    return [
        HeldOne(
            signature_id=signature.id,
            full_name=signature.full_name,
            kind=signature.kind,
            region=region.short[language],
            reason=signature.held_because,
            domain=domain,
            seconds=seconds,
            submitted_at=signature.submitted_at,
        )
        for signature, region, domain, seconds in rows
    ]
