"""From which day to which something holds: parties, organisations, missions and regions come and go."""

from __future__ import annotations

from datetime import date


def is_valid_on(day: date, *, valid_from: date | None, valid_to: date | None) -> bool:
    """Whether `day`, a date in Asia/Almaty, lies within; both ends belong to it, None is without end."""
    return (valid_from is None or valid_from <= day) and (valid_to is None or day <= valid_to)
