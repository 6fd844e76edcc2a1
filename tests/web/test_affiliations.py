"""Affiliations at the desk: names and days, words in three alphabets, own words matched, and mergers there and back."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from time_machine import Traveller as Clock

from charter import cli
from charter.domain.errors import DecidedMeanwhileError, FieldRefusedError, NotFoundError
from charter.models.affiliation import Affiliation, AffiliationAlias, AffiliationMerge
from charter.models.base import db, writing
from charter.models.decision import Audit
from charter.models.registry import PublicEntry
from charter.models.rights import Correction
from charter.models.signature import Signature
from charter.operations import affiliations, matching, merging, naming, seed
from charter.queries import affiliation_desk
from tests.operations.test_races import at_once
from tests.pages import Browser, Page
from tests.people import Desk, Observer, work

NAMES = {"kk": "«Таң» партиясы", "ru": "Партия «Таң»", "en": "Tang Party"}


def wanted(**more: Any) -> affiliations.Wanted:
    values: dict[str, Any] = {"name": NAMES, "abbr": None, "is_selectable": True, "valid_from": None, "valid_to": None}
    return affiliations.Wanted(**values | more)


def now() -> datetime:
    return datetime.now(UTC)


def add(app: Flask, desk: Desk, type: str = "party", **more: Any) -> int:
    with app.app_context():
        return affiliations.add(wanted(**more), type=type, staff_id=desk.id, now=now())


def named(word: str) -> dict[str, str]:
    return {"kk": f"«{word}» бірлестігі", "ru": f"Объединение «{word}»", "en": f"{word} Union"}


def id_of(app: Flask, slug: str) -> int:
    with app.app_context():
        return db.session.scalars(select(Affiliation.id).where(Affiliation.slug == slug)).one()


def signed(app: Flask, key: str, **answers: Any) -> Observer:
    """Somebody whose application waits."""
    # No name has figures.
    name = "Әмина " + key.title().translate(str.maketrans("0123456789", "абвгдежзик"))
    person = Observer(app, email=f"{key}@example.org", full_name=name, **answers)
    person.sign_and_confirm()
    return person


def of(app: Flask, key: str) -> Signature:
    with app.app_context():
        found = db.session.scalars(select(Signature).where(Signature.mailbox == f"{key}@example.org")).one()
        db.session.expunge(found)
        return found


def published(app: Flask, desk: Desk, clock: Clock, key: str, **answers: Any) -> Observer:
    person = signed(app, key, **answers)
    desk.decide(desk.open_first(), "approve")
    clock.shift(11)
    work(app)
    return person


def merge(app: Flask, desk: Desk, from_id: int, into_id: int) -> int:
    with app.app_context():
        version = db.session.get_one(Affiliation, from_id).version
        return merging.merge(from_id, into_id, expected_version=version, staff_id=desk.id, now=now())


def choices(app: Flask) -> str:
    return Browser(app).get("/ru/sign/").text


# ── names and days ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_party_is_added_at_the_desk_and_offered_after_the_next_batch(app: Flask, desk: Desk) -> None:
    page = desk.browser.get("/staff/affiliations/new/")
    answers = {f"name_{language}": name for language, name in NAMES.items()}
    done = page.submit("affiliation-form", **answers, type="party", is_selectable="y")
    assert done.url.startswith("/staff/affiliations/") and "Tang Party" in done.main, done.main
    assert "tang-party" in done.main
    assert NAMES["ru"] not in choices(app)
    work(app)
    assert NAMES["ru"] in choices(app)
    person = Observer(app, kind="party", party="tang-party")
    person.sign_and_confirm()
    assert of(app, "amina").affiliation_id == id_of(app, "tang-party")


def test_the_list_is_searched_in_any_alphabet(app: Flask, desk: Desk) -> None:
    for asked in ("аманат", "AMANAT", "nur otan", "Нур Отан", "Аманат партия"):
        page = desk.browser.get(f"/staff/affiliations/?q={asked}")
        assert "AMANAT Party" in page.main, asked
        assert "Ak Zhol" not in page.main
    assert "Nothing of this name" in desk.browser.get("/staff/affiliations/?q=ешқандай").main
    assert "AMANAT" not in desk.browser.get("/staff/affiliations/?type=mission").main
    assert desk.browser.get("/staff/affiliations/?after=%00").status == 404


def test_a_list_goes_on_where_the_page_before_ended(app: Flask) -> None:
    with app.app_context():
        whole = affiliation_desk.find_page(type=None, asked="", after=None, today=date(2026, 11, 20), size=1000)
        found: list[str] = []
        after = None
        while True:
            page = affiliation_desk.find_page(type=None, asked="", after=after, today=date(2026, 11, 20), size=7)
            found += [one.slug for one in page.lines]
            after = page.next_after
            if after is None:
                break
    assert found == [one.slug for one in whole.lines] and len(found) > 30


def test_a_renaming_keeps_the_former_name_and_published_entries_as_signed(app: Flask, desk: Desk, clock: Clock) -> None:
    person = published(app, desk, clock, "amina", kind="party", party="respublica")
    with app.app_context():
        before = bytes(db.session.scalars(select(PublicEntry.line)).one() or b"")
        signed_as = db.session.scalars(select(PublicEntry.affiliation_name)).one()
    page = desk.browser.get(f"/staff/affiliations/{id_of(app, 'respublica')}/")
    new = {f"name_{language}": f"{name} 2" for language, name in NAMES.items()}
    done = page.submit("affiliation-form", **new, why="rename", renamed_on="2026-11-19")
    assert "Former name" in done.main and "Tang Party 2" in done.main
    work(app)
    public = Browser(app).get("/ru/registry/affiliations/respublica/").main
    assert signed_as in public and "Партия «Таң» 2" in public
    with app.app_context():
        assert bytes(db.session.scalars(select(PublicEntry.line)).one() or b"") == before
    # A correction of something else leaves the name as it was signed, too.
    person.browser.get("/ru/my/correction/").submit("correction-form", region="KZ-71")
    desk.browser.get(desk.browser.get("/staff/corrections/").href("/staff/corrections/1")).submit(
        at="/staff/corrections/1/", action="approve"
    )
    clock.shift(11)
    work(app)
    with app.app_context():
        row = db.session.scalars(select(PublicEntry)).one()
        assert (row.rev, row.region_code, row.affiliation_name) == (2, "KZ-71", signed_as)


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_correct_spelling_leaves_no_former_name(app: Flask, desk: Desk) -> None:
    path = f"/staff/affiliations/{id_of(app, 'respublica')}/"
    done = desk.browser.get(path).submit("affiliation-form", name_en="Respublica Party (new)", why="correct")
    assert "Respublica Party (new)" in done.main and "Former name" not in done.main
    with app.app_context():
        audit = db.session.scalars(select(Audit).where(Audit.action == "affiliation-edit")).one()
        assert audit.before is not None and audit.after is not None
        assert set(audit.before) == set(audit.after) == {"name"}
        assert audit.after["name"]["en"] == "Respublica Party (new)"


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_what_a_colleague_changed_meanwhile_is_not_overwritten_and_nothing_typed_is_lost(
    app: Flask, desk: Desk
) -> None:
    path = f"/staff/affiliations/{id_of(app, 'respublica')}/"
    dana = Desk(app, "Dana", "dana@example.org")
    mine = desk.browser.get(path)
    dana.browser.get(path).submit("affiliation-form", name_en="Danas name")
    told = mine.submit("affiliation-form", name_en="My name")
    assert told.status == 409
    assert "Dana has changed this" in told.main and "Danas name" in told.main
    assert told.fields("affiliation-form")[1]["name_en"] == "My name"
    assert told.submit("affiliation-form").status == 200
    assert "My name" in desk.browser.get(path).main


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_what_cannot_be_is_said_at_its_field(app: Flask, desk: Desk) -> None:
    page = desk.browser.get(f"/staff/affiliations/{id_of(app, 'respublica')}/")
    for answers in ({"abbr_kk": ""}, {"why": "rename"}, {"valid_to": "2026-01-01"}, {"name_ru": "…"}):
        refused = page.submit("affiliation-form", **{"valid_from": "2026-02-01", **answers})
        assert refused.status == 422 and "error-summary" in refused.text, answers


def test_a_party_appears_on_its_day_and_goes_after_its_last_without_anybody_doing_anything(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    add(app, desk, valid_from=date(2026, 11, 21), valid_to=date(2026, 11, 22))
    work(app)
    public = "/ru/registry/affiliations/tang-party/"
    assert NAMES["ru"] not in choices(app)
    assert Browser(app).get(public).status == 404
    assert "tang-party" not in Browser(app).get("/api/v1/affiliations").text
    person = Observer(app, kind="party", party="tang-party")
    # Friday 14:00 in Astana; at midnight there it is Saturday.
    clock.shift(10 * 3600 + 60)
    work(app)
    assert NAMES["ru"] in choices(app)
    assert Browser(app).get(public).status == 200
    assert "tang-party" in Browser(app).get("/api/v1/affiliations").text
    page = Browser(app).get("/ru/sign/")
    clock.shift(2 * 86_400)
    late = page.submit("sign-form", **person.answers)
    assert late.status == 422 and "Выберите" in late.main
    work(app)
    assert NAMES["ru"] not in choices(app)


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_release_does_not_change_back_what_staff_have_changed(app: Flask, desk: Desk) -> None:
    path = f"/staff/affiliations/{id_of(app, 'respublica')}/"
    desk.browser.get(path).submit("affiliation-form", name_en="Our own spelling")
    with app.app_context():
        cli.load(app.config["CHARTER"])
        assert db.session.get_one(Affiliation, id_of(app, "respublica")).name["en"] == "Our own spelling"
        # And what nobody touched it does.
        row = db.session.get_one(Affiliation, id_of(app, "amanat"))
        assert (row.version, row.name["en"]) == (seed.SHIPPED, "AMANAT Party")


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_words_that_are_a_name_are_matched_at_signing_in_three_alphabets(app: Flask, desk: Desk) -> None:
    union = add(app, desk, "organisation", name=named("Шапағат"))
    desk.browser.get(f"/staff/affiliations/{union}/").submit("alias-form", name="Шапагат көмек қоры")
    for place, words in enumerate(("Shapagat kömek qory", "ШАПАҒАТ КӨМЕК ҚОРЫ", "Объединение Шапагат")):
        signed(app, f"person{place}", organisation=words)
        assert (of(app, f"person{place}").affiliation_id, of(app, f"person{place}").affiliation_text) == (union, None)
    # It does not suit a party observer, and part of a name is no name.
    signed(app, "party", kind="party", party="other", party_other="Шапағат көмек қоры")
    signed(app, "part", organisation="Шапағат")
    assert (of(app, "party").affiliation_id, of(app, "part").affiliation_id) == (None, None)


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_words_mean_one_affiliation_only_and_the_page_says_whose_they_are(app: Flask, desk: Desk) -> None:
    path = f"/staff/affiliations/{id_of(app, 'aq-jol')}/"
    refused = desk.browser.get(path).submit("alias-form", name="«Аманат» партиясы")
    assert refused.status == 422 and "AMANAT Party" in refused.main
    with app.app_context(), pytest.raises(FieldRefusedError):
        affiliations.add(wanted(name={**NAMES, "en": "Amanat party"}), type="party", staff_id=desk.id, now=now())
    done = desk.browser.get(path).submit("alias-form", name="Светлый путь")
    assert "Светлый путь" in done.main
    gone = done.submit(at="/remove")
    assert "Светлый путь" not in gone.main
    with app.app_context():
        # They may have been a signatory's words, and nothing in the audit can be erased.
        line = db.session.scalars(select(Audit).where(Audit.action == "affiliation-alias-remove")).one()
        assert "Светлый" not in str((line.before, line.after, line.detail)) and line.before is not None


def test_own_words_stand_together_and_what_they_mean_is_said_once(app: Flask, desk: Desk) -> None:
    union = add(app, desk, "organisation", name=named("Шапағат"))
    for place, words in enumerate(("Ақ ниет қоры", "АҚ НИЕТ ҚОРЫ", "Aq niet qory", "Басқа ұйым")):
        signed(app, f"person{place}", organisation=words)
    page = desk.browser.get("/staff/affiliations/words/")
    assert "3 applications wait" in page.main and page.main.index("3 applications") < page.main.index("Басқа ұйым")
    opened = desk.browser.get(page.href("/staff/affiliations/words/"))
    assert "Choose one of the list" in opened.submit("match-form").main
    done = opened.submit("match-form", into=str(union))
    assert done.url == "/staff/affiliations/words/"
    work(app)
    assert [of(app, f"person{place}").affiliation_id for place in range(4)] == [union, union, union, None]
    assert "Ақ ниет" not in desk.browser.get("/staff/affiliations/words/").main
    signed(app, "later", organisation="Ак ниет коры")
    assert of(app, "later").affiliation_id == union
    with app.app_context():
        matched = db.session.scalars(select(Audit).where(Audit.action == "affiliation-matched")).one()
        assert len(matched.detail["signatures"]) == 3 and matched.staff_id == desk.id
        # Nothing waits to be looked at any more.
        assert affiliation_desk.find_work() == (None, None)


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_own_words_become_one_of_the_list(app: Flask, desk: Desk) -> None:
    signed(app, "amina", organisation="Ақ ниет қоры")
    words = desk.browser.get(desk.browser.get("/staff/affiliations/words/").href("/staff/affiliations/words/"))
    page = desk.browser.get(words.href("/staff/affiliations/new/"))
    assert page.fields("affiliation-form")[1]["name_kk"] == "Ақ ниет қоры"
    page.submit("affiliation-form", name_ru="Фонд «Ак ниет»", name_en="Aq Niet Fund")
    work(app)
    assert of(app, "amina").affiliation_id == id_of(app, "aq-niet-fund")


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_reviewer_of_some_regions_sees_the_words_of_these_only_and_changes_nothing(app: Flask, desk: Desk) -> None:
    signed(app, "here", organisation="Біздің ұйым", region="KZ-75")
    signed(app, "there", organisation="Олардың ұйымы", region="KZ-71")
    chloe = Desk(app, "Chloe", "chloe@example.org", role="reviewer", regions=["KZ-75"])
    page = chloe.browser.get("/staff/affiliations/words/")
    assert "Біздің ұйым" in page.main and "Олардың ұйымы" not in page.main
    assert chloe.browser.get("/staff/affiliations/").status == 200
    assert chloe.browser.get("/staff/affiliations/new/").status == 403
    assert chloe.browser.get("/staff/regions/new/").status == 403
    for key, region in (("p", "KZ-75"), ("q", "KZ-71"), ("r", "KZ-71")):
        signed(app, key, kind="party", party="amanat", region=region)
    path = f"/staff/affiliations/{id_of(app, 'amanat')}/"
    page = chloe.browser.get(path)
    assert "affiliation-form" not in page.text
    # How many wait elsewhere is not hers to read.
    assert "Waiting applications 1 " in page.main and "Waiting applications 3 " in desk.browser.get(path).main


# ── mergers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_merger_takes_along_who_waits_leaves_who_is_published_and_is_undone(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    published(app, desk, clock, "first", kind="party", party="respublica")
    for key in ("second", "third"):
        signed(app, key, kind="party", party="respublica")
    old, new = id_of(app, "respublica"), id_of(app, "amanat")
    page = desk.browser.get(f"/staff/affiliations/{old}/merge/?into={new}")
    assert "Waiting applications that move along 2" in " ".join(page.main.split())
    done = page.submit("merge-form")
    assert "Merged." in done.main or done.status == 200
    work(app)
    assert [of(app, key).affiliation_id for key in ("first", "second", "third")] == [old, new, new]
    public = Browser(app).get("/en/registry/affiliations/respublica/").main
    assert "Merged into" in public and "1 observer" in public
    assert "Joined by a merger" in Browser(app).get("/en/registry/affiliations/amanat/").main
    assert 'value="respublica"' not in choices(app)
    # One is published as a member of the other, which no undoing takes back.
    desk.decide(desk.open_first(), "approve")
    clock.shift(11)
    work(app)
    undone = desk.browser.get(f"/staff/affiliations/{old}/").submit(at="/undo")
    assert "undone" in undone.main
    work(app)
    assert sorted([of(app, key).affiliation_id or 0 for key in ("second", "third")]) == sorted([old, new])
    with app.app_context():
        shown = set(db.session.scalars(select(PublicEntry.affiliation_slug)))
        merged = db.session.scalars(select(AffiliationMerge)).one()
        assert (shown, merged.state, merged.moved) == ({"respublica", "amanat"}, "undone", 1)
    assert 'value="respublica"' in choices(app)


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_words_of_one_that_was_merged_mean_the_other(app: Flask, desk: Desk) -> None:
    one = add(app, desk, "organisation", name=named("Шапағат"))
    other = add(app, desk, "organisation", name=named("Мейірім"))
    work(app)
    merge(app, desk, one, other)
    signed(app, "amina", organisation="Шапагат бірлестігі")
    assert of(app, "amina").affiliation_id == other


def test_circles_and_chains_are_refused(app: Flask, desk: Desk) -> None:
    ids = [add(app, desk, "organisation", name=named(word)) for word in ("Алғыс", "Мейірім", "Шапағат")]
    party = id_of(app, "amanat")
    merge(app, desk, ids[0], ids[1])
    for pair, code in (
        ((ids[1], ids[0]), "merged"),
        ((ids[2], ids[0]), "merged"),
        ((ids[0], ids[2]), "merged"),
        ((ids[2], ids[2]), "self"),
        ((ids[2], party), "type"),
    ):
        with pytest.raises(FieldRefusedError) as refused:
            merge(app, desk, *pair)
        assert refused.value.code == code
        page = desk.browser.get(f"/staff/affiliations/{pair[0]}/merge/?into={pair[1]}")
        assert "This cannot be done" in page.main and page.status == 200
    # The one at the end may go on: whoever was merged into it leads further.
    merge(app, desk, ids[1], ids[2])
    signed(app, "amina", organisation="Объединение Алгыс")
    assert of(app, "amina").affiliation_id == ids[2]


def test_two_mergers_at_once_make_no_circle(app: Flask, desk: Desk) -> None:
    one = add(app, desk, "organisation", name=named("Алғыс"))
    other = add(app, desk, "organisation", name=named("Мейірім"))

    def go(pair: tuple[int, int]) -> Any:
        return lambda: merging.merge(*pair, expected_version=2, staff_id=desk.id, now=now())

    results = at_once(app, go((one, other)), go((other, one)))
    refused = [result for result in results if isinstance(result, FieldRefusedError | DecidedMeanwhileError)]
    assert len(refused) == 1 and sum(isinstance(result, int) for result in results) == 1, results
    assert len(at_once(app, lambda: merging.undo(1, staff_id=desk.id, now=now()), _undo(desk))) == 2
    with app.app_context():
        assert db.session.scalars(select(AffiliationMerge.state)).one() == "undoing"
        assert db.session.scalar(select(func.count()).where(Audit.action == "affiliation-merge-undo")) == 1


def _undo(desk: Desk) -> Any:
    return lambda: merging.undo(1, staff_id=desk.id, now=now())


def test_nobody_who_signs_while_it_is_merged_is_left_behind(app: Flask, desk: Desk) -> None:
    one = add(app, desk, "organisation", name=named("Алғыс"))
    other = add(app, desk, "organisation", name=named("Мейірім"))
    work(app)
    people = [
        Observer(app, email=f"p{place}@example.org", full_name="Әмина " + "А" * (place + 1), organisation="Algys Union")
        for place in range(4)
    ]
    pages = [person.browser.get("/en/sign/") for person in people]

    def sign(place: int) -> Any:
        return lambda: pages[place].submit("sign-form", **people[place].answers)

    def go() -> int:
        return merging.merge(one, other, expected_version=2, staff_id=desk.id, now=now())

    results = at_once(app, sign(0), go, sign(1), sign(2), sign(3))
    assert not [result for result in results if isinstance(result, Exception)], results
    work(app)
    with app.app_context():
        kept = list(db.session.scalars(select(Signature.affiliation_id)))
    told = [result for result in results if isinstance(result, Page) and result.status == 422]
    assert set(kept) <= {other} and len(kept) + len(told) == 4


def test_a_merger_that_two_workers_carry_on_moves_everybody_once(
    app: Flask, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = add(app, desk, "organisation", name=named("Алғыс"))
    other = add(app, desk, "organisation", name=named("Мейірім"))
    work(app)
    for place in range(4):
        signed(app, f"p{place}", organisation="Algys Union" if place % 2 else "Объединение «Алғыс»")
    merge_id = merge(app, desk, one, other)
    monkeypatch.setattr(merging, "WINDOW", 1)
    for _ in range(4):
        at_once(app, lambda: merging.go_on(merge_id, now=now()), lambda: merging.go_on(merge_id, now=now()))
    with app.app_context():
        merged = db.session.get_one(AffiliationMerge, merge_id)
        assert (merged.state, merged.moved) == ("done", 4)
        versions = set(db.session.scalars(select(Signature.version)))
        assert len(versions) == 1
        told = db.session.scalars(select(Audit).where(Audit.action == "affiliation-merged")).all()
        assert sum(len(line.detail["signatures"]) for line in told) == 4
        with pytest.raises(NotFoundError):
            merging.undo(merge_id + 1, staff_id=desk.id, now=now())


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_steps_stay_small_however_many_are_of_one_affiliation_and_name_who_began_them(
    app: Flask, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = add(app, desk, "organisation", name=named("Алғыс"))
    other = add(app, desk, "organisation", name=named("Мейірім"))
    work(app)
    for place in range(5):
        signed(app, f"p{place}", organisation="Algys Union" if place < 3 else "Бөтен сөз")
    for module in (merging, matching):
        monkeypatch.setattr(module, "MOVES_AT_ONCE", 2)
    merge_id = merge(app, desk, one, other)
    dana = Desk(app, "Dana", "dana@example.org", role="editor")
    with app.app_context():
        assert merging.go_on(merge_id, now=now())
        assert not merging.go_on(merge_id, now=now())
        merging.undo(merge_id, staff_id=dana.id, now=now())
        assert merging.go_on(merge_id, now=now())
        assert not merging.go_on(merge_id, now=now())
        affiliations.give_alias(other, "Бөтен сөз", staff_id=desk.id, now=now())
        alias_id = db.session.scalars(select(AffiliationAlias.id).where(AffiliationAlias.name == "Бөтен сөз")).one()
        matching.match(of(app, "p4").id, other, staff_id=dana.id, now=now())
        monkeypatch.setattr(matching, "MOVES_AT_ONCE", 1)
        while matching.go_on(alias_id, now=now()):
            pass
    assert [of(app, f"p{place}").affiliation_id for place in range(5)] == [one, one, one, other, other]
    with app.app_context():
        lines = db.session.scalars(select(Audit).where(Audit.action.like("affiliation-m%ed")).order_by(Audit.id)).all()
        assert [(len(line.detail["signatures"]), line.staff_id) for line in lines] == [
            *((count, desk.id) for count in (2, 1)),
            *((1, dana.id) for _ in range(2)),
        ]
        undone = select(Audit.staff_id).where(Audit.action == "affiliation-merge-undone")
        assert set(db.session.scalars(undone)) == {dana.id}


def test_a_correction_that_chose_it_moves_along_and_one_that_only_keeps_it_does_not(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    keeps = published(app, desk, clock, "keeps", kind="party", party="respublica")
    chooses = published(app, desk, clock, "chooses", kind="party", party="aq-jol")
    keeps.browser.get("/ru/my/correction/").submit("correction-form", region="KZ-71")
    chooses.browser.get("/ru/my/correction/").submit("correction-form", party="respublica")
    old, new = id_of(app, "respublica"), id_of(app, "amanat")
    merge_id = merge(app, desk, old, new)
    work(app)

    def wishes() -> list[int | None]:
        with app.app_context():
            return list(db.session.scalars(select(Correction.affiliation_id).order_by(Correction.id)))

    assert wishes() == [old, new]
    with app.app_context():
        merging.undo(merge_id, staff_id=desk.id, now=now())
    work(app)
    assert wishes() == [old, old]


def test_whoever_was_merged_away_while_waiting_is_published_under_the_other(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    """Even where the worker has not come to it: what a form of yesterday left behind."""
    signed(app, "amina", kind="party", party="respublica")
    merge(app, desk, id_of(app, "respublica"), id_of(app, "amanat"))
    work(app)
    with app.app_context(), writing():
        db.session.execute(update(Signature).values(affiliation_id=id_of(app, "respublica")))
        db.session.commit()
    desk.decide(desk.open_first(), "approve")
    clock.shift(11)
    work(app)
    with app.app_context():
        assert db.session.scalars(select(PublicEntry.affiliation_slug)).one() == "amanat"
        # Every later revision says so too.
        assert db.session.scalars(select(Signature.affiliation_id)).one() == id_of(app, "amanat")


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_detail_of_one_that_can_no_longer_be_chosen_is_corrected_without_choosing_anew(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    person = published(app, desk, clock, "amina", kind="party", party="respublica")
    with app.app_context():
        affiliations.edit(
            id_of(app, "respublica"),
            wanted(is_selectable=False),
            expected_version=1,
            renamed_on=None,
            staff_id=desk.id,
            now=now(),
        )
    work(app)
    done = person.browser.get("/ru/my/correction/").submit("correction-form", region="KZ-71")
    assert done.status == 200
    with app.app_context():
        assert db.session.scalars(select(Correction.affiliation_id)).one() == id_of(app, "respublica")


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_kept_words_stand_for_every_shipped_name(app: Flask) -> None:
    with app.app_context():
        rows = db.session.scalars(select(Affiliation)).all()
        kept = {alias.name_fold: alias.affiliation_id for alias in db.session.scalars(select(AffiliationAlias))}
        assert {row.id for row in rows} == set(kept.values())
        assert all(folded in kept for row in rows for folded in naming.names_of(row))
