"""The log's files in a mirror: tiles, then the registry, and the checkpoint that needs them last of all.

A checkpoint gives way only to one whose tree extends it, as the tiles in the folder show: a mirror is a witness too.
"""

from __future__ import annotations

import filecmp
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from charter.mirror.asking import Answer, Asker
from charter.mirror.errors import MirrorError
from charter.mirror.folder import Folder
from charter.mirror.rendering import NO_DATABASE, UNCHANGED, WRITTEN, Done
from charter.mirror.state import LOG, TILE, State
from charter.tlog import note, tree
from charter.tlog.note import Checkpoint
from charter.tlog.tiles import HEIGHT, WIDTH, Tile, new_tiles, width_of

CHECKPOINT = "log/checkpoint"
REGISTRY = "log/registry.ndjson"
VKEY = "log/vkey"
#: Facts of the state: up to which size the tiles are there, and which registry is.
SIZE, TAG = "log_size", "log_registry"

NOT_HAD = "The files of the log cannot be had just now; those that are there stay as they are. Run it again."
BROKEN_OFF = "The registry of the log broke off; what is there stays as it was. Run it again."
LOST = "Tiles of the log are missing in this folder: run it with --all."
NOT_EXTENDED = (
    "The log of the service does not extend the one in this folder, of which nothing was replaced."
    " Keep this copy: it shows what was published before. What was changed here by hand, --all mends."
)
UNREADABLE = "The checkpoint in this folder cannot be read: put the right one back, or begin a new mirror elsewhere."
#: An answer of the service that has nothing to show there, or not yet.
_NOT_THERE = frozenset({404, 503})


@dataclass(frozen=True)
class _Registry:
    """The registry's file as the service has it now. new: where it was put for now; None if it is in its place."""

    checkpoint: Checkpoint
    tag: str
    new: Path | None


