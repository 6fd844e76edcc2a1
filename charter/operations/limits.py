"""How often may be signed, from the traces that signings leave: counted inside the signing itself, for all replicas.

Nothing is refused: beyond a limit a signature is set aside for a human. Every count looks at a bounded number of rows
of an index, all in one statement, and no row is written to by more than one signing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Integer, Select, bindparam, distinct, func, literal, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute

from charter.domain.moments import CLOCK_SLACK
from charter.domain.signature import LIVE, State
from charter.models.base import db
from charter.models.limits import DayKey, SigningTrace, SpentChallenge
from charter.models.signature import Signature
from charter.operations.unit import insert_if_absent, operation

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
#: Rows of one mailbox that are looked at. So many within two weeks are no people.
MOST_OF_A_MAILBOX = 200
#: A minute's newest signings that are looked at, for each that the overall limit allows.
_LOOK_BACK = 4

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


def look_back(
    mailbox: str, name_key: str, *, origin: Origin, limits: Limits, waiting_since: datetime, now: datetime
) -> Seen:
    """One statement, the same for everybody. Rows that lie ahead of the clock by more than clocks disagree are from
    before it was set back, and do not count.
    """
    networks = origin.networks or (None,)
    row = db.session.connection().execute(
        _SEEN,
        {
            "mailbox": mailbox,
            "name_key": name_key,
            "waiting_since": waiting_since,
            "hour_ago": now - HOUR,
            "minute_ago": now - MINUTE,
            "soon": now + CLOCK_SLACK,
            "network": networks[0],
            "former_network": networks[-1],
            "network_most": limits.per_network,
            "domain": origin.domain,
            "domain_most": 0 if origin.is_domain_shared else limits.per_domain,
            "minute_most": max(limits.per_minute * _LOOK_BACK, limits.proof_from),
        },
    )
    return Seen(*row.one())


def _recent(since: str) -> tuple[Any, Any]:
    return SigningTrace.at > bindparam(since), SigningTrace.at <= bindparam("soon")


def _count(most: str, *conditions: Any) -> Any:
    # The limit is inside: what lies beyond it is not even looked at.
    found = select(literal(1).label("one")).where(*conditions).limit(bindparam(most, type_=Integer)).subquery()
    return select(func.count()).select_from(found).scalar_subquery()


def _look() -> Select[Any]:
    columns: tuple[InstrumentedAttribute[Any], ...] = (
        Signature.name_key,
        Signature.state,
        Signature.held,
        Signature.submitted_at,
    )
    row = select(*columns).where(Signature.mailbox == bindparam("mailbox")).limit(MOST_OF_A_MAILBOX).subquery().c
    stands = row.state.in_(LIVE) & ~row.held
    stands &= (row.state != State.SUBMITTED) | (row.submitted_at > bindparam("waiting_since"))
    is_same = row.name_key == bindparam("name_key")
    near = select(
        func.count().label("of_mailbox"),
        func.count()
        .filter((row.submitted_at > bindparam("hour_ago")) & (row.submitted_at <= bindparam("soon")))
        .label("mailbox"),
        func.count(distinct(row.name_key)).filter(stands & ~is_same).label("others"),
        func.count().filter(stands & is_same).label("same"),
    ).subquery()
    proof = (
        select(SigningTrace.proof)
        .where(*_recent("minute_ago"))
        .order_by(SigningTrace.at.desc())
        .limit(bindparam("minute_most", type_=Integer))
        .subquery()
        .c.proof
    )
    minute = select(
        func.count().label("minute"),
        func.count().filter(or_(proof.is_(None), proof == "solved")).label("minute_worked"),
    ).subquery()
    networks = SigningTrace.network.in_((bindparam("network"), bindparam("former_network")))
    return select(
        *near.c,
        _count("network_most", networks, *_recent("hour_ago")),
        _count("domain_most", SigningTrace.domain == bindparam("domain"), *_recent("hour_ago")),
        *minute.c,
    ).select_from(near.join(minute, true()))


#: Built once: putting it together takes longer than asking it.
_SEEN = _look()


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


def spend(work: Work | None) -> str | None:
    """What a proof is worth: one that was spent before is wrong. A step of signing, undone with it."""
    if work is None or work.state != "solved" or work.expires_at is None:
        return None if work is None else work.state
    is_new = insert_if_absent(SpentChallenge, [{"digest": work.digest, "expires_at": work.expires_at}]) == 1
    return "solved" if is_new else "wrong"


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
