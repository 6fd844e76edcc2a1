"""The leaves as plain text, batch by batch: each leaf's bytes on a line, then a line that closes the batch (LOG §6)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from charter.tlog.leaf import LeafError, format_time, parse_time

#: A leaf has at most 65,535 bytes (C2SP tlog-tiles): a longer line is no line of ours.
MOST_LINE_BYTES = 65_536

#: Read from the back at once; a batch of a thousand leaves has about 200,000 bytes.
FIRST_BLOCK_BYTES = 64 * 1024
MOST_BLOCK_BYTES = 64 * 1024 * 1024

_CLOSING = re.compile(rb"# batch ([1-9]\d{0,15}) size (\d{1,16}) at (\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z)")


class LeavesTextError(ValueError):
    """The text is not what `encode_batch` writes; says in which line."""


@dataclass(frozen=True)
class Closing:
    """The line that closes a batch. tree_size: leaves up to here. at: an instant in whole seconds, UTC."""

    revision: int
    tree_size: int
    at: datetime


@dataclass(frozen=True)
class Batch:
    """One publication as the text holds it; leaves: their bytes, in order."""

    closing: Closing
    leaves: tuple[bytes, ...]

    @property
    def first_index(self) -> int:
        """Index of its first leaf in the log."""
        return self.closing.tree_size - len(self.leaves)


def encode_closing(closing: Closing) -> bytes:
    """The line with its newline."""
    line = f"# batch {closing.revision} size {closing.tree_size} at {format_time(closing.at)}\n"
    return line.encode("ascii")


def encode_batch(closing: Closing, leaves: Sequence[bytes]) -> bytes:
    """Everything that is appended for one batch."""
    return b"".join(leaf + b"\n" for leaf in leaves) + encode_closing(closing)


def find_closing(line: bytes) -> Closing | None:
    """What a line without its newline closes; None for a leaf and for anything else."""
    found = _CLOSING.fullmatch(line)
    if found is None:
        return None
    try:
        at = parse_time(found[3].decode("ascii"))
    except LeafError:
        return None
    return Closing(int(found[1]), int(found[2]), at)


@dataclass(frozen=True)
class End:
    """Where the text ends. position: bytes up to and with the last closing line; last_leaf: None if there is none."""

    position: int
    closing: Closing
    last_leaf: bytes | None


def find_end(stream: BinaryIO) -> End | None:
    """The last whole batch, found from the back whatever the size; None if there is not one.

    What stands behind it was torn off in writing. Raises LeavesTextError when nothing of ours is near the end.
    """
    size = stream.seek(0, 2)
    block = FIRST_BLOCK_BYTES
    while True:
        start = max(0, size - block)
        stream.seek(start)
        found = _end_within(stream.read(size - start), start)
        if found is not None and (found.last_leaf is not None or start == 0):
            return found
        if start == 0:
            return None
        if block >= MOST_BLOCK_BYTES:
            raise LeavesTextError("no batch ends near its end")
        block *= 4


def _end_within(data: bytes, start: int) -> End | None:
    lines = data.split(b"\n")
    position = start + len(data) - len(lines.pop())  # behind the last newline there is nothing whole
    closing, end = None, 0
    for place in range(len(lines) - 1, -1 if start == 0 else 0, -1):
        line = lines[place]
        if closing is None:
            closing, end = find_closing(line), position
        elif line.startswith(b"{"):
            return End(end, closing, line)
        position -= len(line) + 1
    return None if closing is None else End(end, closing, None)


def read_batches(stream: BinaryIO, *, end: int) -> Iterator[Batch]:
    """The batches up to the position `end` (of `find_end`), in order, one in memory at a time.

    Raises LeavesTextError for a line that is neither leaf nor closing, a size that does not count the leaves, and a
    revision or time that goes back.
    """
    leaves: list[bytes] = []
    last: Closing | None = None
    stream.seek(0)
    position = number = 0
    while position < end:
        line = stream.readline(MOST_LINE_BYTES + 1)
        position, number = position + len(line), number + 1
        if not line.endswith(b"\n"):
            raise LeavesTextError(f"line {number} has no end")
        line = line[:-1]
        if line.startswith(b"{"):
            leaves.append(line)
            continue
        closing = find_closing(line)
        if closing is None:
            raise LeavesTextError(f"line {number} is neither a leaf nor the end of a batch")
        if closing.tree_size != (last.tree_size if last else 0) + len(leaves):
            raise LeavesTextError(f"line {number} counts {closing.tree_size} leaves, and there are others")
        if last is not None and (closing.revision <= last.revision or closing.at < last.at):
            raise LeavesTextError(f"line {number} goes back in number or time")
        yield Batch(closing, tuple(leaves))
        leaves, last = [], closing
