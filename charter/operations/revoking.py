"""Removal: the Centre ends a published entry, for a reason of a closed list and at the word of two of its people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import update

from charter.domain.duties import PROPOSING, Second
from charter.domain.errors import FieldRefusedError, MoveRefusedError, SamePersonError
from charter.domain.reasons import find_revocation
from charter.domain.signature import Actor, Move, State, may
from charter.models.base import db
from charter.models.desk import Proposal
from charter.models.log import LogEvent
from charter.models.rights import Objection
from charter.models.signature import Signature
from charter.operations.duties import require
from charter.operations.proposals import add_proposal, pseudonyms, takes_effect
from charter.operations.proving import get_signature
from charter.operations.steps import (
    add_audit,
    add_event,
    cancel_correction,
    cancel_log_events,
    cancel_messages,
    personal_link,
    queue_message,
)
from charter.operations.unit import operation
from charter.tlog.leaf import REVOKING

#: What such a proposal is about.
SUBJECT = "signature"
#: The mail to who is removed.
MAIL = "revoked"


@operation
def propose(signature_id: int, *, reason: str, words: str, staff_id: int, now: datetime) -> int:
    """Proposes to remove a published entry; returns the proposal's id.

    reason: a code of REVOCATIONS. words: to the colleague, at most 400 characters. Raises NotFoundError,
    MoveRefusedError for what is not published, FieldRefusedError, DutyRefusedError, AlreadyProposedError.
    """
    signature = get_signature(signature_id)
    require(staff_id, PROPOSING[Second.REVOKE], region=signature.region_code)
    if find_revocation(reason) is None:
        raise FieldRefusedError("reason", "unknown")
    if not may(State(signature.state), Move.REVOKE):
        raise MoveRefusedError(signature.state, Move.REVOKE)
    proposal = add_proposal(
        Second.REVOKE,
        subject=SUBJECT,
        subject_id=signature.id,
        payload={"reason": reason},
        reason=words,
        staff_id=staff_id,
        region=signature.region_code,
        now=now,
    )
    return proposal.id


@takes_effect(Second.REVOKE)
def revoke(proposal: Proposal, now: datetime) -> None:
    """What the approval does. Who has withdrawn or was removed meanwhile raises MoveRefusedError."""
    assert proposal.decided_by is not None
    signature = get_signature(proposal.subject_id)
    reason = str(proposal.payload["reason"])
    end_by_centre(signature, reason=reason, approvals=pseudonyms(proposal), staff_id=proposal.decided_by, now=now)
    add_audit(
        "revoke",
        staff_id=proposal.decided_by,
        subject=SUBJECT,
        subject_id=signature.id,
        now=now,
        reason=reason,
        detail={"proposal": proposal.id, "proposed_by": proposal.proposed_by},
        before={"state": State.PUBLISHED.value},
        after={"state": State.REVOKED.value},
    )


def end_by_centre(
    signature: Signature, *, reason: str, approvals: Sequence[str], staff_id: int | None, now: datetime
) -> None:
    """A step: removes a published entry. What waited of it ends, its leaf and its mail are queued.

    The signature is locked. reason: a code of REVOCATIONS. approvals: both persons as the log names them. staff_id: the
    one of the two who approved. Raises MoveRefusedError for what is not published, FieldRefusedError,
    SamePersonError for fewer than two.
    """
    known = find_revocation(reason)
    if len(set(approvals)) < REVOKING:
        raise SamePersonError
    if known is None:
        raise FieldRefusedError("reason", "unknown")
    step_down(signature, reason=reason, staff_id=staff_id, at=now, now=now)
    values = {"entry": signature.entry, "reason": known.log, "approvals": sorted(set(approvals))}
    db.session.add(LogEvent(kind="revoke", signature_id=signature.id, values=values, effective_at=now))
    if signature.email:
        told = {"reason": reason, "number": signature.number}
        queue_message(MAIL, signature, link=personal_link(signature.id), now=now, values=told)


def step_down(signature: Signature, *, reason: str | None, staff_id: int | None, at: datetime, now: datetime) -> None:
    """A step: the move itself, without leaf and mail. at: when it happened, which a restore tells from now."""
    before = signature.move(Move.REVOKE)
    signature.ended_at = at
    signature.application_line = None
    cancel_log_events(signature, "correct", "revoke")
    cancel_correction(signature, now=now)
    cancel_messages(signature, now=now)
    db.session.execute(
        update(Objection)
        .where(Objection.signature_id == signature.id, Objection.state == "pending")
        .values(state="cancelled", version=Objection.version + 1)
    )
    add_event(signature, Move.REVOKE, before=before, actor=Actor.CENTRE, now=at, staff_id=staff_id, reason=reason)
