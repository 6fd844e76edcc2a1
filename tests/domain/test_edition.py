"""The shape of an edition: the shipped one in three languages, and every other shape refused."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import charter.domain.edition as rules
from charter.domain.edition import Commitment, EditionError, check_same_shape, digest, parse_edition
from charter.domain.languages import LANGUAGES
from charter.domain.standards import parse_standards

DATA = Path(rules.__file__).parents[1] / "data"
EDITIONS = sorted(path for path in (DATA / "charter").iterdir() if path.is_dir())

SMALL = """# Title

*A note.*

## Preamble

First.

Second – with “quotes”.

## Commitments

**1. One thing.** I do it.

**2. Another.** I do not.

## Statement

I join.
"""


@pytest.mark.parametrize("folder", EDITIONS, ids=lambda path: path.name)
def test_every_shipped_edition_has_twelve_commitments_in_each_language(folder: Path) -> None:
    editions = {path.stem: parse_edition(path.read_bytes()) for path in folder.iterdir()}
    check_same_shape(editions)
    assert set(editions) == set(LANGUAGES)
    for edition in editions.values():
        assert [commitment.number for commitment in edition.commitments] == list(range(1, 13))
        assert edition.preamble
        assert edition.statement


def test_the_specimen_says_in_each_language_that_it_is_one() -> None:
    notes = {
        language: parse_edition((DATA / "charter" / "specimen-1" / f"{language}.md").read_bytes()).specimen_note
        for language in LANGUAGES
    }
    assert "2020" in (notes["kk"] or "")
    assert (notes["ru"] or "").startswith("Образец")
    assert (notes["en"] or "").startswith("Specimen")


def test_each_commitment_of_the_specimen_rests_on_something() -> None:
    edition = parse_edition((DATA / "charter" / "specimen-1" / "en.md").read_bytes())
    assert set(parse_standards((DATA / "standards.json").read_bytes())) == {c.number for c in edition.commitments}


def test_the_parts_of_a_text_are_told_apart() -> None:
    edition = parse_edition(SMALL.encode())
    assert (edition.title, edition.specimen_note) == ("Title", "A note.")
    assert (edition.preamble_heading, edition.preamble) == ("Preamble", ("First.", "Second – with “quotes”."))
    assert edition.commitments_heading == "Commitments"
    assert edition.commitments == (Commitment(1, "One thing", "I do it."), Commitment(2, "Another", "I do not."))
    assert (edition.statement_heading, edition.statement) == ("Statement", ("I join.",))


def test_a_text_that_the_centre_stands_by_has_no_note() -> None:
    assert parse_edition(SMALL.replace("*A note.*\n\n", "").encode()).specimen_note is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# Title", "Title"),
        ("# Title", "#  Title"),
        ("# Title", "# "),
        ("# Title\n", "# Title\n\n# Title\n"),
        ("*A note.*", "*A note.*\n\n*Another note.*"),
        ("*A note.*", "**A note.**"),
        ("*A note.*", "A note."),
        ("## Preamble\n\n", ""),
        ("First.\n\nSecond – with “quotes”.\n\n", ""),
        ("First.", "First.\nSecond line."),
        ("First.", "First.\n"),
        ("First.", "First. "),
        ("First.", " First."),
        ("First.", "- First."),
        ("First.", "1. First."),
        ("First.", "First with *stress*."),
        ("First.", "First with `code`."),
        ("First.", "First <b>bold</b>."),
        ("First.", "First &amp; second."),
        ("First.", "First [link](x)."),
        ("First.", "First https://example.com."),
        ("First.", "> First."),
        ("First.", "Fi\u200brst."),
        ("First.", "Fi\u202erst."),
        ("First.", "Fi\trst."),
        ("First.", "Fi\u0301rst."),
        ("First.", "### First"),
        ("**1. One thing.** I do it.", "**2. One thing.** I do it."),
        ("**1. One thing.** I do it.", "**01. One thing.** I do it."),
        ("**1. One thing.** I do it.", "**1. One thing** I do it."),
        ("**1. One thing.** I do it.", "**1. One thing.**"),
        ("**1. One thing.** I do it.", "**1. One thing.**  I do it."),
        ("**1. One thing.** I do it.", "1. One thing. I do it."),
        ("**1. One thing.** I do it.\n\n", ""),
        ("**1. One thing.** I do it.\n\n**2. Another.** I do not.\n\n", ""),
        ("**2. Another.**", "Loose text.\n\n**2. Another.**"),
        ("## Statement\n\nI join.", "## Statement"),
        ("## Statement\n\nI join.", "I join."),
        ("I join.", "I join.\n\n## More\n\nText."),
        ("I join.\n", "I join."),
        ("I join.\n", "I join.\n\n"),
        ("\n", "\r\n"),
    ],
)
def test_any_other_shape_is_refused(old: str, new: str) -> None:
    changed = SMALL.replace(old, new)
    assert changed != SMALL
    with pytest.raises(EditionError):
        parse_edition(changed.encode())


@pytest.mark.parametrize("data", [b"", b"\n", b"\xff\n", b"\xef\xbb\xbf" + SMALL.encode(), b"\x00"])
def test_bytes_that_are_no_text_are_refused(data: bytes) -> None:
    with pytest.raises(EditionError):
        parse_edition(data)


def test_the_error_names_the_line_for_the_editor() -> None:
    with pytest.raises(EditionError, match="line 13"):
        parse_edition(SMALL.replace("**1.", "**3.").encode())


@given(st.one_of(st.binary(max_size=200), st.text("#* 1.ab\n", max_size=120).map(str.encode)))
def test_arbitrary_bytes_are_refused_and_nothing_worse(data: bytes) -> None:
    with pytest.raises(EditionError):
        parse_edition(data)


def test_languages_that_differ_are_refused() -> None:
    small = parse_edition(SMALL.encode())
    shorter = parse_edition(SMALL.replace("**2. Another.** I do not.\n\n", "").encode())
    without_note = parse_edition(SMALL.replace("*A note.*\n\n", "").encode())
    check_same_shape({"kk": small, "ru": small, "en": small})
    for wrong in (
        {"kk": small, "ru": small},
        {"kk": small, "ru": small, "en": small, "de": small},
        {"kk": small, "ru": small, "en": shorter},
        {"kk": small, "ru": without_note, "en": small},
    ):
        with pytest.raises(EditionError):
            check_same_shape(wrong)


def test_the_digest_is_that_of_the_exact_bytes() -> None:
    data = (DATA / "charter" / "specimen-1" / "kk.md").read_bytes()
    assert digest(data) == hashlib.sha256(data).hexdigest()
    assert digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4
    assert digest(data) != digest(data + b"\n")
