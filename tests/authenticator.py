"""An authenticator in software, for tests: makes passkeys and answers as a browser with a device would, or wrongly."""

from __future__ import annotations

import hashlib
import json
import secrets
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def encoded(data: bytes) -> str:
    """Base64url without padding, as in the JSON of browsers."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """The reverse."""
    return urlsafe_b64decode(text + "==")


@dataclass
class Authenticator:
    """A device that keeps one passkey. Whatever it claims can be changed before it answers."""

    origin: str = "http://localhost:8000"
    rp_id: str | None = None
    sign_count: int = 0
    steps: int = 1
    flags: int = PRESENT | VERIFIED
    type_of: dict[str, str] = field(default_factory=lambda: {"create": "webauthn.create", "get": "webauthn.get"})
    client_data: dict[str, Any] = field(default_factory=dict)
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    user_handle: bytes | None = None
    with_handle: bool = True

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())

    def _client_data(self, act: str, challenge: str) -> bytes:
        told = {"type": self.type_of[act], "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(told | self.client_data).encode()

    def _data(self, rp_id: str, more: bytes = b"", flags: int = 0) -> bytes:
        self.sign_count += self.steps
        rp_id = self.rp_id or rp_id
        return hashlib.sha256(rp_id.encode()).digest() + struct.pack(">BI", self.flags | flags, self.sign_count) + more

    def public_key(self) -> bytes:
        """As COSE has it (RFC 9053 §7.1)."""
        point = self.key.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")})

    def make(self, question: dict[str, Any]) -> str:
        """The answer to `navigator.credentials.create`."""
        self.user_handle = decoded(question["user"]["id"])
        length = struct.pack(">H", len(self.credential_id))
        more = bytes(16) + length + self.credential_id + self.public_key()
        data = self._data(question["rp"]["id"], more, ATTESTED)
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._answer(
            clientDataJSON=self._client_data("create", question["challenge"]), attestationObject=attestation
        )

    def answer(self, question: dict[str, Any]) -> str:
        """The answer to `navigator.credentials.get`."""
        data = self._data(question["rpId"])
        client_data = self._client_data("get", question["challenge"])
        signature = self.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(SHA256()))
        handle = {"userHandle": self.user_handle} if self.with_handle and self.user_handle is not None else {}
        return self._answer(clientDataJSON=client_data, authenticatorData=data, signature=signature, **handle)

    def _answer(self, **response: bytes) -> str:
        own_id = encoded(self.credential_id)
        parts = {name: encoded(value) for name, value in response.items()}
        return json.dumps({"id": own_id, "rawId": own_id, "type": "public-key", "response": parts})
