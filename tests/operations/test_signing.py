"""The observer's verbs: who is the same person, what is stored, what a correction or a withdrawal moves."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from time_machine import Traveller as Clock

from charter import shipped
from charter.domain import token as tokens
from charter.domain.email import clean_email
from charter.domain.errors import FieldRefusedError, MoveRefusedError
from charter.domain.name import clean_name
from charter.models.base import db
from charter.models.edition import ConsentText
from charter.models.log import LogLeaf
from charter.models.outbox import Message
from charter.models.registry import PublicEntry
from charter.models.signature import Link, Signature, SignatureConsent, SignatureEvent
from charter.operations import proving, review, signing
from charter.operations.proving import Outcome, Proof, Result
from charter.operations.sign_steps import GivenConsent, NewSignature
from charter.operations.steps import Details
from tests.pages import Browser
from tests.people import Desk, Observer, code_in, link_in, mails, text_of, work

HERE = hashlib.sha256(b"the browser that signed").digest()
ELSEWHERE = hashlib.sha256(b"another browser").digest()
DETAILS = Details(
    kind="independent",
    full_name="Әмина Оспанова",
    short_name="Әмина О.",
    display="full",
    affiliation_slug=None,
    affiliation_text=None,
    region_code="KZ-75",
)


# ── the verbs without the pages ──────────────────────────────────────────────────────────────────────────────────────


def now() -> datetime:
    return datetime.now(UTC)


def key_of(app: Flask) -> bytes:
    return str(app.config["CHARTER"].secret_key).encode()


def sign(app: Flask, name: str = "Әмина Оспанова", address: str = "amina@example.org", **more: Any) -> int:
    """Signs and returns the new row's id."""
    new = NewSignature(
        details=replace(DETAILS, full_name=clean_name(name), **more),
        email=clean_email(address),
        language="ru",
        signed_language="ru",
        consents=tuple(
            GivenConsent(kind, hashlib.sha256(kind.encode()).hexdigest(), kind)
            for kind in ("processing", "publication")
        ),
    )
    with app.app_context():
        signing.sign(
            new,
            key=key_of(app),
            edition_slug="specimen-1",
            browser_digest=HERE,
            confirm_link_days=7,
            people_per_mailbox=3,
            now=now(),
        )
        return db.session.scalars(select(func.max(Signature.id))).one()


def confirm(app: Flask, signature_id: int, *, browser: bytes | None = HERE, code: str | None = None) -> Result:
    """Confirms by the link that was or will be mailed."""
    with app.app_context():
        uid = db.session.scalars(select(Link.uid).filter_by(signature_id=signature_id, purpose="confirm")).one()
        return signing.confirm(
            tokens.token(key_of(app), "confirm", uid),
            proof=Proof(browser, code),
            key=key_of(app),
            code_tries=5,
            answer_due_working_days=5,
            holidays=shipped.holidays(),
            now=now(),
        )


def confirmed(app: Flask, name: str = "Әмина Оспанова", address: str = "amina@example.org", **more: Any) -> int:
    """A confirmed application; its id."""
    signature_id = sign(app, name, address, **more)
    assert confirm(app, signature_id).outcome is Outcome.DONE
    return signature_id


def decide(app: Flask, signature_id: int, staff_id: int, action: str = "approve", reason: str | None = None) -> int:
    """Decides on what stands now; the id of the decision."""
    version = get(app, signature_id).version
    with app.app_context():
        return review.decide(
            signature_id,
            action=action,
            expected_version=version,
            reason=reason,
            note=None,
            staff_id=staff_id,
            undo_seconds=10,
            now=now(),
        )


def withdraw(app: Flask, signature_id: int, *, browser: bytes | None = HERE, code: str | None = None) -> Outcome:
    with app.app_context():
        return signing.withdraw(
            signature_id, proof=Proof(browser, code), key=key_of(app), code_tries=5, now=now()
        ).outcome


def request_code(app: Flask, signature_id: int) -> bool:
    with app.app_context():
        return proving.request_code(signature_id, key=key_of(app), code_minutes=30, now=now())


def get(app: Flask, signature_id: int) -> Signature:
    """The row as it stands now."""
    with app.app_context():
        row = db.session.get_one(Signature, signature_id)
        db.session.expunge(row)
        db.session.rollback()
        return row


