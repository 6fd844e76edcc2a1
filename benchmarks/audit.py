"""How long whoever trusts nobody has to wait: a full audit of the whole log, and what it weighs."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench, Line, in_child, number
from benchmarks.installation import ENGINES
from benchmarks.log_files import make_signer, write_log, write_registry
from benchmarks.processes import BrokenRunError
from charter.tlog import leaf
from charter.tlog.record import commitment, encode_record
from charter.tlog.tiles import WIDTH

TITLE = "A full audit"
TEXT = """\
A folder as a mirror has it, with bundles, tiles, checkpoint and registry, and `python -m charter.tlog.verify` over it,
as an auditor would run it: the signature, every leaf and every hash, all the rules over all entries, each record
against its commitment, and a checkpoint that was kept from the middle. Of every hundred entries four were withdrawn
and two corrected, so a registry of a million has some two million leaves. Time is that of the whole command, from start
to end; memory is the most that the process ever held (its peak RSS, with Python and the libraries). Files are in the
machine's cache, and there is neither a network between nor a database. 1 MB is 1,000,000 bytes."""

AT_MOST_SECONDS = 60.0
AT_MOST_BYTES = 300 * 10**6
_SEED = bytes(range(32))
_BEGIN = datetime(2026, 6, 1, tzinfo=UTC)
_IN_BATCH = 500
_EDITION = "specimen-1"


def measure(bench: Bench) -> dict[str, Any]:
    """Each size once: a run is long enough to be steady."""
    figures: dict[str, Any] = {}
    for count in bench.pick([2_000], [100_000, 1_000_000], [100_000, 1_000_000]):
        folder = bench.folder / f"audit-{count}"
        try:
            # In a child, so that this process stays small.
            made = in_child(partial(write, folder, count), seconds=3600)
            figures[str(count)] = made | audit(folder, made["vkey"], expected=made["records"])
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        bench.say(f"{count:,} entries: {figures[str(count)]}")
    return figures


def audit(folder: Path, vkey: str, *, expected: int) -> dict[str, Any]:
    """One run of the command: its seconds and its peak of memory."""
    arguments = ["verify", "--vkey", vkey, "--base", str(folder), "--json", "--old", str(folder / "kept")]
    # Told by the process itself; ru_maxrss would count what its parent weighed before it became another program.
    program = (
        "import pathlib, runpy, sys\n"
        f"sys.argv = {arguments!r}\n"
        "try:\n    runpy.run_module('charter.tlog.verify', run_name='__main__')\n"
        "except SystemExit as ended:\n    code = ended.code\n"
        "print(pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0], file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    if done.returncode != 0:
        raise BrokenRunError(f"The audit ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    found = json.loads(done.stdout)
    if found["counts"]["live"] != expected:
        raise BrokenRunError(f"{found['counts']} instead of {expected} live entries")
    return {"seconds": seconds, "peak_bytes": int(done.stderr.split()[-1]) * 1024}


def write(folder: Path, count: int) -> dict[str, Any]:
    """A log of `count` entries with its registry, in files."""
    signer = make_signer("charter.example/log", _SEED)
    (folder / "log").mkdir(parents=True)
    leaves = 0

    def counted() -> Iterator[bytes]:
        nonlocal leaves
        for one in _leaves(count):
            leaves += 1
            yield one

    text, kept = write_log(folder, counted(), signer, keep_at=count // WIDTH * WIDTH)
    (folder / "kept").write_text(kept, encoding="utf-8")
    live = [place for place in range(count) if not _is_withdrawn(place)]
    by_entry = sorted(live, key=_entry)
    write_registry(
        folder, text, (_line(place, 2 if _is_corrected(place) else 1) for place in by_entry), count=len(live)
    )
    return {"leaves": leaves, "records": len(live), "vkey": signer.vkey}


def _leaves(count: int) -> Iterator[bytes]:
    """Batch by batch: so many are confirmed and published, then some of them corrected or withdrawn."""
    files = {language: hashlib.sha256(language.encode()).hexdigest() for language in ("en", "kk", "ru")}
    yield leaf.encode("charter", t=leaf.format_time(_BEGIN), charter=_EDITION, files=files)
    for first in range(0, count, _IN_BATCH):
        at = _BEGIN + timedelta(minutes=first // _IN_BATCH)
        t, due = leaf.format_time(at), (at + timedelta(days=7)).date().isoformat()
        places = range(first, min(first + _IN_BATCH, count))
        for place in places:
            yield leaf.encode("confirm", t=t, commit=commitment(_line(place, 0)), due=due, entry=_entry(place))
        for place in places:
            yield leaf.encode("publish", t=t, commit=commitment(_line(place, 1)), entry=_entry(place), rev=1)
        for place in places:
            if _is_withdrawn(place):
                yield leaf.encode("withdraw", t=t, entry=_entry(place))
            elif _is_corrected(place):
                yield leaf.encode("correct", t=t, commit=commitment(_line(place, 2)), entry=_entry(place), rev=2)


def _entry(place: int) -> str:
    return hashlib.sha256(b"entry %d" % place).hexdigest()[:32]


def _line(place: int, rev: int) -> bytes:
    return encode_record(
        entry=_entry(place),
        salt=hashlib.sha256(b"salt %d %d" % (place, rev)).digest(),
        rev=rev,
        number=place + 1 if rev else None,
        kind="independent",
        display="full",
        name=f"Айгүл Серікқызы {place}",
        region="KZ-75",
        affiliation=None,
        affiliation_name="Қоғамдық бірлестік «Сайлау»" if place % 3 == 0 else None,
        charter=_EDITION,
        signed_on=date(2026, 6, 1),
    )


def _is_withdrawn(place: int) -> bool:
    return place % 25 == 3


def _is_corrected(place: int) -> bool:
    return place % 50 == 7


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report: there is no database in this, so both columns say the same."""
    made = []
    for count, one in sorted(figures.items(), key=lambda item: int(item[0])):
        is_largest = int(count) == 1_000_000
        made += [
            _row(
                f"{int(count):,} entries, {one['leaves']:,} leaves",
                f"{one['seconds']:.1f} s",
                (f"at most {AT_MOST_SECONDS:.0f} s", one["seconds"] <= AT_MOST_SECONDS) if is_largest else None,
            ),
            _row("… leaves a second", number(one["leaves"] / one["seconds"])),
            _row(
                "… most memory",
                f"{one['peak_bytes'] / 1e6:,.0f} MB",
                (f"at most {AT_MOST_BYTES / 1e6:.0f} MB", one["peak_bytes"] <= AT_MOST_BYTES) if is_largest else None,
            ),
        ]
    return made


def _row(what: str, value: str, target: tuple[str, bool] | None = None) -> Line:
    return Line(what, dict.fromkeys(ENGINES, value), *(target or ()))
