"""Another address: the old and the new one both agree, each with a proof; then mail, links and codes follow."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from time_machine import Traveller as Clock

from charter.domain import token as tokens
from charter.domain.email import clean_email
from charter.domain.errors import NotFoundError
from charter.domain.mailbox import mailbox_digest
from charter.models.base import db, writing
from charter.models.limits import MailboxTally
from charter.models.outbox import Message
from charter.models.rights import AddressChange
from charter.models.signature import Link
from charter.operations import addresses, erasing
from charter.operations.proving import Outcome, Proof, Result
from tests.house.world import changed_tables, dump
from tests.operations.test_links import sent, sqlite_only
from tests.operations.test_races import at_once
from tests.operations.test_signing import (
    ELSEWHERE,
    HERE,
    confirm,
    confirmed,
    decide,
    get,
    key_of,
    moves,
    now,
    request_code,
    sign,
    withdraw,
)
from tests.pages import Browser
from tests.people import Desk, Observer, code_in, link_in, mails, work

OLD, NEW = "amina@example.org", "amina.new@example.org"


def begin(
    app: Flask, signature_id: int, address: str = NEW, *, browser: bytes | None = HERE, code: str | None = None
) -> Outcome:
    with app.app_context():
        return addresses.begin(
            signature_id,
            clean_email(address),
            proof=Proof(browser, code),
            key=key_of(app),
            code_tries=5,
            confirm_link_days=7,
            now=now(),
        ).outcome


def token_of(app: Flask, signature_id: int, side: str) -> str:
    """The token that the newest change brings this side."""
    with app.app_context():
        change = db.session.scalars(
            select(AddressChange).filter_by(signature_id=signature_id).order_by(AddressChange.id.desc()).limit(1)
        ).one()
        return tokens.token(key_of(app), f"address-{side}", change.old_uid if side == "old" else change.new_uid)


def agree(app: Flask, token: str, *, browser: bytes | None = HERE, code: str | None = None) -> Result:
    with app.app_context():
        return addresses.confirm(
            token, proof=Proof(browser, code), key=key_of(app), code_tries=5, people_per_mailbox=3, now=now()
        )


def changed(app: Flask, signature_id: int, address: str = NEW) -> Result:
    """Begun and agreed to by both."""
    assert begin(app, signature_id, address) is Outcome.DONE
    assert agree(app, token_of(app, signature_id, "old")).outcome is Outcome.DONE
    return agree(app, token_of(app, signature_id, "new"))


def to(app: Flask, address: str) -> list[Any]:
    return [mail for mail in mails(app) if mail["To"] == address]


# ── the road through the pages ───────────────────────────────────────────────────────────────────────────────────────


def test_both_addresses_agree_and_mail_follows(app: Flask, observer: Observer, desk: Desk, clock: Clock) -> None:
    observer.sign_and_confirm()
    work(app)
    old_link = link_in(observer.mail(), "/my/")
    page = observer.browser.get(observer.browser.get("/ru/my/").href("/my/address/"))
    page = page.submit("address-form", email=NEW)
    assert page.url == "/ru/my/?fresh=address"
    assert NEW in page.main
    assert page.main.count("ещё не подтверждён") == 2
    work(app)
    (mail,) = sent(app, "Подтвердите ваш новый адрес")
    assert mail["To"] == NEW
    assert "Оспанова" not in str(mail), "the address may be mistyped"

    # At another device, with the code.
    stranger = Browser(app)
    page = stranger.get(link_in(mail, "/my/address/"))
    assert NEW in page.main
    assert "Оспанова" not in page.main
    assert OLD not in page.main
    assert page.submit("confirm-address-form").status == 422
    assert page.submit("confirm-address-form", code="000000").status == 422
    page = page.submit("confirm-address-form", code=code_in(mail))
    assert page.status == 200
    assert "Теперь нужно подтвердить второй" in page.main
    assert "Оспанова" not in page.main
    assert "подтверждён" in observer.browser.get("/ru/my/").main

    (mail,) = sent(app, "Подтвердите смену вашего адреса")
    assert mail["To"] == OLD
    # In the signing browser, where the page is open, no code; it stays open although the link is renewed.
    page = observer.browser.get(link_in(mail, "/my/address/")).submit("confirm-address-form")
    assert page.url == "/ru/my/?fresh=readdressed"
    assert NEW in page.main
    assert "Адрес для писем изменён" in page.main
    assert Browser(app).get(old_link).status == 403, "the old mailbox is full of it"
    work(app)
    assert [mail["To"] for mail in sent(app, "Теперь наши письма идут на другой адрес")] == [OLD]
    (mail,) = sent(app, "Ваша новая личная ссылка")
    assert mail["To"] == NEW
    assert Browser(app).get(link_in(mail, "/my/")).url == "/ru/my/"
    desk.decide(desk.open_first(), "approve")
    clock.shift(11)
    work(app)
    assert [mail["To"] for mail in mails(app)][-1] == NEW
    assert stranger.get(link_in(sent(app, "Подтвердите ваш новый адрес")[0], "/my/address/")).status == 200


def test_the_second_one_may_confirm_where_nobody_has_the_page_open(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    begin(app, signature_id)
    work(app)
    for subject in ("Подтвердите смену вашего адреса", "Подтвердите ваш новый адрес"):
        (mail,) = sent(app, subject)
        page = Browser(app).get(link_in(mail, "/my/address/")).submit("confirm-address-form", code=code_in(mail))
        assert page.status == 200
        assert "/my/address/" in page.url
    assert "Адрес изменён" in page.main
    assert get(app, signature_id).email == NEW


# ── who may begin, and what that does ────────────────────────────────────────────────────────────────────────────────


def test_beginning_asks_for_the_signing_browser_or_a_fresh_code(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    for browser, code in ((None, None), (None, "000000"), (ELSEWHERE, ""), (None, "")):
        assert begin(app, signature_id, browser=browser, code=code) is Outcome.CODE_NEEDED
    assert request_code(app, signature_id)
    work(app)
    code = code_in(mails(app)[-1])
    assert begin(app, signature_id, browser=None, code="000001") is Outcome.CODE_WRONG
    assert begin(app, signature_id, browser=None, code=code) is Outcome.DONE
    assert begin(app, signature_id, "third@example.org", browser=None, code=code) is Outcome.CODE_NEEDED


def test_nothing_changes_before_both_have_agreed_whoever_is_first(app: Flask, clock: Clock) -> None:
    for first, second in (("old", "new"), ("new", "old")):
        signature_id = confirmed(app, address=f"{first}@example.org")
        begin(app, signature_id, f"{first}.2@example.org")
        assert agree(app, token_of(app, signature_id, first)) == Result(Outcome.DONE)
        assert get(app, signature_id).email == f"{first}@example.org"
        assert agree(app, token_of(app, signature_id, first)).outcome is Outcome.ALREADY
        done = agree(app, token_of(app, signature_id, second))
        assert done.personal_token is not None
        assert get(app, signature_id).email == f"{first}.2@example.org"
        assert moves(app, signature_id) == ["sign", "confirm", "readdress"]
        for side in ("old", "new"):
            assert agree(app, token_of(app, signature_id, side)).outcome is Outcome.ALREADY


def test_without_its_code_neither_side_agrees_and_wrong_ones_are_counted(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    begin(app, signature_id)
    work(app)
    codes = {mail["To"]: code_in(mail) for mail in mails(app)[-2:]}
    for side, other in (("old", NEW), ("new", OLD)):
        token = token_of(app, signature_id, side)
        for browser, code in ((None, None), (None, " "), (ELSEWHERE, "")):
            assert agree(app, token, browser=browser, code=code) == Result(Outcome.CODE_NEEDED, tries_left=5)
        wrong = [agree(app, token, browser=None, code=codes[other]) for _ in range(5)]
        assert [one.tries_left for one in wrong] == [4, 3, 2, 1, 0]
        right = codes[OLD if side == "old" else NEW]
        assert agree(app, token, browser=None, code=right).outcome is Outcome.TRIES_USED_UP
    assert get(app, signature_id).email == OLD


def test_a_newer_change_takes_the_place_of_the_one_that_waits(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    begin(app, signature_id, "mistyped@example.org")
    stale = [token_of(app, signature_id, side) for side in ("old", "new")]
    assert agree(app, stale[1]).outcome is Outcome.DONE
    begin(app, signature_id)
    assert [agree(app, token).outcome for token in stale] == [Outcome.EXPIRED, Outcome.EXPIRED]
    work(app)
    assert to(app, "mistyped@example.org") == [], "its mail had not left and does not leave any more"
    assert len(to(app, NEW)) == 1
    with app.app_context():
        first = db.session.scalars(select(AddressChange).order_by(AddressChange.id)).first()
        assert first is not None
        assert (first.email, first.mailbox) == ("", ""), "what was given up is not kept"
    assert Browser(app).get(f"/ru/my/address/{stale[0]}").status == 404


def test_the_links_end_after_their_days_and_an_unknown_one_is_the_same_page(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    begin(app, signature_id)
    token = token_of(app, signature_id, "old")
    clock.shift(7 * 86_400 + 1)
    assert agree(app, token).outcome is Outcome.EXPIRED
    answers = [Browser(app).get(f"/ru/my/address/{one}") for one in (token, "A" * 43, "%00", "ы")]
    assert {page.status for page in answers} == {404}
    assert len({page.main for page in answers}) == 1
    assert agree(app, "A" * 43).outcome is Outcome.UNKNOWN
    work(app)
    assert to(app, NEW) == [], "a mail whose link is over does not leave"


@sqlite_only
def test_a_token_of_one_sort_opens_no_other_door(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    begin(app, signature_id)
    work(app)
    old, new = (token_of(app, signature_id, side) for side in ("old", "new"))
    personal = link_in(mails(app)[0], "/my/").rpartition("/")[2]
    for path in (f"/ru/my/{old}", f"/ru/confirm/{new}", f"/ru/my/address/{personal}"):
        assert Browser(app).get(path).status in {403, 404}, path
    with app.app_context():
        digests = {row.token_digest for row in db.session.scalars(select(Link))}
    assert not digests & {tokens.token_digest(one) for one in (old, new)}


@sqlite_only
def test_a_signature_that_is_closed_or_not_confirmed_has_no_address_to_change(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    begin(app, signature_id)
    tokens_ = [token_of(app, signature_id, side) for side in ("old", "new")]
    withdraw(app, signature_id)
    assert [agree(app, token).outcome for token in tokens_] == [Outcome.EXPIRED] * 2
    assert begin(app, signature_id) is Outcome.NOT_POSSIBLE
    assert begin(app, sign(app, "Куат Бөтен")) is Outcome.NOT_POSSIBLE
    with app.app_context(), pytest.raises(NotFoundError):
        addresses.choose_language(10**9, "kk", now=now())
    work(app)
    assert to(app, NEW) == []


def test_strangers_are_written_to_only_so_often(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    outcomes = [begin(app, signature_id, f"stranger{place}@example.org") for place in range(4)]
    assert outcomes == [Outcome.DONE] * 3 + [Outcome.NOT_POSSIBLE]
    assert begin(app, signature_id, OLD) is Outcome.NOT_POSSIBLE
    clock.shift(86_401)
    assert begin(app, signature_id, OLD) is Outcome.ALREADY
    assert begin(app, signature_id) is Outcome.DONE


# ── who else uses the new address ────────────────────────────────────────────────────────────────────────────────────


@sqlite_only
def test_beginning_tells_nobody_who_uses_an_address(app: Flask, clock: Clock) -> None:
    """The same answer and the same page for an address that signed under the same name, and for one that did not."""
    mine = Observer(app)
    mine.sign_and_confirm()
    Observer(app, email="other@example.org").sign_and_confirm()
    answers = []
    for address in ("other@example.org", "nobody@example.org"):
        page = mine.browser.get("/ru/my/address/").submit("address-form", email=address)
        answers.append(page.main.replace(address, "…"))
    assert answers[0] == answers[1]


def test_two_standing_signatures_of_one_name_never_share_a_mailbox(app: Flask, clock: Clock) -> None:
    first = confirmed(app)
    confirmed(app, address=NEW)
    begin(app, first)
    assert agree(app, token_of(app, first, "old")).outcome is Outcome.DONE
    assert agree(app, token_of(app, first, "new")).outcome is Outcome.NOT_POSSIBLE
    assert get(app, first).email == OLD
    assert agree(app, token_of(app, first, "old")).outcome is Outcome.EXPIRED
    assert "change" not in str(moves(app, first))


def test_no_more_people_than_may_gather_behind_one_mailbox(app: Flask, clock: Clock) -> None:
    for name in ("Бірінші Адам", "Екінші Адам"):
        confirmed(app, name, "office@example.org")
    third, fourth = confirmed(app, "Үшінші Адам", "c@example.org"), confirmed(app, "Төртінші Адам", "d@example.org")
    assert changed(app, third, "office@example.org").personal_token is not None
    assert changed(app, fourth, "office@example.org").outcome is Outcome.NOT_POSSIBLE
    # Whoever is there already only writes it in another way.
    assert changed(app, third, "Office@example.org").personal_token is not None


def test_of_two_who_move_to_the_last_place_at_once_one_gets_it(app: Flask, clock: Clock) -> None:
    for round_ in range(3):
        office = f"office{round_}@example.org"
        for name in ("Бірінші Адам", "Екінші Адам"):
            confirmed(app, name, office)
        ids = [confirmed(app, f"Адам {letter}", f"{round_}.{place}@example.org") for place, letter in enumerate("АБ")]
        for one in ids:
            begin(app, one, office)
            agree(app, token_of(app, one, "old"))
        news = [token_of(app, one, "new") for one in ids]
        results = at_once(app, *[lambda token=token: agree(app, token) for token in news])
        assert sorted(result.outcome for result in results) == [Outcome.DONE, Outcome.NOT_POSSIBLE], results
        assert [get(app, one).email for one in ids].count(office) == 1


def test_both_sides_at_once_make_one_change(app: Flask, clock: Clock) -> None:
    for place in range(3):
        signature_id = confirmed(app, address=f"p{place}@example.org")
        begin(app, signature_id, f"q{place}@example.org")
        pair = [token_of(app, signature_id, side) for side in ("old", "new")]
        results = at_once(app, *[lambda token=token: agree(app, token) for token in [*pair, *pair]])
        outcomes = sorted(result.outcome for result in results)
        assert outcomes == [Outcome.ALREADY] * 2 + [Outcome.DONE] * 2, results
        assert sum(result.personal_token is not None for result in results) == 1
        assert moves(app, signature_id).count("readdress") == 1


def test_beginning_anew_against_agreeing_leaves_no_change_half_done(app: Flask, clock: Clock) -> None:
    for place in range(3):
        signature_id = confirmed(app, address=f"p{place}@example.org")
        begin(app, signature_id, f"q{place}@example.org")
        agree(app, token_of(app, signature_id, "old"))
        token = token_of(app, signature_id, "new")
        results = at_once(
            app,
            lambda token=token: agree(app, token),  # type: ignore[misc]
            lambda one=signature_id, place=place: begin(app, one, f"r{place}@example.org"),  # type: ignore[misc]
        )
        assert results[1] is Outcome.DONE, results
        is_moved = results[0].personal_token is not None
        assert is_moved or results[0].outcome is Outcome.EXPIRED, results
        assert get(app, signature_id).email == (f"q{place}@example.org" if is_moved else f"p{place}@example.org")
        with app.app_context():
            waits = select(AddressChange.email).filter_by(signature_id=signature_id, ended_at=None)
            assert db.session.scalars(waits).all() == [f"r{place}@example.org"]


@sqlite_only
def test_an_address_in_letters_that_look_alike_is_shown_as_servers_read_it(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    begin(app, signature_id, "amina@ехаmрlе.org")
    page = Browser(app).get(f"/ru/my/address/{token_of(app, signature_id, 'old')}")
    assert "amina@xn--" in page.main


def test_changing_against_withdrawing_leaves_nobody_at_a_new_address(app: Flask, clock: Clock) -> None:
    for place in range(3):
        signature_id = confirmed(app, address=f"p{place}@example.org")
        begin(app, signature_id, f"q{place}@example.org")
        agree(app, token_of(app, signature_id, "old"))
        token = token_of(app, signature_id, "new")
        results = at_once(app, lambda token=token: agree(app, token), lambda one=signature_id: withdraw(app, one))  # type: ignore[misc]
        assert results[1] is Outcome.DONE, results
        assert results[0].outcome in {Outcome.DONE, Outcome.EXPIRED}, results
        for _ in range(2):
            work(app)
        assert get(app, signature_id).email == ""
    with app.app_context():
        assert db.session.scalars(select(AddressChange)).all() == []
        assert db.session.scalars(select(Message).where(Message.recipient.is_not(None))).all() == []


# ── what follows ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_waits_goes_to_the_new_address_and_codes_sent_to_the_old_one_are_void(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    signature_id = confirmed(app)
    work(app)
    assert request_code(app, signature_id)
    work(app)
    code = code_in(mails(app)[-1])
    decide(app, signature_id, desk.id)
    assert changed(app, signature_id).personal_token is not None
    assert withdraw(app, signature_id, browser=None, code=code) is Outcome.CODE_NEEDED
    before = len(mails(app))
    clock.shift(11)
    work(app)
    told = {str(mail["Subject"]): mail["To"] for mail in mails(app)[before:]}
    assert told.pop("Теперь наши письма идут на другой адрес") == OLD
    assert set(told.values()) == {NEW}
    assert len(told) == 2, told


def test_mail_held_back_because_the_old_mailbox_is_gone_leaves_for_the_new_one(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    signature_id = confirmed(app)
    begin(app, signature_id)
    work(app)
    with app.app_context(), writing():
        tally = MailboxTally(digest=mailbox_digest(OLD, key=key_of(app)), bounced_at=now())
        db.session.merge(tally)
        db.session.commit()
    decide(app, signature_id, desk.id)
    clock.shift(11)
    work(app)
    before = len(mails(app))
    for side in ("old", "new"):
        agree(app, token_of(app, signature_id, side))
    work(app)
    told = {str(mail["Subject"]): mail["To"] for mail in mails(app)[before:]}
    assert set(told.values()) == {NEW}, "and nothing to the old one"
    assert len(told) == 2, told


@sqlite_only
def test_the_new_mailbox_counts_as_one_that_has_confirmed(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    begin(app, signature_id)
    agree(app, token_of(app, signature_id, "new"))
    with app.app_context():
        tally = db.session.get(MailboxTally, mailbox_digest(NEW, key=key_of(app)))
        assert tally is not None
        assert tally.confirmed_at is not None


def test_a_reviewer_who_saw_the_old_address_is_told(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    version = get(app, signature_id).version
    changed(app, signature_id)
    assert get(app, signature_id).version == version + 1
    assert NEW in desk.open_first().main


def test_signing_again_with_the_new_address_is_the_same_person(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    changed(app, signature_id)
    assert confirm(app, sign(app, address=NEW)).outcome is Outcome.ALREADY
    assert confirm(app, sign(app, address=OLD)).outcome is Outcome.DONE, "nobody stands there any more"


def test_whoever_is_erased_leaves_no_trace_of_either_address(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    entry = get(app, signature_id).entry
    begin(app, signature_id)
    with app.app_context():
        erasing.erase(entry, now=now())
    assert NEW not in str(dump(app))
    assert OLD not in str(dump(app))
    before = len(mails(app))
    work(app)
    assert NEW not in {mail["To"] for mail in mails(app)[before:]}


@sqlite_only
def test_a_clock_that_goes_back_ends_nothing_and_one_that_goes_forth_changes_nothing(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    begin(app, signature_id)
    clock.shift(-400 * 86_400)
    assert agree(app, token_of(app, signature_id, "old")).outcome is Outcome.DONE
    clock.shift(800 * 86_400)
    assert agree(app, token_of(app, signature_id, "new")).outcome is Outcome.EXPIRED
    assert get(app, signature_id).email == OLD


# ── language ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_mail_comes_in_the_language_that_was_chosen_also_what_waits(app: Flask, observer: Observer) -> None:
    observer.sign_and_confirm()
    page = observer.browser.get("/ru/my/").submit("language-form", language="kk")
    assert page.url == "/ru/my/?fresh=language"
    assert "қазақша" in page.main.lower()
    work(app)
    assert mails(app)[-1]["Content-Language"] == "kk"


@sqlite_only
@pytest.mark.parametrize("language", ["", "de", "ru\0", "kk' OR 1=1"])
def test_no_other_language_is_taken_and_the_same_one_changes_nothing(
    app: Flask, observer: Observer, language: str
) -> None:
    observer.sign_and_confirm()
    before = dump(app)
    page = observer.browser.get("/ru/my/")
    assert page.submit("language-form").status == 200
    assert page.submit("language-form", language=language).url == "/ru/my/?fresh=stale"
    assert page.submit("language-form", csrf_token="x").url == "/ru/my/?fresh=stale"
    assert changed_tables(before, dump(app)) == set()


# ── robots ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_robot_with_every_link_that_presses_every_button_changes_no_address_and_no_link(
    app: Flask, clock: Clock
) -> None:
    signature_id = confirmed(app)
    begin(app, signature_id)
    work(app)
    links = {link_in(mail, "/my/") for mail in mails(app)}
    assert len(links) == 3
    before = dump(app)
    for link in links:
        robot = Browser(app)
        for method in ("HEAD", "GET", "OPTIONS", "GET"):
            robot.client.open(link, method=method, headers={"Purpose": "prefetch"})
        paths = {link, "/ru/my/address/", "/ru/my/link/"} if "/address/" not in link else {link}
        for path in paths:
            page = robot.get(path)
            for form in page.tree.query("main form[method=post]"):
                if form.attrs.get("id") not in {"code-form", None}:
                    page.submit(form.attrs["id"])
                    robot.get(link)
    assert changed_tables(before, dump(app)) == set()
    assert agree(app, token_of(app, signature_id, "old")).outcome is Outcome.DONE
