"""Four eyes: what one person proposes takes effect when another of sufficient right approves it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from charter.domain.duties import APPROVING, PROPOSAL_DAYS, PROPOSING, Right, Second, may
from charter.domain.errors import (
    AlreadyProposedError,
    DecidedMeanwhileError,
    DutyRefusedError,
    NotFoundError,
    SamePersonError,
)
from charter.models.base import db
from charter.models.desk import Proposal
from charter.models.outbox import Message
from charter.models.staff import StaffAccount
from charter.operations.duties import require
from charter.operations.steps import add_audit
from charter.operations.unit import operation

#: What the audit, and a proposal about an account, call their subjects.
PROPOSAL, STAFF = "proposal", "staff"
#: The mail to those who may approve, and how many of them get it.
MAIL = "staff-proposal"
MOST_ASKED = 20


#: What an approval does, by kind: a step inside the approval's transaction. It looks at everything anew, because the
#: world has gone on since the proposal, and raises what the room's own verbs raise.
Effect = Callable[[Proposal, datetime], None]
_effects: dict[Second, Effect] = {}


def takes_effect(kind: Second) -> Callable[[Effect], Effect]:
    """Makes a step what an approval of this kind does."""

    def keep(effect: Effect) -> Effect:
        _effects[kind] = effect
        return effect

    return keep


def add_proposal(
    kind: Second,
    *,
    subject: str,
    subject_id: int,
    payload: dict[str, Any],
    reason: str,
    staff_id: int,
    now: datetime,
    region: str | None = None,
) -> Proposal:
    """A step: proposes. payload: codes and ids of what will be done. region: a code, where it is about a place.

    Raises DutyRefusedError, AlreadyProposedError.
    """
    require(staff_id, PROPOSING[kind], region=region)
    _expire(now=now)
    proposal = Proposal(
        kind=kind,
        subject=subject,
        subject_id=subject_id,
        payload=payload,
        reason=reason,
        state="open",
        proposed_by=staff_id,
        proposed_at=now,
        expires_at=now + timedelta(days=PROPOSAL_DAYS),
    )
    try:
        with db.session.begin_nested():
            db.session.add(proposal)
            db.session.flush()
    except IntegrityError:
        raise AlreadyProposedError from None
    add_audit(
        "propose",
        staff_id=staff_id,
        subject=PROPOSAL,
        subject_id=proposal.id,
        now=now,
        detail=_detail(proposal),
        reason=reason,
        after=payload,
    )
    _ask(proposal, now=now)
    return proposal


def _ask(proposal: Proposal, *, now: datetime) -> None:
    """Mails everybody who may be the second person. The mail says what kind of thing waits, and nothing of whom."""
    kind = Second(proposal.kind)
    others = (
        select(StaffAccount)
        .where(
            StaffAccount.active,
            StaffAccount.role.in_([role.value for role in APPROVING[kind]]),
            StaffAccount.id != proposal.proposed_by,
            # Who was invited and has not come yet cannot answer.
            StaffAccount.password.is_not(None),
        )
        .order_by(StaffAccount.id)
        .limit(MOST_ASKED)
    )
    for account in db.session.scalars(others):
        if is_about(proposal, account.id):
            continue
        db.session.add(
            Message(
                uid=secrets.token_hex(16),
                kind=MAIL,
                language=account.language,
                recipient=account.email,
                values={"kind": kind.value, "days": PROPOSAL_DAYS},
                on_hold=False,
                created_at=now,
                due_at=now,
                attempts=0,
            )
        )


def is_about(proposal: Proposal, staff_id: int) -> bool:
    """Whether the proposal changes what this very person may do: such a one is for others to decide."""
    return proposal.subject == STAFF and proposal.subject_id == staff_id


@operation
def approve(proposal_id: int, *, staff_id: int, now: datetime) -> None:
    """The second person agrees: it takes effect in this very transaction, both named in the audit.

    Raises NotFoundError, DecidedMeanwhileError (state: what became of it), SamePersonError for the proposer,
    DutyRefusedError for a role that is not sufficient, and whatever the effect refuses.
    """
    proposal = _take(proposal_id, staff_id=staff_id, now=now)
    _close(proposal, "approved", staff_id=staff_id, now=now)
    _effects[Second(proposal.kind)](proposal, now)


@operation
def reject(proposal_id: int, *, staff_id: int, now: datetime, reason: str | None = None) -> None:
    """The second person does not agree. reason: words to the colleague. Raises as `approve`."""
    _close(_take(proposal_id, staff_id=staff_id, now=now), "rejected", staff_id=staff_id, now=now, reason=reason)


@operation
def cancel(proposal_id: int, *, staff_id: int, now: datetime) -> None:
    """The proposer takes it back. Raises NotFoundError for another's, DecidedMeanwhileError."""
    proposal = db.session.get(Proposal, proposal_id, with_for_update=True)
    if proposal is None or proposal.proposed_by != staff_id:
        raise NotFoundError
    _insist_open(proposal, now=now)
    require(staff_id, Right.PROPOSALS)
    proposal.state, proposal.decided_at = "cancelled", now
    _record("cancelled", proposal, staff_id=staff_id, now=now, before="open")


