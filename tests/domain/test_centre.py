"""The Centre's own values: a BIN with its check digit, and when signing is open."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from charter.domain.centre import (
    DaysOff,
    Identity,
    Opening,
    Signing,
    days_off_of,
    is_bin,
    signing_of,
    value_of_days_off,
    value_of_signing,
)

NOON = datetime(2026, 12, 1, 7, 0, tzinfo=UTC)


@pytest.mark.parametrize("number", ["971240001315", "940140000385", "120940001946"])
def test_numbers_that_were_issued_pass(number: str) -> None:
    assert is_bin(number)


def test_a_slip_of_one_digit_is_found_wherever_the_rule_can() -> None:
    number = "971240001315"
    # The eleventh digit weighs 11, so modulo 11 nothing checks it.
    places = [place for place in range(12) if place != 10]
    slips = {number[:place] + digit + number[place + 1 :] for place in places for digit in "0123456789"} - {number}
    # Where the first weights give 10 the second ones decide: one of these passes.
    assert sum(map(is_bin, slips)) <= 1
    for text in ("", "97124000131", "9712400013155", "97124000131x", "٩71240001315"):
        assert not is_bin(text)


def test_a_window_opens_at_its_first_moment_and_is_closed_at_its_last() -> None:
    window = Signing(Opening.WINDOW, NOON, NOON + timedelta(hours=1), {"en": "Soon."})
    assert [window.is_open(NOON + timedelta(minutes=minutes)) for minutes in (-1, 0, 59, 60)] == [
        False,
        True,
        True,
        False,
    ]
    assert Signing(Opening.WINDOW, None, NOON).is_open(NOON - timedelta(days=9))
    assert not Signing(Opening.CLOSED).is_open(NOON)
    assert (window.words("en"), window.words("ru"), Signing(sentence={"en": "x"}).words("en")) == ("Soon.", "", "")


def test_what_is_kept_comes_back_as_it_was() -> None:
    window = Signing(Opening.WINDOW, NOON, None, {"en": "Soon."})
    assert signing_of(value_of_signing(window)) == window
    assert signing_of(None) == Signing(sentence={})
    days = DaysOff(frozenset({date(2026, 12, 2)}), frozenset({date(2026, 12, 16)}))
    assert days_off_of(value_of_days_off(days)) == days
    assert days.beside({date(2026, 12, 16), date(2026, 12, 17)}) == {date(2026, 12, 2), date(2026, 12, 17)}
    assert Identity("a", "b", email="c").is_whole
    assert not Identity("a", "b").is_whole
