"""One mail on its way: what the outbox hands over and what rendering needs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

#: The way out rests when failures in a row weigh so much. A refused address may be that address's fault; ten other
#: failures, or thirty of these, are not.
MOST_FAILURES = 30
#: The row among the tallies of mailboxes that speaks for the way out as a whole.
WAY_OUT = hashlib.sha256(b"charter mail: the way out").digest()


def hour_of(now: datetime) -> datetime:
    """The beginning of the hour, UTC: what leaves is counted by hours."""
    return now.replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class Delivery:
    """One message to be rendered and sent.

    uid: left part of the Message-ID, the same on a repeat. kind: the template's folder. link_purpose, link_uid: what
    the token and the code are computed from; None for a mail without a link. first_uid: of a first mail, what the
    answer "this was not me" is computed from.
    """

    message_id: int
    uid: str
    kind: str
    language: str
    recipient: str
    values: Mapping[str, Any]
    link_purpose: str | None
    link_uid: bytes | None
    link_expires_at: datetime | None
    created_at: datetime
    first_uid: bytes | None = None


@dataclass(frozen=True)
class Batch:
    """What a worker has taken up. is_full: more may be due at once. is_failing: the attempt before these failed, so
    that a success has to be told. is_paused: nothing is tried for a while.
    """

    deliveries: list[Delivery]
    is_full: bool = False
    is_failing: bool = False
    is_paused: bool = False
