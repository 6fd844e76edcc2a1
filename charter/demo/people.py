"""Signatories nobody is: who they say they are, where and for whom they observe, and where their mail goes."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from charter.demo.affiliations import Offer, choose_affiliation, choose_nation
from charter.demo.letters import romanise
from charter.demo.names import invent_name
from charter.demo.nations import NATIONS
from charter.domain.email import EmailAddress, clean_email
from charter.operations.steps import Details

#: Domains that RFC 2606 keeps free for examples: nothing sent there can reach anybody.
MAIL_DOMAINS: Final = ("example.com", "example.org", "example.net")

#: How many sign where: inhabitants in thousands, in the three large cities half as many again.
REGION_WEIGHTS: Final[Mapping[str, int]] = {
    "KZ-75": 3400,
    "KZ-71": 2300,
    "KZ-61": 2150,
    "KZ-79": 1850,
    "KZ-19": 1550,
    "KZ-31": 1220,
    "KZ-35": 1130,
    "KZ-15": 950,
    "KZ-43": 840,
    "KZ-39": 830,
    "KZ-47": 800,
    "KZ-11": 790,
    "KZ-55": 750,
    "KZ-63": 720,
    "KZ-23": 710,
    "KZ-27": 700,
    "KZ-33": 695,
    "KZ-10": 605,
    "KZ-59": 520,
    "ZZ": 300,
    "KZ-62": 220,
}

#: Namesakes exist, but not in every list of fifty.
NAMESAKE_TRIES = 8

_ORIGINS = ("kazakh", "russian", "uzbek", "uyghur", "korean", "german", "tatar")
_USUAL_ORIGINS = (84, 11, 1, 0, 1, 1, 2)
#: Percentages of the names in a region, in the order of _ORIGINS, where they are not the usual ones.
_REGION_ORIGINS: Final[Mapping[str, tuple[int, ...]]] = {
    "KZ-75": (64, 23, 1, 6, 3, 1, 2),
    "KZ-19": (76, 12, 1, 8, 1, 1, 1),
    "KZ-33": (82, 12, 0, 4, 1, 1, 0),
    "KZ-79": (69, 9, 20, 0, 1, 0, 1),
    "KZ-61": (79, 2, 18, 0, 0, 0, 1),
    "KZ-31": (76, 12, 6, 1, 2, 1, 2),
    "KZ-11": (55, 35, 0, 0, 1, 6, 3),
    "KZ-35": (55, 36, 0, 0, 2, 4, 3),
    "KZ-39": (46, 45, 0, 0, 1, 5, 3),
    "KZ-55": (55, 37, 0, 0, 0, 4, 4),
    "KZ-59": (39, 52, 0, 0, 0, 5, 4),
    "KZ-63": (62, 34, 0, 0, 0, 2, 2),
}
_LANGUAGES: Final[Mapping[str, tuple[int, int, int]]] = {
    "kazakh": (68, 29, 3),
    "russian": (2, 96, 2),
    "uzbek": (45, 54, 1),
    "uyghur": (40, 58, 2),
    "korean": (4, 93, 3),
    "german": (3, 92, 5),
    "tatar": (10, 88, 2),
}


@dataclass(frozen=True)
class Person:
    """What somebody types into the form. signed_language: of the text that was read; language: of the mails."""

    details: Details
    email: EmailAddress
    language: str
    signed_language: str


class Crowd:
    """Invents people one after another; the first ones deal out every region, kind and way of being shown."""

    def __init__(self, dice: Random, *, region_codes: Sequence[str], offer: Offer) -> None:
        self._dice = dice
        self._offer = offer
        self._regions = sorted(region_codes, key=lambda code: (-REGION_WEIGHTS.get(code, 300), code))
        self._weights = [REGION_WEIGHTS.get(code, 300) for code in self._regions]
        self._count = 0
        self._names: set[str] = set()
        self._addresses: set[str] = set()

    def invent(self) -> Person:
        """The next person."""
        dice, place = self._dice, self._count
        self._count += 1
        is_dealt = place < len(self._regions)
        kind = dice.choices(("party", "independent", "international"), (45, 48, 7))[0]
        region = dice.choices(self._regions, self._weights)[0]
        display = dice.choices(("full", "short", "unlisted"), (78, 15, 7))[0]
        if is_dealt:
            region = self._regions[place]
            kind = ("independent", "party", "international")[place % 3 if place < 3 else place % 2]
            display = {1: "unlisted", 4: "short"}.get(place, "full")
        elif kind == "international" and dice.random() < 0.6:
            region = dice.choice(("KZ-71", "KZ-71", "KZ-75"))
        if kind == "international":
            origin, language = self._from_abroad()
        else:
            origin = dice.choices(_ORIGINS, _REGION_ORIGINS.get(region, _USUAL_ORIGINS))[0]
            language = dice.choices(("kk", "ru", "en"), _LANGUAGES[origin])[0]
        name = invent_name(dice, origin, language=language)
        for _ in range(NAMESAKE_TRIES):
            if name.full not in self._names:
                break
            name = invent_name(dice, origin, language=language)
        self._names.add(name.full)
        slug, words = choose_affiliation(dice, self._offer, kind=kind, origin=origin, language=language)
        details = Details(
            kind=kind,
            full_name=name.full,
            short_name=name.short,
            display=display,
            affiliation_slug=slug,
            affiliation_text=words,
            region_code=region,
        )
        mail_language = language if dice.random() < 0.95 else dice.choice(("kk", "ru", "en"))
        return Person(details, self._address(name.full), mail_language, language)

    def office(self) -> EmailAddress:
        """A mailbox that several people of one office share."""
        return self._address("office")

    def _from_abroad(self) -> tuple[str, str]:
        origin = choose_nation(self._dice)
        language = NATIONS[origin].language
        return origin, language if self._dice.random() < 0.9 else "ru"

    def _address(self, name: str) -> EmailAddress:
        dice = self._dice
        words = _plain(name).split()[:2]
        shape = dice.randrange(4)
        first, last = words[0], words[-1]
        local = (f"{first}.{last}", f"{last}.{first}", f"{first[0]}.{last}", f"{first}{last[0]}")[shape]
        if len(words) == 1:
            local = first
        domain = dice.choice(MAIL_DOMAINS)
        free, number = local, 1
        while f"{free}@{domain}" in self._addresses:
            number += 1
            free = f"{local}{number}"
        self._addresses.add(f"{free}@{domain}")
        return clean_email(f"{free}@{domain}")


_BARE = str.maketrans({"ł": "l", "ø": "o", "ı": "i", "ə": "a", "ß": "ss", "þ": "th", "ð": "d", "đ": "d"})


def _plain(name: str) -> str:
    """Lower-case ASCII letters and spaces, for the part of an address before the @."""
    lowered = unicodedata.normalize("NFKD", romanise(name).lower()).translate(_BARE)
    return "".join(
        character for character in lowered if character.isascii() and (character.isalpha() or character == " ")
    )
