"""Checks a log by itself: `python -m charter.tlog.verify --vkey K --base URL|DIR`; needs no service and no database.

Exit codes: 0 all that was asked for is proved; 1 something is wrong; 2 something could not be checked; 3 wrong usage.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from charter.tlog import note, papers, proof, source
from charter.tlog.checks import Check
from charter.tlog.entries import ERASED, LIVE, PENDING, REFUSED, REVOKED, WITHDRAWN
from charter.tlog.lines import MOST_LINE_BYTES
from charter.tlog.report import Known, Report, Witnesses, signed, told

PROVED, WRONG, UNCHECKED, USAGE = range(4)
_RESULTS = {
    PROVED: "Everything that was checked is as it has to be.",
    WRONG: "SOMETHING IS WRONG, see above.",
    UNCHECKED: "Nothing wrong was found, but not everything could be checked.",
}
_NAMES = {PROVED: "proved", WRONG: "wrong", UNCHECKED: "unchecked"}
#: So many findings are printed; --json has up to a thousand.
_MOST_PRINTED = 50


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"{message[:1].upper()}{message[1:]}. See --help.", file=sys.stderr)
        raise SystemExit(USAGE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a check and prints it; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    keys = _keys(parser, options.vkey, note.ED25519)
    if len({key.name for key in keys}) > 1:
        parser.error("the keys are of different logs")
    witness_keys = _keys(parser, options.witness, note.COSIGNATURE)
    quorum = len(witness_keys) if options.quorum is None else options.quorum
    if not 0 <= quorum <= len(witness_keys):
        parser.error("there are not so many witnesses (--witness) as the quorum asks for")
    if not options.base and (options.old or options.state):
        parser.error("an old checkpoint is compared with the log: --base is needed")
    if not options.base and not options.receipt and not options.record:
        parser.error("nothing to check: give --base, --receipt or --record")
    try:
        report = check(options, keys, Witnesses(witness_keys, quorum))
    except KeyboardInterrupt:
        print("Stopped before the end.", file=sys.stderr)
        return UNCHECKED
    code = WRONG if report.findings else UNCHECKED if report.unchecked else PROVED
    if options.state and code == PROVED:
        code = _keep(options.state, report)
    _say_json(report, code) if options.json else _say(report, code, is_quiet=options.quiet)
    return code


def check(options: argparse.Namespace, keys: Sequence[note.Key], witnesses: Witnesses) -> Report:
    """What the options ask for; reads files and the base, writes nothing."""
    checker: Check | None = None
    trouble = ""
    if options.base:
        try:
            checker = Check(source.of(options.base), keys, verify_signature, with_tiles=not options.no_tiles)
        except source.SourceError as error:
            trouble = f"The base could not be read: {error}."
    report = checker.report if checker is not None else Report()
    if trouble:
        report.unchecked.append(trouble)
    known = [one for one in (_old(path, report, keys) for path in options.old) if one is not None]
    if options.state and Path(options.state).exists():
        kept = _old(options.state, report, keys, name="The root of the last run")
        known += [] if kept is None else [kept]
    receipts = []
    for path in options.receipt:
        data = _file(path, report, papers.MOST_RECEIPT_BYTES)
        if data is not None:
            receipts.append(papers.read_receipt(Path(path).name, data, report, keys=keys, verify=verify_signature))
    records = []
    for path in options.record:
        data = _file(path, report, MOST_LINE_BYTES)
        if data is not None:
            records.append(papers.read_record(Path(path).name, data, report))
    right_receipts = [one for one in receipts if one is not None]
    right_records = [one for one in records if one is not None]
    if checker is not None:
        wanted = frozenset(one.commit for one in right_records)
        checker.run([*known, *papers.known(right_receipts)], wanted=wanted, witnesses=witnesses)
    else:
        papers.check_cosignatures(right_receipts, report, witnesses, verify_signature)
    papers.compare(right_records, right_receipts, report, report.audit, is_read=report.is_read)
    return report


def verify_signature(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether an Ed25519 signature is right: `note.Verify`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


# ── what is given ────────────────────────────────────────────────────────────────────────────────────────────────────


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m charter.tlog.verify",
        description="Checks the public log of the Charter, or a receipt, without asking anybody to be trusted.",
        epilog="Exit codes: 0 all proved, 1 something is wrong, 2 something could not be checked, 3 wrong usage.",
    )
    add = parser.add_argument
    add("--vkey", action="append", required=True, help="the log's key, from a source you trust; again for a second one")
    add("--base", default="", help="address of the service or a mirror, or a folder with its files")
    add("--old", action="append", default=[], metavar="FILE", help="a checkpoint (or receipt) kept from earlier")
    add("--state", default="", metavar="FILE", help="where the last proved checkpoint is kept between runs")
    add("--receipt", action="append", default=[], metavar="FILE", help="a receipt (.tlog-proof); no --base is needed")
    add("--record", action="append", default=[], metavar="FILE", help="a record line (record.json)")
    add("--witness", action="append", default=[], metavar="VKEY", help="a witness you trust")
    add("--quorum", type=int, default=None, metavar="N", help="so many of them must have signed (default: all)")
    add("--no-tiles", action="store_true", help="leave out the tiles of hashes, and read the leaves alone")
    add("--json", action="store_true", help="the result as JSON")
    add("--quiet", action="store_true", help="print only what is wrong or could not be checked")
    return parser


def _keys(parser: _Parser, texts: Sequence[str], kind: bytes) -> list[note.Key]:
    found: list[note.Key] = []
    for text in texts:
        try:
            key = note.parse_key(text)
        except note.NoteError:
            parser.error(f"this is no key: {ascii(text)[:120]}")
        if key.kind != kind:
            parser.error(f"{key.name} is a key of the other kind: --vkey is for the log, --witness for witnesses")
        if key not in found:
            found.append(key)
    return found


def _file(path: str, report: Report, most: int) -> bytes | None:
    try:
        with open(path, "rb") as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:
        report.unchecked.append(f"{path} could not be read: {getattr(error, 'strerror', None) or 'no such name'}.")
        return None
    if len(data) > most:
        report.findings.add("too-large", f"{path} is larger than it can rightly be.")
        return None
    return data


def _old(path: str, report: Report, keys: Sequence[note.Key], *, name: str = "") -> Known | None:
    data = _file(path, report, papers.MOST_RECEIPT_BYTES)
    if data is None:
        return None
    try:
        text = data.decode("utf-8")
        if text.startswith(proof.HEADER):
            text = proof.read(text).checkpoint
        return Known(name or f"The root of {Path(path).name}", "fork", signed(text, keys, verify_signature))
    except ValueError as error:
        report.findings.add("old", f"{path} is not a checkpoint of this log: {told(error)}.")
        return None


def _keep(path: str, report: Report) -> int:
    """Puts the checkpoint into the state's place, whole or not at all."""
    place = Path(path)
    try:
        with tempfile.NamedTemporaryFile("wb", dir=place.parent, prefix=f".{place.name}.", delete=False) as file:
            file.write(report.text.encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(file.name, place)
    except OSError as error:
        report.unchecked.append(f"The state could not be kept in {path}: {error.strerror}.")
        return UNCHECKED
    return PROVED


# ── what is said ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _say(report: Report, code: int, *, is_quiet: bool) -> None:
    if is_quiet and code == PROVED:
        return
    if not is_quiet:
        for text in report.proved:
            print(f"proved       {text}")
        for text in [*report.remarks, *_told_counts(report)]:
            print(f"             {text}")
    for text in report.unchecked:
        print(f"not checked  {text}")
    for finding in report.findings.kept[:_MOST_PRINTED]:
        print(f"WRONG        {finding} [{finding.code}]")
    if len(report.findings) > _MOST_PRINTED:
        print(f"WRONG        … and {len(report.findings) - _MOST_PRINTED} more.")
    print(_RESULTS[code])


def _told_counts(report: Report) -> list[str]:
    counts = _counts(report)
    if not counts:
        return []
    return [
        f"Confirmed {counts['confirmed']} = published {counts['published']} + refused {counts['refused']} + withdrawn"
        f" or erased before {counts['ended_before']} + waiting {counts['pending']}.",
        f"Published {counts['published']} = live {counts['live']} + withdrawn {counts['withdrawn']} + revoked"
        f" {counts['revoked']} + erased while standing {counts['erased']}.",
        f"Waiting past the day an answer was due: {counts['overdue']}, as of the newest leaf ({counts['as_of']}).",
    ]


def _counts(report: Report) -> dict[str, int | str]:
    audit = report.audit
    if audit is None or not audit.size:
        return {}
    names = {LIVE: "live", WITHDRAWN: "withdrawn", REVOKED: "revoked", ERASED: "erased"}
    counts: dict[str, int | str] = {name: audit.count(phase, published=True) for phase, name in names.items()}
    return counts | {
        "confirmed": len(audit.entries),
        "published": audit.published,
        "pending": audit.count(PENDING),
        "refused": audit.count(REFUSED),
        "ended_before": sum(audit.count(phase, published=False) for phase in (WITHDRAWN, REVOKED, ERASED)),
        "overdue": audit.overdue(),
        "as_of": audit.t.decode(),
    }


def _say_json(report: Report, code: int) -> None:
    checkpoint = report.checkpoint
    found = {
        "result": _NAMES[code],
        "origin": checkpoint.origin if checkpoint else None,
        "size": checkpoint.size if checkpoint else None,
        "root": checkpoint.root.hex() if checkpoint else None,
        "counts": _counts(report),
        "proved": report.proved,
        "remarks": report.remarks,
        "unchecked": report.unchecked,
        "finding_count": len(report.findings),
        "findings": [{"code": one.code, "leaf": one.leaf, "text": one.text} for one in report.findings.kept],
    }
    print(json.dumps(found, ensure_ascii=False, indent=1))


def _run() -> int:
    """As a command: whatever the terminal can show, and whoever stops reading."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNCHECKED
    return code


if __name__ == "__main__":
    sys.exit(_run())
