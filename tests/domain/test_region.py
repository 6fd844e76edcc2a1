"""Regions: the shipped list agrees with ISO 3166-2 and the tile grid, and a broken list is refused."""

import json
import re
import unicodedata
from datetime import date
from pathlib import Path
from typing import Any

import pycountry
import pytest

import charter.domain.region as rules
from charter.domain.languages import LANGUAGES
from charter.domain.region import ABROAD, RegionError, parse_regions

DATA = (Path(rules.__file__).parents[1] / "data" / "regions.json").read_bytes()
REGIONS = parse_regions(DATA)


def test_the_regions_are_those_of_iso_3166_2_and_abroad() -> None:
    iso = {subdivision.code for subdivision in pycountry.subdivisions.get(country_code="KZ")}
    assert {region.code for region in REGIONS} == iso | {ABROAD}
    assert len(REGIONS) == 21


def test_the_english_names_are_recognisably_those_of_iso() -> None:
    def skeleton(name: str) -> str:
        consonants = re.sub("[^bcdfgjklmnpqrstvwxz]", "", unicodedata.normalize("NFD", name.split()[0]).casefold())
        return re.sub(r"(.)\1", r"\1", consonants.replace("q", "k"))

    iso = {subdivision.code: subdivision.name for subdivision in pycountry.subdivisions.get(country_code="KZ")}
    translated = {"KZ-27", "KZ-59", "KZ-63"}  # north, west, east
    for region in REGIONS:
        if region.code != ABROAD and region.code not in translated:
            assert skeleton(region.short["en"]) == skeleton(iso[region.code]), region.code


def test_each_tile_has_its_own_place_and_a_label_that_fits() -> None:
    assert len({(region.col, region.row) for region in REGIONS}) == 21
    assert all(region.col <= 6 and region.row <= 4 for region in REGIONS)
    assert all(len(region.abbr[language]) <= 11 for region in REGIONS for language in LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_orders_all_regions_with_abroad_last(language: str) -> None:
    assert sorted(region.sort[language] for region in REGIONS) == list(range(21))
    assert max(REGIONS, key=lambda region: region.sort[language]).code == ABROAD


def test_almaty_city_and_region_are_told_apart_in_each_language() -> None:
    by_slug = {region.slug: region for region in REGIONS}
    for language in LANGUAGES:
        assert by_slug["almaty"].short[language] != by_slug["almaty-region"].short[language]
        assert by_slug["almaty"].abbr[language] != by_slug["almaty-region"].abbr[language]


def test_the_three_regions_of_2022_have_their_first_day() -> None:
    assert {region.slug for region in REGIONS if region.valid_from == date(2022, 6, 8)} == {"abai", "zhetysu", "ulytau"}


@pytest.mark.parametrize(
    "change",
    [
        {"code": "kz-10"},
        {"code": "US-CA"},
        {"code": "KZ-11"},
        {"code": None},
        {"slug": "akmola"},
        {"slug": "Abai"},
        {"slug": "abai/x"},
        {"name": {"kk": "Абай", "ru": "Абай"}},
        {"short": {"kk": "Абай", "ru": "Абай", "en": ""}},
        {"abbr": None},
        {"tile": {"col": 2, "row": 1}},
        {"tile": {"col": -1, "row": 1}},
        {"tile": {"col": True, "row": 1}},
        {"tile": {"col": "0", "row": 1}},
        {"sort": {"kk": 1, "ru": 0, "en": 0}},
        {"sort": {"kk": 0, "ru": 0}},
        {"valid_from": "8.6.2022"},
        {"valid_from": 2022},
    ],
)
def test_a_broken_list_is_refused(change: dict[str, Any]) -> None:
    content = json.loads(DATA)
    content["regions"][0] |= change
    with pytest.raises(RegionError):
        parse_regions(json.dumps(content).encode())


def test_a_list_without_abroad_is_refused() -> None:
    content = json.loads(DATA)
    content["regions"].pop()
    with pytest.raises(RegionError):
        parse_regions(json.dumps(content).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"regions":[[]]}', b'{"regions":7}', b"null"])
def test_bytes_that_are_no_list_are_refused(data: bytes) -> None:
    with pytest.raises(RegionError):
        parse_regions(data)
