"""The classifier of the timings finds a difference where there is one, and none where there is none."""

from __future__ import annotations

from random import Random

import pytest

from benchmarks import oracle

Sides = tuple[list[oracle.Sample], list[oracle.Sample]]


def sides(dice: Random, *, slower: float = 1.0, wider: float = 1.0, count: int = 300) -> Sides:
    """Times in seconds as a busy machine gives them, of those who have signed and of those who have not."""

    def one(factor: float, width: float) -> oracle.Sample:
        return (0.01 * factor * dice.lognormvariate(0, 0.1 * width), 0.002 * dice.lognormvariate(0, 0.1))

    return [one(slower, wider) for _ in range(count)], [one(1.0, 1.0) for _ in range(count)]


def test_auc_is_how_often_the_one_is_above_the_other() -> None:
    assert oracle.auc([3, 4], [1, 2]) == 1
    assert oracle.auc([1, 2], [3, 4]) == 0
    assert oracle.auc([1, 1], [1, 1]) == 0.5
    assert oracle.auc([1, 3], [2]) == 0.5


@pytest.mark.parametrize(("slower", "wider"), [(1.1, 1.0), (0.9, 1.0), (1.0, 3.0)])
def test_a_tenth_slower_faster_or_more_scattered_is_found(slower: float, wider: float) -> None:
    dice = Random(1)
    pair = [sides(dice, slower=slower, wider=wider) for _ in range(2)]
    assert oracle._best(*pair) > oracle.MOST_AUC + 0.1


def test_no_difference_is_none() -> None:
    dice = Random(2)
    found = [oracle._best(sides(dice), sides(dice)) for _ in range(3)]
    assert sum(found) / 3 < oracle.MOST_AUC
