"""Registry numbers in blocks and ranges that never move."""

from __future__ import annotations

from dataclasses import dataclass

#: Entries on one page.
BLOCK = 100
#: Numbers whose blocks are listed on one page.
RANGE = 10_000


@dataclass(frozen=True)
class Span:
    """Consecutive registry numbers, both included."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """How many numbers."""
        return self.last - self.first + 1

    @property
    def is_aligned(self) -> bool:
        """Whether it is one of those that numbers from 1 on fall into."""
        return self.size >= 1 and self.first >= 1 and (self.first - 1) % self.size == 0

    def before(self) -> Span | None:
        """The one below; None below 1."""
        return Span(self.first - self.size, self.first - 1) if self.first > self.size else None

    def behind(self) -> Span:
        """The one above."""
        return Span(self.last + 1, self.last + self.size)


def span_of(number: int, size: int) -> Span:
    """The span of this size that a number falls into. number: from 1 on."""
    first = (number - 1) // size * size + 1
    return Span(first, first + size - 1)


def spans(size: int, *, first: int, last: int) -> list[Span]:
    """Every span that holds a number from `first` to `last`; none if there is no such number."""
    if last < first:
        return []
    return [Span(start, start + size - 1) for start in range(span_of(first, size).first, last + 1, size)]
