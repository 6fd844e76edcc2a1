"""Parties and organisations: the shipped lists, what suits whom, and broken lists refused."""

import json
from pathlib import Path
from typing import Any

import pytest

import charter.domain.affiliation as rules
from charter.domain.affiliation import (
    INDEPENDENT,
    INTERNATIONAL,
    OBSERVER_KINDS,
    ORGANISATION_KINDS,
    PARTY,
    AffiliationError,
    check_slugs,
    may_stand_alone,
    observer_kind_of,
    parse_organisations,
    parse_parties,
)

FOLDER = Path(rules.__file__).parents[1] / "data"
PARTY_DATA = (FOLDER / "parties.json").read_bytes()
ORGANISATION_DATA = (FOLDER / "organisations.json").read_bytes()
PARTIES = parse_parties(PARTY_DATA)
ORGANISATIONS = parse_organisations(ORGANISATION_DATA)


def test_a_party_that_merged_cannot_be_chosen_and_every_other_can() -> None:
    assert {party.slug: party.merged_into for party in PARTIES if not party.selectable} == {"adal": "amanat"}
    assert len(PARTIES) == 9


def test_former_names_are_kept() -> None:
    amanat = next(party for party in PARTIES if party.slug == "amanat")
    assert [(former.name["en"], former.until) for former in amanat.former_names] == [("Nur Otan Party", "2022-03-01")]


def test_the_lists_hold_what_the_public_may_see_and_nothing_else() -> None:
    for entry in json.loads(PARTY_DATA)["parties"]:
        assert set(entry) == {"slug", "name", "abbr", "selectable", "merged_into", "former_names"}
    for entry in json.loads(ORGANISATION_DATA)["organisations"]:
        assert set(entry) == {"slug", "kind", "name", "abbr"}


def test_no_slug_means_two_affiliations() -> None:
    check_slugs(PARTIES, ORGANISATIONS)
    with pytest.raises(AffiliationError):
        check_slugs(PARTIES, (*ORGANISATIONS, ORGANISATIONS[0]))


def test_there_is_something_to_choose_for_each_kind_of_observer() -> None:
    kinds = [PARTY] * len(PARTIES) + [organisation.kind for organisation in ORGANISATIONS]
    for observer_kind in OBSERVER_KINDS:
        assert any(observer_kind_of(kind) == observer_kind for kind in kinds)
    assert {organisation.kind for organisation in ORGANISATIONS} <= ORGANISATION_KINDS


@pytest.mark.parametrize(
    ("affiliation_kind", "observer_kind"),
    [
        ("party", PARTY),
        ("national", INDEPENDENT),
        ("regional", INDEPENDENT),
        ("trade_union", INDEPENDENT),
        ("international", INTERNATIONAL),
    ],
)
def test_each_affiliation_suits_exactly_one_kind_of_observer(affiliation_kind: str, observer_kind: str) -> None:
    assert observer_kind_of(affiliation_kind) == observer_kind


def test_an_unknown_kind_of_affiliation_is_refused() -> None:
    with pytest.raises(AffiliationError):
        observer_kind_of("company")


def test_only_an_independent_observer_may_stand_alone() -> None:
    assert [may_stand_alone(kind) for kind in (PARTY, INDEPENDENT, INTERNATIONAL)] == [False, True, False]


@pytest.mark.parametrize(
    "change",
    [
        {"slug": "aq-jol"},
        {"slug": "a b"},
        {"slug": 7},
        {"name": "AMANAT"},
        {"abbr": None},
        {"selectable": "yes"},
        {"selectable": None},
        {"merged_into": "aq-jol"},
        {"merged_into": "amanat", "selectable": False},
        {"merged_into": "adal", "selectable": False},
        {"merged_into": "nowhere", "selectable": False},
        {"former_names": [{"name": {"kk": "а", "ru": "а", "en": "a"}, "until": "2022"}]},
        {"former_names": [{"name": "Nur Otan", "until": "2022-03"}]},
        {"former_names": None},
    ],
)
def test_a_broken_list_of_parties_is_refused(change: dict[str, Any]) -> None:
    content = json.loads(PARTY_DATA)
    content["parties"][0] |= change
    with pytest.raises(AffiliationError):
        parse_parties(json.dumps(content).encode())


@pytest.mark.parametrize("change", [{"slug": "dauys"}, {"slug": ""}, {"kind": "company"}, {"kind": []}, {"name": {}}])
def test_a_broken_list_of_organisations_is_refused(change: dict[str, Any]) -> None:
    content = json.loads(ORGANISATION_DATA)
    content["organisations"][0] |= change
    with pytest.raises(AffiliationError):
        parse_organisations(json.dumps(content).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b"null", b'{"parties":[1],"organisations":[1]}'])
def test_bytes_that_are_no_list_are_refused(data: bytes) -> None:
    with pytest.raises(AffiliationError):
        parse_parties(data)
    with pytest.raises(AffiliationError):
        parse_organisations(data)
