"""Texts in every language: read-only, complete, nothing else."""

from typing import Any

import pytest

from charter.domain.languages import DEFAULT, LANGUAGES, texts


def test_kazakh_comes_first_and_stands_in() -> None:
    assert LANGUAGES == ("kk", "ru", "en")
    assert DEFAULT == "kk"


def test_texts_cannot_be_changed_by_whoever_holds_them() -> None:
    source = {"en": "a", "ru": "б", "kk": "ә"}
    made = texts(source)
    source["en"] = "changed"
    assert dict(made) == {"kk": "ә", "ru": "б", "en": "a"}
    with pytest.raises(TypeError):
        made["en"] = "changed"  # type: ignore[index]


@pytest.mark.parametrize(
    "value",
    [
        None,
        "a",
        [],
        {},
        {"kk": "a", "ru": "b"},
        {"kk": "a", "ru": "b", "en": "c", "de": "d"},
        {"kk": "", "ru": "b", "en": "c"},
        {"kk": " ", "ru": "b", "en": "c"},
        {"kk": 1, "ru": "b", "en": "c"},
    ],
)
def test_anything_incomplete_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - one of two sentences
        texts(value)
