"""Lines and paragraphs: what passes unchanged, what is cleaned, and what is refused with which reason."""

import sys
import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charter.domain.errors import CharterError
from charter.domain.text import (
    TextError,
    TextFault,
    clean_line,
    clean_paragraph,
)

ANY_TEXT = st.text(st.characters(codec=None), max_size=80)


def fault_of(raw: str, *, max_chars: int = 200) -> TextError:
    with pytest.raises(TextError) as caught:
        clean_line(raw, max_chars=max_chars)
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        "Профсоюз № 5 «Мұғалім»",
        "ҚР Кәсіподақтар федерациясы",
        "Elections & Democracy (E&D)",
        "ТОО «Рога и копыта», г.Астана, ул. Абая, 5/1",
        "Union of 10.01.2021: 3 + 4 = 7, 50 %, 2 ≥ 1, 20 °C",
        "Т.И. Иванов и т.д., т.е. нет",
        "J.R.Smith, Dr.Smith; e.g. this",
        "A sentence.Another one",
        "日本選挙監視団",
        "بعثة المراقبين",
        "x² and ½",
        "Союз – «Достық» — 2026…",
        "“Auyl” People’s Democratic Patriotic Party",
    ],
)
def test_honest_lines_pass_unchanged(text: str) -> None:
    assert clean_line(text, max_chars=200) == text


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("  Айгүл \t  Серікқызы \n", "Айгүл Серікқызы"),
        ("a\u00a0b\u2003c\u3000d", "a b c d"),
        ("Й".replace("Й", "И\u0306"), "Й"),
        ("Nguye\u0302\u0303n", "Nguyễn"),
        ("\u212bngstro\u0308m", "Ångström"),
    ],
)
def test_spaces_are_collapsed_and_the_form_is_nfc(raw: str, clean: str) -> None:
    assert clean_line(raw, max_chars=200) == clean


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("", TextFault.EMPTY),
        (" \t\r\n\u00a0\u3000", TextFault.EMPTY),
        ("a\x00b", TextFault.CONTROL),
        ("a\x1bb", TextFault.CONTROL),
        ("a\x7fb", TextFault.CONTROL),
        ("a\x85b", TextFault.CONTROL),
        ("a\nb", TextFault.CONTROL),
        ("a\rb", TextFault.CONTROL),
        ("a\x0bb", TextFault.CONTROL),
        ("a\u2028b", TextFault.CONTROL),
        ("a\u2029b", TextFault.CONTROL),
        ("a\u200bb", TextFault.FORMAT),
        ("a\u200db", TextFault.FORMAT),
        ("a\u00adb", TextFault.FORMAT),
        ("\ufeffab", TextFault.FORMAT),
        ("a\u2060b", TextFault.FORMAT),
        ("a\U000e0041b", TextFault.FORMAT),
        ("a\u202eb", TextFault.BIDI),
        ("a\u200fb", TextFault.BIDI),
        ("a\u2066b", TextFault.BIDI),
        ("a\u061cb", TextFault.BIDI),
        ("a\u115fb", TextFault.INVISIBLE),
        ("a\u1160b", TextFault.INVISIBLE),
        ("a\u3164b", TextFault.INVISIBLE),
        ("a\uffa0b", TextFault.INVISIBLE),
        ("a\u2800b", TextFault.INVISIBLE),
        ("a\u180eb", TextFault.INVISIBLE),
        ("a\u034fb", TextFault.INVISIBLE),
        ("a\ufe0fb", TextFault.INVISIBLE),
        ("a\U000e0100b", TextFault.INVISIBLE),
        ("a\ud800b", TextFault.LONE_SURROGATE),
        ("a\udfff", TextFault.LONE_SURROGATE),
        ("a\U0003fffdb", TextFault.UNASSIGNED),
        ("a\ufffeb", TextFault.UNASSIGNED),
        ("a\ue000b", TextFault.PRIVATE_USE),
        ("a\U0010fffd", TextFault.PRIVATE_USE),
        ("a😀", TextFault.EMOJI),
        ("🇰🇿", TextFault.EMOJI),
        ("👍🏽", TextFault.EMOJI),
        ("a✔", TextFault.EMOJI),
        ("a→b", TextFault.EMOJI),
        ("a\ufffdb", TextFault.EMOJI),
        ("1\u20e3", TextFault.COMBINING_ABUSE),
        ("ａbc", TextFault.STYLED),
        ("a＝b", TextFault.STYLED),
        ("＝1+1", TextFault.STYLED),
        ("﹦1", TextFault.STYLED),
        ("𝐀dmin", TextFault.STYLED),
        ("ⓐ", TextFault.STYLED),
        ("①", TextFault.STYLED),
        ("Z\u0335\u0336\u0337a", TextFault.COMBINING_ABUSE),
        ("\u0301a", TextFault.COMBINING_ABUSE),
        ("a \u0301b", TextFault.COMBINING_ABUSE),
        ("https://example.com/x", TextFault.LINK),
        ("see ftp://x", TextFault.LINK),
        ("a://", TextFault.LINK),
        ("WWW.example", TextFault.LINK),
        ("mailto:x", TextFault.LINK),
        ("javascript:alert(1)", TextFault.LINK),
        ("visit evil.com", TextFault.LINK),
        ("visit EVIL.COM now", TextFault.LINK),
        ("evil.app.", TextFault.LINK),
        ("sub.evil.kz", TextFault.LINK),
        ("bit.ly/abc", TextFault.LINK),
        ("t.me/abc", TextFault.LINK),
        ("сайт.рф", TextFault.LINK),
        ("пошта.қаз", TextFault.LINK),
        ("xn--e1afmkfd", TextFault.LINK),
        ("evil。com", TextFault.LINK),
        ("10.0.0.1", TextFault.LINK),
        ("a.b@c.kz", TextFault.LINK),
        ("write to @handle", TextFault.LINK),
        ("=cmd|' /C calc'!A0", TextFault.FORMULA),
        ("+7 701", TextFault.FORMULA),
        ("-1", TextFault.FORMULA),
        ("@SUM(A1)", TextFault.FORMULA),
        ("\t=1", TextFault.FORMULA),
        ("\r\n =1", TextFault.FORMULA),
        ("⁼1", TextFault.FORMULA),
    ],
)
def test_hostile_lines_are_refused_with_their_reason(raw: str, code: TextFault) -> None:
    assert fault_of(raw).code is code


