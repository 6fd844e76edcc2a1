"""Decisions counted by day, region, answer and days waited, in the transaction that makes or takes them back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from charter.domain.calendar import local_date
from charter.models.base import db
from charter.models.desk import DeskCount
from charter.operations.unit import insert_on


@dataclass(frozen=True)
class Decided:
    """What is counted of one decision. action: approve | decline | ask | sweep. confirmed_at: from when it waited."""

    region_code: str
    action: str
    confirmed_at: datetime | None
    decided_at: datetime


def count_decisions(lines: Iterable[Decided], *, by: int = 1) -> None:
    """A step, the last of its transaction: everybody counts in the same few rows. by: -1 for what is taken back."""
    counted: Counter[tuple[object, ...]] = Counter()
    for line in lines:
        day = local_date(line.decided_at)
        waited = 0 if line.confirmed_at is None else max(0, (day - local_date(line.confirmed_at)).days)
        counted[day, line.region_code, line.action, waited] += by
    if not counted:
        return
    db.session.flush()
    connection = db.session.connection()
    insertion = insert_on(connection.dialect.name, DeskCount)
    upsert = insertion.on_conflict_do_update(
        index_elements=list(DeskCount.__table__.primary_key),
        set_={"count": DeskCount.count + insertion.excluded.count},
    )
    # In one order, so that two bulks do not wait for each other.
    connection.execute(
        upsert,
        [
            {"day": day, "region_code": region, "action": action, "waited_days": waited, "count": count}
            for (day, region, action, waited), count in sorted(counted.items())
        ],
    )
