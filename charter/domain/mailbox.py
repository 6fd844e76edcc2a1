"""What is counted of a mailbox is kept under a keyed digest: whoever steals the counts learns no address from them."""

import hmac
from datetime import timedelta

_LABEL = b"charter mailbox"

#: Between two mails to the same name at a mailbox, while the first was perhaps never asked for.
PAUSE = timedelta(minutes=15)
#: Mails for one name at a mailbox that has not confirmed, and to that mailbox in all.
MOST_FOR_NAME = 5
MOST_FOR_MAILBOX = 10
#: A mailbox that has confirmed gets no more than so many at a time either: the rest a day apart.
LONG_PAUSE = timedelta(days=1)


def mailbox_digest(mailbox: str, *, key: bytes) -> bytes:
    """HMAC-SHA256, 32 bytes. mailbox: the comparison form."""
    return _digest(key, "mailbox", mailbox)


def application_digest(mailbox: str, name_key: str, *, key: bytes) -> bytes:
    """The same for one name at a mailbox, which is what an application is: however often it is sent."""
    return _digest(key, "application", f"{mailbox}\0{name_key}")


def _digest(key: bytes, kind: str, text: str) -> bytes:
    return hmac.digest(key, b"\0".join((_LABEL, kind.encode("ascii"), text.encode("utf-8"))), "sha256")
