"""The log's own keys: made on the first run, kept in a file for the owner's eyes only, handed on as a signer.

The file says which keys are held here. What each may do stands in the log, as `key` leaves (`publishing.py`).
"""

from __future__ import annotations

import base64
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from charter import lasting
from charter.settings import Settings, own_origin
from charter.tlog import note
from charter.tlog.signer import Signer

NAME = "log.key"
_LOCK = "log.lock"
_BEGIN = "PRIVATE+KEY+"
_MODE = 0o400


#: What can be wrong, as a code for metrics → in a few words for `/readyz`.
WORDS = {
    "no_key": "there is no key",
    "key_readable": "others can read the key",
    "key_unusable": "the key cannot be used",
    "key_other": "not the key of this log",
    "name": "the settings name another log",
}


class LogKeyError(Exception):
    """There is no key to sign with, or it must not be used; the text is a sentence for the operator.

    code: one of WORDS.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True)
class Held:
    """One key of the file. sign: keeps the seed to itself. line: as it stands in the file, never to be shown."""

    key: note.Key
    sign: note.Sign = field(repr=False)
    line: str = field(repr=False)

    @property
    def vkey(self) -> str:
        """The verifier key, as text."""
        return self.key.text


def path_of(settings: Settings) -> Path:
    """Where the file is."""
    return settings.log_path / NAME


def lock_of(settings: Settings) -> Path:
    """What keeps two processes from changing key or guard at once."""
    return settings.log_path / _LOCK


def held(settings: Settings) -> list[Held]:
    """The keys of the file, in the order they were made. Raises LogKeyError."""
    path = path_of(settings)
    try:
        mode = path.stat().st_mode
        lines = path.read_text(encoding="ascii").split()
    except FileNotFoundError:
        raise LogKeyError("no_key", f"there is no key {path.name} to sign the log with") from None
    except OSError as error:
        raise LogKeyError("key_unusable", f"{path.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _broken() from None
    if stat.S_IMODE(mode) & 0o077:
        raise LogKeyError("key_readable", f"others can read {path.name}: its mode must be 0400")
    found = [_read(line) for line in lines]
    if not found or len({one.key.name for one in found}) > 1:
        raise _broken()
    return found


def signer(settings: Settings) -> Signer:
    """All keys of the file as a signer, the oldest first. Raises LogKeyError."""
    return signer_of(held(settings))


def signer_of(keys: Sequence[Held]) -> Signer:
    """These keys as a signer, the chief one first."""
    return Signer([(one.key, one.sign) for one in keys])


def check_name(settings: Settings, origin: str) -> None:
    """Raises LogKeyError if the settings name another log than the key does.

    The name that is made from the address says nothing: the address may change, the log keeps its name.
    """
    if settings.log_origin not in {origin, own_origin(settings.public_url)}:
        raise LogKeyError(
            "name",
            f"log_origin is {settings.log_origin}, and the key is of the log {origin}: a log never changes its name",
        )


def make(settings: Settings, *, origin: str | None = None) -> Held:
    """Makes the first key unless there is a file already; of several processes one wins. Raises LogKeyError.

    origin: the name of the log that begins, by default that of the settings.
    """
    try:
        lasting.create(path_of(settings), _new(origin or settings.log_origin), mode=_MODE)
    except OSError as error:
        raise LogKeyError("key_unusable", f"{NAME} cannot be made: {error.strerror}") from None
    return held(settings)[0]


def add(settings: Settings) -> Held:
    """Makes one more key for the same log and returns it. Raises LogKeyError and OSError."""
    with lasting.alone(lock_of(settings)):
        keys = held(settings)
        line = _new(keys[0].key.name).decode().strip()
        _keep(settings, [*(one.line for one in keys), line])
    return _read(line)


def remove(settings: Settings, vkey: str) -> None:
    """Takes a key out of the file, for good. Raises LogKeyError if it would be the last one, and OSError."""
    with lasting.alone(lock_of(settings)):
        keys = held(settings)
        left = [one.line for one in keys if one.vkey != vkey]
        if not left:
            raise LogKeyError("no_key", "the last key cannot be removed")
        if len(left) < len(keys):
            _keep(settings, left)


def _keep(settings: Settings, lines: Sequence[str]) -> None:
    lasting.replace(path_of(settings), "".join(f"{line}\n" for line in lines).encode("ascii"), mode=_MODE)


def _new(origin: str) -> bytes:
    """A key in the form of signed notes: PRIVATE+KEY+name+id+base64(0x01 ‖ seed), and a newline."""
    seed = Ed25519PrivateKey.generate()
    key = note.Key(origin, note.ED25519, seed.public_key().public_bytes_raw())
    encoded = base64.b64encode(note.ED25519 + seed.private_bytes_raw()).decode()
    return f"{_BEGIN}{key.name}+{key.id.hex()}+{encoded}\n".encode("ascii")


def _read(line: str) -> Held:
    try:
        name, digits, encoded = line.removeprefix(_BEGIN).split("+", 2)
        data = note.decoded(encoded)
        seed = Ed25519PrivateKey.from_private_bytes(data[1:])
    except ValueError:
        raise _broken() from None
    key = note.Key(name, note.ED25519, seed.public_key().public_bytes_raw())
    if not line.startswith(_BEGIN) or data[:1] != note.ED25519 or key.id.hex() != digits:
        raise _broken()
    return Held(key, seed.sign, line)


def _broken() -> LogKeyError:
    return LogKeyError("key_unusable", f"{NAME} holds something that is no key")


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether an Ed25519 signature is right: `note.Verify`."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
