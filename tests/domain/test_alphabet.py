"""Names stand in the order of the Kazakh alphabet."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from charter.domain.alphabet import NAMELESS, sort_key

#: CLDR, collation chart of kk.
ALPHABET = "аәбвгғдеёжзийкқлмнңоөпрстуұүфхһцчшщъыіьэюя"


def test_the_letters_stand_in_the_order_of_the_alphabet_in_either_case() -> None:
    assert sorted(ALPHABET, key=sort_key) == list(ALPHABET)
    assert sorted(ALPHABET.upper(), key=sort_key) == list(ALPHABET.upper())
    assert [sort_key(one) for one in ALPHABET] == [sort_key(one) for one in ALPHABET.upper()]


def test_latin_comes_before_cyrillic_and_no_name_comes_last() -> None:
    names = ["Анна", "Әлия", "Бақыт", "Ғани", "Yusuf", "Anna", "Ўткир", "Їлья", None]
    assert sorted(names, key=sort_key) == ["Anna", "Yusuf", "Анна", "Әлия", "Бақыт", "Ғани", "Ўткир", "Їлья", None]
    assert sort_key("яяя") < NAMELESS


def test_marks_apostrophes_and_hyphens_do_not_part_what_belongs_together() -> None:
    assert sort_key("Анна-Мария") == sort_key("анна мария")
    assert sort_key("José") == sort_key("Jose")
    assert sort_key("й") != sort_key("и")
    assert sort_key("Ким Анна") < sort_key("Кима Анна")


@given(st.text(max_size=200))
def test_every_text_has_a_key_no_longer_than_itself_twice(text: str) -> None:
    key = sort_key(text)
    assert 1 <= len(key) <= max(1, 3 * len(text))
    assert key == NAMELESS or "\x00" not in key
    key.encode()
