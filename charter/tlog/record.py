"""Record lines: exactly what the public sees of one entry, kept as bytes and committed to by SHA-256 (LOG §1)."""

from __future__ import annotations

import hashlib
from datetime import date

from charter.tlog import canonical

SALT_BYTES = 32
ENTRY_BYTES = 16


def encode_record(
    *,
    entry: str,
    salt: bytes,
    rev: int,
    number: int | None,
    kind: str,
    display: str,
    name: str | None,
    region: str,
    affiliation: str | None,
    affiliation_name: str | None,
    charter: str,
    signed_on: date,
) -> bytes:
    """The record line of one revision, without a newline.

    entry: 32 hex. salt: 32 fresh random bytes. rev: 0 for an application line, which then has no number; from 1
    on a published one. region: ISO 3166-2 or ZZ. An unlisted entry carries neither name nor affiliation, whatever
    is passed: they would name the person.
    """
    if len(salt) != SALT_BYTES or len(bytes.fromhex(entry)) != ENTRY_BYTES:
        raise ValueError("salt or entry of the wrong length")
    if (rev == 0) != (number is None):
        raise ValueError("an application line has no number, a published one has")
    record: dict[str, object] = {
        "charter": charter,
        "display": display,
        "entry": entry,
        "kind": kind,
        "region": region,
        "rev": rev,
        "salt": salt.hex(),
        "signed": signed_on.isoformat(),
    }
    if number is not None:
        record["number"] = number
    if display != "unlisted":
        optional = {"affiliation": affiliation, "affiliation_name": affiliation_name, "name": name}
        record |= {key: value for key, value in optional.items() if value is not None}
    return canonical.encode(record)


def commitment(line: bytes) -> str:
    """`commit`: lower-case hex SHA-256 of the line, as `sha256sum` prints it."""
    return hashlib.sha256(line).hexdigest()
