"""When a form was shown, signed by us: a form that comes back faster than anybody types was not filled in by a person.

Nothing is kept for it: the moment travels in the form itself, and only we can write one.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta

#: A page may be left open for days. Older than this it is as if there were none.
LONGEST_OPEN = timedelta(days=30)
_LABEL = b"charter form\0"
_MOST_CHARS = 64


def make_start(key: bytes, now: datetime) -> str:
    """The moment as text: seconds since 1970, a dot, 32 hexadecimal digits of an HMAC-SHA256."""
    moment = str(int(now.timestamp()))
    return f"{moment}.{_mac(key, moment)}"


def seconds_since(key: bytes, start: str | None, now: datetime) -> int | None:
    """How long the form was open, in whole seconds; None where nothing of ours says so, or from too long ago.

    Below zero where the clock went back meanwhile: that says nothing about whoever filled in the form.
    """
    moment, dot, mac = (start or "")[:_MOST_CHARS].partition(".")
    if not dot or not moment.isascii() or not moment.isdigit() or not mac.isascii():
        return None
    if not hmac.compare_digest(mac, _mac(key, moment)):
        return None
    seconds = int(now.timestamp()) - int(moment)
    return None if seconds > LONGEST_OPEN.total_seconds() else seconds


def _mac(key: bytes, moment: str) -> str:
    return hmac.new(key, _LABEL + moment.encode("ascii"), hashlib.sha256).hexdigest()[:32]
