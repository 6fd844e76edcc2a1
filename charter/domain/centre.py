"""What the Centre says of itself, and when its Charter can be signed: values, and the rules they obey."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

_BIN = re.compile(r"[0-9]{12}")
_FIRST_WEIGHTS = tuple(range(1, 12))
_SECOND_WEIGHTS = (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2)


def is_bin(text: str) -> bool:
    """Whether this is a business identification number: 12 digits, the last of which checks the others.

    The digit is the sum of the eleven before it, weighted 1 to 11, modulo 11; where that is 10, once more with the
    weights 3 to 11, 1, 2; a number that gives 10 again is never issued (Law 223-III on the national
    registers of identification numbers).
    """
    if not _BIN.fullmatch(text):
        return False
    digits = [int(one) for one in text]
    for weights in (_FIRST_WEIGHTS, _SECOND_WEIGHTS):
        check = sum(digit * weight for digit, weight in zip(digits, weights, strict=False)) % 11
        if check < 10:
            return check == digits[11]
    return False


@dataclass(frozen=True, slots=True)
class Identity:
    """Who keeps the registry. An empty value has not been entered yet. bin: 12 digits."""

    name: str = ""
    bin: str = ""
    address: str = ""
    email: str = ""
    telephone: str = ""

    @property
    def contact(self) -> str:
        """How to reach the Centre, on one line."""
        return ", ".join(one for one in (self.email, self.telephone) if one)

    @property
    def is_whole(self) -> bool:
        """Whether consent texts can name who is meant."""
        return bool(self.name and self.bin and self.contact)


class Opening(StrEnum):
    """Whether the Charter can be signed: always, not now, or from one moment to another."""

    OPEN = "open"
    CLOSED = "closed"
    WINDOW = "window"


@dataclass(frozen=True, slots=True)
class Signing:
    """opens_at, closes_at: of a window, either may be None. sentence: language → why, for everybody; may be empty."""

    opening: Opening = Opening.OPEN
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    sentence: Mapping[str, str] | None = None

    def is_open(self, now: datetime) -> bool:
        """Whether the form takes signatures at this moment; the moment of closing is closed."""
        if self.opening is not Opening.WINDOW:
            return self.opening is Opening.OPEN
        is_begun = self.opens_at is None or self.opens_at <= now
        return is_begun and (self.closes_at is None or now < self.closes_at)

    def words(self, language: str) -> str:
        """The public sentence; empty where nothing has to be said."""
        return "" if self.opening is Opening.OPEN else (self.sentence or {}).get(language, "")


def identity_of(value: Mapping[str, Any] | None) -> Identity:
    """From its row; nothing for one that was never set."""
    kept = value or {}
    return Identity(**{name: str(kept.get(name) or "") for name in Identity.__slots__})


def signing_of(value: Mapping[str, Any] | None) -> Signing:
    """From its row; open for one that was never set."""
    kept = value or {}
    return Signing(
        opening=Opening(kept.get("opening", Opening.OPEN)),
        opens_at=_moment(kept.get("opens_at")),
        closes_at=_moment(kept.get("closes_at")),
        sentence=kept.get("sentence") or {},
    )


def value_of_signing(signing: Signing) -> dict[str, Any]:
    """As its row keeps it."""
    return {
        "opening": signing.opening.value,
        "opens_at": None if signing.opens_at is None else signing.opens_at.isoformat(),
        "closes_at": None if signing.closes_at is None else signing.closes_at.isoformat(),
        "sentence": dict(signing.sentence or {}),
    }


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@dataclass(frozen=True, slots=True)
class DaysOff:
    """Days that the Centre adds to the list of holidays, and days of that list on which it works."""

    added: frozenset[date] = frozenset()
    removed: frozenset[date] = frozenset()

    def beside(self, shipped: Collection[date]) -> frozenset[date]:
        """All days off from Monday to Friday."""
        return (frozenset(shipped) | self.added) - self.removed


def days_off_of(value: Mapping[str, Any] | None) -> DaysOff:
    """From its row."""
    kept = value or {}
    return DaysOff(*(frozenset(map(date.fromisoformat, kept.get(name, ()))) for name in ("added", "removed")))


def value_of_days_off(days: DaysOff) -> dict[str, Any]:
    """As its row keeps it, in order."""
    return {
        "added": [day.isoformat() for day in sorted(days.added)],
        "removed": [day.isoformat() for day in sorted(days.removed)],
    }
