"""What somebody asks the registry for: words, filters and an order; and a place in the answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Final

from charter.domain.fold import fold

NEWEST: Final = "newest"
BY_NAME: Final = "name"
ORDERS: Final = (NEWEST, BY_NAME)
#: What is asked beyond this is not looked at.
MOST_CHARS = 200
#: A name with its affiliation has fewer words; each costs a look into the index.
MOST_WORDS = 8

_QUOTED = re.compile(r'["«“„]([^"»”“«„]*)["»”“]')


@dataclass(frozen=True)
class Word:
    """One folded word. is_whole: to be found as it is, else whatever begins with it."""

    text: str
    is_whole: bool = False


@dataclass(frozen=True)
class Selection:
    """region: ISO 3166-2 code or ZZ. affiliation, edition: slugs. signed_from, signed_to: both included, Asia/Almaty.

    order: NEWEST has ended entries in their places; BY_NAME has those alone that are shown, without a name last.
    """

    asked: str = ""
    region: str | None = None
    kind: str | None = None
    affiliation: str | None = None
    edition: str | None = None
    signed_from: date | None = None
    signed_to: date | None = None
    order: str = NEWEST

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """What was asked, folded: what stands in quotes as whole words, the rest as beginnings."""
        asked = self.asked[:MOST_CHARS]
        found = {text: True for quoted in _QUOTED.findall(asked) for text in fold(quoted)}
        for text in fold(_QUOTED.sub(" ", asked)):
            found.setdefault(text, False)
        return tuple(Word(text, is_whole) for text, is_whole in found.items())[:MOST_WORDS]

    @property
    def is_empty(self) -> bool:
        """Something was asked, but nothing that could be a name."""
        return bool(self.asked.strip()) and not self.words

    @property
    def has_dates(self) -> bool:
        """Whether the date of signing is limited."""
        return self.signed_from is not None or self.signed_to is not None

    @property
    def is_everything(self) -> bool:
        """Nothing asked, nothing filtered: the whole registry."""
        filters = (self.region, self.kind, self.affiliation, self.edition, self.signed_from, self.signed_to)
        return not self.asked.strip() and all(one is None for one in filters)


@dataclass(frozen=True)
class Place:
    """A place in a selection's order: the page behind entry `number`, or, for is_back, the page before it."""

    number: int
    is_back: bool = False
