"""Hints for review: what is noticed, what is not, and that none of them refuses or decides anything."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import insert, select, update
from time_machine import Traveller as Clock

from charter.domain import hints as rules
from charter.domain.errors import FieldRefusedError, NotFoundError
from charter.domain.hints import Hint
from charter.models.base import db, writing
from charter.models.decision import Audit
from charter.models.limits import NotableName, SigningTrace
from charter.models.signature import Signature
from charter.operations import names
from charter.queries import hints
from charter.queries.namesakes import around
from charter.queries.neighbours import find_neighbours
from charter.worker import OlderNames
from tests.operations.test_publication import published
from tests.operations.test_signing import confirmed, get, now, sign
from tests.people import Desk

THROWAWAY = frozenset({"yopmail.com"})


def hints_of(app: Flask, signature_id: int) -> dict[str, Hint]:
    with app.app_context():
        subject = hints.find_subject(signature_id)
        assert subject is not None
        return {hint.code: hint for hint in hints.hints_for(subject, throwaway=THROWAWAY)}


def note(app: Flask, name: str, desk: Desk) -> None:
    with app.app_context():
        names.add(name, staff_id=desk.id, now=now())


# ── what a name shows by itself ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "words", "letters"),
    [
        ("Aлия Серикова", ("Aлия",), ("A",)),
        ("Айгүл Cерiк", ("Cерiк",), ("C", "i")),
        ("Kaйpat Жумабайулы", ("Kaйpat",), ("й",)),
    ],
)
def test_latin_and_cyrillic_letters_in_one_word_are_named(
    name: str, words: tuple[str, ...], letters: tuple[str, ...]
) -> None:
    assert rules.mixed_words(name) == words
    assert tuple(letter for word in words for letter in rules.foreign_letters(word)) == letters


@pytest.mark.parametrize(
    "name",
    ["Айгүл Серік", "Aigul Serik", "Айгүл Smith", "Нұр-Сұлтан Ө.", "Ñandú Ibáñez", "O’Brien Жанна", "Ким-Lee Анна"],
)
def test_names_in_one_alphabet_or_in_two_by_words_are_no_hint(name: str) -> None:
    mixed = rules.mixed_words(name)
    assert mixed == (() if "Ким-Lee" not in name else ("Ким-Lee",))


def test_a_latin_word_of_look_alikes_among_cyrillic_ones_is_noticed_and_a_real_latin_one_is_not() -> None:
    assert rules.disguised_words("Айгүл CEPIK") == ("CEPIK",)
    assert rules.disguised_words("Айгүл Smith") == ()
    assert rules.disguised_words("COCO CEPIK") == ()
    assert rules.disguised_words("Айгүл") == ()


def test_one_key_for_a_name_in_any_alphabet_and_order() -> None:
    assert (
        rules.name_fold("Қайрат Жұмабайұлы")
        == rules.name_fold("Jumabaiuly Qairat")
        == rules.name_fold("ЖУМАБАЙУЛЫ  КАЙРАТ")
    )
    assert len(rules.name_fold("щ" * 120 + " " + "ж" * 120)) <= 400


@pytest.mark.parametrize(
    ("domain", "is_it"), [("yopmail.com", True), ("a.YOPMAIL.com", True), ("notyopmail.com", False), ("com", False)]
)
def test_throw_away_domains_count_with_all_below_them_and_nothing_beside(domain: str, is_it: bool) -> None:
    assert rules.is_throwaway(domain, THROWAWAY) is is_it


# ── others ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_person_in_another_alphabet_and_order_is_found_and_the_nearly_same_too(app: Flask) -> None:
    first = confirmed(app, "Қайрат Жұмабайұлы", "one@example.org")
    second = confirmed(app, "Zhumabaiuly Kairat", "two@example.org")
    third = confirmed(app, "Жұмабайұлы Қайратт", "three@example.org")
    other = confirmed(app, "Жұмагүл Сәрсен", "four@example.org")
    found = hints_of(app, second)
    assert [one[0] for one in found["same-name"].signatures] == [first]
    assert [one[0] for one in found["alike-name"].signatures] == [third]
    assert not {"same-name", "alike-name"} & set(hints_of(app, other))
    assert get(app, second).state == "confirmed", "a hint refuses nobody"


def crowd(app: Flask, like: int, count: int) -> None:
    """So many more rows whose folded names begin as this one's does."""
    with app.app_context(), writing():
        old = db.session.get_one(Signature, like)
        kept = {column.key for column in Signature.__table__.columns} - {"id", "entry", "email", "mailbox", "name_fold"}
        stem = str(old.name_fold).split()[0]
        rows = [
            {name: getattr(old, name) for name in kept}
            | {"entry": f"{place:032x}", "name_fold": f"{stem} {place:05}"}
            | dict.fromkeys(("email", "mailbox"), f"c{place}@example.org")
            for place in range(count)
        ]
        db.session.execute(insert(Signature), rows)
        db.session.commit()


