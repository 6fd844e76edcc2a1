"""The Centre's own settings: in every consent from then on, on every page, and at the minute that was set."""

from __future__ import annotations

from datetime import date

import pytest
from flask import Flask
from sqlalchemy import select
from time_machine import Traveller as Clock

from charter import centre
from charter.domain.centre import DaysOff
from charter.models.base import db
from charter.models.decision import Audit
from charter.models.edition import ConsentText
from charter.models.signature import SignatureConsent
from charter.queries import centre as queries
from charter.web import kept
from tests.operations.test_signing import get
from tests.pages import Browser, Page
from tests.people import Desk, Observer, mails, text_of, work

ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
WHO = {
    "name": "Тәуелсіз байқау орталығы",
    "bin": "971240001315",
    "address": "Астана, Бейбітшілік көшесі, 1",
    "email": "data@centre.example",
    "telephone": "+7 7172 00 00 00",
}
WHY = {"sentence_kk": "Қол қою жабық.", "sentence_ru": "Подписание закрыто.", "sentence_en": "Signing is closed."}


def set_identity(desk: Desk, **more: str) -> Page:
    return desk.browser.get("/staff/centre/").submit("identity-form", **(WHO | more))


def set_signing(desk: Desk, opening: str, **more: str) -> Page:
    return desk.browser.get("/staff/centre/").submit("signing-form", opening=opening, **(WHY | more))


def test_until_name_bin_and_contact_are_set_every_page_of_the_desk_says_so(app: Flask, desk: Desk) -> None:
    chloe = Desk(app, "Chloe", "chloe@example.org", role="auditor")
    assert "Nobody can see yet who you are" in desk.queue().main
    assert "/staff/centre/" in desk.queue().text
    assert "An administrator can set them." in chloe.queue().main
    assert set_identity(desk).status == 200
    work(app)
    assert "Nobody can see yet who you are" not in desk.queue().main


def test_what_is_set_stands_on_pages_and_in_the_consents_given_from_then_on(
    app: Flask, desk: Desk, observer: Observer
) -> None:
    observer.sign_and_confirm()
    set_identity(desk)
    client = app.test_client()
    assert WHO["name"] not in client.get("/ru/privacy/").text
    work(app)
    for words in (WHO["name"], WHO["bin"], WHO["address"], "data@centre.example, +7 7172 00 00 00"):
        assert words in client.get("/ru/privacy/").text
    other = Observer(app, full_name="Тимур Серікұлы", email="timur@example.org")
    form = other.browser.get("/ru/sign/")
    assert WHO["bin"] in form.main
    other.sign_and_confirm()
    assert WHO["name"] in text_of(mails(app)[-1])
    with app.app_context():
        bodies = db.session.execute(
            select(SignatureConsent.signature_id, ConsentText.body)
            .join(ConsentText, ConsentText.sha256 == SignatureConsent.text_sha256)
            .where(SignatureConsent.kind == "processing")
            .order_by(SignatureConsent.signature_id)
        ).all()
        db.session.rollback()
    assert [WHO["bin"] in body for _, body in bodies] == [False, True]


@ONE_ENGINE
def test_a_consent_that_was_not_read_is_not_given(
    app: Flask, desk: Desk, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "RECENT_SECONDS", 0.0)
    form = observer.browser.get("/ru/sign/")
    set_identity(desk)
    work(app)
    refused = form.submit("sign-form", **observer.answers)
    assert refused.status == 409
    assert "Тем временем тексты согласий изменились" in refused.main and WHO["bin"] in refused.main
    assert refused.fields("sign-form")[1]["full_name"] == observer.answers["full_name"]
    assert "check-mail" in refused.submit("sign-form").url
    with app.app_context():
        assert len(db.session.scalars(select(SignatureConsent)).all()) == 2
        db.session.rollback()


def test_every_process_sees_a_change_without_a_restart(make_app: object, desk: Desk, app: Flask) -> None:
    second = make_app()  # type: ignore[operator]
    second.test_client().get("/ru/about/")
    set_identity(desk)
    work(app)
    for one in (app, second):
        assert WHO["name"] in one.test_client().get("/ru/about/").text


