"""What has a term, and which rows are over it: conditions that the walk of retention asks and then acts by."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, exists, func, or_, select

from charter.models.limits import DayKey, MailboxTally, MailHour, SigningTrace, SpentChallenge
from charter.models.rights import AddressChange, Correction, Objection
from charter.models.signature import DECLINED, REVOKED, TO_REMIND, UNCONFIRMED, Signature
from charter.models.sweeping import Invalidation

_NO_OBJECTION = ~exists().where(Objection.signature_id == Signature.id, Objection.state == "pending")


def over(rule: str, cutoff_at: datetime, *, most: int) -> Select[Any]:
    """The keys of at most `most` rows that a rule of `charter/domain/retention.py` applies to: older than the cutoff.

    Oldest first, where there are so many that an order is worth an index.
    """
    return _QUERIES[rule](cutoff_at).limit(most)


def _to_remind(cutoff_at: datetime) -> Select[Any]:
    return (
        select(Signature.id)
        .where(TO_REMIND, Signature.submitted_at <= cutoff_at)
        .order_by(Signature.submitted_at, Signature.id)
    )


def _unconfirmed(cutoff_at: datetime) -> Select[Any]:
    return (
        select(Signature.id)
        .where(UNCONFIRMED, Signature.submitted_at <= cutoff_at)
        .order_by(Signature.submitted_at, Signature.id)
    )


def _declined(cutoff_at: datetime) -> Select[Any]:
    return (
        select(Signature.id)
        .where(DECLINED, Signature.ended_at <= cutoff_at, _NO_OBJECTION)
        .order_by(Signature.ended_at, Signature.id)
    )


def _revoked(cutoff_at: datetime) -> Select[Any]:
    return (
        select(Signature.id)
        .where(REVOKED, Signature.ended_at <= cutoff_at, _NO_OBJECTION)
        .order_by(Signature.ended_at, Signature.id)
    )


def _traces(cutoff_at: datetime) -> Select[Any]:
    return select(SigningTrace.signature_id).where(SigningTrace.at <= cutoff_at).order_by(SigningTrace.at)


def _day_keys(cutoff_at: datetime) -> Select[Any]:
    # Kept as long as any trace of its day.
    return select(DayKey.day).where(DayKey.day < (cutoff_at - timedelta(days=1)).date())


def _challenges(cutoff_at: datetime) -> Select[Any]:
    return select(SpentChallenge.digest).where(SpentChallenge.expires_at <= cutoff_at)


def _mailboxes(cutoff_at: datetime) -> Select[Any]:
    return select(MailboxTally.digest).where(
        # Without a moment: a name that was looked up while its mailbox took no mail. Nothing was ever counted of it.
        or_(
            MailboxTally.last_mail_at <= cutoff_at,
            and_(MailboxTally.last_mail_at.is_(None), MailboxTally.bounce_count == 0),
        ),
        # By the settings, what is kept outlasts the wish for no mail.
        or_(
            MailboxTally.stopped_until.is_(None),
            MailboxTally.stopped_until <= cutoff_at,
            MailboxTally.stopped_at <= cutoff_at,
        ),
    )


def _address_changes(cutoff_at: datetime) -> Select[Any]:
    return select(AddressChange.id).where(
        AddressChange.created_at <= cutoff_at,
        or_(AddressChange.ended_at.is_not(None), AddressChange.expires_at <= cutoff_at),
    )


def _corrections(cutoff_at: datetime) -> Select[Any]:
    return select(Correction.id).where(
        Correction.state != "pending",
        Correction.decided_at <= cutoff_at,
        Correction.full_name != "",
        # Its answer may still make it so.
        ~exists().where(Objection.correction_id == Correction.id, Objection.state == "pending"),
    )


def _objections(cutoff_at: datetime) -> Select[Any]:
    return select(Objection.id).where(
        and_(Objection.state != "pending", Objection.decided_at <= cutoff_at),
        or_(Objection.words.is_not(None), Objection.answer.is_not(None)),
    )


def _sweeps(cutoff_at: datetime) -> Select[Any]:
    typed = (Invalidation.conditions[key].as_string().is_not(None) for key in ("name", "words"))
    return select(Invalidation.id).where(
        # A dry run that nobody went on with, and what nobody approved, is over too.
        Invalidation.state.in_(("draft", "proposed", "cancelled", "done", "undone")),
        func.coalesce(Invalidation.ended_at, Invalidation.created_at) <= cutoff_at,
        or_(Invalidation.note.is_not(None), *typed),
    )


def _mail_hours(cutoff_at: datetime) -> Select[Any]:
    return select(MailHour.hour_at).where(MailHour.hour_at <= cutoff_at)


_QUERIES = {
    "reminder": _to_remind,
    "unconfirmed": _unconfirmed,
    "declined": _declined,
    "revoked": _revoked,
    "traces": _traces,
    "day-keys": _day_keys,
    "challenges": _challenges,
    "mailboxes": _mailboxes,
    "address-changes": _address_changes,
    "corrections": _corrections,
    "objections": _objections,
    "sweeps": _sweeps,
    "mail-hours": _mail_hours,
}
