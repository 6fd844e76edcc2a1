"""Where the parts of a plot stand: across in shares of its width, down in the height of its letters.

So a drawing fits a telephone and a poster alike, and its words are as large as the person has set them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from charter.domain.scale import width_of

#: Heights in letters: of the tallest panel, the words above one, a number on a line, the space below one, a line
#: under the axis.
PANEL, HEAD, NUMBER, GAP, FOOT = 8.0, 1.7, 1.2, 1.1, 1.25
#: A bar for a single signature among thousands is still seen.
LEAST = 0.16
#: Of its place along the axis a bar fills so much.
FILLED = 0.76
#: Short words of an axis that have room beside each other, and how far apart they stand where there are more.
MOST_SHORT, APART = 12, 5


@dataclass(frozen=True)
class Bar:
    """x, width: percent. y, height: letters. words: what it says, for a pointer that rests on it."""

    x: float
    width: float
    y: float
    height: float
    words: str


@dataclass(frozen=True)
class Line:
    """A line of the grid at height y, and the number it stands for."""

    y: float
    number: int


@dataclass(frozen=True)
class Panel:
    """One row of bars. kind: of observer, None for all. head_y: where its words stand. base_y: where bars begin."""

    kind: str | None
    total: int
    head_y: float
    base_y: float
    bars: tuple[Bar, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Tick:
    """Words below the axis in two lines. x: percent. anchor: start | middle | end."""

    x: float
    anchor: str
    upper: str
    lower: str


@dataclass(frozen=True)
class Plot:
    """Panels above one axis. height, foot_y: letters; below foot_y the words of the axis stand."""

    panels: tuple[Panel, ...]
    ticks: tuple[Tick, ...]
    height: float
    foot_y: float


def columns(
    rows: Sequence[tuple[str | None, Sequence[int]]], *, words: Sequence[str], marks: Sequence[tuple[str, str]]
) -> Plot:
    """Rows of bars, one above the other, on the same scale and above the same axis.

    rows: (kind, numbers), the tallest first. words: of each place along the axis. marks: two lines for each place; of
    long ones the first, the last and two between are written, of short ones (no second line) as many as fit. All
    sequences of numbers, words and marks are of one length.
    """
    most = max((number for _, numbers in rows for number in numbers), default=0)
    step = width_of(max(most, 1))
    steps = max(1, -(-most // step))
    scale = PANEL / (step * steps)
    panels = []
    at = 0.0
    for place, (kind, numbers) in enumerate(rows):
        own = step * steps if place == 0 else max(numbers, default=0)
        shown = [number for number in range(step, own + 1, step) if place == 0 or number == step * (own // step)]
        base = at + HEAD + (NUMBER if shown else 0) + own * scale
        panels.append(
            Panel(
                kind=kind,
                total=sum(numbers),
                head_y=_short(at + 1.1),
                base_y=_short(base),
                bars=tuple(_bars(numbers, words, base=base, scale=scale)),
                lines=tuple(Line(_short(base - number * scale), number) for number in shown),
            )
        )
        at = base + GAP
    ticks = _ticks(marks)
    lines = 2 if any(one.lower for one in ticks) else 1
    return Plot(tuple(panels), tuple(ticks), _short(at - GAP + lines * FOOT + 0.4), _short(at - GAP))


def _bars(numbers: Sequence[int], words: Sequence[str], *, base: float, scale: float) -> list[Bar]:
    share = 100 / max(len(numbers), 1)
    found = []
    for place, number in enumerate(numbers):
        if number:
            height = max(number * scale, LEAST)
            x = share * (place + (1 - FILLED) / 2)
            found.append(Bar(_short(x), _short(share * FILLED), _short(base - height), _short(height), words[place]))
    return found


def _ticks(marks: Sequence[tuple[str, str]]) -> list[Tick]:
    last = len(marks) - 1
    if not any(lower for _, lower in marks):
        return [Tick(_short(100 * (place + 0.5) / len(marks)), "middle", *marks[place]) for place in _some(last)]
    places = sorted({0, last // 3, 2 * last // 3, last}) if last >= 3 else range(len(marks))
    found = []
    for place in places:
        middle = 100 * (place + 0.5) / len(marks)
        if place == 0 and last > 0:
            found.append(Tick(0, "start", *marks[place]))
        elif place == last and last > 0:
            found.append(Tick(100, "end", *marks[place]))
        else:
            found.append(Tick(_short(middle), "middle", *marks[place]))
    return found


def _some(last: int) -> list[int]:
    if last < MOST_SHORT:
        return list(range(last + 1))
    return [*(place for place in range(0, last, APART) if last - place >= APART - 1), last]


def _short(number: float) -> float:
    return round(number, 2)
