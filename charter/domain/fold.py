"""One spelling for names that people type in several alphabets: for search only.

The fold never changes a name that is shown, and never decides that two people are one.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from anyascii import anyascii

#: Latin letters that are typed for Cyrillic ones of the same look; only in a word that has Cyrillic letters.
_LOOK_ALIKES = str.maketrans("aceopxyihABCEHIKMOPTXY", "асеорхуіһАВСЕНІКМОРТХУ")
#: After transliteration, in this order: ways to write one Kazakh or Russian sound in Latin letters.
_REPLACEMENTS = (
    ("shch", "sh"),
    ("zh", "j"),
    ("dzh", "j"),
    ("gh", "g"),
    ("kh", "h"),
    ("q", "k"),
    ("w", "u"),
    ("ts", "c"),
    ("y", "i"),
)
_RUN_OF_I = re.compile("i{2,}")
_APOSTROPHES = re.compile("[`'’ʹʺ\"]")
_WORD = re.compile("[a-z0-9]+")
_CYRILLIC = re.compile("[\u0400-\u052f]")
_VOWELS = str.maketrans("", "", "aeiou")
#: Sounds that are written for one another.
_KIN = str.maketrans("bdgvzjch", "ptkfssss")

#: A name has at most 120 characters; whatever folds to more words than this is not a name.
MOST_WORDS = 40


@lru_cache(maxsize=8192)
def fold(text: str) -> tuple[str, ...]:
    """The words of `text` in a-z and 0-9, in their order, each once: «Қайрат» and "Qairat" give the same.

    Whoever folds both what is stored and what is asked for finds one in the other.
    """
    parts = (
        part.translate(_LOOK_ALIKES) if _CYRILLIC.search(part) else part
        for part in unicodedata.normalize("NFKC", text).split()
    )
    latin = anyascii(" ".join(parts)).lower()
    for old, new in _REPLACEMENTS:
        latin = latin.replace(old, new)
    latin = _APOSTROPHES.sub("", _RUN_OF_I.sub("i", latin))
    return tuple(dict.fromkeys(_WORD.findall(latin)))[:MOST_WORDS]


def skeleton(word: str) -> str:
    """What is left of a folded word when it is spelled from hearing: consonants by kind, none twice in a row.

    Words with the same skeleton may be spellings of one name («Өтегенова», «Утегенова»); rarely more than that.
    """
    kin = word[:1].translate(_VOWELS).translate(_KIN) + word[1:].translate(_VOWELS).translate(_KIN)
    return re.sub(r"(.)\1+", r"\1", kin) or word[:1]
