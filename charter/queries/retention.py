"""What is over its term: asked by the worker, counted for operators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from charter.models import terms
from charter.models.base import db
from charter.models.limits import RetentionPass

#: Nobody needs to know more exactly.
MOST_COUNTED = 100_000


@dataclass(frozen=True)
class Pass:
    """A first pass. cutoff_at: what is older may go in the second."""

    cutoff_at: datetime
    noted_at: datetime


def passes() -> dict[str, Pass]:
    """The first passes that wait for their second, by rule."""
    rows = db.session.execute(select(RetentionPass.rule, RetentionPass.cutoff_at, RetentionPass.noted_at))
    return {row.rule: Pass(row.cutoff_at, row.noted_at) for row in rows}


def is_any_over(rule: str, *, cutoff_at: datetime) -> bool:
    """Whether the rule has anything to do: one row is looked for."""
    return db.session.execute(terms.over(rule, cutoff_at, most=1)).first() is not None


def count_over(rule: str, *, cutoff_at: datetime) -> int:
    """How many it would be, at most MOST_COUNTED."""
    found = terms.over(rule, cutoff_at, most=MOST_COUNTED).subquery()
    return db.session.scalar(select(func.count()).select_from(found)) or 0
