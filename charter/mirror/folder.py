"""The folder of a mirror: ours or refused, one run at a time, and every file whole or as it was."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from charter.mirror.errors import BusyError, MirrorError

#: What is not for visitors: lock, state, files on their way. Web servers are told to keep it to themselves.
OWN = ".charter-mirror"
_LOCK = "lock"
_NAME = "mirror"
_NEW = "new"
FORMAT = "charter mirror 1"


class Folder:
    """A mirror's folder that this process, or one of its children, may write to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._own = path / OWN
        self._new = str(self._own / _NEW)
        self._made: set[str] = set()
        self._count = 0

    @property
    def state_path(self) -> Path:
        """Where the state is."""
        return self._own / "state.db"

    def has(self, place: str) -> bool:
        """Whether there is a file at this place."""
        return os.path.isfile(f"{self.path}/{place}")

    def write(self, place: str, content: Iterable[bytes]) -> None:
        """Puts a file in its place, whole: whoever reads meanwhile gets the former one."""
        self._count += 1
        # Names by hand: there are hundreds of thousands. What an error leaves there is swept up by the next run.
        new = f"{self._new}/{os.getpid()}-{self._count}"
        with open(new, "wb", buffering=0) as file:
            for piece in content:
                file.write(piece)
        self.put(new, place)

    @contextmanager
    def new(self) -> Iterator[Path]:
        """A name for a file that is being made; whatever is left there at the end is gone."""
        self._count += 1
        path = self._own / _NEW / f"{os.getpid()}-{self._count}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def put(self, new: Path | str, place: str) -> None:
        """Moves a finished file to its place."""
        parent = place.rpartition("/")[0]
        if parent not in self._made:
            (self.path / parent).mkdir(parents=True, exist_ok=True)
            self._made.add(parent)
        os.replace(new, f"{self.path}/{place}")

    def remove(self, place: str) -> None:
        """Takes a file away, and the folders that it leaves empty."""
        target = self.path / place
        target.unlink(missing_ok=True)
        for parent in target.parents:
            if parent == self.path:
                break
            try:
                parent.rmdir()
            except OSError:
                break
            self._made.discard(parent.relative_to(self.path).as_posix())

    def strangers(self, is_known: Callable[[str], bool]) -> Iterator[str]:
        """Files that do not belong here. is_known: whether a place does."""
        for root, folders, files in os.walk(self.path):
            if OWN in folders:
                folders.remove(OWN)
            below = os.path.relpath(root, self.path)
            for name in sorted(files):
                place = name if below == "." else f"{below}/{name}"
                if not is_known(place):
                    yield place


@contextmanager
def alone(path: Path, *, service: str) -> Iterator[Folder]:
    """Opens the folder for one run, and clears away what a killed one left. service: the name of the log.

    Raises BusyError, and MirrorError for a folder that is anything but empty or a mirror of this service.
    """
    own = path / OWN
    try:
        _claim(path, own)
        descriptor = os.open(own / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise MirrorError(f"{path} cannot be used: {error.strerror}.") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError("Another run is at work in this folder; this one did nothing.") from None
        _name(own / _NAME, service)
        shutil.rmtree(own / _NEW, ignore_errors=True)
        (own / _NEW).mkdir()
        yield Folder(path)
        with contextlib.suppress(OSError):
            (own / _NEW).rmdir()
    finally:
        os.close(descriptor)


def _claim(path: Path, own: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    if not own.is_dir():
        if any(path.iterdir()):
            raise MirrorError(f"{path} is not empty and not a mirror: choose another folder, or empty it.")
        own.mkdir(mode=0o700)


def _name(path: Path, service: str) -> None:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        new = path.with_suffix(".new")
        new.write_text(json.dumps({"format": FORMAT, "service": service}), encoding="utf-8")
        os.replace(new, path)
        return
    except (ValueError, OSError):
        known = {}
    if not isinstance(known, dict) or known.get("format") != FORMAT:
        raise MirrorError("The folder is a mirror of another format: make a new one elsewhere.")
    if known.get("service") != service:
        raise MirrorError("The folder is the mirror of another service: choose another folder.")
