"""What is kept: one module a subject; importing this package makes every table known to the metadata."""

from charter.models import (
    affiliation,
    decision,
    desk,
    edition,
    figures,
    importing,
    limits,
    log,
    outbox,
    passkey,
    registry,
    rights,
    signature,
    staff,
    sweeping,
)

__all__ = [
    "affiliation",
    "decision",
    "desk",
    "edition",
    "figures",
    "importing",
    "limits",
    "log",
    "outbox",
    "passkey",
    "registry",
    "rights",
    "signature",
    "staff",
    "sweeping",
]
