"""What browsers are asked about passkeys, and whether their answer is right (WebAuthn Level 3, §7).

The one place that knows the library which reads what authenticators send. It takes seven megabytes of every process
that has it, so those who need this module import it when somebody uses a passkey, not before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
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

from charter.domain.passkey import PROMPT_SECONDS, UNREADABLE, Answer, NewPasskey, PasskeyError, Site

_ALGORITHMS = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
#: What the library raises over bytes that a browser never sent.
_UNREADABLE = (WebAuthnException, *UNREADABLE)


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
