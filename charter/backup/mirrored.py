"""A mirror of the log, in a folder or at an address: fetched once, verified, and kept while it is needed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from charter import log_key
from charter.backup.errors import BackupError
from charter.tlog import leaf, lines, note, registry, source, tiles
from charter.tlog.rebuild import Rebuilt, hash_leaves

_MOST_NOTE_BYTES = 256 * 1024
_MOST_BUNDLE_BYTES = tiles.WIDTH * (2 + 65_535)
#: Of a registry of a hundred million entries.
_MOST_REGISTRY_BYTES = 1 << 37
_NOT_OURS = "The mirror is not to be trusted: "


@dataclass(frozen=True)
class MirroredLog:
    """A verified copy of all leaves of a mirror, a line each, and of its record lines. size: leaves."""

    size: int
    leaves_path: Path
    lines_path: Path
    _places: dict[bytes, int] = field(default_factory=dict)

    def leaves(self, first: int = 0) -> Iterator[bytes]:
        """The bytes of the leaves from index `first` on."""
        with self.leaves_path.open("rb") as file:
            for index, line in enumerate(file):
                if index >= first:
                    yield line[:-1]

    def keep_lines(self, to_come: Iterable[bytes]) -> None:
        """Looks up the record lines that these leaves leave in the registry: of entries that have not ended since.

        A line counts only if its SHA-256 is the `commit` of the entry's newest leaf: what somebody had changed later,
        perhaps to be shown with less, never comes back. Memory: some bytes for each.
        """
        wanted: dict[str, str] = {}
        for data in to_come:
            kind, values = leaf.decode(data)
            entry = str(values.get("entry"))
            if kind in {"publish", "correct"}:
                wanted[entry] = str(values["commit"])
            elif kind in {"withdraw", "revoke", "erase"}:
                wanted.pop(entry, None)
        commits = {bytes.fromhex(commit) for commit in wanted.values()}
        with self.lines_path.open("rb") as file:
            place = 0
            while line := file.readline():
                digest = hashlib.sha256(line.rstrip(b"\n")).digest()
                if digest in commits:
                    self._places[digest] = place
                place += len(line)

    def lines_of(self, batch: Sequence[bytes]) -> Mapping[str, bytes]:
        """`commit` → record line, of those leaves whose line was found and still stands."""
        found: dict[str, bytes] = {}
        if not self._places:
            return found
        with self.lines_path.open("rb") as file:
            for data in batch:
                commit = str(leaf.decode(data)[1].get("commit", ""))
                place = self._places.get(bytes.fromhex(commit))
                if place is not None:
                    file.seek(place)
                    found[commit] = file.readline().rstrip(b"\n")
        return found


def fetch(base: str, *, keys: Sequence[note.Key], into: Path) -> MirroredLog:
    """Copies a mirror's leaves and record lines into the folder `into` and verifies them.

    base: a folder, or an address with http:// or https://, that has /log/ below it. keys: one of them must have signed
    the checkpoint. The root is computed from the leaves and must be the one that was signed. Raises BackupError.
    """
    with _sentences():
        mirror = source.of(base)
        checkpoint = _verified(mirror.read("log/checkpoint", _MOST_NOTE_BYTES), keys)
        found = MirroredLog(checkpoint.size, into / "mirror-leaves", into / "mirror-lines")
        with _new(found.leaves_path) as file:
            root = _copy_leaves(mirror, checkpoint.size, file)
        if root != checkpoint.root:
            raise BackupError(_NOT_OURS + "its leaves are not the ones that its checkpoint was signed for.")
        with _new(found.lines_path) as file:
            _copy_lines(mirror, file)
        return found


def _verified(data: bytes | None, keys: Sequence[note.Key]) -> note.Checkpoint:
    if data is None:
        raise BackupError("There is no log at this mirror: it has no /log/checkpoint.")
    for key in keys:
        try:
            return note.verify(data.decode("utf-8"), key, log_key.verify)
        except (note.NoteError, UnicodeDecodeError):
            continue
    raise BackupError(_NOT_OURS + "its checkpoint is not signed by our key.")


def _copy_leaves(mirror: source.Source, size: int, file: BinaryIO) -> bytes:
    """Each leaf on a line of its own: canonical JSON holds no newline. Returns the root."""

    def read(index: int) -> list[bytes]:
        width = tiles.width_of(tiles.Tile(None, index), size)
        wanted = tiles.Tile(None, index, width)
        data = mirror.read(f"log/{wanted.path}", _MOST_BUNDLE_BYTES)
        if data is None and width < tiles.WIDTH:
            # A mirror that went on may have the full one only.
            data = mirror.read(f"log/{tiles.Tile(None, index).path}", _MOST_BUNDLE_BYTES)
        try:
            found = tiles.unbundle(data or b"")[:width]
            for one in found:
                leaf.decode(one)
        except (tiles.TileError, leaf.LeafError):
            raise BackupError(f"{_NOT_OURS}/log/{wanted.path} is damaged, or of a newer release.") from None
        if len(found) != width:
            raise BackupError(f"The mirror is not whole: /log/{wanted.path} is missing or too short.")
        return found

    built = Rebuilt()
    for found in mirror.ahead(read, range(-(-size // tiles.WIDTH))):
        file.writelines(one + b"\n" for one in found)
        built.add(hash_leaves(found))
    return built.root()


def _copy_lines(mirror: source.Source, file: BinaryIO) -> None:
    """The record lines as they are: each proves itself by the leaf that committed to it. None is no reason to stop."""
    stream = mirror.open("log/registry.ndjson", _MOST_REGISTRY_BYTES)
    if stream is None:
        return
    with stream:
        stream.readline(registry.MOST_HEADER_BYTES)
        while line := stream.readline(lines.MOST_LINE_BYTES + 1):
            try:
                lines.read(line.rstrip(b"\n"))
            except lines.RecordError:
                continue
            file.write(line.rstrip(b"\n") + b"\n")


def _new(path: Path) -> BinaryIO:
    """For our eyes only: the lines name people."""
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except source.SourceError as error:
        raise BackupError(f"The mirror cannot be read: {error}.") from None
    except source.TooLargeError as error:
        raise BackupError(f"{_NOT_OURS}{error} is larger than any right one.") from None
