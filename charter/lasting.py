"""Small files that are there whole or not at all, whatever happens while they are written, and one writer at a time."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def replace(path: Path, data: bytes, *, mode: int) -> None:
    """Puts `data` in the place of the file and makes sure that it is on the disk; the owner stays. Raises OSError."""
    _write(path, data, mode=mode, is_new=False)


def create(path: Path, data: bytes, *, mode: int) -> bool:
    """Makes the file unless there is one; of several processes one wins. Returns whether it did. Raises OSError."""
    return _write(path, data, mode=mode, is_new=True)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Waits until no other process of this machine is inside with the same path. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _give_to_service(path, of=path.parent)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, data: bytes, *, mode: int, is_new: bool) -> bool:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _give_to_service(draft, of=path if path.exists() else path.parent)
        try:
            os.link(draft, path) if is_new else os.replace(draft, path)
        except FileExistsError:
            return False
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def _give_to_service(path: Path, *, of: Path) -> None:
    """A command that root calls must leave the service able to use its file."""
    if os.geteuid() == 0:
        found = of.stat()
        os.chown(path, found.st_uid, found.st_gid)


def sync_folder(folder: Path) -> None:
    """Makes sure that a new name is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
