"""Invalidation: beginning, proposing, stopping and undoing a sweep over signatures that came the same way."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import func, select

from charter.domain.duties import ALONE, Right, Second
from charter.domain.errors import CharterError, DecidedMeanwhileError, FieldRefusedError, NotFoundError
from charter.domain.sweep import REASONS, Conditions
from charter.models.base import db
from charter.models.desk import Proposal
from charter.models.signature import Signature
from charter.models.staff import StaffAccount
from charter.models.sweeping import Invalidation, meant_by
from charter.operations.duties import require
from charter.operations.proposals import add_proposal, takes_effect
from charter.operations.steps import add_audit
from charter.operations.unit import operation

SUBJECT = "invalidation"
#: The dry run counts up to here and then says "more than".
MOST_COUNTED = 10_000
#: What is over, and what can be undone of that.
ENDED = frozenset({"cancelled", "done", "undone"})


class NeedsSecondError(CharterError):
    """A sweep over so many, or over published entries, is not one person's affair."""


class NothingMeantError(CharterError):
    """No signature answers to the conditions, or none was ended that could be given back."""


@operation
def draft(conditions: Conditions, *, reason: str, note: str | None, staff_id: int, now: datetime) -> int:
    """Notes what is wanted and counts whom it would mean; returns its id. Nothing happens to anybody.

    conditions: their regions are replaced by those of the account. reason: one of domain/sweep.REASONS.
    note: for colleagues, at most 400 characters. Signatures that come later are never meant.
    Raises FieldRefusedError, DutyRefusedError.
    """
    regions = require(staff_id, Right.INVALIDATE).regions
    conditions = replace(conditions, regions=None if regions is None else tuple(regions))
    conditions.check()
    if reason not in REASONS:
        raise FieldRefusedError("reason", "unknown")
    limit_id = db.session.scalar(select(func.max(Signature.id))) or 0
    sweep = Invalidation(
        conditions=conditions.to_json(),
        reason=reason,
        note=note or None,
        state="draft",
        version=1,
        found=count(conditions, limit_id=limit_id, most=MOST_COUNTED + 1),
        limit_id=limit_id,
        staff_id=staff_id,
        created_at=now,
    )
    db.session.add(sweep)
    db.session.flush()
    _record("invalidation-draft", sweep, staff_id=staff_id, now=now, before=None)
    return sweep.id


@operation
def start(invalidation_id: int, *, expected_version: int, staff_id: int, now: datetime) -> None:
    """Lets the worker begin with a small sweep, alone.

    Raises NotFoundError for another's, DecidedMeanwhileError, NothingMeantError; NeedsSecondError for more than ALONE,
    counted now, and for any with published entries.
    """
    sweep = _own(invalidation_id, staff_id=staff_id, expected_version=expected_version, states={"draft"})
    conditions = Conditions.from_json(sweep.conditions)
    sweep.found = count(conditions, limit_id=sweep.limit_id, most=ALONE + 1)
    if sweep.found == 0:
        raise NothingMeantError
    if sweep.found > ALONE or conditions.published:
        raise NeedsSecondError
    _begin(sweep, staff_id=staff_id, now=now)


@operation
def propose(invalidation_id: int, *, expected_version: int, staff_id: int, now: datetime) -> int:
    """Asks for a second person; returns the proposal's id. Again, where the former one was rejected or has lapsed.

    Raises NotFoundError for another's, DecidedMeanwhileError, NothingMeantError, AlreadyProposedError.
    """
    states = {"draft", "proposed"}
    sweep = _own(invalidation_id, staff_id=staff_id, expected_version=expected_version, states=states)
    conditions = Conditions.from_json(sweep.conditions)
    sweep.found = count(conditions, limit_id=sweep.limit_id, most=MOST_COUNTED + 1)
    if sweep.found == 0:
        raise NothingMeantError
    return _propose(sweep, staff_id=staff_id, now=now, undo=False)


@operation
def stop(invalidation_id: int, *, expected_version: int, staff_id: int, now: datetime) -> None:
    """Ends a sweep that waits or runs; what was done stays done and can be undone.

    Raises NotFoundError, DecidedMeanwhileError. While it runs, any colleague of sufficient right and region may.
    """
    sweep = _take(invalidation_id, staff_id=staff_id, expected_version=expected_version)
    if sweep.state not in {"draft", "proposed", "running"}:
        raise DecidedMeanwhileError(state=sweep.state, by_staff_name=None)
    # What is left of running is not counted any more: its version tells only people, never the worker.
    end(sweep, "cancelled", staff_id=staff_id, now=now)


@operation
def undo(invalidation_id: int, *, expected_version: int, staff_id: int, now: datetime) -> int | None:
    """Lets the worker give back what can be; once. Returns the id of a proposal where the sweep needed a second person.

    Raises NotFoundError, DecidedMeanwhileError for what runs or was undone, NothingMeantError, AlreadyProposedError.
    """
    sweep = _take(invalidation_id, staff_id=staff_id, expected_version=expected_version)
    _insist_undoable(sweep)
    if sweep.approved_by is not None:
        return _propose(sweep, staff_id=staff_id, now=now, undo=True)
    begin_undoing(sweep, staff_id=staff_id, now=now)
    return None


