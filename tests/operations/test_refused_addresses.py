""" "This was not me" from somebody whose address another person wants to be written to at."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from time_machine import Traveller as Clock

from charter.domain import token as tokens
from charter.models import terms
from charter.models.base import db
from charter.models.limits import MailboxTally
from charter.models.rights import AddressChange
from charter.operations import addresses
from charter.operations.proving import Outcome, Proof
from tests.operations.test_addresses import NEW, OLD, agree, begin, to, token_of
from tests.operations.test_signing import HERE, confirmed, get, key_of, now, sign
from tests.pages import Browser
from tests.people import Observer, code_in, link_in, work

ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


def refuse(app: Flask, token: str, *, browser: bytes | None = None, code: str | None = None) -> Outcome:
    with app.app_context():
        return addresses.refuse(
            token, proof=Proof(browser, code), key=key_of(app), code_tries=5, stop_days=365, now=now()
        ).outcome


def stopped(app: Flask) -> int:
    with app.app_context():
        return len(db.session.scalars(select(MailboxTally).where(MailboxTally.stopped_until.is_not(None))).all())


def code_of(app: Flask, signature_id: int) -> str:
    """Of the mail to the new address."""
    with app.app_context():
        change = db.session.scalars(select(AddressChange).filter_by(signature_id=signature_id)).one()
        return tokens.code(key_of(app), "address-new", change.new_uid)


@pytest.mark.parametrize("lang", ["kk", "ru", "en"])
def test_whoever_is_written_to_for_somebody_else_ends_it_with_the_code_of_the_mail(
    app: Flask, observer: Observer, clock: Clock, lang: str
) -> None:
    observer.answers["language"] = lang
    observer.sign_and_confirm()
    observer.browser.get("/ru/my/address/").submit("address-form", email=NEW)
    work(app)
    (mail,) = to(app, NEW)
    stranger = Browser(app)
    page = stranger.get(link_in(mail, "/not-me/"))
    assert page.tree.query("html")[0].attrs["lang"] == lang
    assert page.submit("not-me-form").status == 422
    assert page.submit("not-me-form", code="000000").status == 422
    assert stopped(app) == 0
    done = page.submit("not-me-form", code=code_in(mail))
    assert done.status == 200
    for seen in (page, done):
        assert "Оспанова" not in seen.text
        assert OLD not in seen.text
    assert stopped(app) == 1
    assert stranger.get(link_in(mail, "/my/address/")).status == 404
    assert stranger.get(link_in(mail, "/not-me/")).status == 404
    # The signatory is where they were, and whoever tries again makes us write nothing more.
    assert NEW not in observer.browser.get("/ru/my/").main
    observer.browser.get("/ru/my/address/").submit("address-form", email=NEW)
    clock.shift(16 * 60)
    work(app)
    assert len(to(app, NEW)) == 1


def test_refusing_ends_what_others_signed_with_that_mailbox_and_nothing_else(app: Flask, clock: Clock) -> None:
    signature_id, foreign = confirmed(app), sign(app, "Ерлан Бекенов", NEW)
    begin(app, signature_id, NEW)
    assert refuse(app, token_of(app, signature_id, "new"), code=code_of(app, signature_id)) is Outcome.DONE
    assert [get(app, one).state for one in (signature_id, foreign)] == ["confirmed", "expired"]
    assert get(app, signature_id).email == OLD
    assert agree(app, token_of(app, signature_id, "old")).outcome is Outcome.EXPIRED


@ONE_ENGINE
def test_only_the_code_counts_and_only_from_the_new_address(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    begin(app, signature_id, NEW)
    token, code = token_of(app, signature_id, "new"), code_of(app, signature_id)
    # The signing browser is of whoever typed the address, not of who reads its mail.
    assert refuse(app, token, browser=HERE) is Outcome.CODE_NEEDED
    assert refuse(app, token_of(app, signature_id, "old"), code=code) is Outcome.UNKNOWN
    for unknown in ("A" * 43, "", "\ud800"):
        assert refuse(app, unknown, code=code) is Outcome.UNKNOWN
    wrong = "000000" if code != "000000" else "111111"
    for _ in range(5):
        refuse(app, token, code=wrong)
    assert refuse(app, token, code=code) is Outcome.TRIES_USED_UP
    assert agree(app, token, browser=None, code=code).outcome is Outcome.TRIES_USED_UP, "counted together"
    assert stopped(app) == 0


@ONE_ENGINE
def test_who_has_agreed_cannot_refuse_any_more(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    begin(app, signature_id, NEW)
    token, code = token_of(app, signature_id, "new"), code_of(app, signature_id)
    agree(app, token)
    assert refuse(app, token, code=code) is Outcome.ALREADY
    agree(app, token_of(app, signature_id, "old"))
    assert refuse(app, token, code=code) is Outcome.EXPIRED
    assert stopped(app) == 0
    assert get(app, signature_id).email == NEW


@ONE_ENGINE
def test_a_wish_for_no_mail_is_deleted_with_its_term_and_not_a_year_later(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    begin(app, signature_id, NEW)
    refuse(app, token_of(app, signature_id, "new"), code=code_of(app, signature_id))
    settings = app.config["CHARTER"]

    def over(days: int) -> list[bytes]:
        with app.app_context():
            cutoff_at = now() + timedelta(days=days - settings.mailbox_keep_days)
            keys = set(db.session.scalars(terms.over("mailboxes", cutoff_at, most=9)))
            rows = db.session.scalars(select(MailboxTally).where(MailboxTally.stopped_at.is_not(None)))
            return [row.digest for row in rows if row.digest in keys]

    assert over(settings.mail_stop_days - 1) == []
    assert len(over(settings.mailbox_keep_days + 1)) == 1
