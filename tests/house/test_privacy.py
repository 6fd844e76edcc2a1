"""What everyone can see is what the privacy notice lists, field by field; what it does not list reaches no page."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import date
from inspect import getmembers, isclass
from typing import Any, get_args, get_type_hints

import pytest
from flask import Flask
from justhtml import JustHTML

from charter.models.base import Base
from charter.models.registry import PublicEntry
from charter.queries import registry
from charter.queries.registry import EntryPage, RegionView, RegistryEntry
from charter.tlog import canonical
from charter.tlog.record import encode_record
from charter.web.languages import LANGUAGES
from tests.house.world import World, dump

ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)

#: The one place where the list is held: row of the privacy notice that everyone may see → fields of RegistryEntry,
#: and in the second place keys of the record line (LOG §1). `salt` tells nothing; `rev` counts.
PUBLIC: dict[str, tuple[set[str], set[str]]] = {
    "Full name and short form": ({"name", "display"}, {"name", "display"}),
    "Kind of observer": ({"kind"}, {"kind"}),
    "Party, organisation or mission": ({"affiliation", "affiliation_name"}, {"affiliation", "affiliation_name"}),
    "Region where you observe": ({"region"}, {"region"}),
    "Date of confirmation, edition of the Charter, number and permanent address of the entry": (
        {"signed_on", "edition", "number", "entry"},
        {"signed", "charter", "number", "entry"},
    ),
    "Whether search engines may show the page of your entry": ({"is_indexable"}, set()),
}
#: Of a page, and of no line in a list.
OF_A_PAGE = {"is_indexable"}
#: Said in the notice's part on how long it is kept.
AFTER_WITHDRAWAL = {"ended_on", "ended_by"}
WITHDRAWN_WORDS = ("your name, affiliation and region leave the registry", "The number, the dates and the words")

#: What a region is: the same for everybody, and how many are in it.
OF_A_REGION = {"code", "slug", "name", "short", "abbr", "col", "row", "listed", "unlisted", "level"}


def notice_rows(html: str) -> dict[str, str]:
    """What → who sees it, from the table of the notice."""
    rows = JustHTML(html, sanitize=False).query("#kept ~ div tbody tr") or JustHTML(html, sanitize=False).query(
        "tbody tr"
    )
    return {row.query("th")[0].to_text().strip(): row.query("td")[0].to_text().strip() for row in rows}


@ONE_ENGINE
def test_an_entry_has_exactly_the_fields_that_the_privacy_notice_lists(app: Flask) -> None:
    html = app.test_client().get("/en/privacy/").text
    rows = notice_rows(html)
    public = {what for what, who in rows.items() if who.startswith("Everyone")}
    assert public == set(PUBLIC)
    for words in WITHDRAWN_WORDS:
        assert words in html
    listed = set().union(*(of_entry for of_entry, _ in PUBLIC.values())) | AFTER_WITHDRAWAL
    assert {one.name for one in fields(RegistryEntry)} == listed - OF_A_PAGE
    assert {one.name for one in fields(EntryPage)} == {"line", *OF_A_PAGE}
    assert {one.name for one in fields(RegionView)} == OF_A_REGION


def test_a_record_line_has_exactly_these_keys() -> None:
    line = encode_record(
        entry="0" * 32,
        salt=b"s" * 32,
        rev=1,
        number=1,
        kind="independent",
        display="full",
        name="А",
        region="KZ-75",
        affiliation="fprk",
        affiliation_name="Б",
        charter="specimen-1",
        signed_on=date(2026, 11, 20),
    )
    listed = set().union(*(of_line for _, of_line in PUBLIC.values()))
    assert set(canonical.decode(line)) == listed | {"salt", "rev"}


def test_what_is_kept_beside_an_entry_is_public_too() -> None:
    listed = set().union(*(of_entry for of_entry, _ in PUBLIC.values())) | AFTER_WITHDRAWAL
    columns = {column.name for column in Base.metadata.tables[PublicEntry.__tablename__].columns}
    renamed = {"region_code": "region", "edition_slug": "edition", "affiliation_slug": "affiliation"}
    # Made of what is listed, and of nothing else: what it is found and ordered by, and when it last changed.
    made = {"line", "rev", "words", "sort_key", "changed_revision"}
    assert {renamed.get(name, name) for name in columns} - made == listed


@ONE_ENGINE
def test_everything_else_in_the_notice_is_hidden_from_the_public(app: Flask) -> None:
    rows = notice_rows(app.test_client().get("/en/privacy/").text)
    hidden = {what: who for what, who in rows.items() if not who.startswith("Everyone")}
    assert len(hidden) >= 6
    assert all(who.startswith(("Only", "Nobody")) for who in hidden.values()), hidden
    assert any("E-mail" in what or "Email" in what for what in hidden)


@ONE_ENGINE
@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_notice_has_the_same_rows_in_every_language(app: Flask, lang: str) -> None:
    rows = notice_rows(app.test_client().get(f"/{lang}/privacy/").text)
    english = notice_rows(app.test_client().get("/en/privacy/").text)
    assert len(rows) == len(english)
    everyone = [who.split()[0].rstrip(",.") for who in rows.values()]
    shape = [who.split()[0].rstrip(",.") == "Everyone" for who in english.values()]
    assert {word for word, is_public in zip(everyone, shape, strict=True) if is_public}.isdisjoint(
        word for word, is_public in zip(everyone, shape, strict=True) if not is_public
    )


def views() -> list[type[Any]]:
    """Every dataclass that public pages are given."""
    return [
        one for _, one in getmembers(registry, isclass) if is_dataclass(one) and one.__module__ == registry.__name__
    ]


def test_public_views_are_frozen_and_hold_no_row() -> None:
    assert len(views()) >= 6
    rows = {mapper.class_ for mapper in Base.registry.mappers}
    for view in views():
        assert view.__dataclass_params__.frozen, view
        for hint in get_type_hints(view, vars(registry)).values():
            assert rows.isdisjoint({hint, *get_args(hint)}), view


def test_no_public_page_shows_what_is_not_public(world: World) -> None:
    entries = [row["entry"] for row in dump(world.app)["registry_entry"]]
    paths = ["/", "/registry/", "/registry/almaty/", "/registry/karaganda/", "/registry/akmola/", "/about/", "/help/"]
    text = ""
    for lang in LANGUAGES:
        for path in [*paths, *(f"/registry/entries/{entry}" for entry in entries)]:
            answer = world.stranger().client.get(f"/{lang}{path}")
            text += answer.text if answer.status_code == 200 else ""
    assert "Әмина Серікқызы Оспанова" in text
    # Of one who is not listed by name, of one who withdrew, of those who wait, and of staff: nothing at all.
    for key in ("erlan", "maria", "john", "saule", "waiting", "fresh", "unconfirmed", "office0", "office3"):
        assert world.people[key].answers["full_name"] not in text, key
    for hidden in ("Мария П.", "Ерлан достары", "Planet Express", "Бруно", "@example.org", "Позвоните нам"):
        assert hidden not in text, hidden
    stored = dump(world.app)
    for row in stored["signature"]:
        if row["application_line"]:
            assert row["application_line"].decode()[-80:] not in text
    assert str(stored["signature"][0]["browser_digest"].hex()) not in text
