"""Columns by their headings, and rows as people write them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from charter import shipped
from charter.domain.sheet import (
    AffiliationNames,
    Lists,
    Person,
    RegionNames,
    Wrong,
    guess,
    layout_of,
    problem_of,
    read_person,
)

LISTS = Lists(
    regions=tuple(
        RegionNames(one.code, tuple(one.name.values()), (*one.short.values(), *one.abbr.values()))
        for one in shipped.regions()
    ),
    affiliations=(
        AffiliationNames("amanat", "party", ("Amanat", "«AMANAT» партиясы", "Аманат")),
        AffiliationNames("erkindik", "independent", ("«Еркіндік» қоғамдық қоры", "Еркіндік")),
        AffiliationNames("twin-1", "independent", ("Қыран",)),
        AffiliationNames("twin-2", "independent", ("Кыран",)),
    ),
)
MAPPING = {0: "full_name", 1: "email", 2: "region", 3: "kind", 4: "affiliation", 5: "language"}
ROW = ["Сауле Ибраева", "Saule@Example.org", "Астана", "партия", "аманат", "қаз"]


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (["Фамилия", "Имя", "Отчество", "E-mail"], ["surname", "given_name", "patronymic", "email"]),
        (["№", "ФИО", "Эл. почта", "Область"], [None, "full_name", "email", "region"]),
        (["Тегі, аты, әкесінің аты", "Эл. пошта", "Ұйымы", "Тілі"], ["full_name", "email", "affiliation", "language"]),
        (["Full name", "Email address", "Region", "Kind"], ["full_name", "email", "region", "kind"]),
        (["ФИО участника", "Адрес электронной почты", "Телефон"], ["full_name", "email", None]),
        (["", "", ""], [None, None, None]),
    ],
)
def test_headings_are_understood_in_three_languages(header: list[str], found: list[str | None]) -> None:
    assert [guess(header).get(place) for place in range(len(header))] == found


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("Алматы", "KZ-75"),
        ("г. Алматы", "KZ-75"),
        ("г.Алматы", "KZ-75"),
        ("Almaty", "KZ-75"),
        ("Алматы қаласы", "KZ-75"),
        ("Алматы обл.", "KZ-19"),
        ("Алматинская область", "KZ-19"),
        ("алматинская", "KZ-19"),
        ("KZ-75", "KZ-75"),
        ("ВКО", "KZ-63"),
        ("Абай", "KZ-10"),
        ("область Абай", "KZ-10"),
        ("Qaragandy oblysy", "KZ-35"),
        ("Шетел", "ZZ"),
        ("Москва", None),
        ("область", None),
    ],
)
def test_regions_are_known_by_name_short_name_and_code(words: str, code: str | None) -> None:
    assert LISTS.find_region(words) == code


def test_every_region_is_known_by_each_of_its_names() -> None:
    for one in shipped.regions():
        for name in (*one.name.values(), *one.short.values(), *one.abbr.values(), one.code):
            assert LISTS.find_region(name) == one.code, name


def test_a_row_becomes_a_person() -> None:
    found = read_person(ROW, MAPPING, {}, LISTS)
    assert isinstance(found, Person)
    assert (found.full_name, found.kind, found.affiliation_slug, found.region, found.language) == (
        *("Сауле Ибраева", "party", "amanat", "KZ-71", "kk"),
    )
    assert found.email.mailbox == "saule@example.org"


def test_everything_that_is_wrong_with_a_row_is_said_at_once() -> None:
    found = read_person(["Ли 5", "x", "Луна", "кто-то", "", "эсперанто"], MAPPING, {}, LISTS)
    assert found == Wrong(("name:digit", "email:syntax", "region:unknown", "kind:unknown", "language:unknown"))
    assert read_person([], MAPPING, {}, LISTS) == Wrong(("name:empty", "email:empty", "region:empty", "kind:empty"))


def test_what_a_row_does_not_say_is_said_for_all() -> None:
    defaults = {"region": "KZ-31", "kind": "independent", "affiliation": "Еркіндік", "language": "kk"}
    found = read_person(["Сауле", "s@example.org"], {0: "full_name", 1: "email"}, defaults, LISTS)
    assert isinstance(found, Person)
    assert (found.region, found.kind, found.affiliation_slug, found.language) == (
        *("KZ-31", "independent", "erkindik", "kk"),
    )
    assert isinstance(read_person(["Сауле", "s@example.org"], MAPPING, defaults, LISTS), Person)


def test_a_name_may_stand_in_three_columns() -> None:
    mapping = {0: "surname", 1: "given_name", 2: "patronymic", 3: "email"}
    defaults = {"region": "KZ-31", "kind": "independent"}
    found = read_person(["Ибраева", "Сауле", "", "s@example.org"], mapping, defaults, LISTS)
    assert isinstance(found, Person)
    assert found.full_name == "Ибраева Сауле"


def test_an_affiliation_says_the_kind_where_no_column_does() -> None:
    mapping = {0: "full_name", 1: "email", 2: "region", 3: "affiliation"}
    found = read_person(["Сауле", "s@example.org", "KZ-31", "«Аманат»"], mapping, {}, LISTS)
    assert isinstance(found, Person)
    assert (found.kind, found.affiliation_slug) == ("party", "amanat")
    # What two are called alike stands as it was written.
    twins = read_person(["Сауле", "s@example.org", "KZ-31", "Қыран"], mapping, {"kind": "independent"}, LISTS)
    assert isinstance(twins, Person)
    assert (twins.affiliation_slug, twins.affiliation_text) == (None, "Қыран")


def test_a_party_observer_needs_a_party_and_nobody_a_formula() -> None:
    assert read_person([*ROW[:4], ""], MAPPING, {}, LISTS) == Wrong(("affiliation:empty",))
    assert read_person([*ROW[:4], "=cmd()"], MAPPING, {}, LISTS) == Wrong(("affiliation:formula",))


def test_other_regions_than_ones_own_are_refused() -> None:
    limited = replace(LISTS, allowed=frozenset({"KZ-75"}))
    assert read_person(ROW, MAPPING, {}, limited) == Wrong(("region:not-yours",))


@pytest.mark.parametrize(
    ("mapping", "defaults", "problem"),
    [
        ({0: "full_name", 1: "email", 2: "region", 3: "kind"}, {}, None),
        ({0: "full_name", 1: "email"}, {"region": "KZ-75", "kind": "party"}, None),
        ({0: "surname", 1: "given_name", 2: "email", 3: "region", 4: "affiliation"}, {}, None),
        ({0: "surname", 1: "email"}, {"region": "KZ-75", "kind": "party"}, "name"),
        ({0: "full_name"}, {"region": "KZ-75", "kind": "party"}, "email"),
        ({0: "full_name", 1: "email"}, {"kind": "party"}, "region"),
        ({0: "full_name", 1: "email", 2: "region"}, {}, "kind"),
        ({0: "full_name", 1: "email", 2: "email"}, {"region": "KZ-75", "kind": "party"}, "twice"),
        ({0: "full_name", 1: "surname", 2: "email"}, {"region": "KZ-75", "kind": "party"}, "twice"),
    ],
)
def test_a_choice_of_columns_is_whole_or_says_what_is_missing(
    mapping: dict[int, str], defaults: dict[str, str], problem: str | None
) -> None:
    assert problem_of(mapping, defaults) == problem


def test_a_layout_is_known_again_whatever_the_case_and_the_signs() -> None:
    assert layout_of(["ФИО", "Эл. почта"]) == layout_of(["фио ", "эл почта"]) != layout_of(["ФИО", "Телефон"])
