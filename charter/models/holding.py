"""What is set aside before confirmation, and the groups in which staff look at it, as conditions on columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, and_, false

from charter.domain.signature import State
from charter.models.limits import SigningTrace
from charter.models.signature import Signature

#: By what signatures that were set aside are put together.
GROUPINGS = ("reason", "network", "domain", "minute")
#: The key of a group about which nothing is known.
UNKNOWN = "-"
_MINUTE = "%Y-%m-%dT%H:%M"


def is_held() -> ColumnElement[bool]:
    """Set aside, and still waiting for a human."""
    return and_(Signature.held, Signature.state == State.SUBMITTED)


def key_of(by: str, *, reason: str | None, network: bytes | None, domain: str | None, submitted_at: datetime) -> str:
    """The group of a signature, in letters that can stand in a form."""
    if by == "minute":
        return submitted_at.astimezone(UTC).strftime(_MINUTE)
    values = {"reason": reason, "network": network and network.hex(), "domain": domain}
    return values[by] or UNKNOWN


def is_in_group(by: str, key: str) -> ColumnElement[bool]:
    """Whether a signature, joined with its trace if it has one, is of a group. A key that is none matches nothing."""
    if "\0" in key:
        # PostgreSQL cannot even be asked for it.
        return false()
    if by == "minute":
        try:
            begun = datetime.strptime(key, _MINUTE).replace(tzinfo=UTC)
            return and_(Signature.submitted_at >= begun, Signature.submitted_at < begun + timedelta(minutes=1))
        except (ValueError, OverflowError):
            return false()
    column = {"reason": Signature.held_because, "network": SigningTrace.network, "domain": SigningTrace.domain}[by]
    if key == UNKNOWN:
        return column.is_(None)
    if by != "network":
        return column == key
    try:
        return column == bytes.fromhex(key)
    except ValueError:
        return false()
