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
AFFILIATION_ONE = {
    "party": _l("Party"),
    "organisation": _l("Organisation"),
    "mission": _l("International mission"),
}
#: Whether it can be chosen, of an affiliation and of a region, for staff.
VALIDITY = {
    "open": _lp("validity", "can be chosen"),
    "future": _lp("validity", "still to come"),
    "ended": _lp("validity", "ended"),
    "closed": _lp("validity", "not offered"),
    "merged": _lp("validity", "merged"),
}
MERGE_STATES = {
    "moving": _lp("merger", "under way"),
    "done": _lp("merger", "done"),
    "undoing": _lp("merger", "being undone"),
    "undone": _lp("merger", "undone"),
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
CORRECTION_STATES = {
    "pending": _lp("correction", "Under review"),
    "approved": _lp("correction", "Approved"),
    "declined": _lp("correction", "Declined"),
    "cancelled": _lp("correction", "Taken back"),
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
    "show": _l("Display of the entry changed"),
    "propose": _l("Correction asked for"),
    "recall": _l("Correction taken back"),
    "amend": _l("Correction approved"),
    "keep": _l("Correction declined"),
    "affirm": _l("Later edition of the Charter affirmed"),
    "renew": _l("Personal link renewed"),
    "readdress": _l("Address for mail changed"),
    "object": _l("Objection made"),
    "uphold": _l("Objection upheld"),
    "reject": _l("Objection rejected"),
    "reopen": _l("Application taken up again after an objection"),
    "hand-over": _l("Data handed over"),
    "enter": _l("Entered by the Centre from a list"),
}
#: Why a signature was set aside before its confirmation, for staff.
HELD_BECAUSE = {
    "trap": _l("A field was filled in that no person sees"),
    "start": _l("The form was not fetched from this service"),
    "haste": _l("Filled in faster than people type"),
    "proof": _l("Without the browser’s calculation while very many signed"),
    "people": _l("More people than may sign with one address"),
    "mailbox": _l("Many forms with the same address"),
    "network": _l("Many forms from the same network"),
    "domain": _l("Many forms with addresses of the same mail domain"),
    "overall": _l("More forms at once than the service expects"),
}
ACTORS = {
    "signatory": _l("signatory"),
    "centre": _l("Centre"),
    "service": _l("service, by itself"),
}
ACTIONS = {"approve": _l("Approve"), "decline": _l("Decline"), "ask": _l("Ask a question")}
#: What an account at the Centre is for.
ROLES = {
    "reviewer": _l("Reviewer"),
    "editor": _l("Editor"),
    "administrator": _l("Administrator"),
    "auditor": _l("Auditor"),
}
ROLE_HINTS = {
    "reviewer": _l("Decides on applications, corrections and objections, perhaps of some regions only."),
    "editor": _l("Keeps editions of the Charter, affiliations and regions."),
    "administrator": _l("May do everything, and keeps the team."),
    "auditor": _l("Reads everything and changes nothing."),
}
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
    "name-not-shown": _l("We could not see that this is your name."),
    "affiliation-not-shown": _l("We could not see that you observe for this party, organisation or mission."),
    "court-order": _l("A court has ordered it."),
    "on-request": _l("Another reason, which the Centre tells you if you write to it."),
    "another-person": _l("This would make the entry another person’s; whoever it is can sign for themselves."),
}
#: Why an entry was removed, in the words of the log, as the public reads it (LOG §1).
LOG_REASONS = {
    "duplicate": _l("the same person stood there twice"),
    "impersonation": _l("somebody else had signed in this name"),
    "not_consented": _l("the person had not agreed"),
    "ineligible": _l("the conditions for signing were not met"),
    "court_order": _l("by order of a court"),
    "abuse": _l("not signed in good faith"),
    "other": _l("another reason"),
}
#: Why somebody withdrew, as they choose it; nobody but the Centre's figures is told.
WITHDRAWAL_REASONS = {
    "no-longer-observing": _l("I no longer observe elections"),
    "name-public": _l("I do not want my name to be public"),
    "mistake": _l("I signed by mistake"),
    "sign-again": _l("I will sign again with other details"),
    "disagree": _l("I no longer agree with the Charter"),
    "other": _l("Another reason"),
}
#: What a letter asks for.
LETTERS = {
    "data": _l("All data held about the person"),
    "correct": _l("A correction"),
    "withdraw": _l("Withdrawal of the signature"),
    "erase": _l("Erasure of all personal data"),
    "object": _l("An objection to a decision"),
}
#: What is decided on an objection, and how it stands.
VERDICTS = {"upheld": _l("Uphold the objection"), "rejected": _l("Reject the objection")}
OBJECTIONS = {
    "pending": _l("Not answered yet"),
    "upheld": _l("Upheld"),
    "rejected": _l("Rejected"),
    "cancelled": _l("No longer of use"),
}
OBJECTED_TO = {
    "application": _l("The application was declined"),
    "correction": _l("The correction was declined"),
    "removal": _l("The entry was removed from the registry"),
}
#: What one person may not do alone, and how such a proposal stands.
SECONDS = {
    "revoke": _l("Remove an entry from the registry"),
    "edition": _l("Publish an edition of the Charter"),
    "invalidation": _l("Invalidate many signatures"),
    "export": _l("Export personal data"),
    "role": _l("Change what a colleague may do"),
}
PROPOSAL_STATES = {
    "open": _lp("proposal", "Waits"),
    "approved": _lp("proposal", "Approved"),
    "rejected": _lp("proposal", "Rejected"),
    "cancelled": _lp("proposal", "Taken back"),
    "expired": _lp("proposal", "Lapsed"),
}
MAIL_KINDS = {
    "signing": _l("Answer to a new signature"),
    "confirm-signature": _l("Request to confirm"),
    "imported": _l("Request to confirm what a list says"),
    "already-signed": _l("Already signed"),
    "confirmed": _l("Application received"),
    "clarification": _l("Question"),
    "published": _l("Published"),
    "declined": _l("Declined"),
    "withdrawn": _l("Withdrawn"),
    "code": _l("Six-digit code"),
    "personal-link": _l("Personal link"),
    "link-renewed": _l("New personal link"),
    "address-old": _l("Change of address, to the old one"),
    "address-new": _l("Change of address, to the new one"),
    "address-changed": _l("Address changed"),
    "reminder": _l("Reminder to confirm"),
    "correction-approved": _l("Correction approved"),
    "correction-declined": _l("Correction declined"),
    "objection-received": _l("Objection received"),
    "objection-upheld": _l("Objection upheld"),
    "objection-rejected": _l("Objection rejected"),
    "affirm": _l("Request to affirm a new edition"),
    "erased": _l("Personal data erased"),
    "revoked": _l("Removed from the registry"),
    "taken-up-again": _l("Application taken up again"),
    "staff-proposal": _l("Something waits for a second person"),
    "staff-weekly": _l("The week’s figures"),
    "staff-invite": _l("Invitation to the desk"),
    "staff-new-device": _l("Signed in with a new browser"),
    "staff-changed": _l("Account changed"),
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
        "affiliation_one": words(AFFILIATION_ONE),
        "validity_words": words(VALIDITY),
        "merge_states": words(MERGE_STATES),
        "state_name": words(STATES),
        "correction_state_name": words(CORRECTION_STATES),
        "move_name": words(MOVES),
        "actor_name": words(ACTORS),
        "held_words": words(HELD_BECAUSE),
        "action_name": words(ACTIONS),
        "role_name": words(ROLES),
        "role_hint": words(ROLE_HINTS),
        "role_hints": lambda: ROLE_HINTS,
        "consent_name": words(CONSENTS),
        "reason_words": words(REASONS),
        "mail_kind_name": words(MAIL_KINDS),
        "withdrawal_words": words(WITHDRAWAL_REASONS),
        "letter_name": words(LETTERS),
        "objection_state": words(OBJECTIONS),
        "objected_to": words(OBJECTED_TO),
        "second_words": words(SECONDS),
        "log_reason": words(LOG_REASONS),
        "proposal_state": words(PROPOSAL_STATES),
    }
