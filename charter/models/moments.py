"""The rules of `charter/domain/moments.py` as conditions on columns."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.orm import InstrumentedAttribute

from charter.domain.moments import CLOCK_SLACK


def has_come(column: InstrumentedAttribute[Any], *, now: datetime, longest: timedelta) -> ColumnElement[bool]:
    """Whether the moment in the column lies in the past, or further ahead than it was ever planned."""
    return or_(column <= now, column > now + longest + CLOCK_SLACK)


def is_recent(column: InstrumentedAttribute[Any], *, now: datetime, within: timedelta) -> ColumnElement[bool]:
    """Whether the moment in the column lies less than `within` back, and not further ahead than clocks disagree."""
    return and_(column > now - within, column <= now + CLOCK_SLACK)
