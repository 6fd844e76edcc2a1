"""The team: invitations by mail, roles by two persons, sessions ended, accounts closed and begun anew."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select

from charter.domain import token as tokens
from charter.domain.duties import PROPOSING, Right, Role, Second, may
from charter.domain.errors import (
    CharterError,
    DecidedMeanwhileError,
    FieldRefusedError,
    NotFoundError,
    SamePersonError,
    TooOftenError,
)
from charter.models import administrators
from charter.models.affiliation import Region
from charter.models.base import db
from charter.models.desk import Claim, Proposal
from charter.models.staff import StaffAccount, StaffSession
from charter.operations import staff_mail
from charter.operations.duties import require
from charter.operations.proposals import add_proposal, takes_effect
from charter.operations.staff import (
    close_account,
    deactivate_account,
    end_sessions,
    forget_factors,
    insist_on_another,
    lapse_proposals,
    open_account,
)
from charter.operations.steps import add_audit
from charter.operations.unit import lock, operation

INVITATION_HOURS = 72
#: The same person is not sent another invitation sooner.
INVITED_AGAIN_AFTER = timedelta(minutes=10)


class AlreadyInvitedError(CharterError):
    """Somebody with this address is invited and has not come yet."""


@dataclass(frozen=True)
class Change:
    """What an account is to become. regions: codes a reviewer is limited to; empty: all of them."""

    role: Role
    regions: tuple[str, ...] = ()

    @property
    def payload(self) -> dict[str, Any]:
        """As a proposal keeps it."""
        return {"role": self.role.value, "regions": list(self.regions) or None}


# ── invitations ──────────────────────────────────────────────────────────────────────────────────────────────────────


@operation
def invite(
    name: str,
    *,
    email: str,
    language: str,
    change: Change,
    reason: str,
    key: bytes,
    staff_id: int,
    now: datetime,
) -> int:
    """Makes an account and mails the link with which its owner joins; returns its id.

    email: in its form for comparison. reason: words to the colleague who decides on the role. Whoever comes is a
    reviewer: another role is proposed to a second administrator in the same breath, or given at once while one is
    enough. Somebody who left is opened anew in the same way.
    Raises staff.AlreadyStaffError, AlreadyInvitedError, FieldRefusedError, DutyRefusedError.
    """
    require(staff_id, Right.TEAM)
    _insist_on_regions(change)
    lock("staff", "accounts")
    there = db.session.scalars(select(StaffAccount).filter_by(email=email)).first()
    if there is not None and there.active and there.password is None:
        raise AlreadyInvitedError
    account = open_account(name, email=email, language=language, now=now)
    is_direct = change.role == Role.REVIEWER or administrators.is_one_enough()
    if is_direct:
        account.role, account.regions = change.role, change.payload["regions"]
    _send_invitation(account, key=key, now=now)
    after = {"role": account.role, "regions": account.regions}
    _audit("staff-invite", account, staff_id=staff_id, now=now, after=after)
    if not is_direct:
        _propose(account, change, reason=reason, staff_id=staff_id, now=now)
    return account.id


@operation
def invite_again(subject_id: int, *, key: bytes, staff_id: int, now: datetime) -> None:
    """A new link instead of the one before. Raises NotFoundError unless invited and not come, TooOftenError."""
    require(staff_id, Right.TEAM)
    account = _locked(subject_id)
    if not account.active or account.password is not None:
        raise NotFoundError
    ends_at = account.invite_expires_at
    if account.invite_uid is not None and ends_at is not None:
        sent_at = ends_at - timedelta(hours=INVITATION_HOURS)
        if sent_at <= now < sent_at + INVITED_AGAIN_AFTER:
            raise TooOftenError
    _send_invitation(account, key=key, now=now)
    _audit("staff-invite-again", account, staff_id=staff_id, now=now)


@operation
def withdraw_invitation(subject_id: int, *, staff_id: int, now: datetime) -> None:
    """The link opens nothing any more. Raises NotFoundError unless invited and not come."""
    require(staff_id, Right.TEAM)
    account = _locked(subject_id)
    if not account.active or account.password is not None:
        raise NotFoundError
    before = {"role": account.role, "regions": account.regions}
    close_account(account, staff_id=staff_id, now=now)
    account.active, account.deactivated_at = False, now
    _audit("staff-invite-withdrawn", account, staff_id=staff_id, now=now, before=before)


def _send_invitation(account: StaffAccount, *, key: bytes, now: datetime) -> None:
    uid = secrets.token_bytes(16)
    account.invite_uid = uid
    account.invite_digest = tokens.token_digest(tokens.token(key, staff_mail.INVITE, uid))
    account.invite_expires_at = now + timedelta(hours=INVITATION_HOURS)
    db.session.flush()
    staff_mail.tell(account, staff_mail.INVITE, now=now, staff=account.id, hours=INVITATION_HOURS)


# ── roles ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@operation
def change_role(subject_id: int, change: Change, *, reason: str, staff_id: int, now: datetime) -> int | None:
    """Proposes another role or other regions; returns the proposal's id, or None where it was done at once.

    reason: words to the colleague who decides. At once only while one administrator is enough.
    Raises SamePersonError for one's own account, NotFoundError for a closed one, FieldRefusedError where nothing would
    change or a region is unknown, LastStaffError, AlreadyProposedError, DutyRefusedError.
    """
    lock("staff", "accounts")
    require(staff_id, Right.TEAM)
    if subject_id == staff_id:
        raise SamePersonError
    _insist_on_regions(change)
    account = _locked(subject_id)
    if not account.active:
        raise NotFoundError
    if (account.role, account.regions) == (change.role, change.payload["regions"]):
        raise FieldRefusedError("role", "same")
    if not administrators.is_one_enough():
        return _propose(account, change, reason=reason, staff_id=staff_id, now=now)
    _set(account, change, staff_id=staff_id, now=now, reason=reason)
    return None


def _propose(account: StaffAccount, change: Change, *, reason: str, staff_id: int, now: datetime) -> int:
    proposal = add_proposal(
        Second.ROLE,
        subject="staff",
        subject_id=account.id,
        payload=change.payload,
        reason=reason,
        staff_id=staff_id,
        now=now,
    )
    return proposal.id


@takes_effect(Second.ROLE)
def _take_effect(proposal: Proposal, now: datetime) -> None:
    """What a second administrator agreed to; never one whom it is about."""
    if proposal.decided_by is None or proposal.decided_by == proposal.subject_id:
        raise SamePersonError
    lock("staff", "accounts")
    account = _locked(proposal.subject_id)
    if not account.active:
        raise DecidedMeanwhileError(state="expired", by_staff_name=None)
    change = Change(Role(proposal.payload["role"]), tuple(proposal.payload["regions"] or ()))
    _insist_on_regions(change)
    _set(account, change, staff_id=proposal.decided_by, now=now, reason=proposal.reason, proposal=proposal)


def _set(
    account: StaffAccount,
    change: Change,
    *,
    staff_id: int,
    now: datetime,
    reason: str,
    proposal: Proposal | None = None,
) -> None:
    """The next request is answered by the new role; what the old one had begun and the new one may not, ends here."""
    if administrators.is_able(account) and change.role != Role.ADMINISTRATOR:
        insist_on_another(account.id)
    before = {"role": account.role, "regions": account.regions}
    account.role, account.regions = change.role, change.payload["regions"]
    db.session.execute(delete(Claim).where(Claim.staff_id == account.id))
    lost = [second for second, right in PROPOSING.items() if not may(change.role, right)]
    lapse_proposals((Proposal.proposed_by == account.id) & Proposal.kind.in_(lost), staff_id=staff_id, now=now)
    staff_mail.tell(account, staff_mail.CHANGED, now=now, what="role")
    _audit(
        "staff-role",
        account,
        staff_id=staff_id,
        now=now,
        before=before,
        after=change.payload,
        reason=reason,
        detail={} if proposal is None else {"proposal": proposal.id, "proposed_by": proposal.proposed_by},
    )


def _insist_on_regions(change: Change) -> None:
    if change.role != Role.REVIEWER and change.regions:
        raise FieldRefusedError("regions", "reviewers")
    known = set(db.session.scalars(select(Region.code).where(Region.code.in_(change.regions))))
    if known != set(change.regions):
        raise FieldRefusedError("regions", "unknown")


# ── sessions, closing, beginning anew ────────────────────────────────────────────────────────────────────────────────


@operation
def end_session(session_id: int, *, subject_id: int, staff_id: int, now: datetime) -> None:
    """Signs one browser out for good. Raises NotFoundError for an ended one, or another account's."""
    require(staff_id, Right.TEAM)
    session = db.session.scalars(
        select(StaffSession).filter_by(id=session_id, staff_id=subject_id, ended_at=None).with_for_update()
    ).first()
    if session is None:
        raise NotFoundError
    session.ended_at = now
    add_audit(
        "staff-session-end",
        staff_id=staff_id,
        subject="staff",
        subject_id=subject_id,
        now=now,
        detail={"session": session_id},
    )


