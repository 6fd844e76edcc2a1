"""Words for what the code names by codes: kinds, states, moves, reasons, mail kinds."""

from __future__ import annotations

from typing import Any

from charter.i18n import lazy_gettext as _l
from charter.i18n import lazy_pgettext as _lp

KINDS = {
    "party": _l("Party observer"),
    "independent": _l("Independent observer"),
    "international": _l("International observer"),
}
KINDS_SHORT = {
    "party": _lp("kind of observer", "Party"),
    "independent": _lp("kind of observer", "Independent"),
    "international": _lp("kind of observer", "International"),
}
DISPLAYS = {
    "full": _l("By full name"),
    "short": _l("By a short form of the name"),
    "unlisted": _l("Not listed by name"),
}
AFFILIATION_TYPES = {
    "party": _l("Parties"),
    "organisation": _l("Organisations"),
    "mission": _l("International missions"),
}
STATES = {
    "submitted": _l("Awaiting email confirmation"),
    "confirmed": _l("Under review"),
    "clarification": _l("Clarification requested"),
    "approved": _l("Approved"),
    "published": _l("Published"),
    "expired": _l("Never confirmed"),
    "declined": _l("Declined"),
    "withdrawn": _l("Withdrawn"),
    "revoked": _l("Removed from the registry"),
    "erased": _l("Erased"),
}
MOVES = {
    "sign": _l("Application sent"),
    "confirm": _l("Confirmed by mail"),
    "ask": _l("Question asked"),
    "answer": _l("Question answered"),
    "approve": _l("Application approved"),
    "decline": _l("Application declined"),
    "publish": _l("Published in the registry"),
    "withdraw": _l("Signature withdrawn"),
    "expire": _l("Closed without confirmation"),
    "correct": _l("Details corrected"),
    "undo": _l("Decision taken back"),
    "release": _l("Let through after being set aside"),
    "revoke": _l("Removed from the registry"),
    "erase": _l("Personal data erased"),
}
ACTORS = {
    "signatory": _l("signatory"),
    "centre": _l("Centre"),
    "service": _l("service, by itself"),
}
ACTIONS = {"approve": _l("Approve"), "decline": _l("Decline"), "ask": _l("Ask a question")}
CONSENTS = {
    "processing": _l("Consent to the collection and processing of personal data"),
    "publication": _l("Consent to the publication of personal data in the public registry"),
}
#: The reasons as the signatory reads them: whole sentences, after "Reason:".
REASONS = {
    "duplicate": _l("You have already signed the Charter under this name."),
    "impersonation": _l("We have reason to believe that somebody else signed in this name."),
    "not-an-observer": _l("The details do not show that you observe elections."),
    "under-age": _l("Only people of 18 or older can sign."),
    "not-consented": _l("The person named told us that they do not wish to sign."),
    "unanswered": _l("We received no answer to our question."),
    "abuse": _l("The application was not made in good faith."),
    "other": _l("Another reason, explained below."),
    "name-unclear": _l("Please check how your name is written."),
    "affiliation-unclear": _l("Please tell us more exactly whom you observe for."),
    "region-unclear": _l("Please check the region where you observe."),
    "looks-duplicate": _l("Please tell us whether you have already signed, perhaps in another spelling."),
    "something-else": _l("We have a question; you will find it below."),
}
MAIL_KINDS = {
    "signing": _l("Answer to a new signature"),
    "confirm-signature": _l("Request to confirm"),
    "already-signed": _l("Already signed"),
    "confirmed": _l("Application received"),
    "clarification": _l("Question"),
    "published": _l("Published"),
    "declined": _l("Declined"),
    "withdrawn": _l("Withdrawn"),
    "code": _l("Six-digit code"),
}


def jinja_globals() -> dict[str, Any]:
    """The same as functions for templates; an unknown code is shown as it is rather than breaking the page."""

    def words(table: dict[str, Any]) -> Any:
        return lambda code: table.get(code, code)

    return {
        "kind_name": words(KINDS),
        "kind_short": words(KINDS_SHORT),
        "display_name": words(DISPLAYS),
        "affiliation_types": words(AFFILIATION_TYPES),
        "state_name": words(STATES),
        "move_name": words(MOVES),
        "actor_name": words(ACTORS),
        "action_name": words(ACTIONS),
        "consent_name": words(CONSENTS),
        "reason_words": words(REASONS),
        "mail_kind_name": words(MAIL_KINDS),
    }
