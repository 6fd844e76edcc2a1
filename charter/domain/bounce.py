"""The envelope sender of each mail: an address of its own, so that what comes back tells which mail it is about.

Its mark is keyed with the secret key and with the mailbox that the mail went to: nobody makes one up, and one that came
from a former address says nothing of the present one.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass

_LABEL = b"charter bounce"
_MARK_BYTES = 10
#: RFC 5321 §4.5.3.1.1: 64 octets before the @.
LOCAL_MAX_CHARS = 64
_MARKED = re.compile(r"\+([0-9a-v]{26})([0-9a-v]{16})@", re.IGNORECASE | re.ASCII)
#: So many marks of one report are looked at.
MOST_MARKS = 20


@dataclass(frozen=True, slots=True)
class Mark:
    """uid: of the message, 32 hexadecimal digits. proof: what only we can compute."""

    uid: str
    proof: bytes


def envelope_sender(address: str, *, uid: str, mailbox: str, key: bytes) -> str:
    """The address that failures of this mail go to. uid: 32 hexadecimal digits; others leave the address as it is."""
    local, _at, domain = address.rpartition("@")
    try:
        named = bytes.fromhex(uid)
    except ValueError:
        return address
    marked = f"{local}+{_written(named)}{_written(_proof(key, uid, mailbox))}"
    return f"{marked}@{domain}" if len(named) == 16 and len(marked) <= LOCAL_MAX_CHARS else address


def marks_in(text: str) -> Iterator[Mark]:
    """Whatever looks like one of our addresses in a text that anybody may have written."""
    for found, _ in zip(_MARKED.finditer(text), range(MOST_MARKS), strict=False):
        yield Mark(_read(found[1]).hex(), _read(found[2]))


def is_genuine(mark: Mark, *, mailbox: str, key: bytes) -> bool:
    """Whether we gave this mark to a mail to this mailbox."""
    return hmac.compare_digest(mark.proof, _proof(key, mark.uid, mailbox))


def _proof(key: bytes, uid: str, mailbox: str) -> bytes:
    message = b"\0".join((_LABEL, uid.encode("ascii"), mailbox.encode("utf-8")))
    return hmac.digest(key, message, "sha256")[:_MARK_BYTES]


def _written(raw: bytes) -> str:
    # Small letters and digits only: mail systems on the way may change the case.
    return base64.b32hexencode(raw).decode("ascii").rstrip("=").lower()


def _read(text: str) -> bytes:
    padding = "=" * (-len(text) % 8)
    return base64.b32hexdecode((text + padding).upper().encode("ascii"))
