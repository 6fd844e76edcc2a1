"""The registry's file against the log: record lines and live commitments in one-to-one correspondence (LOG §2)."""

from __future__ import annotations

from hashlib import sha256
from typing import BinaryIO

from charter.tlog import canonical, lines
from charter.tlog.audit import Audit
from charter.tlog.entries import LIVE, PENDING, PHASES
from charter.tlog.findings import Findings
from charter.tlog.lines import MOST_LINE_BYTES

#: The first line holds a note with the cosignatures of its witnesses.
MOST_HEADER_BYTES = 256 * 1024
#: The service ends a file so whose database failed while it was sent.
_INCOMPLETE = b'{"incomplete":'
#: Missing records that are named one by one.
_MOST_NAMED = 100


class RegistryError(ValueError):
    """The file cannot be compared; the text says why."""


def read_header(stream: BinaryIO) -> tuple[str, int]:
    """The note and the count of records of the first line. Raises RegistryError."""
    line = stream.readline(MOST_HEADER_BYTES)
    if not line.endswith(b"\n"):
        raise RegistryError("its first line has no end")
    try:
        found = canonical.decode(line[:-1])
    except canonical.NotCanonicalError as error:
        raise RegistryError(f"its first line is not canonical JSON ({error})") from None
    note, count = found.get("checkpoint"), found.get("records")
    if set(found) != {"checkpoint", "kind", "records", "v"} or found["kind"] != "registry" or found["v"] != 1:
        raise RegistryError("its first line is not that of a registry")
    if not isinstance(note, str) or not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise RegistryError("its first line is not that of a registry")
    return note, count


def compare(stream: BinaryIO, *, count: int, audit: Audit, findings: Findings) -> int:
    """Reads the records behind the header and compares them with the log as the audit has it; returns how many.

    Raises RegistryError for a file that its sender could not send to its end.
    """
    entries = audit.entries
    seen = bytearray(len(entries))
    last = b""
    found = place = 0
    while line := stream.readline(MOST_LINE_BYTES + 1):
        place += 1
        if line.startswith(_INCOMPLETE):
            raise RegistryError("it says itself that it is not whole; ask for it again")
        if not line.endswith(b"\n"):
            findings.add(
                "registry-form", f"Record {place} of the registry has no end: the file was cut or goes astray."
            )
            break
        line = line[:-1]
        found += 1
        try:
            record = lines.read(line)
        except lines.RecordError as error:
            findings.add("registry-form", f"Record {place} of the registry is not as it must be: {error}.")
            continue
        name = record.entry.hex()
        if record.entry <= last:
            findings.add("registry-order", f"Record {place}, of entry {name}, is out of order or there twice.")
        last = max(last, record.entry)
        row = entries.find(record.entry)
        if row < 0:
            findings.add("record-added", f"The registry has entry {name}, of which the log knows nothing.")
            continue
        if entries.phases[row] != LIVE:
            phase = "was never published" if entries.phases[row] == PENDING else f"was {PHASES[entries.phases[row]]}"
            findings.add("record-ended", f"The registry has entry {name}, which {phase}.")
            continue
        seen[row] = 1
        if sha256(line).digest() != entries.commit(row):
            findings.add(
                "record-changed",
                f"The record of entry {name} is not the one that the log committed to (revision {entries.revs[row]}).",
            )
        elif record.rev != entries.revs[row]:
            findings.add(
                "record-rev", f"The record of entry {name} has revision {record.rev}, its leaf {entries.revs[row]}."
            )
        if record.number != entries.numbers[row]:
            findings.add(
                "number",
                f"Entry {name} bears number {record.number}, but it was published as number {entries.numbers[row]}"
                + (": that number belongs to another." if record.number <= audit.published else "."),
            )
        if record.charter not in audit.editions:
            findings.add("edition", f"Entry {name} signed edition {record.charter}, whose texts the log does not have.")
    _missing(audit, seen, findings)
    if found != count:
        findings.add("registry-count", f"The registry says that it has {count} records, and has {found}.")
    return found


def _missing(audit: Audit, seen: bytearray, findings: Findings) -> None:
    left = audit.count(LIVE) - seen.count(1)
    if not left:
        return
    named = 0
    for row in audit.entries.rows(LIVE):
        if seen[row]:
            continue
        if named == _MOST_NAMED:
            findings.add("record-missing", f"{left - named} more entries are missing from the registry.")
            return
        name, number = audit.entries.entry(row).hex(), audit.entries.numbers[row]
        findings.add(
            "record-missing", f"Entry {name}, number {number}, is live in the log and missing from the registry."
        )
        named += 1