@pytest.fixture(autouse=True)
def at_once_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A form that is sent is checked against the newest batch, not against that of a second ago."""
    monkeypatch.setattr(kept, "RECENT_SECONDS", 0.0)
    monkeypatch.setattr(centre, "RECENT_SECONDS", 0.0)


@ONE_ENGINE
def test_a_slip_in_the_bin_is_found_and_nothing_typed_is_lost(desk: Desk) -> None:
    for wrong in ("971240001316", "97124000131", "ABCDEFGHIJKL"):
        page = set_identity(desk, bin=wrong)
        assert page.status == 422
        assert "This is no BIN" in page.main
        values = page.fields("identity-form")[1]
        assert (values["bin"], values["name"]) == (wrong, WHO["name"])


@ONE_ENGINE
def test_whoever_sets_second_is_told_and_the_audit_has_before_and_after(app: Flask, desk: Desk) -> None:
    dana = Desk(app, "Dana", "dana@example.org")
    late = dana.browser.get("/staff/centre/")
    set_identity(desk)
    told = late.submit("identity-form", **(WHO | {"name": "Басқа орталық"}))
    assert told.status == 409
    assert "Bruno has changed this meanwhile" in told.main
    assert told.fields("identity-form")[1]["name"] == "Басқа орталық"
    assert told.submit("identity-form").status == 200
    with app.app_context():
        lines = db.session.scalars(select(Audit).where(Audit.action == "centre-identity").order_by(Audit.id)).all()
        assert [(one.before, one.after) for one in lines][1] == ({"name": WHO["name"]}, {"name": "Басқа орталық"})
        db.session.rollback()


@ONE_ENGINE
def test_only_an_administrator_may_set_anything(app: Flask) -> None:
    for role in ("reviewer", "editor", "auditor"):
        colleague = Desk(app, "Chloe", f"{role}@example.org", role=role)
        assert colleague.browser.get("/staff/centre/").status == 403


def test_a_closed_form_takes_nothing_keeps_what_was_typed_and_says_why(
    app: Flask, desk: Desk, observer: Observer
) -> None:
    earlier = Observer(app, full_name="Тимур Серікұлы", email="timur@example.org")
    earlier.sign()
    form = observer.browser.get("/ru/sign/")
    set_signing(desk, "closed")
    work(app)
    refused = form.submit("sign-form", **observer.answers)
    assert refused.status == 409
    assert WHY["sentence_ru"] in refused.main
    assert refused.fields("sign-form")[1]["full_name"] == observer.answers["full_name"]
    client = app.test_client()
    assert 'id="sign-form"' not in client.get("/ru/sign/").text
    home = client.get("/ru/").text
    assert WHY["sentence_ru"] in home
    assert 'class="button" href="/ru/sign/"' not in home
    said = client.get("/api/v1/statistics").get_json()["data"]["signing"]
    assert said == {"is_open": False, "sentence": {name[-2:]: words for name, words in WHY.items()}}
    # What was signed before is confirmed and reviewed.
    assert "/my/" in earlier.confirm().url
    set_signing(desk, "open")
    work(app)
    assert refused.submit("sign-form", **observer.answers).url.endswith("/sign/check-mail/")


def test_signing_opens_and_closes_at_its_minute_everywhere(
    app: Flask, desk: Desk, observer: Observer, clock: Clock
) -> None:
    # It is 14:00 in Astana.
    set_signing(desk, "window", opens_at="2026-11-20T15:00", closes_at="2026-11-20T16:00")
    work(app)
    client = app.test_client()

    def opened() -> tuple[bool, bool, bool]:
        work(app)
        work(app)
        return (
            'class="button" href="/ru/sign/"' in client.get("/ru/").text,
            'id="sign-form"' in client.get("/ru/sign/").text,
            client.get("/api/v1/statistics").get_json()["data"]["signing"]["is_open"],
        )

    assert opened() == (False, False, False)
    clock.shift(3600)
    assert opened() == (True, True, True)
    assert observer.sign().url.endswith("/sign/check-mail/")
    clock.shift(3600)
    assert opened() == (False, False, False)
    assert Browser(app).get("/ru/sign/").status == 200


@ONE_ENGINE
def test_a_window_needs_its_moments_in_order_and_a_sentence_in_each_language(desk: Desk) -> None:
    page = set_signing(desk, "window", opens_at="2026-12-02T10:00", closes_at="2026-12-01T10:00")
    assert "The end comes after the beginning" in page.main
    assert "Give at least one of the two moments" in set_signing(desk, "window").main
    # A year that no clock tells would end every page that says it.
    for moments in ({"opens_at": "0001-01-01T00:00"}, {"closes_at": "9999-12-31T23:59"}):
        page = set_signing(desk, "window", **moments)
        assert page.status == 422 and "Write the moment as" in page.main
        assert page.fields("signing-form")[1].items() >= moments.items()
    page = set_signing(desk, "closed", sentence_kk=" ")
    assert page.status == 422
    assert page.fields("signing-form")[1]["sentence_ru"].strip() == WHY["sentence_ru"]


def test_days_off_move_the_days_to_come_and_leave_those_that_were_given(
    app: Flask, desk: Desk, observer: Observer
) -> None:
    observer.sign_and_confirm()
    page = desk.browser.get("/staff/centre/").submit("days-form", added="2026-11-24\n2026-11-25")
    assert page.status == 200
    other = Observer(app, full_name="Тимур Серікұлы", email="timur@example.org")
    other.sign_and_confirm()
    assert get(app, 1).due_on == date(2026, 11, 27)
    assert get(app, 2).due_on == date(2026, 12, 1)
    with app.app_context():
        assert queries.find_settings().days_off == DaysOff(added=frozenset({date(2026, 11, 24), date(2026, 11, 25)}))
        db.session.rollback()


@ONE_ENGINE
def test_days_off_that_are_free_anyway_or_no_days_are_refused_with_what_was_typed(desk: Desk) -> None:
    for field, typed, words in (
        ("added", "2026-11-21", "free anyway"),
        ("added", "morgen", "Write each day as"),
        ("removed", "2026-11-24", "not in the list"),
    ):
        page = desk.browser.get("/staff/centre/").submit("days-form", **{field: typed})
        assert page.status == 422
        assert words in page.main
        assert page.fields("days-form")[1][field].strip() == typed
