"""What a signatory keeps, checked without the log: receipts, and the records that they are about (LOG §4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from charter.tlog import lines, note, proof, quick, tree
from charter.tlog.audit import Audit
from charter.tlog.entries import LIVE, PENDING, PHASES
from charter.tlog.leaf import LeafError
from charter.tlog.report import Known, Report, Witnesses, cosigned, signed, told

#: A leaf, some sixty hashes, and a note with the cosignatures of many witnesses.
MOST_RECEIPT_BYTES = 256 * 1024


@dataclass(frozen=True)
class Receipt:
    """A receipt that proves something. name: of its file."""

    name: str
    index: int
    leaf: quick.Read
    checkpoint: note.Checkpoint
    note: str


@dataclass(frozen=True)
class Paper:
    """A record line that somebody kept. name: of its file."""

    name: str
    entry: bytes
    rev: int
    commit: bytes


def read_receipt(
    name: str, data: bytes, report: Report, *, keys: Sequence[note.Key], verify: note.Verify
) -> Receipt | None:
    """The receipt, proved; None if it proves nothing, and then the findings say why."""
    try:
        found = proof.read(data.decode("utf-8"))
    except ValueError:
        report.findings.add("receipt", f"{name} proves nothing: it does not have the form of a receipt.")
        return None
    try:
        checkpoint = signed(found.checkpoint, keys, verify)
    except ValueError as error:
        report.findings.add("receipt", f"{name} proves nothing: {told(error)}.")
        return None
    try:
        tree.check_inclusion(tree.hash_leaf(found.extra), found.index, checkpoint.size, found.path, checkpoint.root)
    except tree.ProofError:
        report.findings.add(
            "receipt", f"{name} proves nothing: its path does not lead from its leaf to the signed root."
        )
        return None
    try:
        leaf = quick.read(found.extra)
    except LeafError:
        report.findings.add("receipt", f"{name} is of a leaf that is not one of this log's kinds.")
        return None
    report.proved.append(
        f"{name}: leaf {found.index} ({_said(leaf.kind, leaf.entry, leaf.rev)}, {leaf.t.decode()}) is in the log"
        f" {checkpoint.origin} of {checkpoint.size} leaves."
    )
    return Receipt(name, found.index, leaf, checkpoint, found.checkpoint)


def read_record(name: str, data: bytes, report: Report) -> Paper | None:
    """The record; None if it is none. A newline at its end is left out, as whoever saved it may have added it."""
    line = data.removesuffix(b"\n")
    try:
        record = lines.read(line)
    except lines.RecordError as error:
        report.findings.add("record", f"{name} is no record: {error}.")
        return None
    return Paper(name, record.entry, record.rev, sha256(line).digest())


def known(receipts: Sequence[Receipt]) -> list[Known]:
    """The checkpoints of receipts: each has to be part of the log."""
    return [Known(f"The root that {one.name} names", "fork", one.checkpoint) for one in receipts]


def check_cosignatures(receipts: Sequence[Receipt], report: Report, witnesses: Witnesses, verify: note.Verify) -> None:
    """Where the log itself is not asked, its witnesses stand on the receipts."""
    for one in receipts:
        cosigned(one.checkpoint, one.note, report, witnesses, verify)


def compare(
    papers: Sequence[Paper], receipts: Sequence[Receipt], report: Report, audit: Audit | None, *, is_read: bool
) -> None:
    """Each record with the receipt of its entry, and with the log. audit: None where no log was asked for.

    is_read: whether the log could be read to its end.
    """
    for paper in papers:
        same = [one for one in receipts if one.leaf.commit == paper.commit and one.leaf.entry == paper.entry]
        for one in same:
            report.proved.append(f"{paper.name} is, byte for byte, what leaf {one.index} of {one.name} commits to.")
        if not same and any(one.leaf.entry == paper.entry and one.leaf.rev == paper.rev for one in receipts):
            report.findings.add("record", f"{paper.name} is not what the receipt of its entry commits to.")
        elif audit is not None:
            _find(paper, report, audit, is_read=is_read)
        elif not same and receipts:
            report.findings.add("record", f"{paper.name} is not what the receipt commits to.")
        elif not same:
            report.unchecked.append(
                f"{paper.name}: to check a record, its receipt (--receipt) or the log (--base) is needed."
            )


def _find(paper: Paper, report: Report, audit: Audit, *, is_read: bool) -> None:
    place = audit.found.get(paper.commit)
    if place is None and not is_read:
        report.unchecked.append(f"{paper.name} was not looked for, as the log could not be read to its end.")
        return
    if place is None or place.entry != paper.entry or place.rev != paper.rev:
        report.findings.add("record", f"{paper.name} is not in the log: no leaf commits to it.")
        return
    report.proved.append(
        f"{paper.name} is in the log: leaf {place.index} ({_said(place.kind, place.entry, place.rev)}, {place.t})"
        " commits to it."
    )
    row = audit.entries.find(place.entry)
    phase = audit.entries.phases[row]
    if phase == LIVE and audit.entries.commit(row) == paper.commit:
        now = "It stands in the registry today."
    elif phase == LIVE:
        now = f"Today the registry has revision {audit.entries.revs[row]} of this entry."
    elif phase == PENDING:
        now = "It waits for an answer."
    else:
        now = f"The entry has ended since: it was {PHASES[phase]}."
    report.remarks.append(f"{paper.name}: {now}")


def _said(kind: str, entry: bytes, rev: int) -> str:
    about = f"{kind} of entry {entry.hex()}" if entry else kind
    return f"{about}, revision {rev}" if rev else about