@takes_effect(Second.INVALIDATION)
def approved(proposal: Proposal, now: datetime) -> None:
    """What an approval does: the sweep, or its undoing, begins. Raises DecidedMeanwhileError when it was stopped."""
    assert proposal.decided_by is not None
    sweep = db.session.get_one(Invalidation, proposal.subject_id, with_for_update=True)
    if proposal.payload.get("undo"):
        _insist_undoable(sweep)
        begin_undoing(sweep, staff_id=proposal.proposed_by, now=now, recorded_by=proposal.decided_by)
        return
    if sweep.state != "proposed":
        raise DecidedMeanwhileError(state=sweep.state, by_staff_name=None)
    sweep.approved_by = proposal.decided_by
    sweep.found = count(Conditions.from_json(sweep.conditions), limit_id=sweep.limit_id, most=MOST_COUNTED + 1)
    _begin(sweep, staff_id=proposal.decided_by, now=now)


# ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def count(conditions: Conditions, *, limit_id: int, most: int) -> int:
    """How many are meant, counted up to `most`."""
    few = meant_by(conditions, Signature.id).where(Signature.id <= limit_id).limit(most).subquery()
    return db.session.scalar(select(func.count()).select_from(few)) or 0


def may_still(sweep: Invalidation, *, staff_id: int) -> StaffAccount:
    """The account, if it may act on all that the sweep is about; else DutyRefusedError."""
    account = require(staff_id, Right.INVALIDATE)
    if account.regions is not None:
        # A sweep of somebody who may act everywhere is none of theirs.
        for region in Conditions.from_json(sweep.conditions).regions or ("",):
            require(staff_id, Right.INVALIDATE, region=region)
    return account


def end(sweep: Invalidation, state: str, *, staff_id: int | None, now: datetime) -> None:
    """Over, for whatever reason; with its line in the audit. staff_id: None where its term was over."""
    before = sweep.state
    sweep.state, sweep.ended_at = state, now
    sweep.version += 1
    _record(f"invalidation-{state}", sweep, staff_id=staff_id, now=now, before=before)


def begin_undoing(sweep: Invalidation, *, staff_id: int, now: datetime, recorded_by: int | None = None) -> None:
    """The way back, from its beginning. staff_id: who wants it. recorded_by: who approved."""
    before = sweep.state
    sweep.state, sweep.cursor, sweep.undone_by, sweep.ended_at = "undoing", 0, staff_id, None
    sweep.version += 1
    _record("invalidation-undo", sweep, staff_id=recorded_by or staff_id, now=now, before=before)


def _begin(sweep: Invalidation, *, staff_id: int, now: datetime) -> None:
    before = sweep.state
    sweep.state, sweep.began_at, sweep.cursor = "running", now, 0
    sweep.version += 1
    _record("invalidation-begin", sweep, staff_id=staff_id, now=now, before=before)


def _propose(sweep: Invalidation, *, staff_id: int, now: datetime, undo: bool) -> int:
    payload = {
        "undo": undo,
        "count": sweep.done if undo else sweep.found,
        "reason": sweep.reason,
        "published": bool(sweep.conditions.get("published")),
    }
    proposal = add_proposal(
        Second.INVALIDATION,
        subject=SUBJECT,
        subject_id=sweep.id,
        payload=payload,
        reason=sweep.note or sweep.reason,
        staff_id=staff_id,
        now=now,
    )
    if not undo and sweep.state != "proposed":
        _record("invalidation-propose", sweep, staff_id=staff_id, now=now, before=sweep.state, after="proposed")
        sweep.state = "proposed"
        sweep.version += 1
    return proposal.id


def _insist_undoable(sweep: Invalidation) -> None:
    if sweep.state not in {"done", "cancelled"}:
        raise DecidedMeanwhileError(state=sweep.state, by_staff_name=None)
    if sweep.done == 0:
        raise NothingMeantError


def _take(invalidation_id: int, *, staff_id: int, expected_version: int) -> Invalidation:
    sweep = db.session.get(Invalidation, invalidation_id, with_for_update=True)
    if sweep is None:
        raise NotFoundError
    may_still(sweep, staff_id=staff_id)
    if sweep.version != expected_version:
        raise DecidedMeanwhileError(state=sweep.state, by_staff_name=None)
    return sweep


def _own(invalidation_id: int, *, staff_id: int, expected_version: int, states: set[str]) -> Invalidation:
    sweep = _take(invalidation_id, staff_id=staff_id, expected_version=expected_version)
    if sweep.staff_id != staff_id:
        raise NotFoundError
    if sweep.state not in states:
        raise DecidedMeanwhileError(state=sweep.state, by_staff_name=None)
    return sweep


def _record(
    action: str,
    sweep: Invalidation,
    *,
    staff_id: int | None,
    now: datetime,
    before: str | None,
    after: str | None = None,
) -> None:
    """Never the conditions themselves: a name may be among them."""
    add_audit(
        action,
        staff_id=staff_id,
        subject=SUBJECT,
        subject_id=sweep.id,
        now=now,
        reason=sweep.reason,
        detail={"count": sweep.found, "done": sweep.done, "skipped": sweep.skipped, "undone": sweep.undone},
        before=None if before is None else {"state": before},
        after={"state": after or sweep.state},
    )
