"""Retention's verbs: note what is over, and an hour later remind, erase and delete just that (domain/retention.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, delete, select, update

from charter.domain.retention import Turn, turn
from charter.domain.signature import LIVE, Actor, State
from charter.domain.sweep import Conditions
from charter.models import terms
from charter.models.base import Base, db
from charter.models.importing import ImportJob, ImportRow
from charter.models.limits import DayKey, MailboxTally, MailHour, RetentionPass, SigningTrace, SpentChallenge
from charter.models.log import LogEvent
from charter.models.rights import AddressChange, Correction, Objection
from charter.models.signature import Link, Signature
from charter.models.sweeping import Invalidation
from charter.operations.erasing import leave, move_to_erased
from charter.operations.steps import queue_message
from charter.operations.sweeping import end
from charter.operations.unit import insert_if_absent, lock, operation

#: Rows in one transaction: nobody who signs waits long for it.
MOST_AT_ONCE = 200


@operation
def note(rule: str, *, cutoff_at: datetime, now: datetime) -> None:
    """The first pass: remembers before which moment everything is over, unless that is remembered already."""
    insert_if_absent(RetentionPass, [{"rule": rule, "cutoff_at": cutoff_at, "noted_at": now}])


@operation
def drop_notes() -> None:
    """The clock has jumped: what was noted may have been noted by a wrong one, and all first passes begin anew."""
    db.session.execute(delete(RetentionPass))


@operation
def act(rule: str, *, now: datetime, most: int = MOST_AT_ONCE) -> int:
    """The second pass, some rows of it: returns how many were acted on; 0 ends the pass.

    Nothing happens without a first pass at least an hour ago, whatever the caller believes.
    """
    lock("retention", rule)
    noted = db.session.get(RetentionPass, rule)
    if noted is None or turn(noted.noted_at, now=now) is not Turn.ACT:
        return 0
    keys: Sequence[Any] = db.session.scalars(terms.over(rule, noted.cutoff_at, most=most)).all()
    if not keys:
        db.session.delete(noted)
        return 0
    _ACTS[rule](keys, now)
    return len(keys)


def _signatures(ids: Sequence[int]) -> Sequence[Signature]:
    # In one order, as everywhere: whoever confirms or withdraws meanwhile waits, or comes first and is left alone.
    query = select(Signature).where(Signature.id.in_(ids)).order_by(Signature.id).with_for_update()
    return db.session.scalars(query.execution_options(populate_existing=True)).all()


def _remind(ids: Sequence[int], now: datetime) -> None:
    waiting = [one for one in _signatures(ids) if one.state == State.SUBMITTED]
    links = {
        link.signature_id: link
        for link in db.session.scalars(
            select(Link)
            .where(Link.signature_id.in_([one.id for one in waiting]), Link.purpose == "confirm", Link.expires_at > now)
            .order_by(Link.id)
        )
    }
    # One person, one reminder: of several attempts the newest, and none who stands already.
    newest: dict[tuple[str, str], int] = {}
    stands: set[tuple[str, str]] = set()
    for row in db.session.execute(
        select(Signature.id, Signature.state, Signature.mailbox, Signature.name_key)
        .where(Signature.mailbox.in_([one.mailbox for one in waiting]), Signature.state.in_(LIVE), ~Signature.held)
        .order_by(Signature.id)
    ):
        if row.state == State.SUBMITTED:
            newest[row.mailbox, row.name_key] = row.id
        else:
            stands.add((row.mailbox, row.name_key))
    from_lists = db.session.execute(
        select(ImportRow.signature_id, ImportJob.source)
        .join(ImportJob, ImportJob.id == ImportRow.job_id)
        .where(ImportRow.signature_id.in_([one.id for one in waiting]))
    )
    sources = {row.signature_id: row.source for row in from_lists}
    for signature in waiting:
        signature.reminded_at = now
        person = signature.mailbox, signature.name_key
        link = links.get(signature.id)
        if link is not None and person not in stands and newest.get(person) == signature.id:
            source = sources.get(signature.id)
            values = None if source is None else {"source": source}
            queue_message("reminder", signature, link=link, now=now, values=values)


def _erase_unconfirmed(ids: Sequence[int], now: datetime) -> None:
    """No leaf tells of them: the log never heard of what was not confirmed."""
    for signature in _signatures(ids):
        if signature.state in {State.SUBMITTED, State.EXPIRED}:
            move_to_erased(signature, now=now, actor=Actor.SERVICE)


def _erase_ended(ids: Sequence[int], now: datetime) -> None:
    for signature in _signatures(ids):
        if signature.state in {State.DECLINED, State.REVOKED}:
            move_to_erased(signature, now=now, actor=Actor.SERVICE)
            values = {"entry": signature.entry}
            db.session.add(LogEvent(kind="erase", signature_id=signature.id, values=values, effective_at=now))
            leave(signature, now=now)


def _empty_corrections(ids: Sequence[int], now: datetime) -> None:
    db.session.execute(
        update(Correction)
        .where(Correction.id.in_(ids))
        .values(full_name="", short_name="", affiliation_id=None, affiliation_text=None, note=None)
    )


def _empty_objections(ids: Sequence[int], now: datetime) -> None:
    db.session.execute(update(Objection).where(Objection.id.in_(ids)).values(words=None, answer=None))


def _empty_sweeps(ids: Sequence[int], now: datetime) -> None:
    """What was ended stays on record; a dry run ends with its conditions, because fewer of them would mean others."""
    rows = db.session.scalars(
        select(Invalidation).where(Invalidation.id.in_(ids)).order_by(Invalidation.id).with_for_update()
    )
    for row in rows.all():
        row.conditions, row.note = Conditions.from_json(row.conditions).emptied().to_json(), None
        if row.state in {"draft", "proposed"}:
            end(row, "cancelled", staff_id=None, now=now)


def _deleting(model: type[Base]) -> Callable[[Sequence[Any], datetime], None]:
    (key,) = cast("Table", model.__table__).primary_key.columns

    def remove(keys: Sequence[Any], now: datetime) -> None:
        db.session.execute(delete(model).where(key.in_(keys)))

    return remove


_ACTS: dict[str, Callable[[Sequence[Any], datetime], None]] = {
    "reminder": _remind,
    "unconfirmed": _erase_unconfirmed,
    "declined": _erase_ended,
    "revoked": _erase_ended,
    "traces": _deleting(SigningTrace),
    "day-keys": _deleting(DayKey),
    "challenges": _deleting(SpentChallenge),
    "mailboxes": _deleting(MailboxTally),
    "address-changes": _deleting(AddressChange),
    "corrections": _empty_corrections,
    "objections": _empty_objections,
    "sweeps": _empty_sweeps,
    "mail-hours": _deleting(MailHour),
}
