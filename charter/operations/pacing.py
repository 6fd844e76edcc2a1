"""How much mail leaves in an hour, and when none is tried for a while because the way out refuses everything.

Steps of the outbox's verbs. All workers that share the database share both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, select, update

from charter.domain.mail import MOST_FAILURES, WAY_OUT, hour_of
from charter.domain.moments import has_come
from charter.models.base import db
from charter.models.limits import MailboxTally, MailHour
from charter.operations.unit import insert_if_absent, insert_on

#: Of the hour's budget first mails get no more than this share: answers must leave though a crowd signs.
FIRST_SHARE = 0.8
#: What a failure weighs (`MOST_FAILURES`): any, and a refused address, which may be that address's fault.
HEAVY = 3
LIGHT = 1
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(minutes=5)

# In the row of the way out `bounce_count` weighs its failures in a row, `bounced_at` is since when it rests,
# `stopped_until` until when nobody tries, `unconfirmed_count` how many pauses there were.


@dataclass(frozen=True)
class Turn:
    """What a worker may take up now. most: mails in all; most_first: first mails among them.

    is_failing: the last attempt failed, so a success has to be told. is_probe: after a pause one mail is tried first.
    is_paused: nobody may try anything yet.
    """

    most: int
    most_first: int
    is_failing: bool = False
    is_probe: bool = False
    is_paused: bool = False


def take_turn(*, limit: int, hourly_budget: int, lease: timedelta, now: datetime) -> Turn:
    """What is left of the hour, and whether the way out is open.

    hourly_budget: 0 for as many as there are. Claims that share a budget wait for each other.
    """
    way = db.session.get(MailboxTally, WAY_OUT, with_for_update=True, populate_existing=True)
    is_failing = way is not None and way.bounce_count > 0
    is_probe = way is not None and way.bounce_count >= MOST_FAILURES
    if way is not None and is_probe:
        if not has_come(way.stopped_until or now, now=now, longest=max(LONGEST_PAUSE, lease)):
            return Turn(0, 0, is_failing=True, is_paused=True)
        limit = 1
    if not hourly_budget:
        return Turn(limit, limit, is_failing, is_probe)
    sent = _sent_this_hour(now)
    return Turn(
        max(0, min(limit, hourly_budget - sent)),
        max(0, min(limit, int(hourly_budget * FIRST_SHARE) - sent)),
        is_failing,
        is_probe,
    )


def note_probe(*, lease: timedelta, now: datetime) -> None:
    """One mail is being tried: whoever comes meanwhile waits for what becomes of it."""
    db.session.execute(update(MailboxTally).where(MailboxTally.digest == WAY_OUT).values(stopped_until=now + lease))


def _sent_this_hour(now: datetime) -> int:
    asked = select(MailHour.sent_count).where(MailHour.hour_at == hour_of(now)).with_for_update()
    sent = db.session.scalar(asked)
    if sent is None:
        insert_if_absent(MailHour, [{"hour_at": hour_of(now), "sent_count": 0}])
        sent = db.session.scalar(asked)
    return sent or 0


def count_taken(count: int, *, now: datetime) -> None:
    """Counts mails that are about to be handed over."""
    added = insert_on(db.session.get_bind().dialect.name, MailHour).values(hour_at=hour_of(now), sent_count=count)
    db.session.execute(
        added.on_conflict_do_update(index_elements=["hour_at"], set_={"sent_count": MailHour.sent_count + count})
    )


def count_returned(count: int, *, now: datetime) -> None:
    """Takes back mails that were counted and never offered to anybody."""
    left = MailHour.sent_count - count
    db.session.execute(
        update(MailHour).where(MailHour.hour_at == hour_of(now)).values(sent_count=case((left > 0, left), else_=0))
    )


def note_failure(weight: int, *, now: datetime) -> bool:
    """Counts a failure; whether the way out rests from here on."""
    insert_if_absent(MailboxTally, [{"digest": WAY_OUT, "unconfirmed_count": 0, "bounce_count": 0}])
    way = db.session.get_one(MailboxTally, WAY_OUT, with_for_update=True, populate_existing=True)
    # Not without end: what has been broken for a week must not take a week to count down.
    way.bounce_count = min(way.bounce_count + weight, MOST_FAILURES)
    way.last_mail_at = now
    if way.bounce_count < MOST_FAILURES:
        return False
    way.bounced_at = way.bounced_at or now
    way.stopped_until = now + min(FIRST_PAUSE * 2 ** min(way.unconfirmed_count, 10), LONGEST_PAUSE)
    way.unconfirmed_count = min(way.unconfirmed_count + 1, 10)
    return True


def note_success() -> None:
    """A mail was taken: the failures before it count no longer."""
    db.session.execute(
        update(MailboxTally)
        .where(MailboxTally.digest == WAY_OUT)
        .values(bounce_count=0, unconfirmed_count=0, bounced_at=None, stopped_until=None)
    )