def test_the_nearly_same_name_is_found_among_any_number_that_begin_alike_and_none_of_them_is_walked_through(
    app: Flask,
) -> None:
    first = confirmed(app, "Жұмабайұлы Қайрат", "one@example.org")
    nearly = confirmed(app, "Жұмабайұлы Қайратт", "two@example.org")
    crowd(app, first, 700)
    assert [one[0] for one in hints_of(app, first)["alike-name"].signatures] == [nearly]
    with app.app_context():
        assert [one.signature_id for one in find_neighbours(first, "en")] == [first, nearly]
        if db.engine.dialect.name == "sqlite":
            fold = db.session.get_one(Signature, first).name_fold
            query = around(str(fold), states=["confirmed"], same=5, beside=5)
            sql = str(query.compile(db.engine, compile_kwargs={"literal_binds": True}))
            plan = "\n".join(str(row) for row in db.session.execute(db.text("EXPLAIN QUERY PLAN " + sql)))
            assert plan.count("ix_signature_name_fold") == 3, plan
            assert "TEMP B-TREE" not in plan


def test_an_entry_of_the_registry_in_another_spelling_is_offered(app: Flask, desk: Desk, clock: Clock) -> None:
    published(app, desk, clock, name="Өтегенова Гүлнәр")
    again = confirmed(app, "Утегенова Гульнар", "again@example.org")
    found = hints_of(app, again)
    names_found = [name for _entry, name, _number in found["alike-registered"].entries]
    assert names_found == ["Өтегенова Гүлнәр"]


def test_whoever_ended_or_is_forgotten_is_pointed_at_no_more(app: Flask, clock: Clock) -> None:
    first = sign(app, "Аян Серік", "one@example.org")
    second = sign(app, "Аян Серік", "two@example.org")
    assert "same-name" in hints_of(app, second)
    with app.app_context(), writing():
        db.session.execute(
            update(Signature).where(Signature.id == first).values(state="erased", full_name="", name_fold=None)
        )
        db.session.commit()
    assert "same-name" not in hints_of(app, second)
    with app.app_context():
        assert hints.find_subject(first) is None


def test_notable_names_are_matched_in_any_alphabet_without_the_patronymic_and_nearly(app: Flask, desk: Desk) -> None:
    note(app, "Ақселеу Тұрсынбек", desk)
    exact = confirmed(app, "Tursynbek Akseleu Ермекұлы", "a@example.org")
    alike = confirmed(app, "Тұрсынбеков Ақселеу", "b@example.org")
    other = confirmed(app, "Ақселеу Байжан", "c@example.org")
    assert hints_of(app, exact)["notable"].words == ("Ақселеу Тұрсынбек",)
    assert hints_of(app, alike)["notable-alike"].words == ("Ақселеу Тұрсынбек",)
    assert not {"notable", "notable-alike"} & set(hints_of(app, other))


def test_the_list_of_notable_names_takes_each_once_and_tells_the_audit_no_name(app: Flask, desk: Desk) -> None:
    note(app, "Ақселеу Тұрсынбек", desk)
    note(app, "Tursynbek Akseleu", desk)
    with app.app_context():
        (line,) = hints.notable_names()
        for bad in ("Ақселеу", "Ж."):
            with pytest.raises(FieldRefusedError):
                names.add(bad, staff_id=desk.id, now=now())
        names.remove(line.name_id, staff_id=desk.id, now=now())
        with pytest.raises(NotFoundError):
            names.remove(line.name_id, staff_id=desk.id, now=now())
        assert db.session.scalars(select(NotableName)).all() == []
        rows = db.session.scalars(select(Audit).where(Audit.subject == "notable-name").order_by(Audit.id)).all()
        assert [(row.action, row.staff_id, row.detail) for row in rows] == [
            ("add-notable", desk.id, {}),
            ("remove-notable", desk.id, {}),
        ]


