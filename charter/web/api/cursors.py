"""Opaque places in a walk through the entries: keyset positions that fit the question they were given for."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from charter.domain.selection import Place
from charter.web.api.parameters import CURSOR, SIZE, Asked

#: b or f: before or behind an entry; c: behind a change. Then numbers, then what the question was.
_PLACE = re.compile(r"([bf])([0-9]{1,16})\.([0-9a-f]{8})")
_CHANGE = re.compile(r"c([0-9]{1,16})-([0-9]{1,16})\.([0-9a-f]{8})")


def of_place(place: Place, asked: Asked) -> str:
    """The cursor of the page at `place`."""
    return _sealed(f"{'b' if place.is_back else 'f'}{place.number}", asked)


def of_change(revision: int, number: int, asked: Asked) -> str:
    """The cursor of the changes behind this one."""
    return _sealed(f"c{revision}-{number}", asked)


def place(asked: Asked) -> Place | None:
    """The place that was asked for, None for the first page. Raises ProblemError for a cursor of another question."""
    found = _opened(asked, _PLACE)
    return None if found is None else Place(int(found[2]), is_back=found[1] == "b")


def change(asked: Asked) -> tuple[int, int] | None:
    """(revision, number) of the last change that was seen, None for the first page. Raises ProblemError."""
    found = _opened(asked, _CHANGE)
    return None if found is None else (int(found[1]), int(found[2]))


def _sealed(place: str, asked: Asked) -> str:
    return base64.urlsafe_b64encode(f"{place}.{_question(asked)}".encode()).decode().rstrip("=")


def _opened(asked: Asked, shape: re.Pattern[str]) -> re.Match[str] | None:
    cursor = asked.get(CURSOR.name)
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        text = ""
    found = shape.fullmatch(text)
    if found is None:
        raise CURSOR.refusal("It was not given by this address.")
    if found[found.lastindex or 0] != _question(asked):
        raise CURSOR.refusal("It was given for other parameters: repeat them all, size aside.")
    return found


def _question(asked: Asked) -> str:
    """A forgotten filter on the second page would silently give everything: so the cursor knows the question."""
    said = sorted((name, str(value)) for name, value in asked.items() if name not in {CURSOR.name, SIZE.name})
    return hashlib.sha256(repr(said).encode("utf-8", "backslashreplace")).hexdigest()[:8]
