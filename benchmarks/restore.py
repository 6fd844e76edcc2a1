"""A lost machine: how long until 100,000 signatories are back."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import published
from benchmarks.bench import Bench, Line, in_child
from benchmarks.installation import ENGINES, ROOT, Installation
from benchmarks.processes import BrokenRunError
from charter import leaves_file

TITLE = "Backup and restore"
TEXT = """\
How long the registry is away when a machine is lost. The database holds people who stand in the registry, each with
consents, history, decision, links, mails, record lines and leaves, written straight into the tables. `backup` makes
an encrypted backup; then a new, empty installation gets the secret key, the plain file of the leaves and the backup,
and `restore` runs until it says that the service may be started: decrypting, loading, checking and comparing with the
leaves. Both are the whole commands, with the start of Python. Afterwards rows are counted, and every registry line
and leaf is compared byte for byte."""
COMPARED = ("signature", "signature_event", "signature_consent", "link", "message", "decision")


def measure(bench: Bench) -> dict[str, Any]:
    """Both engines, the same people."""
    count = bench.pick(2_000, 100_000, 100_000)
    figures: dict[str, Any] = {"count": count}
    for engine in ENGINES:
        with bench.installation(engine) as old:
            began = time.monotonic()
            in_child(partial(_fill, old, count), seconds=1800)
            bench.say(f"{engine}: {count:,} people after {time.monotonic() - began:.0f} s")
            figures[engine] = _backup_and_restore(bench, old)
        bench.say(f"{engine}: {figures[engine]}")
    return figures


def _fill(made: Installation, count: int) -> None:
    published.add(made, count)
    app = made.app()
    with app.app_context():
        settings = app.config["CHARTER"]
        while leaves_file.follow(settings).behind:
            pass


def _backup_and_restore(bench: Bench, old: Installation) -> dict[str, Any]:
    identity = old.folder / "identity"
    recipient, _ = _flask(old, "backup-key", str(identity))
    backups = old.folder / "backups"
    _, backup_seconds = _flask(old, "backup", backup_recipients=recipient.strip().splitlines()[0])
    backup = max(backups.glob("*.age*"), key=lambda path: path.stat().st_size)
    new = bench.workshop.empty(old.engine)
    try:
        (new.folder / "backups").mkdir(mode=0o700)
        shutil.copy(backups / "leaves.log", new.folder / "backups")
        for path in backups.glob(f"{backup.name.partition('.')[0]}*"):
            shutil.copy(path, new.folder / "backups")
        _, restore_seconds = _flask(
            new, "restore", str(new.folder / "backups" / backup.name), "--identity", str(identity)
        )
        for table in COMPARED:
            before, after = (made.scalar(f"SELECT count(*) FROM {table}") for made in (old, new))
            if before != after:
                raise BrokenRunError(f"{table}: {before} rows before, {after} after the restore.")
        if _public_digest(old) != _public_digest(new):
            raise BrokenRunError("Registry or log differ after the restore.")
    finally:
        bench.workshop.clear(new)
    return {
        "backup_seconds": round(backup_seconds, 1),
        "restore_seconds": round(restore_seconds, 1),
        "backup_bytes": backup.stat().st_size,
        "database_bytes": _size(old),
    }


def _public_digest(made: Installation) -> str:
    """Of every registry line and every leaf, byte for byte. (A restore adds a batch: pages are other ones then.)"""
    digest = hashlib.sha256()
    for statement in (
        "SELECT line FROM registry_entry ORDER BY number",
        'SELECT data FROM log_leaf ORDER BY "index"',
    ):
        for (data,) in made.rows(statement):
            digest.update(bytes(data) + b"\n")
    return digest.hexdigest()


def _flask(made: Installation, *arguments: str, **given: object) -> tuple[str, float]:
    """Runs a command as an operator does; what it printed, and how many seconds it took."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "charter", *arguments],
        cwd=ROOT,
        env=made.environment(**given),
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    if done.returncode != 0:
        raise BrokenRunError(f"flask {arguments[0]} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout, time.perf_counter() - began


def _size(made: Installation) -> int:
    if made.engine == "sqlite":
        return sum(path.stat().st_size for path in Path(made.folder).glob("charter.db*"))
    return int(made.scalar("SELECT pg_database_size(current_database())"))


def lines(figures: dict[str, Any], baselines: dict[str, float]) -> list[Line]:
    """The rows of the report."""
    both = {engine: figures[engine] for engine in ENGINES}
    return [
        Line(
            f"restore of {figures['count']:,} signatories",
            {engine: f"{both[engine]['restore_seconds']:.1f} s" for engine in ENGINES},
        ),
        Line("backup of them", {engine: f"{both[engine]['backup_seconds']:.1f} s" for engine in ENGINES}),
        Line(
            "size of database and of backup",
            {
                engine: f"{both[engine]['database_bytes'] / 1e6:,.0f} and {both[engine]['backup_bytes'] / 1e6:,.0f} MB"
                for engine in ENGINES
            },
        ),
    ]
