"""Words for the audit: what each act is called, what it was done to, and what the values mean that it changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from charter.domain.reasons import IN_WRITING
from charter.i18n import _, format_datetime, format_number
from charter.i18n import lazy_gettext as _l
from charter.i18n import lazy_pgettext as _lp
from charter.web.labels import (
    DISPLAYS,
    HELD_BECAUSE,
    KINDS,
    LETTERS,
    MAIL_KINDS,
    OBJECTIONS,
    REASONS,
    ROLES,
    SECONDS,
    STATES,
    WITHDRAWAL_REASONS,
)

#: Every code that `add_audit` writes, in groups as the search offers them. A house test wants words for each.
GROUPS: Mapping[str, tuple[Any, Mapping[str, Any]]] = {
    "applications": (
        _l("Applications"),
        {
            "approve": _l("Application approved"),
            "decline": _l("Application declined"),
            "ask": _l("Question asked"),
            "undo": _l("Decision taken back"),
            "bulk": _l("Selection decided"),
            "bulk-undo": _l("Selection taken back"),
            "release": _l("Let through after being set aside"),
            "correction-approve": _l("Correction approved"),
            "correction-decline": _l("Correction declined"),
            "correction-undo": _l("Answer to a correction taken back"),
            "objection-upheld": _l("Objection upheld"),
            "objection-rejected": _l("Objection rejected"),
            "objection-undo": _l("Answer to an objection taken back"),
            "written-data": _l("Letter: data handed over"),
            "written-correct": _l("Letter: details corrected"),
            "written-withdraw": _l("Letter: signature withdrawn"),
            "written-erase": _l("Letter: personal data erased"),
            "written-object": _l("Letter: objection recorded"),
            "erase": _l("Personal data erased"),
        },
    ),
    "reads": (
        _l("Read and fetched"),
        {
            "read-dossier": _l("Dossier read"),
            "read-find": _l("Signatories looked for"),
            "read-selection": _l("Selection of applications read"),
            "read-mailbox": _l("Mailbox looked up"),
            "read-held": _l("Group of what was set aside read"),
            "read-correction": _l("Correction read"),
            "read-objection": _l("Objection read"),
            "read-letters": _l("List of letters read"),
            "read-hand-over": _l("Data read to be handed over"),
            "read-failed-mail": _l("Mail that failed read"),
            "read-export": _l("Export fetched"),
            "read-import": _l("Rows of an import read"),
            "read-import-errors": _l("Errors of an import fetched"),
            "read-invalidation": _l("Samples of an invalidation read"),
            "read-audit": _l("Audit exported"),
        },
    ),
    "imports": (
        _l("Import"),
        {
            "import-begin": _l("List of people brought"),
            "import-map": _l("Columns of a list chosen"),
            "import-start": _l("Import started"),
            "import-done": _l("Import finished"),
            "import-cancel": _l("Import called off"),
            "import-fail": _l("Import broken off"),
            "import-lapse": _l("List forgotten: nobody went on with it"),
        },
    ),
    "mail": (
        _l("Mail and names"),
        {
            "retry-mail": _l("Mail tried again"),
            "lift-mail-stop": _l("First mails allowed again"),
            "lift-mail-bounce": _l("Mailbox tried again"),
            "lift-mail-limit": _l("Mail beyond the limits let go"),
            "add-notable": _l("Name put on the list"),
            "remove-notable": _l("Name taken off the list"),
        },
    ),
    "second": (
        _l("Second person"),
        {
            "propose": _l("Proposed"),
            "proposal-approved": _l("Proposal approved"),
            "proposal-rejected": _l("Proposal rejected"),
            "proposal-cancelled": _l("Proposal taken back"),
            "proposal-used": _l("Approval used"),
            "proposal-lapse": _l("Proposal lapsed with the account"),
            "revoke": _l("Entry removed from the registry"),
            "export-sent": _l("Export sent"),
        },
    ),
    "invalidation": (
        _l("Invalidation"),
        {
            "invalidation-draft": _l("Invalidation: dry run"),
            "invalidation-propose": _l("Invalidation proposed"),
            "invalidation-begin": _l("Invalidation begun"),
            "invalidation-step": _l("Invalidation: some signatures ended"),
            "invalidation-done": _l("Invalidation done"),
            "invalidation-cancelled": _l("Invalidation stopped"),
            "invalidation-undo": _l("Undoing of an invalidation begun"),
            "invalidation-undo-step": _l("Invalidation: some signatures given back"),
            "invalidation-undone": _l("Invalidation undone"),
            "invalidate": _l("Signature ended by an invalidation"),
            "invalidate-undo": _l("Signature given back"),
        },
    ),
    "team": (
        _l("Team"),
        {
            "staff-first": _l("First account made"),
            "staff-invite": _l("Invited"),
            "staff-invite-again": _l("Invited again"),
            "staff-invite-withdrawn": _l("Invitation withdrawn"),
            "staff-join": _l("Invitation accepted"),
            "staff-role": _l("Role changed"),
            "staff-anew": _l("Account begun anew"),
            "staff-session-end": _l("Signed out by an administrator"),
            "staff-verify": _l("Second factor given once more"),
            "staff-deactivate": _l("Account deactivated"),
            "staff-password": _l("Password changed"),
            "staff-second-factor": _l("Authenticator app set up"),
            "staff-recovery-codes": _l("New recovery codes made"),
            "staff-recovery-code": _l("Recovery code used"),
            "staff-codes-kept": _l("Recovery codes kept"),
            "staff-passkey-add": _l("Passkey added"),
            "staff-passkey-remove": _l("Passkey removed"),
            "staff-passkey-counter": _l("Passkey refused: perhaps copied"),
            "staff-sign-in": _l("Signed in"),
            "staff-sign-out": _l("Signed out"),
            "staff-sign-out-others": _l("Own other browsers signed out"),
        },
    ),
    "affiliations": (
        _l("Affiliations and regions"),
        {
            "affiliation-add": _l("Affiliation added"),
            "affiliation-edit": _l("Affiliation changed"),
            "affiliation-alias-add": _l("Words that mean an affiliation added"),
            "affiliation-alias-remove": _l("Words that mean an affiliation removed"),
            "affiliation-match": _l("Own words matched with an affiliation"),
            "affiliation-matched": _l("Own words: applications matched"),
            "affiliation-merge": _l("Affiliations merged"),
            "affiliation-merged": _l("Merger: applications moved"),
            "affiliation-merge-undo": _l("Undoing of a merger begun"),
            "affiliation-merge-undone": _l("Merger: applications given back"),
            "region-add": _l("Region added"),
            "region-edit": _l("Region changed"),
        },
    ),
    "editions": (
        _l("Editions"),
        {
            "edition-begin": _l("Draft of an edition begun"),
            "edition-save": _l("Draft of an edition changed"),
            "edition-drop": _l("Draft of an edition put away"),
            "edition-publish": _l("Edition published"),
        },
    ),
    "centre": (
        _l("Settings of the Centre"),
        {
            "centre-identity": _l("Name and contact of the Centre set"),
            "centre-signing": _l("Signing opened or closed"),
            "centre-holidays": _l("Days off set"),
        },
    ),
}
ACTIONS: Mapping[str, Any] = {code: words for _name, acts in GROUPS.values() for code, words in acts.items()}

#: What an act was done to.
SUBJECTS: Mapping[str, Any] = {
    "invalidation": _l("Invalidation"),
    "affiliation": _l("Affiliation"),
    "region": _l("Region"),
    "edition-draft": _l("Draft of an edition"),
    "centre": _l("Setting of the Centre"),
    "signature": _l("Application"),
    "selection": _l("Selection of applications"),
    "correction": _l("Correction"),
    "objection": _l("Objection"),
    "mailbox": _l("Mailbox of application"),
    "message": _l("Mail"),
    "notable-name": _l("Name"),
    "entry": _l("Entry of the registry"),
    "proposal": _l("Proposal"),
    "import": _l("Import"),
    "staff": _l("Account"),
    "registry": _l("Registry"),
    "audit": _l("Audit"),
}

#: What changed, or is said besides.
FIELDS: Mapping[str, Any] = {
    "invalidation": _l("Invalidation"),
    "affiliation": _l("Affiliation"),
    "slug": _l("Name in addresses"),
    "type": _l("Kind"),
    "abbr": _l("Short form"),
    "short": _l("In lists"),
    "tile": _l("Place on the map"),
    "former_names": _l("Former names"),
    "is_selectable": _l("Offered when signing"),
    "valid_from": _l("Can be chosen from"),
    "valid_to": _l("Can be chosen until"),
    "merged_into": _l("Merged into"),
    "merge": _l("Merger"),
    "into": _l("Merged into"),
    "alias": _l("Words"),
    "alias_id": _l("Words"),
    "signatures": _l("Applications"),
    "is_done": _l("To the end"),
    "skipped": _l("Left alone"),
    "undone": _l("Given back"),
    "charter": _l("Edition of the Charter"),
    "follows": _l("Follows the edition"),
    "material": _l("Changes what is promised"),
    "files": _l("Digests of the texts"),
    "text_kk": _l("Text in Kazakh"),
    "text_ru": _l("Text in Russian"),
    "text_en": _l("Text in English"),
    "kk": _l("in Kazakh"),
    "ru": _l("in Russian"),
    "en": _l("in English"),
    "name": _l("Name"),
    "bin": _l("BIN"),
    "address": _l("Address"),
    "email": _l("Email"),
    "telephone": _l("Telephone"),
    "opening": _l("Signing"),
    "opens_at": _l("From"),
    "closes_at": _l("Until"),
    "sentence": _l("Public sentence"),
    "added": _l("More days off"),
    "removed": _l("Days of the list on which you work"),
    "state": _l("State"),
    "reason": _l("Reason"),
    "signature": _l("Application"),
    "request": _l("Letter"),
    "objection": _l("Objection"),
    "decision": _l("Decision"),
    "passkey": _l("Passkey"),
    "left": _l("Codes left"),
    "kind": _l("Kind"),
    "about": _l("What it is about"),
    "proposed_by": _l("Proposed by"),
    "proposal": _l("Proposal"),
    "states": _l("States"),
    "with_addresses": _l("With addresses"),
    "is_whole": _l("Sent to the end"),
    "decided_by": _l("Decided by"),
    "decided": _l("Decided"),
    "held": _lp("signature", "Set aside"),
    "found": _l("Found"),
    "by": _l("By what"),
    "format": _l("Format"),
    "count": _l("How many"),
    "role": _l("Role"),
    "regions": _l("Regions"),
    "region": _l("Region"),
    "active": _l("Active"),
    "group": _l("Group"),
    "error": _l("Error"),
    "stopped_until": _l("No first mails until"),
    "bounced_at": _l("Comes back since"),
    "bounces": _l("Mails that came back"),
    "version": _l("Version"),
    "rows": _l("Rows"),
    "good": _l("Good rows"),
    "wrong": _l("Wrong rows"),
    "duplicates": _l("Already known"),
    "done": _l("Entered"),
    "columns": _l("Columns"),
    "from": _l("On or after"),
    "to": _l("On or before"),
    "staff": _l("Person"),
    "action": _l("What happened"),
    "subject": _l("To what"),
    "search": _l("Search"),
    "listed": _l("On the list"),
    "display": _l("How the name is shown"),
    "attempts": _l("Attempts"),
    "unconfirmed": _l("First mails without an answer"),
    "bulk": _l("Decided together"),
    "person": _l("Person"),
    "since": _l("On or after"),
    "until": _l("On or before"),
    "id": _l("Its number"),
}

#: Codes that have words elsewhere, whatever they stand for.
_VALUES: tuple[Mapping[str, Any], ...] = (
    STATES,
    OBJECTIONS,
    {IN_WRITING: _l("in writing")},
    REASONS,
    HELD_BECAUSE,
    LETTERS,
    WITHDRAWAL_REASONS,
    MAIL_KINDS,
    KINDS,
    DISPLAYS,
    ROLES,
)
#: The page shows its beginning; the file has it whole.
_DIGEST = re.compile(r"[0-9a-f]{64}")
#: Fields whose values are a person's number.
PEOPLE = frozenset({"proposed_by", "decided_by", "staff"})


def act_words(code: str) -> str:
    """What an act is called; a code without words stands as it is."""
    return str(ACTIONS.get(code, code))


def subject_words(subject: str) -> str:
    """What it was done to."""
    return str(SUBJECTS.get(subject, subject))


def field_words(name: str) -> str:
    """What a value is called."""
    return str(FIELDS.get(name, name))


def value_words(name: str, value: Any) -> str:
    """A value for people: codes in words, moments in the page's language, lists with commas; a dash for nothing."""
    if value is None or value in ("", []):
        return "–"
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    if isinstance(value, int):
        return f"s{value}" if name in PEOPLE else format_number(value)
    if isinstance(value, list):
        if name == "about" and len(value) == 2:
            return f"{subject_words(str(value[0]))} {value[1]}"
        return ", ".join(value_words(name, one) for one in value)
    if isinstance(value, dict):
        return "; ".join(f"{field_words(key)}: {value_words(key, one)}" for key, one in value.items())
    return _text(name, str(value))


def _text(name: str, text: str) -> str:
    if name.endswith(("_at", "until")):
        try:
            return format_datetime(datetime.fromisoformat(text))
        except ValueError:
            return text
    if name == "kind" and text in SECONDS:
        return str(SECONDS[text])
    if _DIGEST.fullmatch(text):
        return f"{text[:12]}…"
    return reason_or_code(text)


def reason_or_code(text: str) -> str:
    """The words of a code of any catalogue, or the text itself: staff's own words on their act."""
    return next((str(words[text]) for words in _VALUES if text in words), text)