def moves(app: Flask, signature_id: int) -> list[str]:
    """The history of one signature."""
    with app.app_context():
        return list(
            db.session.scalars(
                select(SignatureEvent.move).filter_by(signature_id=signature_id).order_by(SignatureEvent.id)
            )
        )


def leaves(app: Flask, entry: str | None = None) -> list[dict[str, Any]]:
    """The log, or what it tells of one entry."""
    with app.app_context():
        told = [json.loads(data) for data in db.session.scalars(select(LogLeaf.data).order_by(LogLeaf.index))]
    return [one for one in told if entry is None or one.get("entry") == entry]


def subjects(app: Flask) -> list[str]:
    return [str(mail["Subject"]) for mail in mails(app)]


# ── who is the same person ───────────────────────────────────────────────────────────────────────────────────────────


def test_confirming_the_newest_of_two_expires_the_older(app: Flask, clock: Clock) -> None:
    older = sign(app, region_code="KZ-75")
    newer = sign(app, region_code="KZ-71")
    assert confirm(app, newer).outcome is Outcome.DONE
    assert get(app, older).state == "expired"
    assert moves(app, older) == ["sign", "expire"]
    assert get(app, newer).state == "confirmed"
    assert get(app, newer).region_code == "KZ-71"
    assert confirm(app, older).outcome is Outcome.EXPIRED
    work(app)
    assert len(mails(app)) == 1, "only the mail that says the newer one is confirmed is still needed"


def test_confirming_the_older_of_two_expires_the_newer(app: Flask, clock: Clock) -> None:
    older, newer = sign(app), sign(app)
    assert confirm(app, older).outcome is Outcome.DONE
    assert [get(app, one).state for one in (older, newer)] == ["confirmed", "expired"]


def without_ids(text: str) -> str:
    """A page without what differs between any two answers."""
    return re.sub(r'name="csrf_token"[^>]*value="[^"]*"', "", text)


def whole_answer(app: Flask, **answers: str) -> list[Any]:
    """Everything that somebody at a new browser gets for signing: both answers with status, headers and body."""
    person = Observer(app, **answers)
    page = person.browser.get("/ru/sign/")
    url, values = page.fields("sign-form")
    first = person.browser.client.post(url, data=values | person.answers)
    second = person.browser.client.get(first.headers["Location"])
    told = []
    for answer in (first, second):
        headers = []
        for name, value in answer.headers:
            if name == "Set-Cookie":
                value = re.sub(r"^([^=]+)=[^;]*", r"\1=", value)
                value = re.sub(r"Expires=[^;]*", "Expires", value)
            elif name == "X-Request-Id":
                value = str(len(value))
            headers.append((name, value))
        told.append((answer.status, sorted(headers), without_ids(answer.text)))
    return told


def test_signing_again_looks_the_same_from_outside_at_every_stage(
    app: Flask, observer: Observer, desk: Desk, clock: Clock
) -> None:
    answers = {name: str(observer.answers[name]) for name in ("full_name", "email")}
    stranger = whole_answer(app, full_name="Куат Бөтен", email="kuat@example.org")
    assert stranger[0][0] == "303 SEE OTHER"
    waiting = whole_answer(app, full_name="Куат Бөтен", email="kuat@example.org")
    assert waiting == stranger, "waiting for confirmation"
    assert observer.sign_and_confirm().url.startswith("/ru/my/")
    assert whole_answer(app, **answers) == stranger, "confirmed"
    with app.app_context():
        signature_id = db.session.scalars(select(Signature.id).filter_by(state="confirmed")).one()
    decide(app, signature_id, desk.id)
    clock.shift(11)
    work(app)
    assert get(app, signature_id).state == "published"
    assert whole_answer(app, **answers) == stranger, "published"
    withdraw(app, signature_id, browser=get(app, signature_id).browser_digest)
    work(app)
    assert whole_answer(app, **answers) == stranger, "withdrawn"


def test_signing_again_after_confirmation_mails_the_personal_link_and_changes_nothing(app: Flask, clock: Clock) -> None:
    first = confirmed(app)
    work(app)
    again = sign(app)
    work(app)
    mail = mails(app)[-1]
    assert mail["Subject"] == "Вы уже подписали Хартию"
    mine = Browser(app).get(link_in(mail, "/my/"))
    assert "Әмина Оспанова" in mine.main
    assert "/confirm/" not in text_of(mail)
    assert get(app, first).state == "confirmed"
    assert confirm(app, again).outcome is Outcome.ALREADY
    assert get(app, again).state == "expired"


