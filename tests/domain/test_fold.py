"""A name is found however it is typed, and nothing that is typed breaks the fold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.domain.fold import MOST_WORDS, fold, skeleton


@pytest.mark.parametrize(
    "spellings",
    [
        ("Қайрат Жұмабайұлы", "Кайрат Жумабайулы", "Kairat Zhumabaiuly", "Qairat Jumabaiuly", "ҚАЙРАТ ЖҰМАБАЙҰЛЫ"),
        ("Әсел Құрманғазы", "Асел Курмангазы", "Asel Kurmangazy"),
        ("Үміт Жұмабекқызы", "Умит Жумабеккызы", "Umit Zhumabekkyzy"),
        ("Нұрлан Өтешов", "Нурлан Отешов", "Nurlan Oteshov"),
        ("Oʻtkir", "O'tkir", "O’tkir"),
        # Latin letters among Cyrillic ones, typed by a hand that did not switch the keyboard.
        ("Айгуль Серик", "Aйгуль Cepик"),
    ],
)
def test_spellings_of_one_name_fold_alike(spellings: tuple[str, ...]) -> None:
    assert len({fold(one) for one in spellings}) == 1


@pytest.mark.parametrize(("one", "other"), [("Жанна Ким", "Анна Ким"), ("Серікұлы", "Серикович"), ("Ли", "Лю")])
def test_different_names_stay_different(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@pytest.mark.parametrize(
    ("one", "other"), [("Өтегенова", "Утегенова"), ("Ыбырайымов", "Ибраимов"), ("Пётр", "Петр"), ("Богдан", "Покдан")]
)
def test_what_sounds_alike_has_one_skeleton(one: str, other: str) -> None:
    assert skeleton(fold(one)[0]) == skeleton(fold(other)[0])


def test_a_word_of_vowels_keeps_something_to_be_found_by() -> None:
    assert skeleton("aia") == "a"


@given(st.text(max_size=300))
def test_whatever_is_typed_becomes_few_plain_words(text: str) -> None:
    words = fold(text)
    assert len(words) <= MOST_WORDS
    assert len(set(words)) == len(words)
    for word in words:
        assert word.isascii()
        assert word.isalnum()
        assert word == word.lower()
        assert 1 <= len(skeleton(word)) <= len(word)
    assert fold(" ".join(words)) == tuple(dict.fromkeys(one for word in words for one in fold(word)))[:MOST_WORDS]
