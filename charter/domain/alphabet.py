"""Kazakh alphabetical order as a key that every database orders by its bytes.

Ready-made orders (code points, root and Russian collations) put Ә, Ғ, Қ … in wrong places; this one agrees with
ICU's Kazakh tailoring (CLDR kk).
"""

from __future__ import annotations

import unicodedata

from charter.domain.name import APOSTROPHES

#: CLDR, collation chart of kk.
_KAZAKH = "аәбвгғдеёжзийкқлмнңоөпрстуұүфхһцчшщъыіьэюя"
#: Letters of neighbours that are no letter of ours with a mark: behind which of ours they stand.
_NEIGHBOURS = {"ґ": "г", "ђ": "д", "є": "е", "җ": "ж", "ҡ": "қ", "ҳ": "х"}
_PLACE = {letter: chr(0x400 + 2 * place) for place, letter in enumerate(_KAZAKH)}
_PLACE |= {letter: chr(ord(_PLACE[after]) + 1) for letter, after in _NEIGHBOURS.items()}
#: Sorts behind every name: entries that are not shown by one.
NAMELESS = "\uf000"


def sort_key(name: str | None) -> str:
    """The key of a name that is shown, or NAMELESS; at most as many characters as the name has.

    Latin before Cyrillic; case, apostrophes, hyphens and marks do not count. Compare by code points (`COLLATE "C"`).
    """
    if name is None:
        return NAMELESS
    key = []
    for character in unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()):
        base = character if character in _PLACE else unicodedata.normalize("NFD", character)[0]
        if base in _PLACE:
            key.append(_PLACE[base])
        elif "\u0400" <= base <= "\u052f":
            # A letter of another Cyrillic alphabet: behind ours, in the order of Unicode.
            key.append(chr(0x500 + ord(base) - 0x400))
        else:
            key.append(base if base.isalnum() and base not in APOSTROPHES else " ")
    return " ".join("".join(key).split()) or NAMELESS
