"""Whoever is in the registry is found, in any spelling and order; whoever has left it is not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import chain, pairwise

import pytest
from flask import Flask
from sqlalchemy import select, text

from charter.demo.names import ORIGINS, invent_name
from charter.domain.alphabet import sort_key
from charter.domain.fold import fold
from charter.domain.name import APOSTROPHES
from charter.domain.selection import BY_NAME, Place, Selection
from charter.models.base import db, writing
from charter.models.registry import PublicEntry, RegistryWord
from charter.operations import publication
from charter.queries import registry, search, search_index
from charter.queries.similar import similar
from tests.operations.test_signing import now
from tests.statements import statements

SURNAMES = ("Жұмабайұлы", "Zhumabaiuly", "Оспанова", "Кимбаев", "Ким", "Қасымов", "Өтегенова", "Щербаков", "O'Neil")
NAMES = ("Қайрат", "Kairat", "Әсел", "Айгүл", "Нұрлан", "Anna", "Ғани", "Үміт")
AFFILIATIONS = (
    (None, None),
    ("fprk", "Федерация профсоюзов"),
    ("amanat", "«AMANAT» партиясы"),
    (None, "Свой клуб наблюдателей"),
)
REGIONS = ("KZ-75", "KZ-71", "KZ-10", "ZZ")
KINDS = ("party", "independent", "international")
FIRST_DAY = date(2026, 11, 1)
MANY = 260


def add_entries(count: int, *, seed: int = 1) -> None:
    """Rows as a release without search wrote them; a batch makes them findable."""
    pick = random.Random(seed)
    edition = db.session.execute(text("SELECT slug FROM edition")).scalar_one()
    db.session.rollback()
    with writing():
        for number in range(1, count + 1):
            slug, affiliation_name = pick.choice(AFFILIATIONS)
            name = f"{pick.choice(NAMES)} {pick.choice(SURNAMES)}"
            is_unlisted = number % 13 == 0
            is_ended = number % 17 == 0
            is_bare = is_unlisted or is_ended
            db.session.add(
                PublicEntry(
                    number=number,
                    entry=f"{number:032x}",
                    rev=1,
                    line=None if is_ended else b"{}",
                    kind=pick.choice(KINDS),
                    display="unlisted" if is_unlisted else "full",
                    name=None if is_bare else name,
                    region_code=pick.choice(REGIONS),
                    affiliation_slug=None if is_bare else slug,
                    affiliation_name=None if is_bare else affiliation_name,
                    edition_slug=edition,
                    signed_on=FIRST_DAY + timedelta(days=(number + pick.randrange(4)) // 20),
                    ended_on=date(2026, 12, 1) if is_ended else None,
                    ended_by="signatory" if is_ended else None,
                )
            )
        db.session.commit()
    publication.publish_batch(now=now())


@pytest.fixture
def filled(app: Flask) -> Iterator[list[PublicEntry]]:
    with app.app_context():
        add_entries(MANY)
        rows = list(db.session.scalars(select(PublicEntry).order_by(PublicEntry.number.desc())))
        for row in rows:
            # Deferred columns are read now: the rows are looked at outside of any transaction.
            assert row.words is not None
            assert (row.sort_key is None) == (row.ended_on is not None)
        db.session.expunge_all()
        yield rows


def fits(row: PublicEntry, selection: Selection) -> bool:
    """The same question in plain Python."""
    words = fold(f"{row.name or ''} {row.affiliation_name or ''}")
    return (
        all(
            any(one == word.text if word.is_whole else one.startswith(word.text) for one in words)
            for word in selection.words
        )
        and (selection.region is None or row.region_code == selection.region)
        and (selection.kind is None or row.kind == selection.kind)
        and (selection.affiliation is None or row.affiliation_slug == selection.affiliation)
        and (selection.signed_from is None or row.signed_on >= selection.signed_from)
        and (selection.signed_to is None or row.signed_on <= selection.signed_to)
    )


def expected(rows: list[PublicEntry], selection: Selection) -> list[int]:
    found = [row for row in rows if fits(row, selection)]
    if selection.region or selection.kind:
        found = [row for row in found if row.ended_on is None]
    if selection.order == BY_NAME:
        found = sorted((row for row in found if row.ended_on is None), key=lambda row: (sort_key(row.name), row.number))
    return [row.number for row in found]


def walk(selection: Selection, size: int) -> list[int]:
    """All pages to the end, then all the way back: the same entries."""
    place: Place | None = None
    forwards: list[list[int]] = []
    while True:
        rows, has_before, has_behind = search.find_rows(selection, place=place, size=size)
        assert has_before == bool(forwards)
        forwards.append([row.number for row in rows])
        if not has_behind:
            break
        place = Place(rows[-1].number)
    backwards = [forwards[-1]]
    while has_before:
        rows, has_before, has_behind = search.find_rows(
            selection, place=Place(backwards[0][0], is_back=True), size=size
        )
        assert has_behind
        backwards.insert(0, [row.number for row in rows])
    assert list(chain(*forwards)) == list(chain(*backwards))
    return list(chain(*forwards))


ASKED = (
    "", "Қайрат", "кайрат жумаб", "ZHUMABAIULY kairat", "ки", "кимб", '"Ким"', "утеген", "айгуль", "amanat",
    "проф кайр", "«Ким» анна", "ааа", "клуб", "кайрат amanat кимбаев", "qa", "о'нил", "oneil", "жум ум",
)  # fmt: skip


def test_every_question_gets_what_a_look_at_every_entry_would_find(app: Flask, filled: list[PublicEntry]) -> None:
    pick = random.Random(7)
    seen = 0
    for place in range(120):
        selection = Selection(
            asked=ASKED[place % len(ASKED)],
            region=pick.choice((*[None] * 6, *REGIONS)),
            kind=pick.choice((*[None] * 6, *KINDS)),
            affiliation=pick.choice((*[None] * 6, "fprk")),
            signed_from=pick.choice((None, None, None, FIRST_DAY + timedelta(days=4))),
            signed_to=pick.choice((None, None, None, FIRST_DAY + timedelta(days=9))),
            order=pick.choice(("newest", "name")),
        )
        wanted = expected(filled, selection)
        assert walk(selection, size=pick.choice((3, 7, 50))) == wanted, selection
        assert [row.number for part in search.stream(selection, window=40) for row in part] == wanted
        if selection.words:
            assert search.count(selection) == search.Count(len(wanted), is_exact=True), selection
        seen += len(wanted)
    assert seen > 1000


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("rare", "walked"), [(3, 1500), (3, 4), (0, 1), (0, 40)])
def test_common_words_are_found_by_whichever_way_is_shorter(
    app: Flask, filled: list[PublicEntry], monkeypatch: pytest.MonkeyPatch, rare: int, walked: int
) -> None:
    monkeypatch.setattr(search_index, "RARE", rare)
    monkeypatch.setattr(search_index, "FEW", 0.5)
    monkeypatch.setattr(search_index, "GLANCED", 3)
    monkeypatch.setattr(search_index, "WALKED", walked)
    ways = set()
    for asked in ASKED[1:]:
        for region, kind in ((None, None), ("KZ-75", None), (None, "party")):
            selection = Selection(asked, region=region, kind=kind)
            with statements(app) as seen:
                assert walk(selection, size=4) == expected(filled, selection), selection
            ways |= {"walk" for one in seen if "AS walk" in one} | {"found" for one in seen if "MATERIALIZED" in one}
    assert ways == {"walk", "found"}


@pytest.mark.parametrize(("most", "rare"), [(0, 1000), (1, 1000), (0, 0), (1, 0), (2, 0)])
def test_a_beginning_of_many_words_is_found_too(
    app: Flask, filled: list[PublicEntry], monkeypatch: pytest.MonkeyPatch, most: int, rare: int
) -> None:
    monkeypatch.setattr(search_index, "RARE", rare)
    monkeypatch.setattr(search_index, "_MOST_WORDS", most)
    monkeypatch.setattr(search_index, "_EXACT_WORDS", most)
    monkeypatch.setattr(search_index, "FTS_LONGEST", 2)
    asked_words = ["кайр", "кимба", "жумаба кайра", "проф ким", "кимбал"]
    if search_index.is_sqlite():
        # On PostgreSQL a beginning has two letters at least.
        asked_words += ["кимба к", "к жумабаи", "у о утеген", "ж «Ким»"]
    for asked in asked_words:
        for region in (None, "KZ-75"):
            selection = Selection(asked, region=region)
            assert walk(selection, size=7) == expected(filled, selection), selection
            assert search.count(selection).number == len(expected(filled, selection))


def test_one_person_is_found_in_every_alphabet_and_order(app: Flask, filled: list[PublicEntry]) -> None:
    found = [
        walk(Selection(asked), size=50)
        for asked in ("Қайрат Жұмабайұлы", "Кайрат Жумабайулы", "Kairat Zhumabaiuly", "jumabaiuly QAIRAT", "жұмаб қай")
    ]
    assert found[0]
    assert all(one == found[0] for one in found)


def test_an_order_by_name_with_more_hits_than_are_sorted_is_the_same(
    app: Flask, filled: list[PublicEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    selection = Selection("ки", order=BY_NAME, region="KZ-75")
    wanted = walk(selection, size=4)
    assert wanted == expected(filled, selection)
    monkeypatch.setattr(search, "MOST_SORTED", 2)
    assert walk(selection, size=4) == wanted


def test_counts_are_honest_beyond_what_is_counted(
    app: Flask, filled: list[PublicEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_COUNTED", 10)
    assert search.count(Selection("кайрат")) == search.Count(10, is_exact=False)
    assert search.count(Selection("кайрат", kind="party")).number == 10
    assert search.count(Selection("  - ")) == search.Count(0, is_exact=True)
    assert search.find_rows(Selection(" - ")) == ([], False, False)


def test_whoever_leaves_is_found_by_nothing_any_more(app: Flask, filled: list[PublicEntry]) -> None:
    number, only = MANY + 1, Selection("Ақмарал Бекнұр")
    db.session.rollback()
    with writing():
        db.session.add(
            PublicEntry(
                number=number,
                entry=f"{number:032x}",
                rev=1,
                line=b"{}",
                kind="party",
                display="full",
                name="Ақмарал Бекнұр",
                region_code="KZ-75",
                affiliation_slug="adal",
                affiliation_name="ADAL",
                edition_slug=filled[0].edition_slug,
                signed_on=FIRST_DAY,
            )
        )
        db.session.commit()
    publication.publish_batch(now=now())
    assert walk(only, size=5) == [number]
    assert db.session.get(RegistryWord, "beknur") is not None
    assert search.count(Selection(affiliation="adal")).number == 1
    # As an older release ends an entry: it knows nothing of words.
    db.session.rollback()
    with writing():
        row = db.session.get_one(PublicEntry, number)
        row.line = row.name = row.affiliation_slug = row.affiliation_name = None
        row.ended_on, row.ended_by = date(2026, 12, 2), "signatory"
        db.session.commit()
    before = registry.find_as_of()
    result = publication.publish_batch(now=now())
    assert before is not None
    assert result is not None
    assert result.revision == before.revision + 1
    assert walk(only, size=5) == []
    assert db.session.get(RegistryWord, "beknur") is None
    assert search.count(Selection(affiliation="adal")).number == 0
    assert db.session.get_one(PublicEntry, number).words == ""
    db.session.rollback()
    assert publication.publish_batch(now=now()) is None
    assert [row.number for row in search.find_changes(since=before.revision, size=10)] == [number]


def test_a_page_by_name_cannot_go_on_from_somebody_who_left(app: Flask, filled: list[PublicEntry]) -> None:
    ended = next(row.number for row in filled if row.ended_on)
    for number in (ended, 10**9):
        with pytest.raises(search.PlaceLostError):
            search.find_rows(Selection(order=BY_NAME), place=Place(number))


def test_changes_come_in_order_and_once(app: Flask, filled: list[PublicEntry]) -> None:
    after: tuple[int, int] | None = None
    seen: list[int] = []
    while part := search.find_changes(since=0, after=after, size=37):
        seen += [row.number for row in part]
        after = (part[-1].revision, part[-1].number)
    assert sorted(seen) == list(range(1, MANY + 1))


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("Утегенова Айгүл", "Айгүл Өтегенова"),
        ("Otegenva", "Өтегенова"),
        ("Каират Жумабаевулы", "Қайрат Жұмабайұлы"),
        ("Шербаков Нурланн", "Нұрлан Щербаков"),
    ],
)
def test_a_spelling_from_hearing_leads_to_the_one_that_is_shown(
    app: Flask, filled: list[PublicEntry], asked: str, wanted: str
) -> None:
    assert walk(Selection(asked), size=5) == []
    offered = similar(Selection(asked))
    assert any(fold(one) == fold(wanted) or set(fold(wanted)) <= set(fold(one)) for one in offered), offered
    assert len(offered) <= 3
    for one in offered:
        assert walk(Selection(one), size=50)


def test_nothing_is_offered_for_what_is_near_to_nobody(app: Flask, filled: list[PublicEntry]) -> None:
    for asked in ("Wxyzt", "Ққққққ", "12345", "ә" * 200):
        assert similar(Selection(asked)) == []


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_the_order_by_name_is_that_of_unicode_s_kazakh_collation(app: Flask) -> None:
    pick = random.Random(3)
    names = {
        invent_name(pick, pick.choice(ORIGINS), language=pick.choice(("kk", "ru", "en"))).full for _ in range(4000)
    }
    # Hyphens and apostrophes are spaces to us, and letters of their own weight to ICU.
    names = {name for name in names if not set(name) & {"-", *APOSTROPHES}}
    with app.app_context():
        ordered = db.session.scalars(
            text('SELECT name FROM unnest(CAST(:names AS text[])) AS name ORDER BY name COLLATE "kk-x-icu"'),
            {"names": sorted(names)},
        ).all()
    assert len(ordered) > 2000
    keys = [sort_key(name) for name in ordered]
    # ICU has Cyrillic first, the list has Latin first: within each the order is the same.
    latin, cyrillic = [key for key in keys if key.isascii()], [key for key in keys if not key.isascii()]
    assert min(len(latin), len(cyrillic)) > 500
    assert latin == sorted(latin)
    shown = [name for name in ordered if not sort_key(name).isascii()]
    assert [(a, b) for a, b in pairwise(shown) if sort_key(a) > sort_key(b)] == []
