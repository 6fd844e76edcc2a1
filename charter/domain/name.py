"""A person's name: which names are kept, their short form, and when two names are the same.

Names are not corrected: what a person types is what the registry shows, apart from Unicode form and spaces.
"""

import re
import unicodedata
from functools import lru_cache

from charter.domain.text import TextError, TextFault, clean_line

NAME_MAX_CHARS = 120

# ʻ and ‘ are the Uzbek letter sign as different keyboards type it.
APOSTROPHES = frozenset("'’ʼʻ‘")
_MARKS = frozenset("-. ") | APOSTROPHES
# Typed by word processors for a hyphen: the same sign to every reader, so written the same way.
_HYPHENS = str.maketrans("\u2010\u2011", "--")
_RUN_OF_MARKS = re.compile(r"([-.'’ʼʻ‘])\1|[-.'’ʼʻ‘]{3}")


def clean_name(raw: str) -> str:
    """The name in NFC with single spaces: at most 120 characters, Cyrillic or Latin letters, - . and apostrophes.

    A single name is allowed and so are mixed alphabets (a hint for the reviewer, not a fault of form).
    Raises TextError.
    """
    name = clean_line(raw.translate(_HYPHENS), max_chars=NAME_MAX_CHARS)
    letters = 0
    for character in name:
        if _is_letter(character):
            letters += 1
        elif not (character in _MARKS or _is_diacritic(character)):
            raise TextError(_fault(character), character=character)
    if not letters:
        raise TextError(TextFault.NO_LETTER)
    run = _RUN_OF_MARKS.search(name)
    if run is not None:
        raise TextError(TextFault.CHARACTER, character=run.group()[0])
    return name


def clean_short_form(raw: str) -> str:
    """The short form a person chose ("Айгүл С."), under the same rules as a name. Raises TextError."""
    return clean_name(raw)


def default_short_form(full: str) -> str:
    """A first proposal for the short form of a cleaned name: the first word and the initial of the second.

    Papers put the surname first, people type either: nobody can tell which word is which, so the person may edit it.
    A single name is its own short form.
    """
    words = [word for word in full.split(" ") if any(map(_is_letter, word))]
    if len(words) < 2:
        return full
    shortened = f"{words[0]} {_initial(words[1])}."
    return shortened if len(shortened) <= NAME_MAX_CHARS else words[0]


def same_name_key(name: str) -> str:
    """The form in which two names are compared: NFC, case-folded, spaces collapsed.

    This and nothing looser decides that two people are one; the search fold never does.
    """
    # Folding case can undo NFC (İ becomes i and a dot above), so it is restored afterwards.
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    return " ".join(folded.split())


@lru_cache(maxsize=4096)
def _is_letter(character: str) -> bool:
    if unicodedata.category(character) not in ("Lu", "Ll", "Lt"):
        return False  # Lo holds click letters that look like ! and |
    if "\u0400" <= character <= "\u052f":
        return not "\u0460" <= character <= "\u0489"  # the letters of old manuscripts
    if character <= "\u024f" or "\u1e00" <= character <= "\u1eff":
        return True
    # Of the phonetic letters only those that real alphabets use have a capital: ə, ɓ, ɗ, ɛ, ɔ …
    return "\u0250" <= character <= "\u02af" and character.upper() != character


def _is_diacritic(character: str) -> bool:
    # Class 1 strikes the letter through, 233 and 234 span two letters: decoration, not spelling.
    return "\u0300" <= character <= "\u036f" and unicodedata.combining(character) not in (1, 233, 234)


def _fault(character: str) -> TextFault:
    category = unicodedata.category(character)
    if category.startswith("N"):
        return TextFault.DIGIT
    return TextFault.SCRIPT if category.startswith(("L", "M")) else TextFault.CHARACTER


def _initial(word: str) -> str:
    start = next(index for index, character in enumerate(word) if _is_letter(character))
    end = start + 1
    while end < len(word) and _is_diacritic(word[end]):
        end += 1
    letter = word[start:end]
    capital = letter.upper()
    return capital if len(capital) == len(letter) else letter
