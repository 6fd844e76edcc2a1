"""Password, authenticator app and recovery codes of the Centre: their keys, how they are kept, how they are checked.

No database rows here: the objects that Flask-Security hands over come from `auth.py`. A stolen copy of the database
gives none of the three away: each is hashed or encrypted with a key that is derived from the secret key.
"""

from __future__ import annotations

import base64
import hmac
import io
import secrets
import unicodedata
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import current_app
from flask_security import Totp, hash_password, verify_password
from flask_security.recovery_codes import MfRecoveryCodesUtil
from passlib.exc import TokenError  # type: ignore[import-untyped]

from charter import clock
from charter.domain.password import PASSWORD_MAX_CHARS
from charter.operations import staff as operations
from charter.settings import Settings

#: The only second factor there is, in Flask-Security's words.
AUTHENTICATOR = "authenticator"
RECOVERY_CODES = 10
CODE_DIGITS = 6
#: One 30-second step of a clock that runs ahead or behind (RFC 6238 §5.2 and §6).
TOTP_WINDOW_SECONDS = 30
#: How long after signing in (or after typing the password once more) the second factor may be changed.
FRESH_MINUTES = 15
#: argon2id as OWASP's sheet on password storage has it.
ARGON2 = {"memory_cost": 46 * 1024, "time_cost": 2, "parallelism": 1}


def derived_key(config: Settings, purpose: str) -> bytes:
    """32 bytes for one purpose (HKDF, RFC 5869): none of them tells another or the secret key."""
    info = b"charter staff\0" + purpose.encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(config.secret_key.encode())


def flask_security_config(config: Settings) -> dict[str, Any]:
    """How passwords and second factors are kept and asked for, in Flask-Security's words."""
    return {
        # Behind an HMAC with a key that is not in the database.
        "PASSWORD_HASH": "argon2",
        "PASSWORD_SCHEMES": ["argon2"],
        "PASSWORD_SINGLE_HASH": set(),
        "PASSWORD_SALT": base64.b64encode(derived_key(config, "password")).decode(),
        "PASSWORD_HASH_PASSLIB_OPTIONS": {f"argon2__{name}": value for name, value in ARGON2.items()},
        "PASSWORD_NORMALIZE_FORM": None,
        "DEFAULT_REMEMBER_ME": False,
        "TWO_FACTOR": True,
        "TWO_FACTOR_REQUIRED": True,
        "TWO_FACTOR_ALWAYS_VALIDATE": True,
        "TWO_FACTOR_ENABLED_METHODS": [AUTHENTICATOR],
        "TWO_FACTOR_RESCUE_EMAIL": False,
        "TWO_FACTOR_IMPLEMENTATIONS": {"code": "flask_security.twofactor.CodeTfPlugin"},
        "TOTP_SECRETS": {"1": base64.b64encode(derived_key(config, "totp")).decode()},
        "TOTP_ISSUER": f"Charter {config.public_host}".replace(":", " "),
        "MULTI_FACTOR_RECOVERY_CODES": True,
        "MULTI_FACTOR_RECOVERY_CODES_N": RECOVERY_CODES,
        "FRESHNESS": timedelta(minutes=FRESH_MINUTES),
        "FRESHNESS_GRACE_PERIOD": timedelta(minutes=FRESH_MINUTES),
    }


def security() -> Any:
    """Flask-Security in this application."""
    return current_app.extensions["security"]


# ── passwords ────────────────────────────────────────────────────────────────────────────────────────────────────────


def hashed(password: str) -> str:
    """What the database keeps of a password."""
    return str(hash_password(_normal(password)))


def is_right(password: str, password_hash: str) -> bool:
    """Whether the password is the one that was hashed; an endless one is not even tried."""
    return len(password) <= 4 * PASSWORD_MAX_CHARS and bool(verify_password(_normal(password), password_hash))


