"""What a reviewer may want to look at twice. Hints with reasons, never verdicts: nothing is refused by them."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, field
from types import ModuleType

from charter.domain.fold import fold

#: From here on two folded names are called alike («Жанна Ким», «Анна Ким» are 94: a hint may be wrong).
ALIKE = 88.0
_LATIN, _CYRILLIC = "LATIN", "CYRILLIC"


@dataclass(frozen=True)
class Hint:
    """code: which kind, one of CODES. words: what it points at, shown as it is. count: how many, where it counts.

    signatures: (id, name, state) of others that it leads to. is_strong: worth a mark in the queue.
    """

    code: str
    words: tuple[str, ...] = ()
    count: int = 0
    signatures: tuple[tuple[int, str, str], ...] = field(default=())
    entries: tuple[tuple[str, str, int], ...] = field(default=())  # (entry, name shown, number) of the registry


#: In the order in which they are shown.
CODES = (
    "held",
    "same-name",
    "alike-name",
    "alike-registered",
    "notable",
    "notable-alike",
    "mixed-scripts",
    "disguised",
    "throwaway",
    "burst-network",
    "burst-affiliation",
    "burst-minute",
)


def name_fold(name: str) -> str:
    """Folded words in alphabetical order, at most 400 characters: one key for a name in any alphabet and any order."""
    return " ".join(sorted(fold(name)))[:400]


def mixed_words(name: str) -> tuple[str, ...]:
    """Words in which Latin and Cyrillic letters stand side by side («Aлия» with a Latin A)."""
    return tuple(word for word in name.split() if {_LATIN, _CYRILLIC} <= _alphabets(word))


def foreign_letters(word: str) -> tuple[str, ...]:
    """Of such a word the letters of the alphabet that it has fewer of, as they stand."""
    by_alphabet: dict[str, list[str]] = {_LATIN: [], _CYRILLIC: []}
    for letter in word:
        alphabet = _alphabet(letter)
        if alphabet in by_alphabet:
            by_alphabet[alphabet].append(letter)
    fewer = min(by_alphabet, key=lambda one: (len(by_alphabet[one]), one == _CYRILLIC))
    return tuple(dict.fromkeys(by_alphabet[fewer]))


def _alphabets(word: str) -> set[str]:
    return {_alphabet(letter) for letter in word if letter.isalpha()}


def _alphabet(letter: str) -> str:
    # The Unicode name begins with the script for every letter of these two alphabets.
    return unicodedata.name(letter, "").partition(" ")[0]


def disguised_words(name: str) -> tuple[str, ...]:
    """Words of another alphabet than the rest of the name, all of whose letters have a twin in it («Айгүл CEPIK»)."""
    words = [word for word in name.split() if _alphabets(word)]
    alphabets = [_alphabets(word) for word in words]
    cyrillic, latin = alphabets.count({_CYRILLIC}), alphabets.count({_LATIN})
    if not cyrillic or not latin:
        return ()
    return tuple(
        word for word, own in zip(words, alphabets, strict=True) if own == {_LATIN} and _has_twins(word, "cyrillic")
    )


def _has_twins(word: str, alphabet: str) -> bool:
    # The tables are a megabyte that few processes need.
    from confusable_homoglyphs import confusables

    letters = {letter for letter in word if letter.isalpha()}
    return len(letters) > 1 and all(_twins(confusables, letter, alphabet) for letter in letters)


def _twins(confusables: ModuleType, letter: str, alphabet: str) -> bool:
    # The tables take a capital I for a small l only.
    found = [
        *(confusables.is_confusable(letter, greedy=True, preferred_aliases=[]) or ()),
        *(confusables.is_confusable(letter.lower(), greedy=True, preferred_aliases=[]) or ()),
    ]
    return any(_alphabet(twin["c"][:1]) == alphabet.upper() for one in found for twin in one["homoglyphs"] if twin["c"])


def likeness(one: str, other: str) -> float:
    """0 to 100 for two folded names, whatever the order of their words."""
    from rapidfuzz import fuzz

    return float(fuzz.token_sort_ratio(one, other))


def is_throwaway(domain: str, known: Collection[str]) -> bool:
    """Whether the domain or one above it is known to give addresses away for minutes."""
    parts = domain.lower().split(".")
    return any(".".join(parts[place:]) in known for place in range(len(parts) - 1))