def test_bursts_are_counted_by_network_affiliation_and_minute_and_a_few_are_none(app: Flask, clock: Clock) -> None:
    ids = [
        sign(app, f"Адам {chr(ord('А') + place)}ман", f"p{place}@example.org", affiliation_text="Бір ұйым")
        for place in range(6)
    ]
    with app.app_context(), writing():
        db.session.execute(SigningTrace.__table__.delete())
        db.session.add_all(
            SigningTrace(signature_id=one, at=now(), network=b"n" * 32, domain="example.org") for one in ids
        )
        db.session.commit()
    found = hints_of(app, ids[0])
    assert found["burst-network"].count == 6
    assert not {"burst-affiliation", "burst-minute"} & set(found)
    with app.app_context(), writing():
        db.session.execute(
            update(SigningTrace).where(SigningTrace.signature_id != ids[0]).values(at=now() - timedelta(hours=3))
        )
        db.session.commit()
    assert "burst-network" not in hints_of(app, ids[0])


def test_a_burst_for_one_affiliation_is_seen(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hints.LEAST_BURST, "burst-affiliation", 3)
    ids = [
        sign(app, f"Адам {chr(ord('А') + place)}ман", f"p{place}@example.org", affiliation_text="Бір ұйым")
        for place in range(3)
    ]
    other = sign(app, "Басқа Адам", "other@example.org", affiliation_text="Екінші ұйым")
    with app.app_context(), writing():
        db.session.execute(SigningTrace.__table__.delete())
        db.session.add_all(SigningTrace(signature_id=one, at=now()) for one in [*ids, other])
        db.session.commit()
    assert hints_of(app, ids[0])["burst-affiliation"].count == 3
    assert "burst-affiliation" not in hints_of(app, other)


def test_marks_of_a_page_take_two_queries_whatever_its_length(app: Flask, desk: Desk) -> None:
    note(app, "Ақселеу Тұрсынбек", desk)
    ids = [
        confirmed(app, "Ақселеу Тұрсынбек", "a@example.org"),
        confirmed(app, "Aлия Серікова", "b@yopmail.com"),
        confirmed(app, "Жай Адам", "c@example.org"),
        confirmed(app, "Адам Жай", "d@example.org"),
    ]
    with app.app_context():
        rows = [(one, get(app, one).full_name, get(app, one).email.rpartition("@")[2]) for one in ids]
        found = hints.marks(rows, throwaway=THROWAWAY)
        assert found == {
            ids[0]: ["notable"],
            ids[1]: ["mixed-scripts", "throwaway"],
            ids[2]: ["same-name"],
            ids[3]: ["same-name"],
        }
        assert hints.marks([], throwaway=THROWAWAY) == {}


def test_signatures_of_an_older_release_get_what_they_are_compared_by_when_a_worker_starts(app: Flask) -> None:
    signature_id = sign(app, "Қайрат Жұмабайұлы", "Kairat.J+work@gmail.com")
    mailbox = get(app, signature_id).mailbox
    with app.app_context(), writing():
        db.session.execute(update(Signature).values(name_fold=None, mailbox="kairat.j+work@gmail.com"))
        db.session.commit()
    with app.app_context():
        walk = OlderNames()
        while walk.step():
            pass
    assert get(app, signature_id).name_fold == rules.name_fold("Қайрат Жұмабайұлы")
    assert get(app, signature_id).mailbox == mailbox != "kairat.j+work@gmail.com"


# ── the pages ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_dossier_says_each_hint_with_its_reason_and_the_queue_marks_it(app: Flask, desk: Desk) -> None:
    page = desk.browser.get("/staff/names/").submit(at="/staff/names/", name="Ақселеу Тұрсынбек")
    assert "Ақселеу Тұрсынбек" in page.main
    first = confirmed(app, "Aқселеу Тұрсынбек", "a@yopmail.com")
    second = confirmed(app, "Тұрсынбек Ақселеу", "b@example.org")
    queue = desk.queue()
    assert "notable name" in queue.main and "mixed alphabets" in queue.main and "throw-away address" in queue.main
    dossier = desk.browser.get(f"/staff/review/{first}/")
    for words in (
        "Worth a second look",
        "on the list of notable names",
        "stand in one word",
        "yopmail.com",
        "same name",
    ):
        assert words in dossier.main, words
    assert dossier.href(f"/staff/review/{second}/")
    with app.app_context():
        name_id = hints.notable_names()[0].name_id
    page = desk.browser.get("/staff/names/").submit(at=f"/staff/names/{name_id}/remove")
    assert "The list is empty." in page.main
    refused = desk.browser.get("/staff/names/").submit(at="/staff/names/", name="Ақселеу")
    assert refused.status == 422 and "first name and surname" in refused.main