class LogFiles:
    """One run's work on the log.

    least: an answer that stands at an earlier batch is refused. everything: looks at every tile, not only at new ones.
    note: is told what became of files. keep: puts on the disk what was done so far.
    """

    def __init__(
        self,
        asker: Asker,
        folder: Folder,
        state: State,
        *,
        least: int,
        everything: bool,
        note: Callable[[Sequence[Done]], None],
        keep: Callable[[], None],
    ) -> None:
        self._asker, self._folder, self._state, self._least = asker, folder, state, least
        self._everything, self._note, self._keep = everything, note, keep
        self._had = int(state.fact(SIZE) or 0)

    def bring(self) -> tuple[int | None, int]:
        """Brings them up to the newest checkpoint.

        Returns how many leaves it covers, None where the service shows no log yet, and how many files were removed.
        Raises MirrorError.
        """
        with self._folder.new() as new:
            registry = self._fetch_registry(new)
            shown = None if registry is None else self._fetch(CHECKPOINT)
            if registry is None or shown is None:
                if self._had:
                    raise MirrorError(NOT_HAD)
                return None, 0
            newest = max(registry.checkpoint, note.read(shown.decode())[0], key=lambda one: one.size)
            if newest.size < self._had:
                raise MirrorError(NOT_EXTENDED)
            for tile in new_tiles(0 if self._everything else self._had, newest.size):
                self._bring_tile(tile)
            self._check((*self._former(), registry.checkpoint, note.read(shown.decode())[0]), newest.size)
            self._put_registry(registry)
            vkey = self._fetch(VKEY)
            if vkey is not None:
                self._put(VKEY, vkey, LOG)
            # After a power failure nobody must find a checkpoint without its tiles.
            self._keep()
            self._put(CHECKPOINT, shown, LOG)
        removed = self._clear({self._had, newest.size})
        self._state.set_facts({SIZE: newest.size, TAG: registry.tag})
        return newest.size, removed

    # ── fetching ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _ask(self, place: str) -> Iterator[Answer | None]:
        with self._asker.get(f"/{place}") as answer:
            if answer.status != 200 and answer.status not in _NOT_THERE:
                raise MirrorError(f"A file of the log could not be had: {answer.endpoint} answered {answer.status}.")
            if answer.as_of is not None and answer.as_of.revision < self._least:
                raise MirrorError(NO_DATABASE)
            yield answer if answer.status == 200 else None

    def _fetch(self, place: str) -> bytes | None:
        with self._ask(place) as answer:
            return None if answer is None else b"".join(answer.body)

    def _fetch_registry(self, new: Path) -> _Registry | None:
        with self._ask(REGISTRY) as answer:
            if answer is None:
                return None
            tag = answer.headers["etag"]
            if tag == self._state.fact(TAG) and self._folder.has(REGISTRY) and not self._everything:
                with open(self._folder.path / REGISTRY, "rb") as file:
                    return _Registry(_about(file.readline())[0], tag, None)
            with open(new, "wb") as file:
                for piece in answer.body:
                    file.write(piece)
        with open(new, "rb") as file:
            checkpoint, records = _about(file.readline())
            # What broke off lacks lines, or the end of its last one.
            whole = sum(line.endswith(b"\n") for line in file)
            if whole != records:
                raise MirrorError(BROKEN_OFF)
        return _Registry(checkpoint, tag, new)

    def _bring_tile(self, tile: Tile) -> None:
        place = f"log/{tile.path}"
        is_whole = tile.width == WIDTH
        if is_whole and not self._everything and self._state.has(place) and self._folder.has(place):
            return
        content = self._fetch(place)
        if content is None:
            raise MirrorError(NOT_HAD)
        self._put(place, content, TILE if is_whole else LOG)

    # ── checking ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _former(self) -> Iterator[Checkpoint]:
        if not self._folder.has(CHECKPOINT):
            return
        try:
            yield note.read((self._folder.path / CHECKPOINT).read_text(encoding="utf-8"))[0]
        except ValueError:
            raise MirrorError(UNREADABLE) from None

    def _check(self, checkpoints: Sequence[Checkpoint], size: int) -> None:
        """Each of these has to be a state of the one tree that the tiles for `size` leaves make."""
        for one in checkpoints:
            try:
                root = tree.root(one.size, lambda level, index: self._node(level, index, size))
            except FileNotFoundError:
                raise MirrorError(LOST) from None
            if root != one.root:
                raise MirrorError(NOT_EXTENDED)

    def _node(self, level: int, index: int, size: int) -> bytes:
        """Of the tree, from the tile that has the hashes below it."""
        below = level % HEIGHT
        first = index << below
        tile = Tile(level // HEIGHT, first // WIDTH)
        width = width_of(tile, size)
        content = (self._folder.path / "log" / Tile(tile.level, tile.index, width).path).read_bytes()
        start = first % WIDTH
        row = [content[tree.HASH_BYTES * place :][: tree.HASH_BYTES] for place in range(start, start + (1 << below))]
        while len(row) > 1:
            row = [tree.hash_node(row[place], row[place + 1]) for place in range(0, len(row), 2)]
        return row[0]

    # ── putting in place ─────────────────────────────────────────────────────────────────────────────────────────────

    def _put(self, place: str, content: bytes, kind: str) -> None:
        digest = hashlib.blake2b(content, digest_size=16).digest()
        path = self._folder.path / place
        if self._folder.has(place) and path.read_bytes() == content:
            self._note([Done(place, kind, UNCHANGED, digest)])
            return
        self._folder.write(place, [content])
        self._note([Done(place, kind, WRITTEN, digest)])

    def _put_registry(self, registry: _Registry) -> None:
        path = self._folder.path / REGISTRY
        if registry.new is None or (path.is_file() and filecmp.cmp(registry.new, path, shallow=False)):
            self._note([Done(REGISTRY, LOG, UNCHANGED, registry.tag.encode())])
            return
        self._folder.put(registry.new, REGISTRY)
        self._note([Done(REGISTRY, LOG, WRITTEN, registry.tag.encode())])

    def _clear(self, sizes: set[int]) -> int:
        """Takes away what only checkpoints before these needed: somebody may hold the former one just now."""
        needed = {CHECKPOINT, REGISTRY, VKEY}
        for size in sizes:
            needed |= {f"log/{tile.path}" for tile in _partial_tiles(size)}
        gone = [place for place in self._state.places(LOG) if place not in needed]
        for place in gone:
            self._folder.remove(place)
        self._state.forget(gone)
        return len(gone)


def _partial_tiles(size: int) -> Iterator[Tile]:
    """The last tile of each level, where it is not full: at most one a level."""
    for level in (None, *range(64 // HEIGHT)):
        count = size if level is None else size >> (HEIGHT * level)
        if count % WIDTH:
            yield Tile(level, count // WIDTH, count % WIDTH)


def _about(line: bytes) -> tuple[Checkpoint, int]:
    """What the first line of a registry's file says: its checkpoint, and how many lines follow."""
    try:
        found = json.loads(line)
        return note.read(found["checkpoint"])[0], int(found["records"])
    except (ValueError, KeyError, TypeError):
        raise MirrorError(BROKEN_OFF) from None
