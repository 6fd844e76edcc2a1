"""What may leave the service in an export of personal data: whose, and in which columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from charter.domain.signature import State

#: Whoever withdrew, was removed or never confirmed is not exported.
STATES = tuple(
    state.value for state in (State.CONFIRMED, State.CLARIFICATION, State.APPROVED, State.PUBLISHED, State.DECLINED)
)
#: An approval that nobody used is worth nothing after so long.
KEEPS_FOR = timedelta(hours=24)


@dataclass(frozen=True)
class Scope:
    """states: of STATES. region: a code, None for all. first_on, last_on: days of signing in Kazakhstan, both included.

    with_addresses: mail addresses as well.
    """

    states: tuple[str, ...]
    region: str | None = None
    first_on: date | None = None
    last_on: date | None = None
    with_addresses: bool = False

    def to_payload(self) -> dict[str, Any]:
        """As a proposal keeps it: codes and days."""
        return {
            "states": list(self.states),
            "region": self.region,
            "from": None if self.first_on is None else self.first_on.isoformat(),
            "to": None if self.last_on is None else self.last_on.isoformat(),
            "with_addresses": self.with_addresses,
        }

    @staticmethod
    def of_payload(payload: Mapping[str, Any]) -> Scope:
        """Back from there."""
        first, last = payload.get("from"), payload.get("to")
        return Scope(
            states=tuple(payload["states"]),
            region=payload.get("region"),
            first_on=None if first is None else date.fromisoformat(first),
            last_on=None if last is None else date.fromisoformat(last),
            with_addresses=bool(payload.get("with_addresses")),
        )
