"""What people ask the registry for, drawn from the entries themselves: common and rare names in their own letters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from random import Random

from benchmarks.installation import Installation
from charter.domain.fold import fold
from charter.domain.selection import BY_NAME, Selection

#: Kinds of questions that the issue sets a target for, in its order, and how they are called in the report.
KINDS = {
    "word": "a word",
    "two words": "two words",
    "prefix": "the beginning of a word",
    "none": "nothing found",
}
#: The same with more asked of them.
OTHER_KINDS = {
    "common": "two words of a party's or an organisation's name",
    "by name": "a word, in alphabetical order",
    "region": "a word in a region",
    "affiliation": "a word with an affiliation",
    "kind": "a word of one kind of observer",
    "dates": "a word within a week of signing",
}
_LETTERS = "абвгдежзиклмнопрстуфхшыяқңөұүіғә"


class Asker:
    """Draws selections; the same installation and seed give the same ones."""

    def __init__(self, made: Installation, *, seed: str = "questions") -> None:
        self._dice = Random(seed)
        highest = int(made.scalar("SELECT max(number) FROM registry_entry"))
        # By chance over all entries: a word is asked for as often as it is borne.
        drawn = ", ".join(str(self._dice.randint(1, highest)) for _ in range(6000))
        self._entries = made.rows(
            "SELECT name, region_code, affiliation_slug, kind, signed_on, affiliation_name FROM registry_entry"
            f" WHERE number IN ({drawn}) AND name IS NOT NULL ORDER BY number"
        )
        self._names: list[list[str]] = [str(name).split() for name, *_ in self._entries]
        named = [fold(row[5]) for row in self._entries if row[5] is not None]
        self._affiliations = [words for words in named if len(words) >= 2]
        self._affiliated = [row for row in self._entries if row[2] is not None]
        self._rare: list[str] = [
            word for (word,) in made.rows("SELECT word FROM registry_word WHERE entries <= 3 ORDER BY word")
        ]
        self._dice.shuffle(self._rare)
        self._rare = self._rare[:5000]
        self._known = {word for (word,) in made.rows("SELECT word FROM registry_word")}
        self._days = sorted({row[4] for row in self._entries})

    def ask(self, kind: str) -> Selection:
        """One question of this kind."""
        ways: dict[str, Callable[[], Selection]] = {
            "word": lambda: Selection(self._word()),
            "two words": lambda: Selection(" ".join(self._dice.sample(self._whole_name(), 2))),
            "prefix": lambda: Selection(self._beginning()),
            "none": self._none,
            "common": lambda: Selection(" ".join(self._dice.sample(self._dice.choice(self._affiliations), 2))),
            "by name": lambda: replace(self.ask("word"), order=BY_NAME),
            "region": self._with_region,
            "affiliation": self._with_affiliation,
            "kind": self._with_kind,
            "dates": self._with_dates,
        }
        return ways[kind]()

    def _whole_name(self) -> list[str]:
        while True:
            words = self._dice.choice(self._names)
            if len(words) >= 2:
                return words

    def _word(self) -> str:
        if self._rare and self._dice.random() < 0.3:
            return self._dice.choice(self._rare)
        return self._dice.choice(self._dice.choice(self._names))

    def _beginning(self) -> str:
        return self._word()[: self._dice.randint(2, 5)]

    def _none(self) -> Selection:
        """A word that nobody bears, or two that nobody bears together (almost always)."""
        if self._dice.random() < 0.5:
            return Selection(f"{self._dice.choice(self._whole_name())} {self._dice.choice(self._whole_name())}".title())
        while True:
            word = "".join(self._dice.choices(_LETTERS, k=9))
            if not self._known.intersection(fold(word)):
                return Selection(word)

    def _with_region(self) -> Selection:
        name, region, *_ = self._dice.choice(self._entries)
        return Selection(self._dice.choice(name.split()), region=region)

    def _with_affiliation(self) -> Selection:
        name, _, slug, *_rest = self._dice.choice(self._affiliated or self._entries)
        return Selection(self._dice.choice(name.split()), affiliation=slug)

    def _with_kind(self) -> Selection:
        name, _, _, kind, *_ = self._dice.choice(self._entries)
        return Selection(self._dice.choice(name.split()), kind=kind)

    def _with_dates(self) -> Selection:
        place = self._dice.randrange(len(self._days))
        days = [_date(day) for day in (self._days[place], self._days[min(place + 6, len(self._days) - 1)])]
        return Selection(self._word(), signed_from=days[0], signed_to=days[1])


def _date(value: object) -> date:
    return value if isinstance(value, date) else date.fromisoformat(str(value))
