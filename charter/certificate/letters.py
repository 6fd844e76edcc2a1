"""Which letters can be printed, and what stands for one that cannot: PDF/A allows no letter without a shape."""

from __future__ import annotations

import re

#: Stands where no font of ours has the letter.
MISSING = "□"

_RANGES = (
    (0x20, 0x7E),
    (0xA0, 0x2AF),
    (0x2BB, 0x2BC),
    (0x300, 0x36F),
    *((0x386, 0x38A), (0x38C, 0x38C), (0x38E, 0x3A1), (0x3A3, 0x3CE)),
    # Cyrillic without letters of long abandoned alphabets.
    *((0x400, 0x4FF), (0x510, 0x513), (0x51A, 0x51D)),
    (0x1E00, 0x1EFF),
    *((0x2010, 0x2027), (0x2030, 0x203A)),
    *((0x20AC, 0x20AC), (0x20B8, 0x20B8), (0x2116, 0x2116), (0x2212, 0x2212), (0x25A1, 0x25A1)),
)
_SHORT = re.compile(r"(?<!\S)(№|\w{1,2}|для|над|под|при) ")
PRINTED = frozenset(chr(code) for first, last in _RANGES for code in range(first, last + 1))


def printable(text: str) -> str:
    """The text with `MISSING` for each letter that cannot be printed."""
    return text if PRINTED.issuperset(text) else "".join(one if one in PRINTED else MISSING for one in text)


def tied(text: str) -> str:
    """The text with its shortest words bound to the next one, so that none is left alone at the end of a line."""
    return _SHORT.sub("\\1\N{NO-BREAK SPACE}", text)


def pieces(text: str, most: int) -> list[list[str]]:
    """The words, each in pieces: one that is longer than `most` letters may be broken at every half of that.

    No name or title that people bear has such a word; without this it would run over the edge.
    """
    return [_pieces(word, most) for word in text.split(" ")]


def _pieces(word: str, most: int) -> list[str]:
    step = len(word) if len(word) <= most else most // 2
    return [word[at : at + step] for at in range(0, len(word), step)] if word else [""]
