"""The steps of a scale that people read: of equal width and with round ends."""

from __future__ import annotations

from typing import Final

#: How many steps there are above nothing.
STEPS: Final = 4
_ROUND = (10, 15, 20, 25, 30, 40, 50, 60, 80)


def width_of(most: int) -> int:
    """How wide one of the equal steps is that reach from 1 to `most`: a round number, at least 1."""
    if most <= STEPS:
        return 1
    tens = 1
    while True:
        for digits in _ROUND:
            width, rest = divmod(digits * tens, 10)
            if not rest and width * STEPS >= most:
                return width
        tens *= 10


def step_of(number: int, most: int) -> int:
    """0 for nothing, else the step 1…4 that `number` stands on, where `most` is the largest number."""
    return 0 if number <= 0 else 1 + (number - 1) // width_of(most)


def ranges_of(most: int) -> list[tuple[int, int]]:
    """First and last number of each step that is in use, from (0, 0) on."""
    width = width_of(most)
    return [(0, 0), *((1 + width * step, width * (step + 1)) for step in range(STEPS) if 1 + width * step <= most)]