def test_the_error_names_the_character_but_never_carries_the_text() -> None:
    error = fault_of("Айгүл\u202e")
    assert (error.character, error.max_chars) == ("U+202E", None)
    assert "Айгүл" not in repr(error) + str(error) + repr(error.__dict__)
    assert isinstance(error, CharterError)


def test_the_limit_counts_characters_after_cleaning() -> None:
    assert len(clean_line("  " + "И\u0306" * 10 + "  ", max_chars=10)) == 10
    error = fault_of("x" * 11, max_chars=10)
    assert (error.code, error.max_chars) == (TextFault.TOO_LONG, 10)


def test_ten_million_characters_are_refused_quickly() -> None:
    began = time.perf_counter()
    assert fault_of("e" + "\u0301" * 10_000_000).code is TextFault.TOO_LONG
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize("unit", ["a-", "aa", "a.", "a@", "1.", "я-", "ab."])
def test_looking_for_links_takes_linear_time(unit: str) -> None:
    began = time.perf_counter()
    with pytest.raises(TextError):
        clean_paragraph((unit * 10_000)[:20_000] + " =://", max_chars=20_010)
    assert time.perf_counter() - began < 2


def test_every_invisible_code_point_is_refused() -> None:
    # Letters and marks of category Zs are spaces; everything else that has no ink must not pass.
    passed = []
    for point in range(sys.maxunicode + 1):
        if unicodedata.category(chr(point)) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
            try:
                clean_line(f"a{chr(point)}b", max_chars=5)
            except TextError:
                continue
            passed.append(point)
    assert passed == [ord("\t")]


@given(ANY_TEXT)
@example("\ud800\udc00")
@example("\u1100\u1161\u11a8")
def test_a_line_is_refused_or_clean_and_then_stays_as_it_is(raw: str) -> None:
    try:
        line = clean_line(raw, max_chars=60)
    except TextError:
        return
    assert clean_line(line, max_chars=60) == line
    assert unicodedata.is_normalized("NFC", line)
    assert 1 <= len(line) <= 60
    assert line == " ".join(line.split())
    assert line[0] not in "=+-@\t\r"
    assert all(unicodedata.category(character)[0] != "C" for character in line)
    line.encode("utf-8")


@given(st.one_of(ANY_TEXT, st.text("ab \t\r\n-=", max_size=80)))
def test_a_paragraph_is_refused_or_clean_and_then_stays_as_it_is(raw: str) -> None:
    try:
        text = clean_paragraph(raw, max_chars=60)
    except TextError:
        return
    assert clean_paragraph(text, max_chars=60) == text
    assert "\r" not in text
    assert "\n\n\n" not in text
    assert text == text.strip()
    assert len(text) <= 60


def test_a_paragraph_keeps_its_lines() -> None:
    assert clean_paragraph(" a\r\n\r\n\r\n\nb \t c\r- d \n", max_chars=50) == "a\n\nb c\n- d"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (" \r\n ", TextFault.EMPTY),
        ("a\nb\x00", TextFault.CONTROL),
        ("a\n\u0301b", TextFault.COMBINING_ABUSE),
        ("a\nhttps://x.kz", TextFault.LINK),
        ("\n=1", TextFault.FORMULA),
        ("a" * 51, TextFault.TOO_LONG),
    ],
)
def test_a_paragraph_is_refused_like_a_line(raw: str, code: TextFault) -> None:
    with pytest.raises(TextError) as caught:
        clean_paragraph(raw, max_chars=50)
    assert caught.value.code is code
