"""Views of the queue that somebody keeps under a name, for themselves."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select

from charter.domain.duties import Right
from charter.domain.errors import FieldRefusedError, NotFoundError
from charter.models.base import db
from charter.models.desk import SavedView
from charter.operations.duties import require
from charter.operations.unit import lock, operation, unrecorded

#: More than this nobody finds anything in.
MOST_VIEWS = 20


@operation
@unrecorded
def keep(name: str, query: str, *, staff_id: int, now: datetime) -> None:
    """Keeps a choice of filters; of the same name it takes the place of the former one.

    name: 1 to 80 characters. query: the query part of the queue's address, at most 1,000. Raises FieldRefusedError with
    the code `too-many` beyond MOST_VIEWS.
    """
    require(staff_id, Right.READ)
    lock("views", str(staff_id))
    row = db.session.scalars(
        select(SavedView).where(SavedView.staff_id == staff_id, SavedView.name == name).limit(1)
    ).first()
    if row is not None:
        row.query = query
        return
    kept = db.session.scalar(select(func.count()).select_from(SavedView).where(SavedView.staff_id == staff_id)) or 0
    if kept >= MOST_VIEWS:
        raise FieldRefusedError("name", "too-many")
    db.session.add(SavedView(staff_id=staff_id, name=name, query=query, created_at=now))


@operation
@unrecorded
def drop(view_id: int, *, staff_id: int) -> None:
    """Forgets one's own view. Raises NotFoundError, also for a colleague's."""
    require(staff_id, Right.READ)
    row = db.session.get(SavedView, view_id)
    if row is None or row.staff_id != staff_id:
        raise NotFoundError
    db.session.delete(row)
