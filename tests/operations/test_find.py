"""Finding anybody in any state, by name over three alphabets, by number, by address; and who may be the same person."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import delete, func, select
from time_machine import Traveller as Clock

from charter.chores import finding as chore
from charter.models.base import db, writing
from charter.models.signature import SignatureWord
from charter.operations import erasing
from charter.queries import find, neighbours
from tests.operations.test_signing import confirmed, correct, decide, get, now, sign, withdraw
from tests.people import Desk, work


def found(app: Flask, typed: str, regions: frozenset[str] | None = None) -> list[int]:
    with app.app_context():
        asked = find.read(typed)
        assert asked is not None, typed
        return [row.signature_id for row in find.find(asked, "en", regions=regions).rows]


def words(app: Flask, signature_id: int) -> set[str]:
    with app.app_context():
        return set(
            db.session.scalars(select(SignatureWord.word).where(SignatureWord.signature_id == signature_id)).all()
        )


def test_a_name_is_found_in_every_alphabet_in_any_order_and_by_beginnings(app: Flask, clock: Clock) -> None:
    one = confirmed(app, "Қайрат Жұмабайұлы", "kairat@example.org")
    two = confirmed(app, "Qairat Sarsenov", "qairat@example.org")
    waiting = sign(app, "Айгүл Қайратқызы", "aigul@example.org")
    assert found(app, "Кайрат Жумабай") == [one]
    assert found(app, "jumabaiuli qairat") == [one]
    assert found(app, "САРСЕНОВ") == [two]
    assert sorted(found(app, "қайр")) == sorted([one, two, waiting])
    assert found(app, "Қайрат Сәрсенов Ғалым") == []


def test_everybody_is_found_in_every_state_and_erased_ones_by_number_or_entry_alone(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    person = confirmed(app, "Жанна Өтегенова", "zhanna@example.org")
    assert found(app, "Zhanna.Tag@example.org".replace(".Tag", "")) == [person]
    decide(app, person, desk.id)
    clock.shift(11)
    work(app)
    row = get(app, person)
    assert row.number is not None
    assert found(app, f"№ {row.number}") == found(app, row.entry.upper()) == found(app, "Өтегенова") == [person]
    withdraw(app, person)
    assert found(app, "Жанна") == [person]
    with app.app_context():
        erasing.erase(row.entry, now=now())
    assert found(app, "Жанна") == found(app, "zhanna@example.org") == []
    assert words(app, person) == set()
    assert found(app, f"{row.number}") == found(app, row.entry) == [person]
    page = desk.browser.get("/staff/find/").submit(at="/staff/find/", words=f"{row.number}")
    assert "Personal data erased" in page.main
    assert "Жанна" not in page.text


def test_words_follow_the_name(app: Flask, clock: Clock) -> None:
    person = confirmed(app, "Айгуль Смагулова", "aigul@example.org")
    assert words(app, person) == {"aigul", "smagulova"}
    correct(app, person, full_name="Айгуль Ким")
    assert words(app, person) == {"aigul", "kim"}
    assert found(app, "Смагулова") == []


def test_names_of_an_older_release_get_their_words_from_the_worker(app: Flask, clock: Clock) -> None:
    people = [
        confirmed(app, f"Адам {name}", f"{place}@example.org") for place, name in enumerate(("Бірінші", "Екінші"))
    ]
    with app.app_context(), writing():
        db.session.execute(delete(SignatureWord))
        db.session.commit()
    assert found(app, "Адам") == []
    settings = app.config["CHARTER"]
    chore._rounds.pop(settings.instance_path, None)
    with app.app_context():
        while chore.step(settings):
            pass
        assert db.session.scalar(select(func.count()).select_from(SignatureWord)) == 4
    assert sorted(found(app, "адам")) == people


def test_pages_go_on_where_the_last_one_ended_and_none_is_told_twice(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [confirmed(app, f"Көп {letter * 3}", f"{ord(letter)}@example.org") for letter in "абвгд"]
    monkeypatch.setattr(find, "PAGE_SIZE", 2)
    with app.app_context():
        asked = find.read("көп")
        assert asked is not None
        seen, after, pages = [], None, 0
        while pages < 5:
            page = find.find(asked, "en", after=after)
            seen += [row.signature_id for row in page.rows]
            pages, after = pages + 1, page.after
            if after is None:
                break
        assert sorted(seen) == people
        assert pages == 3
        # Common words: looking stops after a stretch of the index, and says so.
        monkeypatch.setattr(find, "_PART", 3)
        rare = find.read("көп ддд")
        assert rare is not None
        assert [row.signature_id for row in find.find(rare, "en").rows] == [people[4]]


def test_outside_ones_regions_nobody_is_found(app: Flask, clock: Clock) -> None:
    here = confirmed(app, "Ерлан Алматы", "here@example.org", region_code="KZ-75")
    confirmed(app, "Ерлан Астана", "there@example.org", region_code="KZ-71")
    only = frozenset({"KZ-75"})
    assert found(app, "Ерлан", only) == [here]
    assert found(app, "there@example.org", only) == []
    dana = Desk(app, "Dana", "dana@example.org", role="reviewer", regions=["KZ-75"])
    page = dana.browser.get("/staff/find/").submit(at="/staff/find/", words="Ерлан")
    assert "Астана" not in page.main


@pytest.mark.parametrize("typed", ["", " ", "@", "a", "\0", "99999999999999", "!!!"])
def test_what_nothing_can_be_looked_for_by_comes_back_with_words(
    app: Flask, desk: Desk, clock: Clock, typed: str
) -> None:
    page = desk.browser.get("/staff/find/").submit(at="/staff/find/", words=typed)
    assert page.status == 422
    assert "Fill in this field" in page.main or "Type a name, a number or a whole address" in page.main


def test_likely_the_same_person_stands_beside_with_differences_marked(app: Flask, desk: Desk, clock: Clock) -> None:
    one = confirmed(app, "Қайрат Жұмабаев", "kairat@example.org", region_code="KZ-75")
    latin = confirmed(app, "Qairat Jumabaev", "other@example.org", region_code="KZ-71")
    box = confirmed(app, "Салтанат Нұр", "kairat@example.org", region_code="KZ-75")
    confirmed(app, "Біреу Басқа", "nobody@example.org")
    with app.app_context():
        columns = neighbours.find_neighbours(one, "en")
        assert [column.signature_id for column in columns] == [one, latin, box]
        assert columns[1].differs == {"region", "address"}
        assert columns[2].differs == {"name"}
        narrow = neighbours.find_neighbours(one, "en", regions=frozenset({"KZ-75"}))
        assert (narrow[1].full_name, narrow[1].mail_domain, narrow[1].state) == ("", "", "confirmed")
    page = desk.browser.get(f"/staff/review/{one}/")
    assert "Perhaps the same person" in page.main
    assert "Qairat Jumabaev" in page.main
    dana = Desk(app, "Dana", "dana@example.org", role="reviewer", regions=["KZ-75"])
    assert "Jumabaev" not in dana.browser.get(f"/staff/review/{one}/").text


def test_no_more_than_four_others_stand_beside(app: Flask, clock: Clock) -> None:
    people = [confirmed(app, "Айгүл Сәрсен", f"a{place}@example.org") for place in range(7)]
    with app.app_context():
        assert len(neighbours.find_neighbours(people[0], "en")) == 5
