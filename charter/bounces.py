"""Reads a mail that came back: which of ours it is about, and whether the mailbox is gone or only full.

Whatever arrives here was written by strangers: it is read within bounds, and says something only with our mark.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from typing import Any

from charter.domain.bounce import Mark, marks_in

#: Nothing longer is read: a report quotes a mail of ours, which is far smaller.
MOST_BYTES = 256 * 1024
MOST_LINES = 10_000
#: Each boundary is looked for in each line.
MOST_BOUNDARIES = 40
#: So many parts of a report are looked at, and so deep.
MOST_PARTS = 50
#: Where mail systems leave the address that a mail was brought to.
_ADDRESSED = ("X-Original-To", "Delivered-To", "Envelope-To", "X-Envelope-To", "To", "Cc")
_BOUNDARY = re.compile(rb"boundary", re.IGNORECASE)
# Not the middle of a number such as 192.0.2.1.
_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)")
#: RFC 3463 §3.2–3.4: the address does not exist, has moved away or is disabled, or its domain has no mail at all.
_GONE = frozenset({(1, 0), (1, 1), (1, 2), (1, 3), (1, 6), (1, 10), (2, 0), (2, 1), (4, 1), (4, 4)})
#: RFC 5321 §4.2.3, where nothing more exact is told: no mailbox here, not local, its name is not allowed.
_GONE_REPLY = re.compile(r"\b(550|551|553)\b")


@dataclass(frozen=True)
class Report:
    """marks: all that may be ours, most likely first. is_hard: the mailbox is gone; None where nothing failed."""

    marks: tuple[Mark, ...]
    is_hard: bool | None


def read(raw: bytes, *, brought_to: str = "") -> Report:
    """What a report says. brought_to: the address that our mail server brought it to, where it tells. Never raises for
    what stands in it.
    """
    raw = b"\n".join(raw[:MOST_BYTES].splitlines()[:MOST_LINES])
    if len(_BOUNDARY.findall(raw)) > MOST_BOUNDARIES:
        return Report((), None)
    try:
        message = email.message_from_bytes(raw, policy=email.policy.compat32)
        return Report(tuple(dict.fromkeys(_marks(message, brought_to))), _is_hard(message))
    except Exception:
        # The library falls over some of what can be written; such a mail says nothing.
        return Report((), None)


def _marks(message: Message[str, str], brought_to: str) -> Iterator[Mark]:
    yield from marks_in(brought_to[:1000])
    for name in _ADDRESSED:
        for value in message.get_all(name, [])[:10]:
            yield from marks_in(str(value)[:1000])


def _is_hard(message: Message[str, str]) -> bool | None:
    """What the status of RFC 3464 says; else what can be guessed from the many ways in which servers tell it."""
    said = [_verdict(*told) for told in _statuses(message)]
    if any(one is not None for one in said):
        return any(one is True for one in said)
    # Here: who reads no mail that came back does not load it.
    from flufl.bounce import all_failures

    try:
        temporary, permanent = all_failures(message)
    except Exception:
        # Seventeen readers of what strangers wrote: one that fails has nothing to say.
        return None
    if permanent:
        found = _STATUS.search(_beginning(message))
        return found is None or (found[1] == "5" and (int(found[2]), int(found[3])) in _GONE)
    return False if temporary else None


def _beginning(message: Message[str, str]) -> str:
    for part, _ in zip(message.walk(), range(MOST_PARTS), strict=False):
        if part.get_content_maintype() == "text" and not part.is_multipart():
            return str(part.get_payload())[:20_000]
    return ""


def _statuses(message: Message[str, str]) -> Iterator[tuple[str, str, str]]:
    """(action, status, what the server answered) of each recipient in the parts of type message/delivery-status."""
    for part, _ in zip(message.walk(), range(MOST_PARTS), strict=False):
        if part.get_content_type() != "message/delivery-status":
            continue
        blocks: Any = part.get_payload()
        for block in blocks[:MOST_PARTS] if isinstance(blocks, list) else []:
            if block.get("Action"):
                diagnosis = str(block.get("Diagnostic-Code", ""))[:1000]
                yield str(block["Action"]).strip().casefold()[:20], str(block.get("Status", ""))[:100], diagnosis


def _verdict(action: str, status: str, diagnosis: str) -> bool | None:
    """True: gone for good; False: failed, but not because the mailbox is gone; None: nothing failed."""
    if action.startswith("delayed"):
        return False
    if not action.startswith(("fail", "error")):
        return None
    found = _STATUS.search(status)
    if found is None or found[0] == "5.0.0":
        # Some servers write the same for everything, and what really was into the other line.
        found = _STATUS.search(diagnosis)
    if found is None:
        return bool(_GONE_REPLY.search(diagnosis))
    return found[1] == "5" and (int(found[2]), int(found[3])) in _GONE
