"""The consent texts: complete with and without the operator's details, and the same whenever composed."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import charter.domain.consent as rules
from charter.domain.consent import (
    CONSENT_KINDS,
    PROCESSING,
    PUBLICATION,
    ConsentError,
    Operator,
    digest,
    parse_consents,
)
from charter.domain.languages import LANGUAGES

DATA = (Path(rules.__file__).parents[1] / "data" / "consent.json").read_bytes()
TEXTS = parse_consents(DATA)
TERM = {"kk": "бес жыл", "ru": "пять лет", "en": "five years"}
FULL = Operator(name="Centre", bin="123456789012", address="1 Abai Street", contact="data@example.kz", term=TERM)
OPERATORS = [Operator(), Operator(name="Centre"), Operator(contact="data@example.kz"), FULL]


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("kind", CONSENT_KINDS)
def test_no_placeholder_and_no_gap_is_left(kind: str, lang: str, operator: Operator) -> None:
    text = TEXTS.compose(kind, lang=lang, operator=operator)
    assert not set("{}") & set(text)
    for gap in ("  ", "()", ": .", ":.", "None", "\n\n", " ,"):
        assert gap not in text
    assert all(line.endswith(".") for line in text.split("\n"))
    assert unicodedata.is_normalized("NFC", text)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("kind", CONSENT_KINDS)
def test_the_operators_details_stand_in_the_text(kind: str, lang: str) -> None:
    text = TEXTS.compose(kind, lang=lang, operator=FULL)
    for detail in ("Centre", "123456789012", "1 Abai Street", "data@example.kz", TERM[lang]):
        assert detail in text


@pytest.mark.parametrize("lang", LANGUAGES)
def test_without_details_the_text_says_that_the_name_has_not_been_entered(lang: str) -> None:
    said = {"kk": "енгізілген жоқ", "ru": "ещё не указано", "en": "has not been entered yet"}
    for kind in CONSENT_KINDS:
        assert said[lang] in TEXTS.compose(kind, lang=lang, operator=Operator())
        assert said[lang] not in TEXTS.compose(kind, lang=lang, operator=FULL)


@pytest.mark.parametrize(
    ("lang", "for_ever", "copies"),
    [
        (
            "kk",
            "тұзымен бірге сақтап қалған адам оның жарияланғанын мәңгі дәлелдей алады",
            "көшірмелер солардың өзінде",
        ),
        ("ru", "вместе с солью, тот сможет всегда доказать, что она была опубликована", "копии остаются у них"),
        ("en", "with its salt can prove for ever that it was published", "Copies that others made remain theirs"),
    ],
)
def test_publication_says_what_can_never_be_taken_back(lang: str, for_ever: str, copies: str) -> None:
    publication = TEXTS.compose(PUBLICATION, lang=lang, operator=Operator())
    assert for_ever in publication
    assert copies in publication
    assert for_ever not in TEXTS.compose(PROCESSING, lang=lang, operator=Operator())


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_two_consents_are_two_texts(lang: str) -> None:
    one, other = (TEXTS.compose(kind, lang=lang, operator=FULL) for kind in CONSENT_KINDS)
    assert one.split("\n")[0] != other.split("\n")[0]


def test_the_wording_is_marked_as_a_specimen_for_a_lawyer() -> None:
    assert TEXTS.specimen is True
    assert "lawyer" in TEXTS.note


def test_six_texts_have_six_digests_that_do_not_change_by_themselves() -> None:
    digests = {digest(TEXTS.compose(kind, lang=lang, operator=FULL)) for kind in CONSENT_KINDS for lang in LANGUAGES}
    again = {
        digest(parse_consents(DATA).compose(kind, lang=lang, operator=FULL))
        for kind in CONSENT_KINDS
        for lang in LANGUAGES
    }
    assert len(digests) == 6
    assert digests == again
    assert digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4


def test_a_value_that_looks_like_a_placeholder_stays_as_it_is() -> None:
    operator = Operator(name="{operator_contact}", contact="{term}", term=TERM)
    text = TEXTS.compose(PROCESSING, lang="en", operator=operator)
    assert "Operator: {operator_contact}." in text
    assert "contact: {term}." in text


@given(st.text(st.characters(codec="utf-8"), max_size=20), st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_details_give_a_text_of_whole_lines(name: str, contact: str) -> None:
    text = TEXTS.compose(PUBLICATION, lang="ru", operator=Operator(name=name, contact=contact))
    assert unicodedata.is_normalized("NFC", text)
    assert all(line.strip() for line in text.split("\n"))
    assert len(digest(text)) == 64


def broken(**change: Any) -> bytes:
    return json.dumps(json.loads(DATA) | change).encode()


def part(**change: Any) -> dict[str, Any]:
    content = json.loads(DATA)["parts"]
    content["term"] |= change
    return {"parts": content}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff",
        broken(specimen="yes"),
        broken(note=None),
        broken(parts=[]),
        broken(consents={"processing": ["term"]}),
        broken(consents={"processing": ["term"], "publication": []}),
        broken(consents={"processing": ["term"], "publication": ["nothing"]}),
        broken(**part(text={"kk": "{term}", "ru": "{term}", "en": "no placeholder"})),
        broken(**part(text={"kk": "{full_name}", "ru": "{full_name}", "en": "{full_name}"})),
        broken(**part(text={"kk": "{term}", "ru": "{term}"})),
        broken(**part(otherwise={"kk": "{term}", "ru": "x", "en": "x"})),
        broken(**part(otherwise=None)),
    ],
)
def test_broken_texts_are_refused(data: bytes) -> None:
    with pytest.raises(ConsentError):
        parse_consents(data)
