"""Translations: each text of code and templates stands in both catalogues, once, translated, with the same blanks."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_keywords, parse_mapping_cfg
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "charter" / "translations"
LANGUAGES = ("kk", "ru")
KEYWORDS = {
    **DEFAULT_KEYWORDS,
    **parse_keywords(["_l", "_lp:1c,2", "lazy_gettext", "lazy_pgettext:1c,2", "npgettext:1c,2,3"]),
}

Key = tuple[str | None, str]


@cache
def extracted() -> dict[Key, str | None]:
    """(context, text) → its plural, of every text in code and templates."""
    with (ROOT / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)
    found: dict[Key, str | None] = {}
    places = extract_from_dir(str(ROOT), methods, options, keywords=KEYWORDS, strip_comment_tags=True)
    for _name, _line, message, _comments, context in places:
        one, several = (message, None) if isinstance(message, str) else (message[0], message[1])
        found[context, one] = found.get((context, one)) or several
    return found


@cache
def catalogue(language: str) -> Catalog:
    with (FOLDER / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def entries(language: str) -> dict[Key, Any]:
    return {
        (one.context, one.id if isinstance(one.id, str) else one.id[0]): one for one in catalogue(language) if one.id
    }


def blanks(text: str) -> list[str]:
    return sorted(re.findall(r"%\(\w+\)[sd]|%%|\{\w+\}", text))


def test_there_are_texts_and_two_catalogues() -> None:
    assert len(extracted()) > 500
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_catalogue_holds_every_text_and_no_other(language: str) -> None:
    found = entries(language)
    assert set(extracted()) - set(found) == set(), "not in the catalogue"
    assert set(found) - set(extracted()) == set(), "nowhere in code or templates"
    assert not catalogue(language).obsolete
    for key, several in extracted().items():
        assert (found[key].id[1] if isinstance(found[key].id, tuple) else None) == several, key


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated_and_none_is_uncertain(language: str) -> None:
    for key, one in entries(language).items():
        strings = [one.string] if isinstance(one.string, str) else list(one.string)
        assert all(text.strip() for text in strings), key
        assert not one.fuzzy, key
        assert not catalogue(language).fuzzy
        if isinstance(one.id, tuple):
            assert len(strings) == catalogue(language).num_plurals, key


#: Texts that are the same in every language, or have no word in them.
SAME = {"Charter %(host)s"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_is_another_text_in_cyrillic(language: str) -> None:
    for (_, text), one in entries(language).items():
        if text in SAME or not re.search(r"[A-Za-z]{2}", re.sub(r"%\(\w+\)[sd]", "", text)):
            continue
        for string in [one.string] if isinstance(one.string, str) else one.string:
            assert string != text, text
            bare = re.sub(r"%\(\w+\)[sd]", "", string)
            assert re.search(r"[а-яёәғқңөұүһі]", bare, re.IGNORECASE), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_blanks_of_its_text(language: str) -> None:
    for key, one in entries(language).items():
        ids = [one.id] if isinstance(one.id, str) else list(one.id)
        wanted = {blank for text in ids for blank in blanks(text)}
        for string in [one.string] if isinstance(one.string, str) else one.string:
            assert set(blanks(string)) <= wanted, key
            # A singular such as «одна подпись» may do without its number, nothing else may do without.
            assert wanted - set(blanks(string)) <= {"%(num)s"}, key
            assert "%" not in re.sub(r"%\(\w+\)[sd]|%%", "", string), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_begins_and_ends_as_its_text(language: str) -> None:
    for (_, text), one in entries(language).items():
        for string in [one.string] if isinstance(one.string, str) else one.string:
            assert string == string.strip() or text != text.strip(), text
            assert "\n" not in string or "\n" in text, text
            assert not re.search(r"  |<[a-z]", string), text
            for end in ".?!:":
                # A date in Kazakh or Russian brings its own full stop: «27 қараша 2026 ж.»
                has_own = end == "." and string.endswith(("%(day)s", "%(moment)s", "%(date)s", "{due}"))
                if text.endswith(end) and not text.endswith("..") and not has_own:
                    assert string.rstrip('»"”').endswith((end, "…")), (text, string)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_letter_of_a_translation_comes_from_another_alphabet(language: str) -> None:
    mixed = re.compile(r"[а-яёәғқңөұүһі][A-Za-z]|[A-Za-z][а-яёәғқңөұүһі]", re.IGNORECASE)
    for (_, text), one in entries(language).items():
        for string in [one.string] if isinstance(one.string, str) else one.string:
            bare = re.sub(r"%\(\w+\)[sd]", " ", string)
            assert not mixed.search(bare), (text, string)
            if language == "ru":
                # A Kazakh name that is given as an example stands in quotation marks.
                bare = re.sub(r"«[^»]*»", "", bare)
                assert not re.search(r"[әғқңөұүһі]", bare, re.IGNORECASE), (text, string)
