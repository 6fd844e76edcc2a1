"""What waits for publication."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from charter.models.base import db
from charter.models.log import LogEvent

#: Leaf kinds that take something away from the public: these never wait for a long publication interval (LOG §3).
URGENT = ("withdraw",)


def has_urgent(*, now: datetime) -> bool:
    """Whether somebody waits to leave the registry."""
    query = select(LogEvent.id).where(LogEvent.kind.in_(URGENT), LogEvent.effective_at <= now).limit(1)
    return db.session.scalar(query) is not None