@operation
def end_all_sessions(subject_id: int, *, keep_digest: bytes | None = None, staff_id: int, now: datetime) -> None:
    """Signs every browser of an account out, but for the one of `keep_digest`, which is one's own."""
    require(staff_id, Right.TEAM)
    account = _locked(subject_id)
    end_sessions(subject_id, now=now, but=keep_digest if subject_id == staff_id else None)
    _audit("staff-session-end", account, staff_id=staff_id, now=now, detail={"session": "all"})


@operation
def deactivate(subject_id: int, *, staff_id: int, now: datetime) -> None:
    """Closes a colleague's account: the next request of any of its browsers is a stranger's.

    Raises SamePersonError for one's own, NotFoundError for a closed one, LastStaffError.
    """
    lock("staff", "accounts")
    require(staff_id, Right.TEAM)
    if subject_id == staff_id:
        raise SamePersonError
    account = _locked(subject_id)
    if not account.active:
        raise NotFoundError
    deactivate_account(account, staff_id=staff_id, now=now)


@operation
def begin_anew(subject_id: int, *, key: bytes, staff_id: int, now: datetime) -> None:
    """For somebody who lost the second factor: everything secret is forgotten, the role stays, a new link is mailed.

    The link goes to the mailbox of the account and is shown to nobody, so that who asks for this cannot use it.
    Raises SamePersonError for one's own account, NotFoundError for one that is closed or never joined, LastStaffError.
    """
    lock("staff", "accounts")
    require(staff_id, Right.TEAM)
    if subject_id == staff_id:
        raise SamePersonError
    account = _locked(subject_id)
    if not account.active or account.password is None:
        raise NotFoundError
    if administrators.is_able(account):
        # Whoever asks may have had to begin anew a moment ago.
        insist_on_another(account.id)
    before = {"role": account.role, "regions": account.regions, "able": administrators.is_able(account)}
    close_account(account, staff_id=staff_id, now=now)
    forget_factors(account)
    _send_invitation(account, key=key, now=now)
    _audit("staff-anew", account, staff_id=staff_id, now=now, before=before, after={})


@operation
def reopen(subject_id: int, *, key: bytes, staff_id: int, now: datetime) -> None:
    """Invites somebody whose account is closed once more, as a reviewer. Raises NotFoundError for an open one."""
    require(staff_id, Right.TEAM)
    lock("staff", "accounts")
    account = _locked(subject_id)
    if account.active:
        raise NotFoundError
    open_account(account.name, email=account.email, language=account.language, now=now)
    _send_invitation(account, key=key, now=now)
    _audit("staff-invite", account, staff_id=staff_id, now=now, after={"role": account.role, "regions": None})


def _locked(staff_id: int) -> StaffAccount:
    account = db.session.get(StaffAccount, staff_id, with_for_update=True)
    if account is None:
        raise NotFoundError
    return account


def _audit(action: str, account: StaffAccount, *, staff_id: int, now: datetime, **more: Any) -> None:
    add_audit(action, staff_id=staff_id, subject="staff", subject_id=account.id, now=now, **more)
