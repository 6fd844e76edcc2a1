"""The log's own keys: made on the first run, kept in `instance/` for the owner's eyes only, handed on as a signer."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from charter.settings import Settings
from charter.tlog import note
from charter.tlog.signer import Signer

NAME = "log.key"
_BEGIN = "PRIVATE+KEY+"


class LogKeyError(Exception):
    """There is no key to sign with, or it must not be used; the text is a sentence for the operator."""


def path_of(settings: Settings) -> Path:
    """Where the file is."""
    return settings.instance_path / NAME


def origin_of(settings: Settings) -> str:
    """The name that a log which begins now gets; afterwards the key's own name counts."""
    return settings.log_origin or f"{settings.public_host}/log"


def signer(settings: Settings) -> Signer:
    """Who signs: the keys of the file, one a line, the chief one first. Raises LogKeyError."""
    path = path_of(settings)
    try:
        mode = path.stat().st_mode
        lines = path.read_text(encoding="ascii").split()
    except FileNotFoundError:
        raise LogKeyError(f"there is no key {path.name} to sign the log with") from None
    if stat.S_IMODE(mode) & 0o077:
        raise LogKeyError(f"others can read {path.name}: its mode must be 0400")
    return Signer([_read(line) for line in lines])


def make(settings: Settings) -> None:
    """Makes the first key unless there is a file already; of several processes one wins."""
    path = path_of(settings)
    if path.exists():
        return
    seed = Ed25519PrivateKey.generate()
    key = note.Key(origin_of(settings), note.ED25519, seed.public_key().public_bytes_raw())
    encoded = base64.b64encode(note.ED25519 + seed.private_bytes_raw()).decode()
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{_BEGIN}{key.name}+{key.id.hex()}+{encoded}\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(line: str) -> tuple[note.Key, note.Sign]:
    """A key in the form of signed notes: PRIVATE+KEY+name+id+base64(0x01 ‖ seed)."""
    try:
        name, digits, encoded = line.removeprefix(_BEGIN).split("+", 2)
        data = note.decoded(encoded)
        seed = Ed25519PrivateKey.from_private_bytes(data[1:])
    except ValueError:
        raise LogKeyError(f"{NAME} holds something that is no key") from None
    key = note.Key(name, note.ED25519, seed.public_key().public_bytes_raw())
    if not line.startswith(_BEGIN) or data[:1] != note.ED25519 or key.id.hex() != digits:
        raise LogKeyError(f"{NAME} holds something that is no key")
    return key, seed.sign


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether an Ed25519 signature is right: `note.Verify`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
