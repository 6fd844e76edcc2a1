"""One mail on its way: what the outbox hands over and what rendering needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Delivery:
    """One message to be rendered and sent.

    uid: left part of the Message-ID, the same on a repeat. kind: the template's folder. link_purpose, link_uid: what
    the token and the code are computed from; None for a mail without a link.
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
