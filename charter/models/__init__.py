"""What is kept: one module a subject; importing this package makes every table known to the metadata."""

from charter.models import (
    affiliation,
    decision,
    edition,
    figures,
    limits,
    log,
    outbox,
    passkey,
    registry,
    rights,
    signature,
    staff,
)

__all__ = [
    "affiliation",
    "decision",
    "edition",
    "figures",
    "limits",
    "log",
    "outbox",
    "passkey",
    "registry",
    "rights",
    "signature",
    "staff",
]
