"""The folder in which the processes of one machine put their meters together, and who of them is alive."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

#: The sums of processes that have ended lie under this name instead of a process's own.
_ENDED = "ended"


@dataclass(frozen=True)
class Member:
    """A process that counts. process: `web` or `worker`. pid: None where it cannot be seen from here."""

    identifier: str
    process: str
    pid: int | None


class MeetingPlace:
    """One process's place in the folder. Locks tell who is alive, because the kernel lets go of them at every death."""

    def __init__(self, folder: Path, process: str) -> None:
        """Joins. Who finds nobody alive there begins anew: no count outlives the last process."""
        self.folder = folder
        self.identifier = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._serving: int | None = None
        with self._alone():
            if not any(_is_alive(path) for path in folder.glob("*.alive")):
                for path in [*folder.glob("*.db"), *folder.glob("*.alive")]:
                    path.unlink(missing_ok=True)
            self._own = _locked(folder / f"{self.identifier}.alive")
            os.write(self._own, f"{process} {os.getpid()} {_sight()}".encode())

    def may_serve(self) -> bool:
        """Whether this process is the one that answers for all; the next one may as soon as it has ended."""
        if self._serving is None:
            try:
                self._serving = _locked(self.folder / "serving.lock", wait=False)
            except BlockingIOError:
                return False
        return True

    def members(self) -> list[Member]:
        """Who is alive, oldest first. Meters of those who died are put to the sums before."""
        alive = []
        with self._alone():
            for path in self.folder.glob("*.alive"):
                if _is_alive(path):
                    alive.append(path)
                else:
                    self._bury(path)
        alive.sort(key=lambda path: (path.stat().st_mtime_ns, path.name))
        return [_member(path) for path in alive]

    def leave(self) -> None:
        """Lets go of everything; a process that ends need not call it."""
        for descriptor in (self._own, self._serving):
            if descriptor is not None:
                os.close(descriptor)
        self._serving = None

    def _bury(self, path: Path) -> None:
        from prometheus_client.mmap_dict import MmapedDict

        for file in self.folder.glob(f"*_{path.stem}.db"):
            kind = file.name.partition("_")[0]
            if kind != "gauge":
                sums = MmapedDict(str(self.folder / f"{kind}_{_ENDED}.db"))
                for key, value, *_ in MmapedDict.read_all_values_from_file(str(file)):
                    sums.write_value(key, sums.read_value(key)[0] + value, 0.0)
                sums.close()
            file.unlink()
        path.unlink()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        descriptor = _locked(self.folder / "door.lock")
        try:
            yield
        finally:
            os.close(descriptor)


def make_folder(instance: Path) -> Path:
    """A folder that the processes of this machine or container share, and no other's.

    In the instance, by name of the host, because containers may share an instance but never a port; where the instance
    cannot be written, among the temporary files. Raises OSError if neither can be.
    """
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:64] or "host"
    try:
        everyone = instance / "metrics"
        everyone.mkdir(mode=0o700, exist_ok=True)
        _clear_others(everyone, keep=host)
        return _own_folder(everyone / host)
    except OSError:
        mark = sha256(str(instance).encode()).hexdigest()[:12]
        return _own_folder(Path(tempfile.gettempdir()) / f"charter-metrics-{os.geteuid()}-{mark}")


def _own_folder(folder: Path) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    # Among the temporary files anybody may make a folder of this name before us.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError(f"{folder} belongs to somebody else")
    with tempfile.TemporaryFile(dir=folder):
        return folder


def _clear_others(everyone: Path, *, keep: str) -> None:
    """Containers come with a new name each time; what the ended ones left behind goes."""
    for folder in everyone.iterdir():
        if folder.name != keep and folder.is_dir() and not any(_is_alive(path) for path in folder.glob("*.alive")):
            shutil.rmtree(folder, ignore_errors=True)


def _locked(path: Path, *, wait: bool = True) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _is_alive(path: Path) -> bool:
    try:
        os.close(_locked(path, wait=False))
    except BlockingIOError:
        return True
    return False


def _member(path: Path) -> Member:
    process, pid, sight = path.read_text(encoding="ascii").split()
    return Member(path.stem, process, int(pid) if sight == _sight() else None)


def _sight() -> str:
    """Which processes can be seen: a number means the same process only for whoever shares this."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return "unknown"
