"""Differences word by word: nothing is lost, nothing invented, and a long text takes no longer than a page may."""

from __future__ import annotations

import random
import time

import pytest

from charter.domain.edition import tidy, words_of
from charter.domain.wording import MOST_WORDS, Change, differences


def side(before: str, after: str, without: Change) -> list[str]:
    """One of both texts, told from the differences, as words."""
    passages = differences(before, after)
    return [
        word
        for passage in passages
        for piece in passage.pieces
        if piece.change is not without
        for word in piece.text.split()
    ]


def test_a_changed_word_is_taken_out_and_put_in_and_its_neighbours_stay() -> None:
    (passage,) = differences("I shall report honestly.", "I shall report calmly and honestly.")
    assert [(piece.change, piece.text.strip()) for piece in passage.pieces] == [
        (Change.SAME, "I shall report"),
        (Change.IN, "calmly and"),
        (Change.SAME, "honestly."),
    ]


def test_a_paragraph_that_came_and_one_that_went_are_told_whole() -> None:
    passages = differences("one two three\n\nfour five six", "one two three\n\nnine ten eleven\n\nfour five six")
    assert [passage.is_changed for passage in passages] == [False, True, False]
    passages = differences("a b c\n\nd e f", "a b c")
    assert [piece.change for piece in passages[-1].pieces] == [Change.OUT]
    assert differences("", "") == []


def test_headings_are_told_from_text_and_their_signs_are_no_words() -> None:
    before, after = "# Charter\n\n## Principles\n\nI watch.", "# Charter\n\n## Five principles\n\nI **watch**."
    passages = differences(words_of(before), words_of(after))
    assert [passage.level for passage in passages] == [1, 2, 0]
    assert [[piece.text.strip() for piece in passage.pieces] for passage in passages] == [
        ["Charter"],
        ["Principles", "Five principles"],
        ["I watch."],
    ]


@pytest.mark.parametrize("seed", range(30))
def test_both_texts_can_be_told_from_the_differences(seed: int) -> None:
    chance = random.Random(seed)
    words = ["Мен", "әділ", "байқаймын", "және", "адал", "көмектесемін."]

    def text() -> str:
        return "\n\n".join(
            " ".join(chance.choices(words, k=chance.randint(1, 12))) for _ in range(chance.randint(0, 8))
        )

    before, after = text(), text()
    assert side(before, after, Change.IN) == before.split()
    assert side(before, after, Change.OUT) == after.split()


def test_a_text_as_long_as_may_be_is_compared_in_a_moment() -> None:
    before = " ".join(f"word{place}" for place in range(2 * MOST_WORDS))
    began = time.monotonic()
    (passage,) = differences(before, before.replace("word7", "other"))
    assert [piece.change for piece in passage.pieces] == [Change.OUT, Change.IN]
    assert time.monotonic() - began < 1


def test_white_space_is_put_in_order_and_no_letter_is_touched() -> None:
    assert tidy("# Title\r\n\r\n\r\n  a b \r\nc") == "# Title\n\na b\n\nc\n"
    assert tidy(" \r\n ") == ""
    assert tidy(tidy("a\nb")) == tidy("a\nb")
    assert words_of("# Title\n\n*note*\n\n**1. One.** text") == "# Title\n\nnote\n\n1. One. text"
