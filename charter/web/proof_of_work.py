"""Proof of work for the sign form: ALTCHA's challenges, made and checked here; nobody else is asked.

A challenge names a counter's place that only trying finds; what was tried is dear, what is checked is cheap. Its random
part and its end travel with it, signed by us, so that nothing is kept until one is solved (`SpentChallenge`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from charter.operations.limits import Work

#: Time to solve one and send the form. Whoever comes later gets another.
LIFETIME = timedelta(hours=2)
#: PBKDF2 rounds of one try: a tenth of a millisecond or two.
ROUNDS = 1000
_ALGORITHM = "PBKDF2/SHA-256"
_MOST_CHARS = 3000


def make_challenge(key: bytes, *, tries: int, now: datetime) -> str:
    """A fresh challenge as JSON. tries: on average; twice as many at the most."""
    import altcha

    signing, checking = _keys(key)
    made = altcha.create_challenge(
        _ALGORITHM,
        ROUNDS,
        # Not from 0: an answer found at once would cost its robot nothing.
        counter=tries // 2 + secrets.randbelow(tries + 1),
        # Ours, not the library's own `expires_at`, which would look at another clock.
        data={"until": int((now + LIFETIME).timestamp())},
        hmac_secret=signing,
        hmac_key_secret=checking,
    )
    return json.dumps(made.to_dict(), separators=(",", ":"))


def check(key: bytes, answer: str, *, now: datetime) -> Work | None:
    """What an answer is worth. None for one that came too late: it is as if none had been asked for."""
    if not answer.strip():
        return Work("missing")
    try:
        payload: dict[str, Any] = json.loads(base64.b64decode(answer[:_MOST_CHARS], validate=True))
        return _check(key, payload, now=now)
    # Strangers write it: whatever it is that cannot be read, it is not a solution.
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return Work("wrong")


def _check(key: bytes, payload: dict[str, Any], *, now: datetime) -> Work | None:
    import altcha

    found = altcha.Payload.from_dict(payload)
    signing, checking = _keys(key)
    # Without the signature of the answer's key the library would work through the rounds for whoever asks.
    if not found.challenge.parameters.key_signature:
        return Work("wrong")
    found.challenge.parameters.expires_at = None
    if not altcha.verify_solution(found, signing, hmac_key_secret=checking).verified:
        return Work("wrong")
    until = datetime.fromtimestamp((found.challenge.parameters.data or {})["until"], UTC)
    if until <= now:
        return None
    # Only what was signed counts: the rest of an answer may be written in many ways.
    parts = f"{found.challenge.parameters.nonce}.{found.challenge.parameters.salt}"
    return Work("solved", hashlib.sha256(parts.encode()).digest(), until)


def _keys(key: bytes) -> tuple[bytes, bytes]:
    """For the signature of a challenge, and of what its answer is."""
    return hmac.digest(key, b"charter challenge", "sha256"), hmac.digest(key, b"charter challenge key", "sha256")
