"""The rules of LOG §1 over all leaves, one after the other: what a log may say after what it has said before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from charter.tlog import note, quick
from charter.tlog.broken import explain
from charter.tlog.entries import ERASED, LIVE, PENDING, PHASES, REFUSED, REVOKED, WITHDRAWN, Entries
from charter.tlog.findings import Findings
from charter.tlog.leaf import LeafError
from charter.tlog.quick import Read


@dataclass(frozen=True)
class Place:
    """Where a commitment that somebody asked for stands. t: as in the leaf."""

    index: int
    kind: str
    entry: bytes
    rev: int
    t: str


class Audit:
    """A state machine fed with leaves in order; knows of each entry what `entries.Entries` holds.

    origin: name of the log, which its keys bear. wanted: commitments, 32 bytes each, whose places are noted in `found`.
    After something wrong it goes on as the leaf says, so that one fault is told once.
    """

    def __init__(self, findings: Findings, *, origin: str, wanted: frozenset[bytes] = frozenset()) -> None:
        self.findings = findings
        self.origin = origin
        self.size = 0
        self.published = 0  # entries ever published: the last number given
        self.t = b""
        self.entries = Entries()
        self.editions: dict[str, dict[str, str]] = {}  # slug → language → digest
        self.keys_added: dict[str, int] = {}  # vkey → index of the leaf
        self.keys_retired: dict[str, int] = {}
        self.found: dict[bytes, Place] = {}
        self._wanted = wanted
        self._days: dict[bytes, int] = {}  # days that were read, so that each is read once; 0 for no day
        self._rules: dict[str, Callable[[Read], None]] = {
            "confirm": self._confirm,
            "publish": self._publish,
            "correct": self._correct,
            "refuse": self._refuse,
            "withdraw": self._withdraw,
            "revoke": self._revoke,
            "erase": self._erase,
            "charter": self._charter,
            "key": self._key,
        }

    def take(self, data: bytes) -> None:
        """The next leaf. What is wrong with it goes to the findings; nothing is raised, whatever it holds."""
        try:
            leaf = quick.read(data)
        except LeafError:
            broken = explain(data)
            for code, text in broken.faults:
                self._wrong(code, text)
            if broken.leaf is None:
                self.size += 1
                return
            leaf = broken.leaf
        if leaf.t != self.t:
            self._time(leaf.t)
        if leaf.commit and leaf.commit in self._wanted:
            place = Place(self.size, leaf.kind, leaf.entry, leaf.rev, leaf.t.decode())
            self.found.setdefault(leaf.commit, place)
        self._rules[leaf.kind](leaf)
        self.size += 1

    def count(self, phase: int, *, published: bool | None = None) -> int:
        """Entries in this phase. published: only those that ever were, or never were."""
        if published is None:
            return self.entries.phases.count(phase)
        numbers = self.entries.numbers
        return sum(1 for row in self.entries.rows(phase) if bool(numbers[row]) is published)

    def overdue(self) -> int:
        """Applications that had no answer on the day they were promised one, seen from the newest leaf."""
        today = self._day(self.t[:10])
        due = self.entries.due
        return sum(1 for row in self.entries.rows(PENDING) if due[row] < today)

    def _wrong(self, code: str, text: str) -> None:
        self.findings.add(code, text, self.size)

    def _day(self, text: bytes) -> int:
        known = self._days.get(text)
        if known is None:
            try:
                known = date.fromisoformat(text.decode()).toordinal()
            except ValueError:
                known = 0
            if len(self._days) < 100_000:
                self._days[text] = known
        return known

    def _time(self, t: bytes) -> None:
        if not self._day(t[:10]):
            self._wrong("time", f"there is no such day as {t[:10].decode()}.")
        elif t < self.t:
            self._wrong("time", f"its time {t.decode()} is before that of an earlier leaf, {self.t.decode()}.")
        self.t = max(t, self.t)

    # ── entries ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _confirm(self, leaf: Read) -> None:
        due = self._day(leaf.due)
        if not due:
            self._wrong("due", f"there is no such day as {leaf.due.decode()}.")
        elif leaf.due < leaf.t[:10]:
            self._wrong("due", f"entry {leaf.entry.hex()} is due before it was confirmed.")
        row = self.entries.find(leaf.entry)
        if row < 0:
            self.entries.add(leaf.entry, due=due, phase=PENDING)
            return
        before = self.entries.due[row]
        if before and due != before:
            was = date.fromordinal(before).isoformat()
            self._wrong(
                "due-moved",
                f"entry {leaf.entry.hex()} is confirmed again, and its answer is no longer due by {was}"
                f" but by {leaf.due.decode()}.",
            )
        else:
            self._wrong("confirm-again", f"entry {leaf.entry.hex()} was confirmed before.")

    def _publish(self, leaf: Read) -> None:
        entries = self.entries
        row = entries.find(leaf.entry)
        if row < 0:
            self._wrong("publish-without-confirm", f"entry {leaf.entry.hex()} is published, and nobody confirmed it.")
            row = entries.add(leaf.entry, due=0, phase=PENDING)
        elif entries.phases[row] != PENDING:
            self._wrong(
                "publish-again", f"entry {leaf.entry.hex()} is published, but it is {self._phase(row)} already."
            )
        if leaf.rev != 1:
            self._wrong("rev", f"entry {leaf.entry.hex()} is published with revision {leaf.rev} and not 1.")
        if not entries.numbers[row]:
            self.published += 1
            entries.numbers[row] = self.published
        entries.phases[row] = LIVE
        entries.revise(row, commit=leaf.commit, rev=leaf.rev)

    def _correct(self, leaf: Read) -> None:
        row = self._of_phase(leaf, LIVE)
        if row < 0:
            return
        if leaf.rev != self.entries.revs[row] + 1:
            self._wrong(
                "rev",
                f"entry {leaf.entry.hex()} is corrected with revision {leaf.rev}"
                f" after revision {self.entries.revs[row]}.",
            )
        self.entries.revise(row, commit=leaf.commit, rev=leaf.rev)

    def _refuse(self, leaf: Read) -> None:
        self._end(leaf, REFUSED, PENDING)

    def _withdraw(self, leaf: Read) -> None:
        self._end(leaf, WITHDRAWN, PENDING, LIVE)

    def _revoke(self, leaf: Read) -> None:
        self._end(leaf, REVOKED, LIVE)

    def _erase(self, leaf: Read) -> None:
        row = self.entries.find(leaf.entry)
        if row < 0:
            self._wrong("unknown-entry", f"entry {leaf.entry.hex()} is erased, and nobody confirmed it.")
        elif self.entries.phases[row] in {PENDING, LIVE}:
            self.entries.phases[row] = ERASED

    def _end(self, leaf: Read, phase: int, *allowed: int) -> None:
        row = self._of_phase(leaf, *allowed)
        if row >= 0 and self.entries.phases[row] in {PENDING, LIVE}:
            self.entries.phases[row] = phase

    def _of_phase(self, leaf: Read, *allowed: int) -> int:
        row = self.entries.find(leaf.entry)
        if row < 0:
            self._wrong("unknown-entry", f"{leaf.kind} of entry {leaf.entry.hex()}, which nobody confirmed.")
            return -1
        phase = self.entries.phases[row]
        if phase in allowed:
            return row
        if phase in {PENDING, LIVE}:
            self._wrong("wrong-phase", f"{leaf.kind} of entry {leaf.entry.hex()}, which is {PHASES[phase]}.")
            return row
        self._wrong("ended", f"{leaf.kind} of entry {leaf.entry.hex()}, which was {PHASES[phase]}: it never returns.")
        return -1

    def _phase(self, row: int) -> str:
        return PHASES[self.entries.phases[row]]

    # ── texts and keys ───────────────────────────────────────────────────────────────────────────────────────────────

    def _charter(self, leaf: Read) -> None:
        if leaf.subject in self.editions:
            self._wrong("edition-again", f"the texts of edition {leaf.subject} were fixed before.")
            return
        self.editions[leaf.subject] = dict(leaf.files)

    def _key(self, leaf: Read) -> None:
        """The key a log began with needs no leaf that adds it, so one may be retired that never was."""
        vkey, added, retired = leaf.subject, self.keys_added, self.keys_retired
        if note.parse_key(vkey).name != self.origin:
            self._wrong("key", "a key is named that does not bear the name of this log.")
        elif leaf.action == "add":
            if vkey in added or vkey in retired:
                self._wrong("key", f"key {_short(vkey)} is added a second time.")
            added.setdefault(vkey, self.size)
        else:
            if vkey in retired:
                self._wrong("key", f"key {_short(vkey)} is retired a second time.")
            elif vkey not in added and any(other not in added for other in retired):
                self._wrong("key", f"key {_short(vkey)} is retired, and it was never added.")
            retired.setdefault(vkey, self.size)


def _short(vkey: str) -> str:
    """Its id of eight digits."""
    return vkey.split("+")[1]
