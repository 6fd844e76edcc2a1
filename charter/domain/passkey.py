"""Passkeys (WebAuthn Level 3): where they can be used, and the shape of what a browser answers.

A passkey stands for two factors here, so the device must have verified its owner, and it must find its key by itself:
nobody types who they are first. What is asked and whether the answer is right: `charter.domain.authenticators`.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from charter.domain.errors import CharterError
from charter.domain.text import clean_line

CHALLENGE_BYTES = 32
#: WebAuthn §14.6.1: random, and nothing that names the person. One for all passkeys of an account.
USER_HANDLE_BYTES = 32
#: WebAuthn §7.1: longer ones are refused.
CREDENTIAL_ID_MAX_BYTES = 1023
#: How long the browser waits for the person.
PROMPT_SECONDS = 120
#: An answer of a browser is some hundreds of characters long.
ANSWER_MAX_CHARS = 16_384
NAME_MAX_CHARS = 60

#: What reading raises over bytes that a browser never sent.
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


class PasskeyError(CharterError):
    """The answer is not that of the right passkey to this question at this site. Carries nothing of what was sent."""


@dataclass(frozen=True)
class Site:
    """Where passkeys belong. rp_id: the host name they are bound to; origin: whose pages alone may use them."""

    rp_id: str
    origin: str


@dataclass(frozen=True)
class NewPasskey:
    """What is kept of a passkey that was made. public_key: COSE; sign_count: 0 where the device does not count."""

    credential_id: bytes
    public_key: bytes
    sign_count: int


@dataclass(frozen=True)
class Answer:
    """What a browser sent. Nothing of it is proved before `authenticators` has said so."""

    credential_id: bytes
    user_handle: bytes | None
    raw: dict[str, Any]


def site_of(public_url: str) -> Site | None:
    """The site at this address; None where browsers offer no passkeys: at an IP address, or without https.

    public_url: as the settings leave it, with a host in small ASCII letters and without its usual port or a path.
    A browser counts `localhost` as safe without https, but no IP address as a name (WebAuthn §5.1.3).
    """
    address = urlsplit(public_url)
    host = address.hostname or ""
    is_local = host == "localhost" or host.endswith(".localhost")
    if not host or _is_ip(host) or not (address.scheme == "https" or is_local):
        return None
    return Site(rp_id=host, origin=public_url)


def _is_ip(host: str) -> bool:
    # A host that ends in a number is an IPv4 address to every browser (URL Standard, "ends in a number checker").
    last = host.rpartition(".")[2]
    return ":" in host or last.isdigit() or last.startswith("0x")


def new_challenge() -> bytes:
    """32 random bytes, for one question."""
    return secrets.token_bytes(CHALLENGE_BYTES)


def new_user_handle() -> bytes:
    """32 random bytes, for one account."""
    return secrets.token_bytes(USER_HANDLE_BYTES)


def clean_passkey_name(raw: str) -> str:
    """How the person calls it. Raises TextError."""
    return clean_line(raw, max_chars=NAME_MAX_CHARS)


def read_answer(text: str) -> Answer:
    """Shape only: an object with the id of a credential. Raises PasskeyError."""
    if not text or len(text) > ANSWER_MAX_CHARS:
        raise PasskeyError
    try:
        raw = json.loads(text)
        credential_id = _bytes_of(raw["rawId"])
        handle = raw["response"].get("userHandle")
        user_handle = None if handle is None else _bytes_of(handle)
        is_framed = json.loads(_bytes_of(raw["response"]["clientDataJSON"])).get("crossOrigin", False)
    except UNREADABLE:
        raise PasskeyError from None
    # A page of somebody else's with ours in a frame may have put the question (WebAuthn §13.4.2).
    if is_framed is not False or not 0 < len(credential_id) <= CREDENTIAL_ID_MAX_BYTES:
        raise PasskeyError
    return Answer(credential_id, user_handle, raw)


def _bytes_of(text: object) -> bytes:
    # Python's own reading passes over whatever is no base64url.
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise PasskeyError
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def is_counting_on(*, last: int, now: int) -> bool:
    """Whether a sign counter went on, or stands at 0 as with devices that do not count (WebAuthn §7.2 step 22).

    One that stands still or runs back tells of a copy of the key.
    """
    return now > last or (now == 0 and last == 0)
