"""Links and codes in mail: secrets computed from a key and never stored.

token(key, purpose, link_id) gives the same token whenever it is asked, so a mail that has to be sent again carries
the same link, and the database keeps digests only: who reads it cannot confirm or withdraw anything. Links and codes
are separated by label, and one purpose never opens another's door.
"""

import base64
import hashlib
import hmac
from typing import Final

TOKEN_CHARS: Final = 43
CODE_DIGITS: Final = 6

_LINK_LABEL = b"charter link"
_CODE_LABEL = b"charter code"
_LEAST_KEY_BYTES = 16


def token(key: bytes, purpose: str, link_id: bytes) -> str:
    """The secret of one link: base64url without padding of an HMAC-SHA256, 43 characters."""
    return base64.urlsafe_b64encode(_mac(key, _LINK_LABEL, purpose, link_id)).rstrip(b"=").decode("ascii")


def token_digest(presented: str) -> bytes:
    """SHA-256 of a token, 32 bytes: what the database keeps and what a presented token is looked up by.

    Any text may come from an address; one that is no token has a digest too, which nothing matches.
    """
    return hashlib.sha256(presented.encode("utf-8", "surrogatepass")).digest()


def code(key: bytes, purpose: str, link_id: bytes) -> str:
    """Six digits for the mail's text, leading zeros kept.

    64 bits of the HMAC are reduced, so that no code is likelier than another by more than one part in 10¹³. A code is
    short: the number of tries must be counted where it is asked for.
    """
    number = int.from_bytes(_mac(key, _CODE_LABEL, purpose, link_id)[:8], "big")
    return f"{number % 10**CODE_DIGITS:0{CODE_DIGITS}d}"


def codes_equal(presented: str, expected: str) -> bool:
    """Whether a typed code is the expected one, in constant time; spaces in it do not count.

    Only ASCII digits are taken: `str.isdigit` alone would let other scripts' digits in, and compare_digest
    refuses such text with a TypeError.
    """
    typed = "".join(presented.split())
    well_formed = len(typed) == CODE_DIGITS and typed.isascii() and typed.isdigit()
    return hmac.compare_digest(typed.encode("ascii") if well_formed else b"", expected.encode("utf-8"))


def _mac(key: bytes, label: bytes, purpose: str, link_id: bytes) -> bytes:
    if len(key) < _LEAST_KEY_BYTES:
        raise ValueError("the key is too short")
    named = purpose.encode("ascii")
    if not named or b"\0" in named or not link_id:
        raise ValueError("a link needs a purpose, without NUL, and an id")
    # The zero bytes keep (label, purpose, id) unambiguous: only the last part may hold any byte.
    return hmac.digest(key, label + b"\0" + named + b"\0" + link_id, "sha256")
