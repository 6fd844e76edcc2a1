"""Passkeys (WebAuthn Level 3): where they can be used, what a browser is asked, and whether its answer is right.

The one place that knows the library which reads what authenticators send. A passkey stands for two factors here, so
the device must have verified its owner, and it must find its key by itself: nobody types who they are first.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    base64url_to_bytes,
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    options_to_json_dict,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

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

_ALGORITHMS = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
#: What the library raises over bytes that a browser never sent.
_UNREADABLE = (WebAuthnException, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


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
    """What a browser sent. Nothing of it is proved before `verify` has said so."""

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


def question_for_new(
    site: Site, *, challenge: bytes, user_handle: bytes, email: str, name: str, present: Iterable[bytes]
) -> dict[str, Any]:
    """What `navigator.credentials.create` is asked, as PublicKeyCredentialCreationOptionsJSON.

    email, name: shown by the device beside the key. present: ids of the passkeys this account has already.
    """
    options = generate_registration_options(
        rp_id=site.rp_id,
        rp_name=f"Charter {site.rp_id}",
        user_id=user_handle,
        user_name=email,
        user_display_name=name,
        challenge=challenge,
        timeout=PROMPT_SECONDS * 1000,
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            require_resident_key=True,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in present],
        supported_pub_key_algs=_ALGORITHMS,
    )
    return options_to_json_dict(options)


def question_for_known(site: Site, *, challenge: bytes, allowed: Iterable[bytes] = ()) -> dict[str, Any]:
    """What `navigator.credentials.get` is asked, as PublicKeyCredentialRequestOptionsJSON.

    allowed: ids of the passkeys that will do; none leaves the choice to the device and tells nothing about accounts.
    """
    options = generate_authentication_options(
        rp_id=site.rp_id,
        challenge=challenge,
        timeout=PROMPT_SECONDS * 1000,
        allow_credentials=[PublicKeyCredentialDescriptor(id=one) for one in allowed],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json_dict(options)


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
    except _UNREADABLE:
        raise PasskeyError from None
    # A page of somebody else's with ours in a frame may have put the question (WebAuthn §13.4.2).
    if is_framed is not False or not 0 < len(credential_id) <= CREDENTIAL_ID_MAX_BYTES:
        raise PasskeyError
    return Answer(credential_id, user_handle, raw)


def _bytes_of(text: object) -> bytes:
    # The library's own reading passes over whatever is no base64url.
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise PasskeyError
    return base64url_to_bytes(text)


def verify_new(answer: Answer, site: Site, *, challenge: bytes) -> NewPasskey:
    """What to keep of a passkey that answers this challenge at this site (WebAuthn §7.1). Raises PasskeyError."""
    try:
        made = verify_registration_response(
            credential=answer.raw,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            require_user_verification=True,
            supported_pub_key_algs=_ALGORITHMS,
        )
        # Without an attestation nothing was signed yet: a key that is none would show itself at the next sign-in.
        decoded_public_key_to_cryptography(decode_credential_public_key(made.credential_public_key))
    except _UNREADABLE:
        raise PasskeyError from None
    if made.credential_id != answer.credential_id:
        raise PasskeyError
    return NewPasskey(made.credential_id, made.credential_public_key, made.sign_count)


def verify_known(answer: Answer, site: Site, *, challenge: bytes, public_key: bytes) -> int:
    """The sign counter of a right answer to this challenge at this site (WebAuthn §7.2). Raises PasskeyError.

    Whether the counter went on is for `is_counting_on`, where the last one cannot change meanwhile.
    """
    try:
        proved = verify_authentication_response(
            credential=answer.raw,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except _UNREADABLE:
        raise PasskeyError from None
    return proved.new_sign_count


def is_counting_on(*, last: int, now: int) -> bool:
    """Whether a sign counter went on, or stands at 0 as with devices that do not count (WebAuthn §7.2 step 22).

    One that stands still or runs back tells of a copy of the key.
    """
    return now > last or (now == 0 and last == 0)
