"""What a check has to say, and the words for what every check looks at: who signed a checkpoint, and who saw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from charter.tlog import note
from charter.tlog.audit import Audit
from charter.tlog.findings import Findings


@dataclass(frozen=True)
class Known:
    """A checkpoint that the log has to contain. name: as sentences call it."""

    name: str
    code: str
    checkpoint: note.Checkpoint


@dataclass
class Report:
    """proved: sentences. unchecked: what could not be looked at, and why. remarks: neither good nor bad."""

    findings: Findings = field(default_factory=Findings)
    proved: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    audit: Audit | None = None
    checkpoint: note.Checkpoint | None = None
    text: str = ""  # the checkpoint's whole note
    is_read: bool = False  # every leaf was


@dataclass(frozen=True)
class Witnesses:
    """keys: those that are trusted. quorum: so many of them have to have seen the checkpoint."""

    keys: Sequence[note.Key] = ()
    quorum: int = 0


def signed(text: str, keys: Sequence[note.Key], verify: note.Verify) -> note.Checkpoint:
    """The checkpoint of a note that one of the keys signed. Raises NoteError."""
    last: note.NoteError | None = None
    for key in keys:
        try:
            return note.verify(text, key, verify)
        except note.NoteError as error:
            last = error
    assert last is not None
    raise last


def cosigned(checkpoint: note.Checkpoint, text: str, report: Report, witnesses: Witnesses, verify: note.Verify) -> None:
    """Which of the witnesses signed the checkpoint of the note `text`, and whether they are enough."""
    if not witnesses.keys:
        return
    signatures = note.read(text)[1]
    seen = 0
    for key in witnesses.keys:
        try:
            time = note.verify_cosignature(checkpoint, signatures, key, verify)
        except note.NoteError:
            report.remarks.append(f"Witness {key.name} has not signed the checkpoint of {checkpoint.size} leaves.")
            continue
        seen += 1
        report.proved.append(f"Witness {key.name} saw {checkpoint.size} leaves at {_moment(time)}.")
    if seen < witnesses.quorum:
        report.findings.add("quorum", f"{seen} of your witnesses saw the checkpoint; you ask for {witnesses.quorum}.")


def _moment(time: int) -> str:
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"second {time}"


_WORDS = {
    "form": "it does not have the form of a signed checkpoint",
    "base64": "it does not have the form of a signed checkpoint",
    "characters": "it holds characters that a note never has",
    "origin": "it bears the name of another log",
    "signature": "it is not signed by the key you gave",
}


def told(error: Exception) -> str:
    """An error of this package in words."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return _WORDS.get(str(error), str(error))
