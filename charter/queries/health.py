"""How the service is doing, for machines: ages and counts out of the database, each through an index and bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, case, func, literal_column, select, text, union_all

from charter.domain.mail import MOST_FAILURES, WAY_OUT
from charter.domain.signature import State
from charter.models.base import db
from charter.models.limits import MailboxTally
from charter.models.log import LogBatch, LogEvent
from charter.models.outbox import Message
from charter.models.signature import Signature
from charter.queries.standing import newest_checkpoint

#: Nothing is counted beyond this many rows, however much waits.
MOST_COUNTED = 10_000
#: A question that takes longer on PostgreSQL is given up.
LONGEST_MS = 3000

Question = Select[*tuple[Any, ...]]

# As the partial indexes are declared: SQLite recognises them only by the same words, never through parameters.
_MESSAGE_WAITS = text("message.done_at IS NULL AND NOT message.on_hold")
_MESSAGE_FAILED = text("message.failed_at IS NOT NULL")
_IN_QUEUE = text("signature.state IN ('confirmed', 'clarification')")
_IS_HELD = text("signature.held AND signature.state = 'submitted'")


@dataclass(frozen=True)
class Readiness:
    """What `/readyz` needs to know. Every instant is None where nothing of the kind is there.

    database_at: the database's own clock, None where it is this machine's (SQLite). is_mail_resting: so much failed in
    a row that only one mail is tried from time to time.
    """

    oldest_due_mail_at: datetime | None
    oldest_due_event_at: datetime | None
    has_published: bool
    database_at: datetime | None
    is_mail_resting: bool = False


@dataclass(frozen=True)
class Health:
    """What metrics tell. Counts stop at MOST_COUNTED; every instant is None where nothing of the kind is there.

    oldest_due_mail_at: since when it should have left; put off at every failed try.
    oldest_mail_at: when it was written. oldest_unanswered_at: when it was confirmed.
    """

    readiness: Readiness
    mail_waiting: int
    oldest_mail_at: datetime | None
    dead_letters: int
    review_waiting: int
    clarification_waiting: int
    overdue: int
    oldest_unanswered_at: datetime | None
    held: int
    newest_batch_at: datetime | None
    newest_checkpoint_at: datetime | None
    revision: int
    tree_size: int


def readiness(*, now: datetime) -> Readiness:
    """Five indexed rows. Raises SQLAlchemyError if the database cannot be asked."""
    database_at = None
    if db.session.get_bind().dialect.name == "postgresql":
        db.session.execute(text(f"SET LOCAL statement_timeout = {LONGEST_MS}"))
        database_at = db.session.scalar(select(func.clock_timestamp()))
    return Readiness(
        oldest_due_mail_at=_if_due(db.session.scalar(_first_due_mail()), now=now),
        oldest_due_event_at=_if_due(db.session.scalar(_first_event()), now=now),
        has_published=db.session.scalar(select(LogBatch.revision).limit(1)) is not None,
        database_at=database_at,
        is_mail_resting=db.session.scalar(_resting_mail()) is not None,
    )


def oldest_due_event_at(*, now: datetime) -> datetime | None:
    """Since when something has been due for publication; None if nothing is. One indexed row."""
    return _if_due(db.session.scalar(_first_event()), now=now)


def health(*, now: datetime, today: date) -> Health:
    """All of it in one snapshot: ten questions, none of which grows. Raises SQLAlchemyError as above.

    today: the date in the Centre's time zone, by which an answer is overdue.
    """
    ready = readiness(now=now)
    mail_waiting, oldest_mail_at = db.session.execute(_mail()).one()
    waiting, clarification, overdue, oldest_unanswered_at = db.session.execute(_queue(today)).one()
    batch = db.session.execute(_newest_batch()).first()
    checkpoint = newest_checkpoint()
    return Health(
        readiness=ready,
        mail_waiting=mail_waiting,
        oldest_mail_at=oldest_mail_at,
        dead_letters=db.session.scalar(_dead_letters()) or 0,
        review_waiting=waiting,
        clarification_waiting=clarification,
        overdue=overdue,
        oldest_unanswered_at=oldest_unanswered_at,
        held=db.session.scalar(_held()) or 0,
        newest_batch_at=None if batch is None else batch.at,
        newest_checkpoint_at=None if checkpoint is None else checkpoint.at,
        revision=0 if batch is None else batch.revision,
        tree_size=0 if batch is None else batch.tree_size,
    )


def _if_due(at: datetime | None, *, now: datetime) -> datetime | None:
    return at if at is not None and at <= now else None


def _first_due_mail() -> Question:
    return select(Message.due_at).where(_MESSAGE_WAITS).order_by(Message.due_at).limit(1)


def _resting_mail() -> Question:
    return select(MailboxTally.digest).where(MailboxTally.digest == WAY_OUT, MailboxTally.bounce_count >= MOST_FAILURES)


def _first_event() -> Question:
    return select(LogEvent.effective_at).order_by(LogEvent.effective_at).limit(1)


def _newest_batch() -> Question:
    return select(LogBatch.revision, LogBatch.at, LogBatch.tree_size).order_by(LogBatch.revision.desc()).limit(1)


def _mail() -> Question:
    rows = select(Message.created_at).where(_MESSAGE_WAITS).order_by(Message.due_at).limit(MOST_COUNTED).subquery()
    return select(func.count(), func.min(rows.c.created_at)).select_from(rows)


def _dead_letters() -> Question:
    rows = select(literal_column("1")).select_from(Message).where(_MESSAGE_FAILED).limit(MOST_COUNTED).subquery()
    return select(func.count()).select_from(rows)


def _queue(today: date) -> Question:
    """(to decide, waiting for the signatory, overdue, when the oldest to decide was confirmed)."""
    # Each state by itself: an index has them in that order, both together would have to be sorted.
    both = [
        select(Signature.state, Signature.due_on, Signature.confirmed_at)
        .where(_IN_QUEUE, literal_column("signature.state") == literal_column(f"'{state}'"))
        .order_by(Signature.due_on, Signature.id)
        .limit(MOST_COUNTED)
        .subquery()
        for state in (State.CONFIRMED, State.CLARIFICATION)
    ]
    rows = union_all(*(select(one) for one in both)).subquery()
    is_waiting = rows.c.state == State.CONFIRMED

    def count(*conditions: Any) -> Any:
        met = conditions[0] if len(conditions) == 1 else conditions[0] & conditions[1]
        return func.coalesce(func.sum(case((met, 1), else_=0)), 0)

    return select(
        count(is_waiting),
        count(rows.c.state == State.CLARIFICATION),
        count(is_waiting, rows.c.due_on < today),
        func.min(case((is_waiting, rows.c.confirmed_at))),
    ).select_from(rows)


def _held() -> Question:
    rows = select(literal_column("1")).select_from(Signature).where(_IS_HELD).limit(MOST_COUNTED).subquery()
    return select(func.count()).select_from(rows)


def questions(*, today: date) -> Sequence[Question]:
    """Every question above, for whoever wants to see how the database would answer it."""
    return (_first_due_mail(), _first_event(), _newest_batch(), _mail(), _dead_letters(), _queue(today), _held())