def test_the_mail_is_chosen_when_it_leaves_not_when_it_is_queued(app: Flask, clock: Clock) -> None:
    first, again = sign(app), sign(app)
    assert confirm(app, first).outcome is Outcome.DONE
    work(app)
    assert get(app, again).state == "expired"
    assert subjects(app) == ["Ваша заявка получена"]


SAME = [
    ("Әмина Оспанова", "әмина  ОСПАНОВА"),
    ("Йолдыз Ёлкина", unicodedata.normalize("NFD", "Йолдыз Ёлкина")),
    ("Straße Weiß", "STRASSE WEISS"),
    ("José Ángel", unicodedata.normalize("NFD", "josé ángel")),
]
OTHERS = [("Әмина Оспанова", "Амина Оспанова"), ("Ким", "Ким Б"), ("Оспанова Әмина", "Әмина Оспанова")]


def test_form_case_and_spaces_do_not_make_another_person(app: Flask, clock: Clock) -> None:
    for place, (one, other) in enumerate(SAME):
        first = confirmed(app, one, f"p{place}@example.org")
        assert confirm(app, sign(app, other, f"P{place}@Example.ORG")).outcome is Outcome.ALREADY, other
        assert get(app, first).state == "confirmed"


def test_other_letters_or_another_order_make_another_person(app: Flask, clock: Clock) -> None:
    for place, (one, other) in enumerate(OTHERS):
        confirmed(app, one, f"p{place}@example.org")
        assert confirm(app, sign(app, other, f"p{place}@example.org")).outcome is Outcome.DONE


def test_tags_and_dots_make_another_mailbox(app: Flask, clock: Clock) -> None:
    confirmed(app, address="amina@example.org")
    for address in ("amina+1@example.org", "a.mina@example.org", "amina@example.com"):
        assert confirm(app, sign(app, address=address)).outcome is Outcome.DONE


# ── several people behind one address ────────────────────────────────────────────────────────────────────────────────


def test_the_fourth_person_of_a_mailbox_is_set_aside_silently_and_can_be_let_through(app: Flask, clock: Clock) -> None:
    people = ["Бірінші Адам", "Екінші Адам", "Үшінші Адам"]
    answers = [whole_answer(app, full_name=name, email="office@example.org") for name in people]
    fourth = whole_answer(app, full_name="Төртінші Адам", email="office@example.org")
    assert fourth == answers[0] == answers[1] == answers[2]
    work(app)
    assert len(mails(app)) == 3, "the one set aside gets no mail"
    with app.app_context():
        held = db.session.scalars(select(Signature).filter_by(held=True)).one()
        assert held.full_name == "Төртінші Адам"
        held_id = held.id
    assert confirm(app, held_id, browser=held.browser_digest).outcome is Outcome.UNKNOWN
    # Not a new person: signing once more under a name of the three is never set aside.
    assert not get(app, sign(app, "бірінші  адам", "office@example.org")).held

    clock.shift(3 * 86_400)
    page = Desk(app, "Bruno", "bruno@example.org").browser.get("/staff/?state=held")
    assert "Төртінші Адам" in page.main
    after = page.browser.get(page.href("/staff/review/")).submit(at="/release")
    assert "Төртінші Адам" not in after.main
    before = len(mails(app))
    work(app)
    released = [mail for mail in mails(app)[before:] if "/confirm/" in text_of(mail)]
    assert code_in(released[-1])
    clock.shift(6 * 86_400)
    assert confirm(app, held_id, browser=held.browser_digest).outcome is Outcome.DONE, "the link counts from release"


def test_people_who_never_confirmed_make_room_after_the_life_of_their_link(app: Flask, clock: Clock) -> None:
    for name in ("Бірінші Адам", "Екінші Адам", "Үшінші Адам"):
        sign(app, name, "office@example.org")
    assert get(app, sign(app, "Төртінші Адам", "office@example.org")).held
    clock.shift(7 * 86_400 + 1)
    assert not get(app, sign(app, "Бесінші Адам", "office@example.org")).held


