"""What is kept for how long: one line a rule, with the setting that says so.

A rule acts in two passes at least an hour apart. The first one only notes the moment before which everything is over;
the second one acts on what was over then. A clock that is wrong for less than an hour has erased nobody, and one that
jumps between the passes finds a moment that was noted before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from charter.domain.moments import CLOCK_SLACK

#: Between the two passes.
PASSES_APART = timedelta(hours=1)


@dataclass(frozen=True)
class Rule:
    """name: as stored and printed. setting: the name of the setting that says how long; None where `keeps` does.

    says: what happens when the time is over, for operators.
    """

    name: str
    says: str
    setting: str | None = None
    keeps: timedelta = timedelta(0)


RULES: tuple[Rule, ...] = (
    Rule("reminder", "signatures not confirmed yet: one reminder", "reminder_hours"),
    Rule("unconfirmed", "signatures never confirmed: erased", "unconfirmed_keep_days"),
    Rule("declined", "declined applications: erased", "declined_keep_days"),
    Rule("revoked", "entries that the Centre removed: erased", "declined_keep_days"),
    Rule("traces", "from where and how signatures came: deleted", "trace_keep_days"),
    Rule("day-keys", "keys of the days that those were digested with: deleted", "trace_keep_days"),
    Rule("challenges", "proofs of work that were used and would no longer be taken: deleted"),
    Rule("mailboxes", "what mailboxes were sent, and which want no mail: deleted", "mailbox_keep_days"),
    Rule("address-changes", "changes of address, done or given up: deleted", "address_change_keep_days"),
    Rule("corrections", "corrections that were decided: emptied", "words_keep_days"),
    Rule("objections", "words of objections that were answered: deleted", "words_keep_days"),
    Rule("sweeps", "names and words that invalidations asked for: deleted once they are over", "words_keep_days"),
    Rule("mail-hours", "how many mails left in an hour: deleted", keeps=timedelta(days=7)),
)


class Turn(StrEnum):
    """What to do about a rule now."""

    NOTE = "note"  # the first pass
    WAIT = "wait"
    ACT = "act"  # the second
    DROP = "drop"  # the clock has gone back behind the first pass: it may have been wrong then


def turn(noted_at: datetime | None, *, now: datetime) -> Turn:
    """noted_at: of the first pass, None if there was none."""
    if noted_at is None:
        return Turn.NOTE
    if noted_at > now + CLOCK_SLACK:
        return Turn.DROP
    return Turn.ACT if now - noted_at >= PASSES_APART else Turn.WAIT
