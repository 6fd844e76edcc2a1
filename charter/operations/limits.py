"""How often may be signed, from the traces that signings leave: counted inside the signing itself, for all replicas.

Nothing is refused: beyond a limit a signature is set aside for a human. What was signed is counted by `seen.py`; no row
is written to by more than one signing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sqlalchemy import select

from charter.models.base import db
from charter.models.limits import DayKey, SigningTrace, SpentChallenge
from charter.operations.unit import insert_if_absent, operation

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
#: Rows of one mailbox that are looked at. So many within two weeks are no people.
MOST_OF_A_MAILBOX = 200

#: Why a signature is set aside, in the order in which it is said.
REASONS = ("trap", "start", "haste", "proof", "people", "mailbox", "network", "domain", "overall")


@dataclass(frozen=True)
class Limits:
    """Signings allowed within an hour, and overall within a minute; 0: no limit.

    proof_from: so many signings within a minute overall, and each needs a proof of work; 0: none ever does.
    """

    per_mailbox: int = 0
    per_network: int = 0
    per_domain: int = 0
    per_minute: int = 0
    proof_from: int = 0


@dataclass(frozen=True)
class Work:
    """What came back of a proof of work. state: solved | missing | wrong. digest: of the challenge that was solved."""

    state: str
    digest: bytes = b""
    expires_at: datetime | None = None


@dataclass(frozen=True)
class Origin:
    """From where and how a form came.

    networks: digests under the key of today and, in the first hour of a day, of yesterday; the first is kept.
    domain: of the mail address. is_domain_shared: a provider of many people, which has no limit.
    seconds: for which the form was open. oddity: what no person does: trap | start | haste. work: None where the form
    did not ask for any.
    """

    networks: tuple[bytes, ...] = ()
    domain: str | None = None
    is_domain_shared: bool = True
    seconds: int | None = None
    oddity: str | None = None
    work: Work | None = None


@dataclass(frozen=True)
class Seen:
    """What was signed lately. Each is counted no further than its limit.

    of_mailbox: rows of the mailbox at all; others, same: people of it, and this very one, who stand or may still
    confirm. minute: overall; minute_worked: of them, those that brought a proof or were not asked for one.
    """

    of_mailbox: int
    mailbox: int
    others: int
    same: int
    network: int
    domain: int
    minute: int
    minute_worked: int


# ── what was signed lately ───────────────────────────────────────────────────────────────────────────────────────────


def add_seen(seen: Seen, origin: Origin, *, before: Sequence[tuple[Origin, str | None]]) -> Seen:
    """`seen` with those of other mailboxes who sign just before in the same transaction: their origin and their work,
    as it was found to be.
    """
    if not before:
        return seen
    return replace(
        seen,
        network=seen.network + sum(bool(set(other.networks[:1]) & set(origin.networks)) for other, _work in before),
        domain=seen.domain + sum(other.domain == origin.domain for other, _work in before),
        minute=seen.minute + len(before),
        minute_worked=seen.minute_worked + sum(work in {None, "solved"} for _other, work in before),
    )


def needs_work(seen: Seen, origin: Origin, limits: Limits) -> bool:
    """Whether so much is being signed that a form without a proof of work has to come back with one."""
    return bool(limits.proof_from) and seen.minute >= limits.proof_from and origin.work is None


def reason_to_hold(
    seen: Seen, *, origin: Origin, work: str | None, limits: Limits, people_per_mailbox: int
) -> str | None:
    """Which limit or sign sets a signature aside, the first of REASONS; None where nothing does.

    work: what the proof turned out to be. Who was asked for one and brought none is set aside while many sign.
    """
    is_pressed = limits.proof_from and seen.minute >= limits.proof_from
    if origin.oddity is not None:
        return origin.oddity
    if work == "wrong" or (work == "missing" and is_pressed):
        return "proof"
    if not seen.same and seen.others >= people_per_mailbox:
        return "people"
    if seen.of_mailbox >= MOST_OF_A_MAILBOX or _is_beyond(seen.mailbox, limits.per_mailbox):
        return "mailbox"
    if _is_beyond(seen.network, limits.per_network):
        return "network"
    if not origin.is_domain_shared and _is_beyond(seen.domain, limits.per_domain):
        return "domain"
    return "overall" if _is_beyond(seen.minute_worked, limits.per_minute) else None


def _is_beyond(count: int, limit: int) -> bool:
    return bool(limit) and count >= limit


# ── steps of signing ─────────────────────────────────────────────────────────────────────────────────────────────────


def spend(works: Sequence[Work | None]) -> list[str | None]:
    """What each proof is worth: one that was spent before is wrong. A step of signing, undone with it.

    In one order, whoever brings them, so that two transactions with the same ones never wait in a circle.
    """
    solved: dict[bytes, datetime] = {}
    for work in works:
        if work is not None and work.state == "solved" and work.expires_at is not None:
            solved.setdefault(work.digest, work.expires_at)
    unspent = {
        digest
        for digest, expires_at in sorted(solved.items())
        if insert_if_absent(SpentChallenge, [{"digest": digest, "expires_at": expires_at}]) == 1
    }
    worth: list[str | None] = []
    for work in works:
        if work is None or work.state != "solved" or work.expires_at is None:
            worth.append(None if work is None else work.state)
            continue
        worth.append("solved" if work.digest in unspent else "wrong")
        unspent.discard(work.digest)
    return worth


def trace_of(signature_id: int, origin: Origin, *, work: str | None, now: datetime) -> SigningTrace:
    """What is kept of where a signature came from, not yet written."""
    return SigningTrace(
        signature_id=signature_id,
        at=now,
        network=origin.networks[0] if origin.networks else None,
        domain=origin.domain,
        seconds=None if origin.seconds is None else max(0, origin.seconds),
        proof=work,
    )


# ── the key of a day ─────────────────────────────────────────────────────────────────────────────────────────────────


@operation
def keep_day_key(day: date) -> bytes:
    """The random key of this day (UTC), made by whoever asks first: 32 bytes. Without it nobody, not even we, can tell
    which networks the traces of the day came from.
    """
    found = _find_day_key(day)
    if found is None:
        insert_if_absent(DayKey, [{"day": day, "key": secrets.token_bytes(32)}])
        found = _find_day_key(day)
    if found is None:
        raise LookupError("day key")
    return found


def _find_day_key(day: date) -> bytes | None:
    return db.session.scalars(select(DayKey.key).where(DayKey.day == day)).first()


def network_digest(network: str, *, key: bytes, day_key: bytes) -> bytes:
    """32 bytes that tell networks apart for a day, to whoever holds both keys. network: as `domain.network` says."""
    return hmac.digest(
        hmac.digest(key, b"charter network\0" + day_key, hashlib.sha256), network.encode(), hashlib.sha256
    )