def is_outdated(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return bool(security().pwd_context.needs_update(password_hash))


def nobodys_hash() -> str:
    """Compared where there is no account, so that the answer takes as long."""
    if "staff_nobody" not in current_app.extensions:
        current_app.extensions["staff_nobody"] = hashed(secrets.token_hex())
    return str(current_app.extensions["staff_nobody"])


def _normal(password: str) -> str:
    # The same characters from another keyboard or system are the same password (SP 800-63B §3.1.1.2).
    return unicodedata.normalize("NFKC", password)


# ── the authenticator app ────────────────────────────────────────────────────────────────────────────────────────────


class OneTimeTotp(Totp):
    """Codes of the authenticator app, each taken once."""

    def verify_totp(self, token: str, totp_secret: str, user: Any, window: int = 0) -> bool:
        """Whether the code is right and new; within the sign-in's writing transaction."""
        is_new_secret = totp_secret != user.tf_totp_secret
        last = None if is_new_secret else user.totp_last_counter
        counter = self._counter(token, totp_secret, last=last, window=window)
        return counter is not None and operations.take_totp_counter(user.id, counter, is_new_secret=is_new_secret)

    def find_counter(self, token: str, user: Any, window: int) -> int | None:
        """The 30-second step of a right and new code of the account's own app."""
        return self._counter(token, user.tf_totp_secret, last=user.totp_last_counter, window=window)

    def _counter(self, token: str, totp_secret: str, *, last: int | None, window: int) -> int | None:
        try:
            return int(self._totp.verify(token, totp_secret, window=window, last_counter=last).counter)
        except (TokenError, ValueError, KeyError):  # the latter two: encrypted with another key
            return None

    def generate_qrcode(self, username: str, totp: str) -> str:
        """As a data: address. With a white ground of its own: phones do not read it light on dark."""
        # Here, because it is seldom drawn and brings an XML library.
        import qrcode  # type: ignore[import-untyped]
        from qrcode.image.svg import SvgPathFillImage  # type: ignore[import-untyped]

        picture = qrcode.make(self.get_totp_uri(username, totp), image_factory=SvgPathFillImage, border=4)
        file = io.BytesIO()
        picture.save(file)
        return "data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def is_code_of_app(typed: str, *, totp_secret: str, user: Any) -> bool:
    """Whether these six digits, however spaced, are a code of the app that was not used yet; uses it up."""
    digits = "".join(typed.split())
    if len(digits) != CODE_DIGITS or not (digits.isascii() and digits.isdigit()):
        return False
    return bool(security().totp_factory.verify_totp(digits, totp_secret, user, window=TOTP_WINDOW_SECONDS))


def counter_of_code(typed: str, *, user: Any) -> int | None:
    """The 30-second step of a right code of the app; None for a wrong one, or one that was used. Writes nothing."""
    digits = "".join(typed.split())
    if len(digits) != CODE_DIGITS or not (digits.isascii() and digits.isdigit()):
        return None
    totp: OneTimeTotp = security().totp_factory
    return totp.find_counter(digits, user, window=TOTP_WINDOW_SECONDS)


# ── recovery codes ───────────────────────────────────────────────────────────────────────────────────────────────────


class HashedRecoveryCodes(MfRecoveryCodesUtil):
    """Recovery codes of which the database keeps keyed digests only: they are shown once, when they are made."""

    def create_recovery_codes(self, user: Any) -> list[str]:
        """New codes instead of all old ones; the desk waits until the person keeps them."""
        codes: list[str] = security().totp_factory.generate_recovery_codes(RECOVERY_CODES)
        user.mf_recovery_codes = [_code_digest(user, code) for code in codes]
        user.recovery_kept_at = None
        operations.audit_recovery_codes(user.id, now=clock.now())
        return codes

    def get_recovery_codes(self, user: Any) -> list[str]:
        """None can be shown again."""
        return []

    def check_recovery_code(self, user: Any, code: str) -> bool:
        """Whether this is one of the codes that are left."""
        return _code_digest(user, code) in (user.mf_recovery_codes or ())

    def delete_recovery_code(self, user: Any, code: str) -> bool:
        """Uses a code up."""
        used = _code_digest(user, code)
        user.mf_recovery_codes = [digest for digest in user.mf_recovery_codes if digest != used]
        operations.audit_recovery_code_used(user.id, left=len(user.mf_recovery_codes), now=clock.now())
        return True


def is_recovery_code(typed: str, *, user: Any) -> bool:
    """Whether this is one of the recovery codes that are left."""
    return bool(security().mf_recovery_codes_util.check_recovery_code(user, typed))


def recovery_digest(typed: str, *, user: Any) -> str:
    """What the database would keep of this recovery code."""
    return _code_digest(user, typed)


def _code_digest(user: Any, code: str) -> str:
    typed = "".join(character for character in code.casefold() if character.isalnum())
    key = derived_key(current_app.config["CHARTER"], "recovery codes")
    return hmac.digest(key, f"{user.id}\0{typed}".encode("utf-8", "surrogatepass"), "sha256").hex()
