"""Editions: drafts that lose no word, publishing by two, and what signatories of earlier ones are asked."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from time_machine import Traveller as Clock

from charter.domain.errors import SamePersonError
from charter.domain.signature import State
from charter.models.base import db
from charter.models.edition import Affirmation, AffirmationRound, Edition, EditionDraft
from charter.models.log import LogEvent
from charter.models.outbox import Message
from charter.models.registry import EditionCount
from charter.models.signature import Signature
from charter.operations import affirming, editions, proposals
from charter.operations.proving import Outcome, Proof
from charter.operations.publication import publish_batch
from charter.queries import editions as queries
from charter.web import kept
from tests.operations.test_mailboxes import stop, token_of
from tests.operations.test_publication import entry_row, published
from tests.operations.test_races import at_once
from tests.operations.test_signing import (
    ELSEWHERE,
    HERE,
    confirm,
    confirmed,
    decide,
    get,
    key_of,
    leaves,
    moves,
    now,
    sign,
    withdraw,
)
from tests.pages import Page
from tests.people import Desk, Observer, mails, text_of, work

ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
NEW = "charter-2027"
NOTE = re.compile(r"^\*[^*].*\*\n\n", re.MULTILINE)
#: The same change of the first commitment in each language.
EXTRA = {"kk": " Мен әрқашан осылай істеймін.", "ru": " Я всегда так делаю.", "en": " I always do so."}


@pytest.fixture(autouse=True)
def without_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """A form that is sent is checked against the newest batch, not against that of a second ago."""
    monkeypatch.setattr(kept, "RECENT_SECONDS", 0.0)


@pytest.fixture
def dana(app: Flask, clock: Clock) -> Desk:
    """The second pair of eyes."""
    return Desk(app, "Dana", "dana@example.org", role="editor")


def changed(texts: dict[str, str], extra: dict[str, str] | None = None) -> dict[str, str]:
    """Without the note that the text is a specimen, and with more in the first commitment."""
    found = {}
    for language in ("kk", "ru", "en"):
        text = NOTE.sub("", texts[f"text_{language}"].strip(), count=1)
        first = next(line for line in text.splitlines() if line.startswith("**1. "))
        found[f"text_{language}"] = text.replace(first, first + (extra or EXTRA)[language])
    return found


def drafted(desk: Desk, slug: str = NEW, kind: str = "material", extra: dict[str, str] | None = None) -> Page:
    """A draft that can be published; its page."""
    page = desk.browser.get("/staff/editions/").submit("begin-form", slug=slug)
    assert f"Draft of edition {slug}" in page.title, page.main
    _, values = page.fields("draft-form")
    page = page.submit("draft-form", **changed(values, extra), kind=kind)
    assert page.status == 200, page.main
    return page


def published_edition(desk: Desk, dana: Desk, **more: Any) -> None:
    """One proposes, another agrees, a batch comes."""
    page = drafted(desk, **more).submit("propose-form", reason="The first commitment is clearer.")
    assert "waits for a second person" in page.main
    waiting = dana.browser.get(path_of(page))
    assert EXTRA["en"].strip() in waiting.main or "extra" in more
    assert waiting.submit("approve-form").status == 200
    work(desk.app)


def path_of(page: Page) -> str:
    """Where the proposal of a draft stands."""
    found = re.search(r"/staff/proposals/[0-9]+/", page.text)
    assert found, page.main
    return found[0]


def affirm(app: Flask, signature_id: int, *, browser: bytes = HERE, slug: str = NEW) -> Outcome:
    with app.app_context():
        return affirming.affirm(
            signature_id,
            edition_slug=slug,
            language="ru",
            proof=Proof(browser, None),
            key=key_of(app),
            code_tries=5,
            now=now(),
        ).outcome


def shown(app: Flask) -> dict[str, int]:
    with app.app_context():
        found = queries.counts()
        db.session.rollback()
        return found


def scalar(app: Flask, statement: Any) -> Any:
    with app.app_context():
        value = db.session.scalar(statement)
        db.session.rollback()
        return value


# ── drafts ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@ONE_ENGINE
def test_a_draft_begins_with_the_text_of_today_and_says_what_keeps_it_from_being_published(desk: Desk) -> None:
    page = desk.browser.get("/staff/editions/").submit("begin-form", slug=NEW)
    assert "The draft says what the present edition says." in page.main
    assert "propose-form" not in page.text
    page = page.submit("draft-form", text_kk="# Хартия\n\nсөз", text_ru="")
    assert "Line 3: Here a heading is expected" in page.main
    assert "There is no text in this language." in page.main
    assert page.tree.query("#text_kk")[0].to_text().strip() == "# Хартия\n\nсөз"
    assert desk.browser.get(page.href("/preview/")).status == 200


@ONE_ENGINE
def test_languages_with_different_commitments_are_told(desk: Desk) -> None:
    page = desk.browser.get("/staff/editions/").submit("begin-form", slug=NEW)
    _, values = page.fields("draft-form")
    lines = values["text_en"].strip().split("\n\n")
    last = max(place for place, line in enumerate(lines) if line.startswith("**12. "))
    page = page.submit("draft-form", text_en="\n\n".join(lines[:last] + lines[last + 1 :]))
    assert "The languages have different numbers of commitments." in page.main


@ONE_ENGINE
def test_whoever_saves_second_loses_no_word_and_sees_what_the_first_kept(desk: Desk, dana: Desk) -> None:
    page = desk.browser.get("/staff/editions/").submit("begin-form", slug=NEW)
    other = dana.browser.get(page.url)
    _, values = page.fields("draft-form")
    page.submit("draft-form", text_en=values["text_en"] + "\nBruno was here.")
    late = other.submit("draft-form", text_en=values["text_en"] + "\nDana was here.")
    assert late.status == 409
    assert "Bruno has changed the draft meanwhile." in late.main
    assert "Dana was here." in late.tree.query("#text_en")[0].to_text()
    assert "Bruno was here." in late.main
    again = late.submit("draft-form")
    assert again.status == 200
    assert "Dana was here." in again.tree.query("#text_en")[0].to_text()


@ONE_ENGINE
def test_a_name_is_taken_for_ever_and_a_bad_one_refused_with_what_was_typed(desk: Desk) -> None:
    for slug, words in (("specimen-1", "already"), ("Хартия", "small Latin letters"), ("", "small Latin letters")):
        page = desk.browser.get("/staff/editions/").submit("begin-form", slug=slug)
        assert page.status == 422
        assert words in page.main
        assert page.fields("begin-form")[1]["slug"] == slug
    page = drafted(desk)
    page = page.submit("drop-form")
    assert "The draft is put away." in page.main
    assert drafted(desk).status == 200


def test_a_draft_that_changes_after_the_proposal_is_no_longer_proposed(app: Flask, desk: Desk, dana: Desk) -> None:
    page = drafted(desk).submit("propose-form", reason="Clearer.")
    proposal = dana.browser.get(path_of(page))
    _, values = page.fields("draft-form")
    page.submit("draft-form", text_en=values["text_en"].replace("always", "never"))
    refused = proposal.submit("approve-form")
    assert refused.status in {409, 422}
    work(app)
    assert scalar(app, select(func.count()).select_from(Edition)) == 1


def test_nobody_publishes_alone(app: Flask, desk: Desk) -> None:
    page = drafted(desk).submit("propose-form", reason="Clearer.")
    proposal_id = int(path_of(page).strip("/").rpartition("/")[2])
    with app.app_context(), pytest.raises(SamePersonError):
        proposals.approve(proposal_id, staff_id=desk.id, now=now())
    work(app)
    assert scalar(app, select(func.count()).select_from(Edition)) == 1


# ── publishing ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_edition_is_public_with_its_leaf_and_not_a_moment_before(app: Flask, desk: Desk, dana: Desk) -> None:
    page = drafted(desk).submit("propose-form", reason="Clearer.")
    waiting = dana.browser.get(path_of(page))
    waiting.submit("approve-form")
    client = app.test_client()
    assert client.get(f"/en/charter/{NEW}/").status_code == 404
    assert EXTRA["en"].strip() not in client.get("/en/charter/").text
    work(app)
    leaf = leaves(app)[-1]
    assert (leaf["kind"], leaf["charter"]) == ("charter", NEW)
    assert EXTRA["en"].strip() in client.get("/en/charter/").text
    old = client.get("/en/charter/specimen-1/").text
    assert "This is an earlier edition." in old
    text = client.get(f"/charter/{NEW}/en.txt").data
    with app.app_context():
        edition = db.session.get_one(Edition, NEW)
        assert (edition.is_current, edition.is_specimen, edition.is_material) == (True, False, True)
        assert edition.follows == "specimen-1"
    draft = scalar(app, select(EditionDraft.state))
    assert draft == "published"
    changes = client.get(f"/en/charter/{NEW}/changes/").text
    assert "put in:" in changes
    assert "taken out:" in changes
    assert EXTRA["en"].strip().encode() in text
    assert client.get("/en/charter/specimen-1/changes/").status_code == 200
    api = client.get("/api/v1/editions").get_json()["data"]
    assert [(one["charter"], one["is_current"], one.get("follows")) for one in api] == [
        (NEW, True, "specimen-1"),
        ("specimen-1", False, None),
    ]


def test_whoever_fills_in_the_form_meanwhile_is_told_and_loses_no_word(
    app: Flask, desk: Desk, dana: Desk, observer: Observer
) -> None:
    form = observer.browser.get("/ru/sign/")
    published_edition(desk, dana)
    told = form.submit("sign-form", **observer.answers)
    assert told.status == 409
    assert "текст Хартии изменился" in told.main
    assert told.fields("sign-form")[1]["full_name"] == observer.answers["full_name"]
    assert told.submit("sign-form", **observer.answers).url.endswith("/sign/check-mail/")
    assert "/my/" in observer.confirm().url
    with app.app_context():
        assert json.loads(leaves_line(app))["charter"] == NEW


def leaves_line(app: Flask) -> bytes:
    line = db.session.scalars(select(Signature.application_line)).one()
    assert line is not None
    return bytes(line)


# ── affirming ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_confirms_the_former_text_after_the_round_is_asked_in_the_mail_that_comes_anyway(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    late = sign(app, address="late@example.org")
    at_once = sign(app, "Гүлнәр Сәрсен", "before@example.org")
    confirm(app, at_once)
    work(app)
    assert "new edition" not in text_of(mails(app)[-1])
    published_edition(desk, dana)
    for _ in range(4):
        clock.shift(2)
        work(app)
    assert scalar(app, select(AffirmationRound.ended_at)) is not None
    before = len(mails(app))
    assert confirm(app, late).outcome is Outcome.DONE
    work(app)
    (mail,) = mails(app)[before:]
    assert "жаңа редакция" in text_of(mail).lower() or "новая редакция" in text_of(mail).lower()
    assert affirm(app, late) is Outcome.DONE
    assert get(app, late).edition_slug == NEW


def test_after_a_material_change_everybody_who_stands_is_asked_once_and_may_affirm(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    amina = published(app, desk, clock, 1)
    silent = published(app, desk, clock, 2)
    waiting = confirmed(app, address="timur@example.org")
    gone = confirmed(app, address="gone@example.org")
    decide(app, gone, desk.id, "decline", "other")
    clock.shift(11)
    work(app)
    published_edition(desk, dana)
    for _ in range(4):
        clock.shift(2)
        work(app)
    asked = [
        mail for mail in mails(app) if "edition" in str(mail["Subject"]) or "редакц" in str(mail["Subject"]).lower()
    ]
    assert sorted(str(mail["To"]) for mail in asked) == ["p1@example.org", "p2@example.org", "timur@example.org"]
    assert "/my/" in text_of(asked[0])
    assert scalar(app, select(AffirmationRound.asked)) == 3
    assert scalar(app, select(AffirmationRound.ended_at)) is not None
    assert shown(app) == {"specimen-1": 2, NEW: 0}
    before = entry_row(app, amina)
    assert affirm(app, amina, browser=ELSEWHERE) is Outcome.CODE_NEEDED
    assert affirm(app, amina) is Outcome.DONE
    assert affirm(app, amina) is Outcome.ALREADY
    work(app)
    after = entry_row(app, amina)
    assert (after.number, after.rev, after.edition_slug, after.signed_on) == (before.number, 2, NEW, before.signed_on)
    assert json.loads(after.line or b"")["charter"] == NEW
    leaf = leaves(app, before.entry)[-1]
    assert (leaf["kind"], leaf["rev"]) == ("correct", 2)
    assert moves(app, amina)[-1] == "affirm"
    assert shown(app) == {"specimen-1": 1, NEW: 1}
    # Whoever waits writes no leaf, and is published with the new text.
    assert affirm(app, waiting) is Outcome.DONE
    work(app)
    assert [leaf["kind"] for leaf in leaves(app, get(app, waiting).entry)] == ["confirm"]
    decide(app, waiting, desk.id)
    clock.shift(11)
    work(app)
    assert entry_row(app, waiting).edition_slug == NEW
    assert entry_row(app, silent).edition_slug == "specimen-1"
    assert shown(app) == {"specimen-1": 1, NEW: 2}
    assert affirm(app, gone) is Outcome.NOT_POSSIBLE
    assert get(app, gone).state == State.DECLINED


def test_the_page_of_my_signature_shows_what_changed_and_affirms(
    app: Flask, desk: Desk, dana: Desk, observer: Observer
) -> None:
    page = observer.sign_and_confirm()
    assert "/my/affirm/" not in page.text
    published_edition(desk, dana)
    page = observer.browser.get("/en/my/")
    assert "/my/affirm/" in page.text, page.main
    page = observer.browser.get(page.href("/my/affirm/"))
    assert EXTRA["en"].strip() in page.main
    page = page.submit("affirm-form")
    assert "You have affirmed the new edition." in page.main
    assert "/my/affirm/" not in page.text
    assert "Later edition of the Charter affirmed" in page.main


@ONE_ENGINE
def test_after_an_editorial_change_nobody_is_asked(app: Flask, desk: Desk, dana: Desk, clock: Clock) -> None:
    amina = published(app, desk, clock, 1)
    published_edition(desk, dana, kind="editorial")
    work(app)
    assert scalar(app, select(func.count()).select_from(AffirmationRound)) == 0
    assert scalar(app, select(func.count()).select_from(Message).where(Message.kind == "affirm")) == 0
    assert entry_row(app, amina).edition_slug == "specimen-1"


@ONE_ENGINE
def test_an_editorial_edition_after_a_material_one_asks_about_what_is_signed_today(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    amina = published(app, desk, clock, 1)
    published_edition(desk, dana)
    published_edition(desk, dana, slug="charter-2028", kind="editorial", extra=dict.fromkeys(EXTRA, " А."))
    work(app)
    assert affirm(app, amina) is Outcome.NOT_POSSIBLE
    assert affirm(app, amina, slug="charter-2028") is Outcome.DONE
    work(app)
    assert entry_row(app, amina).edition_slug == "charter-2028"
    assert shown(app) == {"specimen-1": 0, NEW: 0, "charter-2028": 1}


@ONE_ENGINE
def test_a_mailbox_whose_owner_said_not_me_is_not_asked_while_it_is_stopped(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    mine = confirmed(app, "Әмина Оспанова")
    confirmed(app, address="other@example.org")
    foreign = sign(app, "Ерлан Бекенов")
    work(app)
    token, code = token_of(app, foreign)
    assert stop(app, token, code=code) is Outcome.DONE
    published_edition(desk, dana)
    for _ in range(3):
        clock.shift(2)
        work(app)
    told = scalar(app, select(func.count()).select_from(Message).where(Message.kind == "affirm"))
    sent = select(Message.signature_id).where(Message.kind == "affirm", Message.sent_at.is_not(None))
    assert told == 2
    assert scalar(app, sent) not in {None, mine}
    assert scalar(app, select(func.count()).select_from(sent.subquery())) == 1
    # Their own page asks all the same.
    assert affirm(app, mine) is Outcome.DONE


def test_a_character_that_no_database_keeps_costs_no_other_word(desk: Desk) -> None:
    page = desk.browser.get("/staff/editions/").submit("begin-form", slug=NEW)
    texts = changed(page.fields("draft-form")[1])
    page = page.submit("draft-form", **(texts | {"text_en": texts["text_en"] + "\0"}), kind="material")
    assert page.status == 200
    assert page.fields("draft-form")[1]["text_en"].strip() == texts["text_en"].strip()


@ONE_ENGINE
def test_two_editions_never_follow_the_same_one(app: Flask, desk: Desk, dana: Desk) -> None:
    first = drafted(desk, slug="charter-2027").submit("propose-form", reason="Clearer.")
    other = drafted(desk, slug="charter-2028", extra=dict.fromkeys(EXTRA, " А.")).submit(
        "propose-form", reason="Shorter."
    )
    waiting = [dana.browser.get(path_of(page)) for page in (first, other)]
    assert waiting[0].submit("approve-form").status == 200
    # Before the batch, and after it from a page that was open before.
    assert waiting[1].submit("approve-form").status == 409
    work(app)
    assert waiting[1].submit("approve-form").status == 409
    work(app)
    with app.app_context():
        found = db.session.execute(select(Edition.slug, Edition.follows).order_by(Edition.slug)).all()
        assert [tuple(row) for row in found] == [("charter-2027", "specimen-1"), ("specimen-1", None)]


@ONE_ENGINE
def test_a_step_of_asking_waits_while_its_mails_wait_and_never_asks_twice(
    app: Flask, desk: Desk, dana: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in range(3):
        confirmed(app, address=f"q{place}@example.org")
    page = drafted(desk).submit("propose-form", reason="Clearer.")
    dana.browser.get(path_of(page)).submit("approve-form")
    with app.app_context():
        publish_batch(now=now())
        monkeypatch.setattr(affirming, "MOST_WAITING", 2)
        assert affirming.ask_some(now=now())
        assert not affirming.ask_some(now=now()), "two of these mails wait"
        monkeypatch.setattr(affirming, "MOST_WAITING", 10)
        while affirming.ask_some(now=now()):
            pass
        assert db.session.scalar(select(func.count()).select_from(Message).where(Message.kind == "affirm")) == 3
        assert db.session.scalar(select(func.count()).select_from(Affirmation)) == 3
        db.session.rollback()


def test_two_workers_ask_everybody_once(app: Flask, desk: Desk, dana: Desk, clock: Clock) -> None:
    for place in range(6):
        confirmed(app, address=f"q{place}@example.org")
    page = drafted(desk).submit("propose-form", reason="Clearer.")
    dana.browser.get(path_of(page)).submit("approve-form")
    with app.app_context():
        publish_batch(now=now())

    def ask() -> None:
        affirming.ask_some(now=now())

    at_once(app, ask, ask, ask)
    asked = scalar(app, select(func.count()).select_from(Message).where(Message.kind == "affirm"))
    assert asked == 6


@ONE_ENGINE
def test_counters_of_editions_follow_whatever_becomes_of_an_entry(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    published(app, desk, clock, 1)
    published_edition(desk, dana)
    later = published(app, desk, clock, 2)
    assert affirm(app, later) is Outcome.DONE
    work(app)
    assert shown(app) == {"specimen-1": 1, NEW: 1}
    withdraw(app, later)
    work(app)
    assert shown(app) == {"specimen-1": 1, NEW: 0}
    kept = scalar(app, select(EditionCount.shown).where(EditionCount.edition_slug == NEW))
    assert kept == 0
    assert scalar(app, select(func.count()).select_from(LogEvent)) == 0
    assert editions.SUBJECT == queries.SUBJECT
