"""Whom invented observers say they observe for: from the lists that can be chosen, or in words of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from charter.demo.nations import NATIONS
from charter.domain.text import clean_line

WORDS_MAX_CHARS = 200

#: Nations by the missions they are found in.
_EUROPE = ("pl", "de", "es", "fr", "se", "no", "cz", "hu", "lv", "ro", "is", "gb")
_COMMONWEALTH = ("kg", "by", "tj", "uz", "az")
_TURKIC = ("tr", "az", "kg", "uz", "hu")
_EVERYWHERE = tuple(NATIONS)
_MISSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "odihr": _EUROPE,
    "osce-pa": (*_EUROPE, "tr", "az"),
    "pace": _EUROPE,
    "eu-delegation": ("pl", "de", "es", "fr", "se", "cz", "hu", "lv", "ro"),
    "cis-mission": _COMMONWEALTH,
    "ipa-cis": _COMMONWEALTH,
    "csto-pa": ("kg", "by", "tj"),
    "sco": ("kg", "tj", "uz", "by"),
    "ots": _TURKIC,
    "turkpa": _TURKIC,
    "turkic-academy": _TURKIC,
    "oic": ("tr", "az", "tj", "kg", "uz"),
    "iofs": ("tr", "az", "tj", "kg", "uz"),
    "cica": ("tr", "az", "vn", "kg", "tj", "uz"),
}
_MANY = {"odihr": 6, "cis-mission": 5, "osce-pa": 3, "ots": 3, "sco": 3}

#: Made up, or so general that no one body is meant.
_OWN_ORGANISATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "kk": (
        "«Ашық жәшік» байқаушылар тобы",
        "«Мөлдір таңдау» қоғамдық қоры",
        "Ауыл ақсақалдар кеңесі",
        "Колледж студенттерінің кеңесі",
        "Аудандық ардагерлер кеңесі",
        "№ 12 мектептің кәсіподақ ұйымы",
        "Пәтер иелерінің кооперативі",
    ),
    "ru": (
        "Инициативная группа «Честный участок»",
        "Общественный фонд «Прозрачная урна»",
        "Совет ветеранов района",
        "Студенческий совет колледжа",
        "Первичная профсоюзная организация школы № 27",
        "Объединение юристов «Протокол»",
        "Группа наблюдателей дома культуры",
    ),
    "en": (
        "Open Ballot Box Volunteers",
        "Campus Observers' Circle",
        "Second Shift Observation Group",
    ),
}
_NEW_PARTIES: Final[Mapping[str, str]] = {
    "kk": "«Жаңа арна» партиясы (тіркелу сатысында)",
    "ru": "Партия «Новое русло» (в стадии регистрации)",
    "en": "New Channel Party (being registered)",
}


@dataclass(frozen=True)
class Offer:
    """Slugs that can be chosen, by type of affiliation, in the order of the shipped lists."""

    parties: tuple[str, ...]
    organisations: tuple[str, ...]
    missions: tuple[str, ...]


def choose_nation(dice: Random) -> str:
    """Where an international observer comes from."""
    return dice.choice((*_EUROPE, *_COMMONWEALTH, *_COMMONWEALTH, *_EVERYWHERE))


def choose_affiliation(
    dice: Random, offer: Offer, *, kind: str, origin: str, language: str
) -> tuple[str | None, str | None]:
    """(slug, None) for one of the list, (None, words) for another, (None, None) on one's own."""
    if kind == "party":
        if not offer.parties or dice.random() < 0.01:
            return None, _clean(_NEW_PARTIES[language])
        # Earlier in the list means larger, on the whole.
        weights = [len(offer.parties) * 2 - place for place in range(len(offer.parties))]
        return dice.choices(offer.parties, weights)[0], None
    if kind == "international":
        suiting = [slug for slug in offer.missions if origin in _MISSIONS.get(slug, ())]
        if not suiting or dice.random() < 0.3:
            return None, _clean(NATIONS[origin].state[language])
        return dice.choices(suiting, [_MANY.get(slug, 1) for slug in suiting])[0], None
    way = dice.choices(("listed", "own words", "alone"), (55, 20, 25))[0]
    if way == "listed" and offer.organisations:
        weights = [len(offer.organisations) * 2 - place for place in range(len(offer.organisations))]
        return dice.choices(offer.organisations, weights)[0], None
    return (None, None) if way == "alone" else (None, _clean(dice.choice(_OWN_ORGANISATIONS[language])))


def _clean(words: str) -> str:
    return clean_line(words, max_chars=WORDS_MAX_CHARS)
