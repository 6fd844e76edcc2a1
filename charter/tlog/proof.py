"""A receipt that can be checked without us: leaf, place, audit path and checkpoint in one text (C2SP tlog-proof)."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from charter.tlog import note, tree

HEADER = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class Proof:
    """extra: the leaf, byte for byte. path: nearest first. checkpoint: the whole note."""

    extra: bytes
    index: int
    path: Sequence[bytes]
    checkpoint: str


def write(proof: Proof) -> str:
    """Its text."""
    lines = [HEADER, f"extra {base64.b64encode(proof.extra).decode()}", f"index {proof.index}"]
    return "\n".join([*lines, *(base64.b64encode(one).decode() for one in proof.path)]) + "\n\n" + proof.checkpoint


def read(text: str) -> Proof:
    """The parts, nothing verified. Raises note.NoteError."""
    head, separator, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or len(lines) < 3 or lines[0] != HEADER or not lines[1].startswith("extra "):
        raise note.NoteError("form")
    if not lines[2].startswith("index ") or not _INDEX.fullmatch(lines[2][6:]) or len(lines) > 3 + 63:
        raise note.NoteError("form")
    path = [note.decoded(line) for line in lines[3:]]
    if any(len(one) != tree.HASH_BYTES for one in path):
        raise note.NoteError("form")
    return Proof(note.decoded(lines[1][6:]), int(lines[2][6:]), path, checkpoint)


def verify(proof: Proof, key: note.Key, check: note.Verify) -> note.Checkpoint:
    """The checkpoint, signed by `key`, whose tree holds the leaf. Raises note.NoteError or tree.ProofError."""
    checkpoint = note.verify(proof.checkpoint, key, check)
    tree.check_inclusion(tree.hash_leaf(proof.extra), proof.index, checkpoint.size, proof.path, checkpoint.root)
    return checkpoint
