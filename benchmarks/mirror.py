"""How long the public side takes to become plain files, and how long after few changes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import entries, waiting
from benchmarks.bench import Bench, Line, in_child, number
from benchmarks.installation import ENGINES, ROOT, Installation
from benchmarks.journey import approve
from benchmarks.processes import BrokenRunError
from charter import clock, shipped
from charter.operations import publication, signing, staff
from charter.operations.proving import Outcome, Proof

TITLE = "The mirror"
CHANGES = 10
WORKERS = 2
TEXT = f"""\
How long `mirror` takes to write the whole public side as static files: pages in three languages, data, an address for
each entry. The command is measured as an operator runs it, with the start of Python, by {WORKERS} processes, into an
empty folder. Then people withdraw and others are published, {CHANGES} changes in all and by the operations themselves,
and it runs again: only what changed is written."""


def measure(bench: Bench) -> dict[str, Any]:
    """Both engines, an installation of its own, since it changes."""
    count = bench.pick(500, 100_000, 100_000)
    figures: dict[str, Any] = {"count": count, "changes": CHANGES}
    for engine in ENGINES:
        made = bench.workshop.empty(engine)
        try:
            in_child(partial(_fill, made, count), seconds=1800)
            bench.say(f"{engine}: {count:,} entries")
            folder = made.folder / "mirror"
            first = _mirror(made, folder)
            bench.say(f"{engine}: {first}")
            in_child(partial(_change, made))
            before = time.time_ns()
            again = _mirror(made, folder)
            files = _files(folder)
            figures[engine] = {
                "first_seconds": first,
                "again_seconds": again,
                "files": len(files),
                "bytes": sum(one.stat().st_size for one in files),
                "written_again": sum(one.stat().st_mtime_ns >= before for one in files),
            }
        finally:
            bench.workshop.clear(made)
        bench.say(f"{engine}: {figures[engine]}")
    return figures


def _files(folder: Path) -> list[os.DirEntry[str]]:
    found: list[os.DirEntry[str]] = []
    places = [str(folder)]
    while places:
        with os.scandir(places.pop()) as inside:
            for one in inside:
                if one.is_dir(follow_symlinks=False):
                    places.append(one.path)
                else:
                    found.append(one)
    return found


def _fill(made: Installation, count: int) -> None:
    entries.make(made, count)
    _publish(made, waiting.add(made, CHANGES // 2))


def _change(made: Installation) -> None:
    """Those leave, and as many come."""
    app = made.app()
    with app.app_context():
        for (signature_id,) in made.rows("SELECT id FROM signature WHERE state = 'published'"):
            result = signing.withdraw(
                signature_id, proof=Proof(waiting.BROWSER_DIGEST, None), key=made.key, code_tries=5, now=clock.now()
            )
            if result.outcome is not Outcome.DONE:
                raise BrokenRunError(f"A withdrawal came to nothing: {result.outcome}.")
    _publish(made, waiting.add(made, CHANGES // 2))


def _publish(made: Installation, people: waiting.Waiting) -> None:
    app = made.app()
    with app.app_context():
        now = clock.now()
        staff_id = staff.invite(
            "Bruno",
            email=f"bruno{people.first}@example.org",
            language="en",
            digest=os.urandom(32),
            expires_at=now,
            now=now,
        )
        for number_ in range(people.first, people.last + 1):
            signing.confirm(
                waiting.confirm_token(made.key, number_),
                proof=Proof(waiting.BROWSER_DIGEST, None),
                key=made.key,
                code_tries=5,
                answer_due_working_days=5,
                holidays=shipped.holidays(),
                now=clock.now(),
            )
        for signature_id, version in made.rows("SELECT id, version FROM signature WHERE state = 'confirmed'"):
            approve(signature_id, version=version, staff_id=staff_id, undo_seconds=0)
        while publication.publish_batch(now=clock.now()) is not None:
            pass


def _mirror(made: Installation, folder: Path) -> float:
    """Seconds of the whole command."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "charter", "mirror", str(folder), "--workers", str(WORKERS)],
        cwd=ROOT,
        env=made.environment(),
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    if done.returncode != 0:
        raise BrokenRunError(f"mirror ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return round(time.perf_counter() - began, 1)


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""
    both = {engine: figures[engine] for engine in ENGINES}
    return [
        Line(
            f"mirror of {figures['count']:,} entries",
            {engine: f"{both[engine]['first_seconds']:,.0f} s" for engine in ENGINES},
        ),
        Line(
            "files, and their size",
            {engine: f"{both[engine]['files']:,}, {both[engine]['bytes'] / 1e6:,.0f} MB" for engine in ENGINES},
        ),
        Line(
            "… files a second",
            {engine: number(both[engine]["files"] / both[engine]["first_seconds"]) for engine in ENGINES},
        ),
        Line(
            f"again after {figures['changes']} changes",
            {engine: f"{both[engine]['again_seconds']:.1f} s" for engine in ENGINES},
        ),
        Line("… files written", {engine: f"{both[engine]['written_again']:,}" for engine in ENGINES}),
    ]
