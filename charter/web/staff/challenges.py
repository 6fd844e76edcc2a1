"""The questions put to passkeys: in the signed cookie, for minutes, for one purpose and person, and for one try."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from enum import StrEnum

from flask import session

from charter import clock
from charter.domain.passkey import PROMPT_SECONDS, new_challenge
from charter.operations import staff as operations

_KEY = "staff_challenge"
#: The browser's patience, and a slow network.
CHALLENGE_SECONDS = PROMPT_SECONDS + 60


class Purpose(StrEnum):
    """What an answer would be good for; it is good for nothing else."""

    SIGN_IN = "sign-in"
    SECOND_FACTOR = "second-factor"
    ADD = "add"
    AGAIN = "again"


@dataclass(frozen=True)
class Challenge:
    """A question that was put and not answered yet. user_handle: of the account that adds a passkey, else empty."""

    value: bytes
    user_handle: bytes = b""


def give(purpose: Purpose, *, who: str = "", user_handle: bytes = b"") -> Challenge:
    """A new question instead of any other of this browser. who: the account it is put to, if that is known."""
    challenge = Challenge(new_challenge(), user_handle)
    session[_KEY] = {
        "purpose": purpose.value,
        "who": who,
        "value": base64.b64encode(challenge.value).decode(),
        "user_handle": base64.b64encode(user_handle).decode(),
        "at": clock.now().timestamp(),
    }
    return challenge


def take(purpose: Purpose, *, who: str = "") -> Challenge | None:
    """The question that this browser was last put for this purpose; None if there is none, or it is over or tried.

    A cookie is only signed, so that an old copy brings its question back: the database counts the tries, one at most.
    """
    kept = session.pop(_KEY, None)
    if not isinstance(kept, dict) or kept.get("purpose") != purpose.value or kept.get("who") != who:
        return None
    now = clock.now()
    if not 0 <= now.timestamp() - kept["at"] <= CHALLENGE_SECONDS:
        return None
    value = base64.b64decode(kept["value"])
    key = hashlib.sha256(b"staff challenge\0" + value).hexdigest()
    # For longer than the question could come back.
    tries = operations.count_attempt(key, window_seconds=2 * CHALLENGE_SECONDS, amount=1, now=now)
    return Challenge(value, base64.b64decode(kept["user_handle"])) if tries == 1 else None
