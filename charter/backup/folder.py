"""The folder of backups: one at work at a time, names, manifests, rotation, and nothing left behind by a kill."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from charter.backup.errors import BackupError, BusyError

WORKING = ".working-"
LOCK = ".lock"
MANIFEST_FORMAT = 1

_TIME = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"charter-(?P<at>\d{8}T\d{6}Z)-r\d+(-\d+)?\.(db\.gz|pgdump)(\.age)?")


@dataclass(frozen=True)
class Manifest:
    """What stands beside a backup. engine: sqlite | postgresql. schema: Alembic revision. sha256: hex, of the file."""

    engine: str
    schema: str
    public_revision: int
    tree_size: int
    created_at: str
    bytes: int
    sha256: str
    encrypted: bool
    counts: Mapping[str, int]
    format: int = MANIFEST_FORMAT

    def write(self, path: Path) -> None:
        """A new file, on the disk when this returns."""
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            json.dump(asdict(self), file, indent=2, sort_keys=True)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())


def manifest_path(backup: Path) -> Path:
    """Where the manifest of a backup is."""
    return backup.with_name(backup.name + ".json")


def find_manifest(backup: Path) -> Manifest | None:
    """The manifest beside a backup, None if there is none. Raises BackupError for one that cannot be read."""
    try:
        values = json.loads(manifest_path(backup).read_text(encoding="ascii"))
        if values.get("format") != MANIFEST_FORMAT:
            raise BackupError("The manifest is of another format: a newer release made this backup.")
        return Manifest(**values)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError):
        raise BackupError("The manifest beside the backup is damaged; remove it to do without.") from None


def free_name(folder: Path, *, at: datetime, revision: int, ending: str) -> str:
    """A name that tells when and from which public revision, and is not taken yet."""
    stem = f"charter-{at.astimezone(UTC).strftime(_TIME)}-r{revision}"
    for extra in ("", *(f"-{number}" for number in range(2, 100))):
        name = f"{stem}{extra}{ending}"
        if not (folder / name).exists():
            return name
    raise BackupError("There are a hundred backups of this second already.")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Makes the folder, keeps others out meanwhile and clears away what a killed one left. Raises BusyError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError("Another backup or restore is running; this one did nothing.") from None
        for left in folder.glob(WORKING + "*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def working_folder(folder: Path) -> Iterator[Path]:
    """A folder for plain copies, for this process's eyes only and gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix=WORKING, dir=folder))  # mode 0700
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def put_in_place(made: Path, folder: Path) -> None:
    """Moves a finished file, with its manifest first: a backup under its own name is a whole one."""
    os.replace(manifest_path(made), manifest_path(folder / made.name))
    os.replace(made, folder / made.name)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Names in it are on the disk when this returns."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rotate(folder: Path, *, keep_days: int, now: datetime) -> int:
    """Removes our backups that are older than `keep_days`, never the newest; returns how many. Other files stay."""
    found = sorted((match["at"], path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name)))
    removed = 0
    for at, path in found[:-1]:
        if now - datetime.strptime(at, _TIME).replace(tzinfo=UTC) > timedelta(days=keep_days):
            path.unlink()
            manifest_path(path).unlink(missing_ok=True)
            removed += 1
    for path in folder.glob("charter-*.json"):
        # Of a backup that a kill kept from its name.
        if _NAME.fullmatch(path.name.removesuffix(".json")) and not path.with_suffix("").exists():
            path.unlink()
    return removed
