"""Signed notes and checkpoints: the log's word at one size, with signatures of itself and of witnesses.

C2SP signed-note, tlog-checkpoint and tlog-cosignature. Signing and verifying are handed in, so that no key is here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

ED25519 = b"\x01"
COSIGNATURE = b"\x04"
PUBLIC_BYTES, SIGNATURE_BYTES, KEY_ID_BYTES = 32, 64, 4
_MOST_SIGNATURES = 64
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]+")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")

#: Signs bytes with a seed that stays where it is; 64 bytes.
Sign = Callable[[bytes], bytes]
#: (public key, signature, message) → whether it is right.
Verify = Callable[[bytes, bytes, bytes], bool]


class NoteError(ValueError):
    """Not a note, or not signed by whom it should be."""


@dataclass(frozen=True)
class Key:
    """A verifier key. kind: ED25519 for a log, COSIGNATURE for a witness. public: 32 bytes."""

    name: str
    kind: bytes
    public: bytes

    @property
    def id(self) -> bytes:
        """The first four bytes of SHA-256(name ‖ 0x0A ‖ kind ‖ public)."""
        return hashlib.sha256(self.name.encode() + b"\n" + self.kind + self.public).digest()[:KEY_ID_BYTES]

    @property
    def text(self) -> str:
        """vkey: name+hex8+base64(kind ‖ public)."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(self.kind + self.public).decode()}"


@dataclass(frozen=True)
class Signature:
    """One signature line. value: what follows the key id."""

    name: str
    key_id: bytes
    value: bytes

    @property
    def line(self) -> str:
        return f"— {self.name} {base64.b64encode(self.key_id + self.value).decode()}\n"


@dataclass(frozen=True)
class Checkpoint:
    """The log `origin` at `size` leaves with this root."""

    origin: str
    size: int
    root: bytes

    @property
    def body(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def parse_key(text: str) -> Key:
    """A vkey. Raises NoteError."""
    name, _, rest = text.strip().partition("+")
    digits, _, encoded = rest.partition("+")
    data = decoded(encoded)
    key = Key(name, data[:1], data[1:])
    is_known = key.kind in {ED25519, COSIGNATURE} and len(key.public) == PUBLIC_BYTES
    if not _NAME.fullmatch(name) or not is_text(name) or not is_known or key.id.hex() != digits:
        raise NoteError("key")
    return key


def sign(checkpoint: Checkpoint, key: Key, signer: Sign) -> Signature:
    """The log's own signature over the body."""
    return Signature(key.name, key.id, signer(checkpoint.body.encode()))


def cosignature_message(checkpoint: Checkpoint, time: int) -> bytes:
    """What a witness signs. time: seconds since 1970, when it saw the checkpoint to be consistent."""
    return f"cosignature/v1\ntime {time}\n{checkpoint.body}".encode()


def cosign(checkpoint: Checkpoint, key: Key, signer: Sign, *, time: int) -> Signature:
    """A witness's signature, with its time."""
    return Signature(key.name, key.id, struct.pack(">Q", time) + signer(cosignature_message(checkpoint, time)))


def write(checkpoint: Checkpoint, signatures: Sequence[Signature]) -> str:
    """The whole note."""
    return checkpoint.body + "\n" + "".join(one.line for one in signatures)


def read(text: str) -> tuple[Checkpoint, list[Signature]]:
    """The parts of a note with exactly three lines of body, nothing verified. Raises NoteError."""
    if not is_text(text):
        raise NoteError("characters")
    body, separator, rest = text.partition("\n\n")
    lines = body.split("\n")
    if not separator or len(lines) != 3 or not rest.endswith("\n"):
        raise NoteError("form")
    origin, size, encoded = lines
    root = decoded(encoded)
    if not origin or not _SIZE.fullmatch(size) or len(root) != 32:
        raise NoteError("form")
    checkpoint = Checkpoint(origin, int(size), root)
    if checkpoint.body != body + "\n":
        raise NoteError("form")
    return checkpoint, [_signature(line) for line in _lines(rest)]


def verify(text: str, key: Key, check: Verify) -> Checkpoint:
    """The checkpoint of a note that `key`, which stands for its origin, has signed. Raises NoteError."""
    checkpoint, signatures = read(text)
    if key.kind != ED25519 or checkpoint.origin != key.name:
        raise NoteError("origin")
    found, message = _of(signatures, key), checkpoint.body.encode()
    # A line of a known key that is wrong spoils the note, whatever stands beside it.
    if not found or any(
        len(one.value) != SIGNATURE_BYTES or not check(key.public, one.value, message) for one in found
    ):
        raise NoteError("signature")
    return checkpoint


def verify_cosignature(checkpoint: Checkpoint, signatures: Sequence[Signature], key: Key, check: Verify) -> int:
    """When the witness saw it: seconds since 1970. Raises NoteError if it has not signed this checkpoint."""
    for one in _of(signatures, key):
        if key.kind != COSIGNATURE or len(one.value) != 8 + SIGNATURE_BYTES:
            continue
        (time,) = struct.unpack(">Q", one.value[:8])
        if check(key.public, one.value[8:], cosignature_message(checkpoint, time)):
            return int(time)
    raise NoteError("cosignature")


def is_text(text: str) -> bool:
    """Whether a note may hold it: what UTF-8 can say, without control characters other than newlines."""
    return not any((char < " " and char != "\n") or "\ud800" <= char <= "\udfff" for char in text)


def _of(signatures: Sequence[Signature], key: Key) -> list[Signature]:
    return [one for one in signatures if one.name == key.name and one.key_id == key.id]


def _lines(rest: str) -> list[str]:
    lines = rest[:-1].split("\n")
    if len(lines) > _MOST_SIGNATURES:
        raise NoteError("form")
    return lines


def _signature(line: str) -> Signature:
    found = _LINE.fullmatch(line)
    if found is None:
        raise NoteError("form")
    data = decoded(found[2])
    if len(data) <= KEY_ID_BYTES:
        raise NoteError("form")
    return Signature(found[1], data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def decoded(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError("base64") from None
    if base64.b64encode(data).decode() != text:
        raise NoteError("base64")
    return data
