"""The steps of a scale: of equal width, with round ends, and every number stands on exactly one."""

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from charter.domain.scale import STEPS, ranges_of, step_of, width_of


@given(most=st.integers(0, 10**9))
@example(0)
@example(4)
@example(5)
def test_steps_lie_side_by_side_and_reach_from_nothing_to_the_most(most: int) -> None:
    ranges = ranges_of(most)
    assert ranges[0] == (0, 0)
    assert len(ranges) <= STEPS + 1
    assert all(last + 1 == first for (_, last), (first, _) in pairwise(ranges))
    assert ranges[-1][0] <= most <= ranges[-1][1]
    assert len({last - first for first, last in ranges[1:]}) <= 1


@given(most=st.integers(1, 10**7), share=st.floats(0, 1))
def test_a_number_stands_on_the_step_whose_range_it_is_in(most: int, share: float) -> None:
    number = int(most * share)
    first, last = ranges_of(most)[step_of(number, most)]
    assert first <= number <= last


def test_the_ends_of_steps_are_round() -> None:
    widths = {most: width_of(most) for most in (0, 1, 4, 5, 9, 37, 386, 5812, 10_954, 1_000_000)}
    assert widths == {
        0: 1,
        1: 1,
        4: 1,
        5: 2,
        9: 3,
        37: 10,
        386: 100,
        5812: 1500,
        10_954: 3000,
        1_000_000: 250_000,
    }