def use(proposal_id: int, *, kind: Second, staff_id: int, within: timedelta, now: datetime) -> Proposal:
    """A step: uses an approval up, once, by who proposed it. Raises NotFoundError when used, too old or another's."""
    proposal = db.session.get(Proposal, proposal_id, with_for_update=True)
    if (
        proposal is None
        or proposal.kind != kind
        or proposal.proposed_by != staff_id
        or proposal.state != "approved"
        or proposal.used_at is not None
        or proposal.decided_at is None
        or proposal.decided_at + within <= now
    ):
        raise NotFoundError
    require(staff_id, PROPOSING[kind])
    proposal.used_at = now
    _record("used", proposal, staff_id=staff_id, now=now)
    return proposal


def pseudonyms(proposal: Proposal) -> list[str]:
    """Both persons as the log names them (LOG §1)."""
    return [f"s{one}" for one in (proposal.proposed_by, proposal.decided_by) if one is not None]


def _take(proposal_id: int, *, staff_id: int, now: datetime) -> Proposal:
    proposal = db.session.get(Proposal, proposal_id, with_for_update=True)
    if proposal is None:
        raise NotFoundError
    _insist_open(proposal, now=now)
    if proposal.proposed_by == staff_id or is_about(proposal, staff_id):
        raise SamePersonError
    account = db.session.get(StaffAccount, staff_id)
    if account is None or not account.active or account.role not in APPROVING[Second(proposal.kind)]:
        raise DutyRefusedError
    proposer = db.session.get(StaffAccount, proposal.proposed_by)
    if proposer is None or not proposer.active or not may(proposer.role, PROPOSING[Second(proposal.kind)]):
        # Whoever left, or was made to leave, or has another role since, proposes nothing any more.
        raise DecidedMeanwhileError(state="expired", by_staff_name=None)
    return proposal


def _insist_open(proposal: Proposal, *, now: datetime) -> None:
    state = "expired" if proposal.state == "open" and proposal.expires_at <= now else proposal.state
    if state != "open":
        raise DecidedMeanwhileError(state=state, by_staff_name=None)


def _expire(*, now: datetime) -> None:
    """What nobody decided on in time makes room for a new proposal of the same."""
    old = select(Proposal).where(Proposal.state == "open", Proposal.expires_at <= now).with_for_update()
    for proposal in db.session.scalars(old):
        proposal.state = "expired"
    db.session.flush()


def _close(proposal: Proposal, state: str, *, staff_id: int, now: datetime, reason: str | None = None) -> None:
    proposal.state, proposal.decided_by, proposal.decided_at = state, staff_id, now
    _record(state, proposal, staff_id=staff_id, now=now, reason=reason, before="open")


def _record(
    what: str,
    proposal: Proposal,
    *,
    staff_id: int,
    now: datetime,
    reason: str | None = None,
    before: str | None = None,
) -> None:
    add_audit(
        f"proposal-{what}",
        staff_id=staff_id,
        subject=PROPOSAL,
        subject_id=proposal.id,
        now=now,
        detail=_detail(proposal),
        reason=reason,
        before=None if before is None else {"state": before},
        after=None if before is None else {"state": what},
    )


def _detail(proposal: Proposal) -> dict[str, Any]:
    return {
        "kind": proposal.kind,
        "about": [proposal.subject, proposal.subject_id],
        "proposed_by": proposal.proposed_by,
        "decided_by": proposal.decided_by,
    }
