"""Asking a witness for its cosignature: what is sent, and what its answer has to be (C2SP tlog-witness)."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from charter.tlog.note import COSIGNATURE, Checkpoint, Key, NoteError, Signature, Verify, read, verify_cosignature

#: Below the address of a witness.
PATH = "/add-checkpoint"
#: The content type of a size, which comes with 409.
SIZE_TYPE = "text/x.tlog.size"
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


@dataclass(frozen=True)
class Witness:
    """key: of its cosignatures. url: its submission prefix, without a slash at the end."""

    key: Key
    url: str

    @property
    def name(self) -> str:
        """The name of its key."""
        return self.key.name


def of(key: Key, url: str) -> Witness:
    """Raises NoteError if the key is not one for cosignatures."""
    if key.kind != COSIGNATURE:
        raise NoteError("kind")
    return Witness(key, url.rstrip("/"))


def request(old: int, proof: Sequence[bytes], text: str) -> bytes:
    """The body of add-checkpoint. old: the size that the witness has. proof: from there. text: the note."""
    lines = "".join(f"{base64.b64encode(one).decode()}\n" for one in proof)
    return f"old {old}\n{lines}\n{text}".encode()


def read_size(body: bytes) -> int:
    """The size that a witness says it has. Raises NoteError."""
    found = _SIZE.fullmatch(body)
    if found is None:
        raise NoteError("size")
    return int(found[1])


def read_cosignature(body: bytes, checkpoint: Checkpoint, key: Key, check: Verify) -> tuple[int, Signature]:
    """(time in seconds since 1970, the line) of this witness out of its answer; lines of other keys are left alone.

    Raises NoteError if there is none, or if it is not of this checkpoint.
    """
    try:
        _, signatures = read(checkpoint.body + "\n" + body.decode())
    except UnicodeDecodeError:
        raise NoteError("form") from None
    for one in signatures:
        try:
            return verify_cosignature(checkpoint, [one], key, check), one
        except NoteError:
            continue
    raise NoteError("cosignature")
