"""Who may act on a signature: the browser that signed, or whoever has the code that its mailbox was sent."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, select

from charter.domain import token as tokens
from charter.domain.errors import NotFoundError
from charter.domain.moments import is_recent
from charter.domain.signature import Move, State, may
from charter.models import moments
from charter.models.base import db
from charter.models.signature import Link, Signature
from charter.operations.steps import new_link, queue_message
from charter.operations.unit import operation


class Outcome(StrEnum):
    """What became of an act that needs proof. Not an exception: a wrong code must be counted, so the work commits."""

    DONE = "done"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    ALREADY = "already"
    CODE_NEEDED = "code-needed"
    CODE_WRONG = "code-wrong"
    TRIES_USED_UP = "tries-used-up"
    NOT_POSSIBLE = "not-possible"


@dataclass(frozen=True)
class Result:
    """outcome; tries_left after a wrong code; personal_token: the link to *my signature*, after a confirmation."""

    outcome: Outcome
    tries_left: int = 0
    personal_token: str | None = None


@dataclass(frozen=True)
class Proof:
    """What the person brings besides the link: the signing browser's cookie as digest, or the code from the mail."""

    browser_digest: bytes | None
    code: str | None


def get_signature(signature_id: int) -> Signature:
    """The row, locked for this operation. Raises NotFoundError."""
    signature = db.session.get(Signature, signature_id, with_for_update=True)
    if signature is None:
        raise NotFoundError
    return signature


def prove_act(signature: Signature, proof: Proof, *, key: bytes, code_tries: int, now: datetime) -> Result | None:
    """None when the dangerous act may be done; the code is then used up. Else what to answer: the act must not be done.

    A wrong code is counted, so the operation must commit, not raise.
    """
    if is_signing_browser(signature, proof):
        return None
    link = latest_act_link(signature.id)
    if link is None or link.used_at is not None or (link.expires_at is not None and link.expires_at <= now):
        return Result(Outcome.CODE_NEEDED)
    refused = check_proof(signature, link, proof, key=key, code_tries=code_tries)
    if refused is None:
        link.used_at = now
    return refused


def latest_act_link(signature_id: int) -> Link | None:
    """The newest code that was asked for, used or not."""
    return db.session.scalars(
        select(Link).where(Link.signature_id == signature_id, Link.purpose == "act").order_by(Link.id.desc()).limit(1)
    ).first()


def is_signing_browser(signature: Signature, proof: Proof) -> bool:
    """Whether the request came from the browser in which this was signed."""
    # Of whoever is forgotten the digest is empty.
    return bool(proof.browser_digest) and secrets.compare_digest(proof.browser_digest or b"", signature.browser_digest)


def check_proof(signature: Signature, link: Link, proof: Proof, *, key: bytes, code_tries: int) -> Result | None:
    """None when proved. An empty code is no try: a mail robot that presses every button must not use them up."""
    if is_signing_browser(signature, proof):
        return None
    if link.tries >= code_tries:
        return Result(Outcome.TRIES_USED_UP)
    if not proof.code or not proof.code.strip():
        return Result(Outcome.CODE_NEEDED, tries_left=code_tries - link.tries)
    if tokens.codes_equal(proof.code, tokens.code(key, link.purpose, link.uid)):
        return None
    link.tries += 1
    left = code_tries - link.tries
    return Result(Outcome.CODE_WRONG if left else Outcome.TRIES_USED_UP, tries_left=left)


CODE_PAUSE = timedelta(seconds=60)
#: Codes for one signature within a day: with five tries each, guessing one has odds of 1 in 40,000 a day.
CODES_A_DAY = 5


@operation
def request_code(signature_id: int, *, key: bytes, code_minutes: int, now: datetime) -> bool:
    """Mails a fresh six-digit code for a dangerous act; False when the day's are used up or nobody is left to write to.

    A second request within a minute sends nothing more: the first code is on its way.
    """
    signature = get_signature(signature_id)
    is_open = may(State(signature.state), Move.WITHDRAW) or signature.state in {State.DECLINED, State.REVOKED}
    if not is_open or not signature.email:
        return False
    latest = latest_act_link(signature_id)
    if latest is not None and latest.used_at is None and is_recent(latest.created_at, now=now, within=CODE_PAUSE):
        return True
    recent = db.session.scalar(
        select(func.count())
        .select_from(Link)
        .where(
            Link.signature_id == signature_id,
            Link.purpose == "act",
            moments.is_recent(Link.created_at, now=now, within=timedelta(days=1)),
        )
    )
    if (recent or 0) >= CODES_A_DAY:
        return False
    link = new_link(signature, "act", key=key, now=now, lifetime=timedelta(minutes=code_minutes))
    queue_message("code", signature, link=link, now=now, values={"minutes": code_minutes})
    return True