# ── what is stored ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("lang", ["kk", "ru", "en"])
def test_consents_are_kept_with_the_digest_of_exactly_what_the_page_showed(
    app: Flask, observer: Observer, clock: Clock, lang: str
) -> None:
    page = observer.browser.get(f"/{lang}/sign/")
    shown = [
        "\n".join(paragraph.to_text() for paragraph in box.query("p")) for box in page.tree.query("details.consent")
    ]
    began = now()
    observer.sign(lang=lang, language="en")
    with app.app_context():
        kept = db.session.scalars(select(SignatureConsent).order_by(SignatureConsent.kind)).all()
        assert [one.kind for one in kept] == ["processing", "publication"]
        assert [one.text_sha256 for one in kept] == [hashlib.sha256(text.encode()).hexdigest() for text in shown]
        assert {one.language for one in kept} == {lang}
        assert all(began <= one.given_at <= now() for one in kept)
        bodies = {row.sha256: row.body for row in db.session.scalars(select(ConsentText))}
        assert [bodies[one.text_sha256] for one in kept] == shown
        row = db.session.scalars(select(Signature)).one()
        assert (row.signed_language, row.language) == (lang, "en")


def test_a_region_or_affiliation_that_cannot_be_chosen_stores_nothing(app: Flask, clock: Clock) -> None:
    for changes, field in (
        ({"region_code": "KZ-00"}, "region"),
        ({"kind": "party"}, "affiliation"),
        ({"kind": "international"}, "affiliation"),
        ({"kind": "party", "affiliation_slug": "no-such-party"}, "affiliation"),
        ({"kind": "independent", "affiliation_slug": "auyl"}, "affiliation"),
    ):
        with pytest.raises(FieldRefusedError) as refused:
            sign(app, **changes)
        assert refused.value.field == field
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Signature)) == 0
        assert db.session.scalar(select(func.count()).select_from(Message)) == 0


# ── confirming ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_confirming_twice_says_already_and_queues_nothing_more(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    assert confirm(app, signature_id).outcome is Outcome.ALREADY
    work(app)
    assert [leaf["kind"] for leaf in leaves(app, get(app, signature_id).entry)] == ["confirm"]
    assert len(mails(app)) == 1


def test_five_wrong_codes_are_counted_and_an_empty_one_is_not(app: Flask, clock: Clock) -> None:
    signature_id = sign(app)
    with app.app_context():
        uid = db.session.scalars(select(Link.uid)).one()
    right = tokens.code(key_of(app), "confirm", uid)
    wrong = f"{(int(right) + 1) % 10**6:06d}"
    for _ in range(10):
        assert confirm(app, signature_id, browser=None, code=" ").outcome is Outcome.CODE_NEEDED
    left = [confirm(app, signature_id, browser=ELSEWHERE, code=wrong).tries_left for _ in range(4)]
    assert left == [4, 3, 2, 1]
    assert confirm(app, signature_id, browser=ELSEWHERE, code=wrong).outcome is Outcome.TRIES_USED_UP
    assert confirm(app, signature_id, browser=ELSEWHERE, code=right).outcome is Outcome.TRIES_USED_UP
    assert get(app, signature_id).state == "submitted"


def test_a_confirmation_link_works_for_seven_days_and_not_a_second_longer(app: Flask, clock: Clock) -> None:
    in_time, late = sign(app, address="in-time@example.org"), sign(app, address="late@example.org")
    clock.shift(7 * 86_400 - 60)
    assert confirm(app, in_time).outcome is Outcome.DONE
    clock.shift(60)
    assert confirm(app, late).outcome is Outcome.EXPIRED
    assert get(app, late).state == "submitted"


# ── correcting and answering ─────────────────────────────────────────────────────────────────────────────────────────


def correct(app: Flask, signature_id: int, **changes: str) -> None:
    with app.app_context():
        signing.correct(signature_id, replace(DETAILS, **changes), now=now())


