"""Conditions of an invalidation: what signatures that came the same way have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from charter.domain.errors import FieldRefusedError
from charter.domain.fold import fold
from charter.domain.reasons import CATALOGUE, find_reason, find_revocation
from charter.domain.signature import State

#: What came within so long came together; a longer time is no condition but a calendar.
LONGEST = timedelta(hours=24)
#: A pattern of fewer letters, with nothing beside it, would mean people who have nothing in common.
LEAST_LETTERS = 3
#: What can still be ended without touching the registry.
OPEN = (State.SUBMITTED, State.CONFIRMED, State.CLARIFICATION, State.APPROVED)
#: Reasons that say why many may end together. A refusal and a removal name them by the same code.
REASONS = tuple(one.code for one in CATALOGUE if find_reason("decline", one.code) and find_revocation(one.code))


@dataclass(frozen=True)
class Conditions:
    """All of them together; None where one is not asked.

    network: the digest that groups of what was set aside have, as hex. domain: of the mail address, lower case.
    since, until: when it came, both or neither. affiliation: its id. words: an affiliation as observers typed it.
    name: beginnings of words of the name, in any alphabet and order. regions: where its maker may act, None everywhere.
    published: entries of the registry as well. is_emptied: a name or words were asked for and are kept no longer, so
    what is left would mean others and is asked never more.
    """

    network: str | None = None
    domain: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    affiliation: int | None = None
    words: str | None = None
    name: str | None = None
    regions: tuple[str, ...] | None = None
    published: bool = False
    is_emptied: bool = False

    def emptied(self) -> Conditions:
        """Without what somebody typed, once it is over."""
        return replace(self, name=None, words=None, is_emptied=True)

    @property
    def stems(self) -> tuple[str, ...]:
        """The beginnings, folded as names are."""
        return tuple(dict.fromkeys(fold(self.name))) if self.name else ()

    @property
    def states(self) -> tuple[State, ...]:
        """Where a signature may stand to be meant."""
        return (*OPEN, State.PUBLISHED) if self.published else OPEN

    @property
    def needs_trace(self) -> bool:
        """Whether it asks what is kept for two weeks only."""
        return self.network is not None or self.domain is not None or self.since is not None

    def check(self) -> None:
        """FieldRefusedError where they are empty, or mean people who have nothing in common."""
        if self.is_emptied:
            raise FieldRefusedError("conditions", "empty")
        if (self.since is None) != (self.until is None):
            raise FieldRefusedError("until" if self.until is None else "since", "both")
        if self.since is not None and self.until is not None:
            if self.until <= self.since:
                raise FieldRefusedError("until", "reversed")
            if self.until - self.since > LONGEST:
                raise FieldRefusedError("until", "too-long")
        if self.network is not None and not _is_digest(self.network):
            raise FieldRefusedError("network", "unknown")
        if self.name is not None and not self.stems:
            raise FieldRefusedError("name", "too-short")
        if self.needs_trace or self.affiliation is not None or self.words is not None:
            return
        if self.name is None:
            raise FieldRefusedError("conditions", "empty")
        if sum(len(stem) for stem in self.stems) < LEAST_LETTERS:
            raise FieldRefusedError("name", "too-short")

    def to_json(self) -> dict[str, Any]:
        """As it is kept: only what is asked."""
        found: dict[str, Any] = {
            name: value
            for name in ("network", "domain", "affiliation", "words", "name")
            if (value := getattr(self, name)) is not None
        }
        if self.since is not None and self.until is not None:
            found |= {"from": self.since.isoformat(), "to": self.until.isoformat()}
        if self.regions is not None:
            found["regions"] = sorted(self.regions)
        if self.published:
            found["published"] = True
        if self.is_emptied:
            found["emptied"] = True
        return found

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Conditions:
        """Back from there."""
        regions = kept.get("regions")
        return cls(
            network=kept.get("network"),
            domain=kept.get("domain"),
            since=_moment(kept.get("from")),
            until=_moment(kept.get("to")),
            affiliation=kept.get("affiliation"),
            words=kept.get("words"),
            name=kept.get("name"),
            regions=None if regions is None else tuple(regions),
            published=bool(kept.get("published")),
            is_emptied=bool(kept.get("emptied")),
        )


def _moment(raw: str | None) -> datetime | None:
    return None if raw is None else datetime.fromisoformat(raw)


def _is_digest(raw: str) -> bool:
    try:
        return 0 < len(bytes.fromhex(raw)) <= 32
    except ValueError:
        return False
