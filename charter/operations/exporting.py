"""Export of personal data: proposed by one, approved by another, fetched once by who proposed it, counted when sent."""

from __future__ import annotations

from datetime import datetime

from charter.domain.duties import Second
from charter.domain.errors import FieldRefusedError, NotFoundError
from charter.domain.exporting import KEEPS_FOR, STATES, Scope
from charter.models.affiliation import Region
from charter.models.base import db
from charter.models.desk import Proposal
from charter.operations.proposals import PROPOSAL, add_proposal, takes_effect, use
from charter.operations.steps import add_audit
from charter.operations.unit import operation

#: What such a proposal is about: its proposer's next export, so that one at a time waits.
SUBJECT = "export"


@operation
def propose(scope: Scope, *, purpose: str, staff_id: int, now: datetime) -> int:
    """Proposes that this leaves the service; returns the proposal's id.

    purpose: words to the colleague, at most 400 characters. Raises FieldRefusedError (region, states),
    DutyRefusedError, AlreadyProposedError while another one of the same person waits.
    """
    if not scope.states or not set(scope.states) <= set(STATES):
        raise FieldRefusedError("states", "unknown")
    if scope.region is not None and db.session.get(Region, scope.region) is None:
        raise FieldRefusedError("region", "unknown")
    proposal = add_proposal(
        Second.EXPORT,
        subject=SUBJECT,
        subject_id=staff_id,
        payload=scope.to_payload(),
        reason=purpose,
        staff_id=staff_id,
        region=scope.region,
        now=now,
    )
    return proposal.id


@takes_effect(Second.EXPORT)
def allow(_proposal: Proposal, _now: datetime) -> None:
    """The approval itself sends nothing: it is used by who proposed it, once."""


@operation
def begin(proposal_id: int, *, staff_id: int, now: datetime) -> Scope:
    """Uses the approval up, before the first byte leaves. Raises NotFoundError: used, too old, or another's."""
    proposal = use(proposal_id, kind=Second.EXPORT, staff_id=staff_id, within=KEEPS_FOR, now=now)
    return Scope.of_payload(proposal.payload)


@operation
def note_sent(proposal_id: int, *, count: int, is_whole: bool, now: datetime) -> None:
    """Records how many people's data left. is_whole: the file was sent to its end."""
    proposal = db.session.get(Proposal, proposal_id)
    if proposal is None:
        raise NotFoundError
    add_audit(
        "export-sent",
        staff_id=proposal.proposed_by,
        subject=PROPOSAL,
        subject_id=proposal.id,
        now=now,
        detail={
            "count": count,
            "is_whole": is_whole,
            "proposed_by": proposal.proposed_by,
            "decided_by": proposal.decided_by,
        },
    )