def test_a_correction_changes_what_is_published_but_neither_the_day_nor_the_confirm_leaf(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    signature_id = confirmed(app)
    work(app)
    before = get(app, signature_id)
    assert before.application_line is not None
    clock.shift(86_400)
    correct(app, signature_id, full_name="Әмина Серікқызы Оспанова", region_code="KZ-71")
    after = get(app, signature_id)
    assert after.due_on == before.due_on
    assert after.application_line == before.application_line
    assert after.version == before.version + 1
    decide(app, signature_id, desk.id)
    clock.shift(11)
    work(app)
    told = leaves(app, before.entry)
    assert [one["kind"] for one in told] == ["confirm", "publish"]
    assert told[0]["commit"] == hashlib.sha256(before.application_line).hexdigest()
    assert told[0]["due"] == str(before.due_on)
    with app.app_context():
        public = db.session.scalars(select(PublicEntry)).one()
        assert (public.name, public.region_code) == ("Әмина Серікқызы Оспанова", "KZ-71")
        assert public.line is not None
        assert told[1]["commit"] == hashlib.sha256(public.line).hexdigest()


def test_saving_what_stands_already_leaves_no_trace(app: Flask, observer: Observer, clock: Clock) -> None:
    observer.sign_and_confirm(kind="party", party="auyl", display="short", short_name="Әмина О.")
    with app.app_context():
        signature_id = db.session.scalars(select(Signature.id)).one()
    before = get(app, signature_id)
    for lang in ("ru", "kk", "en"):
        page = observer.browser.get(f"/{lang}/my/edit/")
        page.submit(at="/my/edit/")
    after = get(app, signature_id)
    assert after.version == before.version
    assert moves(app, signature_id) == ["sign", "confirm"]


def test_nothing_can_be_corrected_once_it_is_decided(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    decide(app, signature_id, desk.id)
    with pytest.raises(MoveRefusedError):
        correct(app, signature_id, region_code="KZ-71")
    assert get(app, signature_id).region_code == "KZ-75"


def test_an_answer_returns_the_application_to_the_queue_with_the_same_day(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    due_on = get(app, signature_id).due_on
    with app.app_context(), pytest.raises(MoveRefusedError):
        signing.answer(signature_id, "Меня не спрашивали.", now=now())
    decide(app, signature_id, desk.id, "ask", "region-unclear")
    clock.shift(11)
    assert "Nothing waits" in desk.queue().main
    with app.app_context():
        signing.answer(signature_id, "Город Алматы.", now=now())
    row = get(app, signature_id)
    assert (row.state, row.due_on) == ("confirmed", due_on)
    queue = desk.queue().main
    assert "Әмина Оспанова" in queue
    assert "answered" in queue
    with app.app_context(), pytest.raises(MoveRefusedError):
        signing.answer(signature_id, "Ещё раз.", now=now())


# ── codes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def last_code(app: Flask) -> str:
    work(app)
    return code_in(mails(app)[-1])


def count_codes(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(Link).where(Link.purpose == "act")) or 0


def test_codes_come_once_a_minute_and_five_times_a_day(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    for place in range(5):
        assert request_code(app, signature_id)
        assert request_code(app, signature_id), "a second request within the minute is answered alike"
        assert count_codes(app) == place + 1
        clock.shift(61)
    assert not request_code(app, signature_id)
    clock.shift(86_400)
    assert request_code(app, signature_id)
    assert count_codes(app) == 6


def test_an_old_code_is_dead_after_a_newer_one(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    request_code(app, signature_id)
    old = last_code(app)
    clock.shift(61)
    request_code(app, signature_id)
    new = last_code(app)
    assert old != new
    assert withdraw(app, signature_id, browser=ELSEWHERE, code=old) is Outcome.CODE_WRONG
    assert withdraw(app, signature_id, browser=ELSEWHERE, code=new) is Outcome.DONE


def test_a_code_is_dead_after_thirty_minutes(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    request_code(app, signature_id)
    code = last_code(app)
    clock.shift(30 * 60)
    assert withdraw(app, signature_id, browser=None, code=code) is Outcome.CODE_NEEDED
    assert get(app, signature_id).state == "confirmed"


def test_a_code_is_used_once_and_opens_no_other_signature(app: Flask, clock: Clock) -> None:
    first, second = confirmed(app), confirmed(app, "Ерлан Бекенов")
    request_code(app, first)
    code = last_code(app)
    assert withdraw(app, second, browser=ELSEWHERE, code=code) is Outcome.CODE_NEEDED
    assert withdraw(app, first, browser=ELSEWHERE, code=code) is Outcome.DONE
    with app.app_context():
        assert db.session.scalars(select(Link.used_at).where(Link.purpose == "act")).one() is not None
    assert withdraw(app, first, browser=ELSEWHERE, code=code) is Outcome.NOT_POSSIBLE


# ── withdrawing ──────────────────────────────────────────────────────────────────────────────────────────────────────


def bring_to(app: Flask, desk: Desk, clock: Clock, state: str) -> int:
    """A signature in this state."""
    signature_id = confirmed(app)
    if state == "clarification":
        decide(app, signature_id, desk.id, "ask", "region-unclear")
    elif state != "confirmed":
        decide(app, signature_id, desk.id)
    if state in {"approved after the seconds", "published"}:
        clock.shift(11)
    if state == "published":
        work(app)
    return signature_id


@pytest.mark.parametrize(
    ("state", "kinds"),
    [
        ("confirmed", ["confirm", "withdraw"]),
        ("clarification", ["confirm", "withdraw"]),
        ("approved", ["confirm", "withdraw"]),
        ("approved after the seconds", ["confirm", "withdraw"]),
        ("published", ["confirm", "publish", "withdraw"]),
    ],
)
def test_withdrawing_leaves_these_leaves_and_destroys_the_application_line(
    app: Flask, desk: Desk, clock: Clock, state: str, kinds: list[str]
) -> None:
    signature_id = bring_to(app, desk, clock, state)
    entry = get(app, signature_id).entry
    assert get(app, signature_id).application_line is not None
    assert withdraw(app, signature_id) is Outcome.DONE
    clock.shift(60)
    work(app)
    row = get(app, signature_id)
    assert row.state == "withdrawn"
    assert row.ended_at is not None
    assert row.application_line is None
    assert [leaf["kind"] for leaf in leaves(app, entry)] == kinds
    assert moves(app, signature_id)[-1] == "withdraw"
    assert subjects(app)[-1] == "Ваша подпись отозвана"
    assert sum(subject == "Ваша подпись отозвана" for subject in subjects(app)) == 1
    assert withdraw(app, signature_id) is Outcome.NOT_POSSIBLE
    with app.app_context():
        public = db.session.scalars(select(PublicEntry)).all()
        assert [(one.name, one.line, one.ended_by) for one in public] == (
            [(None, None, "signatory")] if state == "published" else []
        )


def test_a_question_that_is_on_its_way_is_cancelled_by_withdrawing(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    work(app)
    decide(app, signature_id, desk.id, "ask", "region-unclear")
    withdraw(app, signature_id)
    clock.shift(60)
    work(app)
    assert subjects(app) == ["Ваша заявка получена", "Ваша подпись отозвана"]


def test_one_who_never_confirmed_has_no_door_to_withdraw_by(app: Flask, observer: Observer) -> None:
    observer.sign()
    work(app)
    token = link_in(observer.mail(), "/confirm/").rpartition("/")[2]
    for path in (f"/ru/my/{token}", "/ru/my/", "/ru/my/withdraw/"):
        assert observer.browser.get(path).status == 403
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Link).where(Link.purpose == "personal")) == 0


def test_a_declined_application_cannot_be_withdrawn(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    decide(app, signature_id, desk.id, "decline", "duplicate")
    assert withdraw(app, signature_id) is Outcome.NOT_POSSIBLE
    clock.shift(11)
    work(app)
    assert withdraw(app, signature_id) is Outcome.NOT_POSSIBLE
    assert [leaf["kind"] for leaf in leaves(app, get(app, signature_id).entry)] == ["confirm", "refuse"]


def test_whoever_withdrew_may_sign_again_as_a_new_entry(app: Flask, desk: Desk, clock: Clock) -> None:
    first = bring_to(app, desk, clock, "published")
    withdraw(app, first)
    work(app)
    second = confirmed(app)
    decide(app, second, desk.id)
    clock.shift(11)
    work(app)
    assert get(app, first).entry != get(app, second).entry
    assert [get(app, one).number for one in (first, second)] == [1, 2]


def test_the_day_of_the_answer_is_counted_in_astana(app: Flask, clock: Clock) -> None:
    clock.move_to(datetime(2026, 11, 22, 18, 59, 50, tzinfo=UTC), tick=False)  # still Sunday there
    sunday = confirmed(app, address="sunday@example.org")
    clock.move_to(datetime(2026, 11, 22, 19, 0, 0, tzinfo=UTC) + timedelta(seconds=1), tick=False)
    monday = confirmed(app, address="monday@example.org")
    assert get(app, sunday).due_on == date(2026, 11, 27)
    assert get(app, monday).due_on == date(2026, 11, 30)
