"""The reasons a reviewer gives, each with the public reason that the log knows; and those of who withdraws."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """One line of the catalogue; its words live with the translations (`charter.web.labels`).

    code: what is stored. action: decline, ask, keep or revoke. log: the public reason of a refusal or of a removal,
    None where the log says nothing.
    """

    code: str
    action: str
    log: str | None = None


CATALOGUE: tuple[Reason, ...] = (
    Reason("duplicate", "decline", "duplicate"),
    Reason("impersonation", "decline", "impersonation"),
    Reason("not-an-observer", "decline", "ineligible"),
    Reason("under-age", "decline", "ineligible"),
    Reason("not-consented", "decline", "not_consented"),
    Reason("unanswered", "decline", "unanswered"),
    Reason("abuse", "decline", "abuse"),
    Reason("other", "decline", "other"),
    Reason("name-unclear", "ask"),
    Reason("affiliation-unclear", "ask"),
    Reason("region-unclear", "ask"),
    Reason("looks-duplicate", "ask"),
    Reason("something-else", "ask"),
)

#: Why somebody withdrew, if they care to say: for the Centre's figures and nobody else.
WITHDRAWALS = ("no-longer-observing", "name-public", "mistake", "sign-again", "disagree", "other")
#: A move that the signatory asked for in a letter, and staff recorded.
IN_WRITING = "in-writing"

#: Why a correction of a published entry is declined. Nothing of it stands in the log: the entry stays as it is.
CORRECTIONS: tuple[Reason, ...] = (
    Reason("name-not-shown", "keep"),
    Reason("affiliation-not-shown", "keep"),
    Reason("another-person", "keep"),
    Reason("other", "keep"),
)

#: Why a published entry is removed from the registry. Where it says the same, a code is that of a refusal.
REVOCATIONS: tuple[Reason, ...] = (
    Reason("duplicate", "revoke", "duplicate"),
    Reason("impersonation", "revoke", "impersonation"),
    Reason("not-consented", "revoke", "not_consented"),
    Reason("not-an-observer", "revoke", "ineligible"),
    Reason("under-age", "revoke", "ineligible"),
    Reason("court-order", "revoke", "court_order"),
    Reason("abuse", "revoke", "abuse"),
    Reason("on-request", "revoke", "other"),
)


def find_revocation(code: str) -> Reason | None:
    """The reason for removing a published entry with this code, or None."""
    return next((reason for reason in REVOCATIONS if reason.code == code), None)


def find_keeping(code: str) -> Reason | None:
    """The reason for declining a correction with this code, or None."""
    return next((reason for reason in CORRECTIONS if reason.code == code), None)


def find_reason(action: str, code: str) -> Reason | None:
    """The reason of this action with this code, or None."""
    return next((reason for reason in CATALOGUE if reason.action == action and reason.code == code), None)


def reasons_for(action: str) -> tuple[Reason, ...]:
    """The catalogue of one action, in the order it is offered."""
    return tuple(reason for reason in CATALOGUE if reason.action == action)
