"""Differences between two texts, word by word, as an editor or a signatory reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from typing import Final

#: Comparing takes the square of what is compared: beyond so many words a passage is shown whole, old and new.
MOST_WORDS: Final = 1500
_WORD = re.compile(r"\S+\s*")
_HEADING = re.compile(r"(#+) +")


class Change(StrEnum):
    """What became of some words."""

    SAME = "same"
    OUT = "out"
    IN = "in"


@dataclass(frozen=True, slots=True)
class Piece:
    """Neighbouring words with the same fate. text: with the spaces behind them."""

    change: Change
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """One paragraph. level: of a heading, 1 for the highest; 0 for other text."""

    pieces: tuple[Piece, ...]
    level: int = 0

    @property
    def is_changed(self) -> bool:
        """Whether anything in it differs."""
        return any(piece.change is not Change.SAME for piece in self.pieces)


def differences(before: str, after: str) -> list[Passage]:
    """What has to be done to `before` to get `after`, paragraph by paragraph; paragraphs are lines, empty ones none.

    A line that begins with # is a heading, as in Markdown; its signs are no words.
    Leaving out what is IN gives the words of `before`, leaving out what is OUT those of `after`. Takes time that grows
    with the square of the longest changed run of paragraphs, never more than MOST_WORDS words at once.
    """
    old, new = _paragraphs(before), _paragraphs(after)
    found: list[Passage] = []
    for tag, first, end, new_first, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            found += [Passage((Piece(Change.SAME, _bare(text)),), _level(text)) for text in old[first:end]]
        else:
            found += _compared(old[first:end], new[new_first:new_end])
    return found


def _paragraphs(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _compared(old: Sequence[str], new: Sequence[str]) -> Iterator[Passage]:
    """Paragraph against paragraph in their order; what is left over on one side came or went whole."""
    # Where their numbers differ, which belong together is found by what they share.
    for before, after in _pairs(old, new):
        yield Passage(tuple(_pieces(_bare(before), _bare(after))), _level(after or before))


def _bare(text: str) -> str:
    return _HEADING.sub("", text, count=1) if text.startswith("#") else text


def _level(text: str) -> int:
    found = _HEADING.match(text)
    return len(found[1]) if found else 0


def _pairs(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str, str]]:
    if len(old) == len(new):
        yield from zip(old, new, strict=True)
        return
    place = 0
    for after in new:
        likely = next((at for at in range(place, len(old)) if _is_alike(old[at], after)), None)
        if likely is None:
            yield "", after
            continue
        for before in old[place:likely]:
            yield before, ""
        yield old[likely], after
        place = likely + 1
    for before in old[place:]:
        yield before, ""


def _is_alike(before: str, after: str) -> bool:
    words, others = set(before.split()), set(after.split())
    return 2 * len(words & others) >= min(len(words), len(others)) > 0


def _pieces(before: str, after: str) -> Iterator[Piece]:
    old, new = _WORD.findall(before), _WORD.findall(after)
    if len(old) + len(new) > MOST_WORDS:
        yield from _both("".join(old), "".join(new))
        return
    bare, bare_new = [word.rstrip() for word in old], [word.rstrip() for word in new]
    matcher = SequenceMatcher(None, bare, bare_new, autojunk=False)
    for tag, first, end, new_first, new_end in matcher.get_opcodes():
        if tag == "equal":
            yield Piece(Change.SAME, "".join(new[new_first:new_end]))
        else:
            yield from _both("".join(old[first:end]), "".join(new[new_first:new_end]))


def _both(before: str, after: str) -> Iterator[Piece]:
    if before:
        yield Piece(Change.OUT, before)
    if after:
        yield Piece(Change.IN, after)
