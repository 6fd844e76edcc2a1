"""Removal by the Centre: gone from the registry, told in the log by two pseudonyms, mailed, objected to, forgotten."""

from __future__ import annotations

import contextlib
import io
import json
import threading
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from time_machine import Traveller as Clock
from werkzeug.serving import make_server

from charter.domain.errors import FieldRefusedError, MoveRefusedError, SamePersonError, SameReviewerError
from charter.domain.reasons import REVOCATIONS
from charter.models.base import db
from charter.models.rights import Correction, Objection
from charter.operations import revoking
from charter.operations.proving import get_signature
from charter.operations.unit import operation
from charter.queries import log, statistics
from charter.tlog import leaf as leaf_rules
from charter.tlog import verify
from charter.web.labels import REASONS
from tests.operations import test_corrections as wishes
from tests.operations.test_objections import answer, object_to, taken_up
from tests.operations.test_proposals import approve, dana, propose
from tests.operations.test_publication import entry_row, published
from tests.operations.test_retention import keep
from tests.operations.test_signing import get, leaves, moves, now, withdraw
from tests.pages import Browser
from tests.people import Desk, link_in, mails, text_of, work

__all__ = ["dana"]

ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


def revoked(app: Flask, desk: Desk, dana: Desk, clock: Clock, *, reason: str = "duplicate", place: int = 0) -> int:
    """Published, proposed by Bruno, approved by Dana, and in the log."""
    signature_id = published(app, desk, clock, place)
    approve(app, propose(app, signature_id, desk, reason=reason), dana)
    work(app)
    return signature_id


def verified(app: Flask, vkey: str) -> dict[str, object]:
    """What our verifier says of the log over HTTP."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    told = io.StringIO()
    try:
        with contextlib.redirect_stdout(told):
            code = verify.main(["--json", "--vkey", vkey, "--base", f"http://127.0.0.1:{server.port}"])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert code == verify.PROVED, told.getvalue()
    found: dict[str, object] = json.loads(told.getvalue())
    return found


def test_a_removed_entry_is_gone_and_the_log_proves_who_ended_it_and_why(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    signature_id = revoked(app, desk, dana, clock, reason="not-an-observer")
    signature, row = get(app, signature_id), entry_row(app, signature_id)
    assert (signature.state, signature.application_line) == ("revoked", None)
    assert signature.ended_at is not None
    assert (row.ended_by, row.line, row.name, row.number) == ("centre", None, None, 1)
    last = leaves(app, signature.entry)[-1]
    assert (last["kind"], last["reason"]) == ("revoke", "ineligible")
    assert last["approvals"] == sorted([f"s{desk.id}", f"s{dana.id}"])
    page = Browser(app).get(f"/en/registry/entries/{signature.entry}")
    assert "Removed from the registry by the Centre" in page.main
    assert "the conditions for signing were not met ineligible" in " ".join(page.main.split())
    assert signature.full_name not in page.text
    assert "the conditions for signing were not met" in Browser(app).get("/en/verify/?number=1").main
    with app.app_context():
        figures = statistics.find_log_figures()
        assert figures is not None
        assert figures.revoked == 1
    found = verified(app, app.test_client().get("/log/vkey").text.strip())
    assert found["counts"]["revoked"] == 1  # type: ignore[index,call-overload]


@ONE_ENGINE
def test_it_never_waits_for_a_long_publication_interval(app: Flask, desk: Desk, dana: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    approve(app, propose(app, signature_id, desk), dana)
    with app.app_context():
        assert log.has_urgent(now=now())


@ONE_ENGINE
def test_the_person_is_told_why_and_what_can_be_done(app: Flask, desk: Desk, dana: Desk, clock: Clock) -> None:
    revoked(app, desk, dana, clock, reason="court-order")
    mail = next(one for one in reversed(mails(app)) if one["To"] == "p0@example.org")
    words = text_of(mail)
    assert mail["Subject"] == "Ваша запись исключена из реестра"
    assert "№" in words
    browser = Browser(app)
    mine = browser.get(link_in(mail, "/my/").replace("/ru/", "/en/"))
    assert "The Centre has removed your entry no. 1." in mine.main
    assert "A court has ordered it." in mine.main
    assert "Object to the decision" in mine.main
    assert browser.get("/en/my/objection/").status == 200
    assert browser.get("/en/my/data/").status == 200
    assert not mine.tree.query('a[href*="certificate"]')


def test_somebody_who_did_neither_answers_the_objection_and_what_is_upheld_comes_back_as_a_new_entry(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    signature_id = revoked(app, desk, dana, clock)
    objection_id = object_to(app, signature_id)
    with pytest.raises(MoveRefusedError):
        object_to(app, signature_id)
    erke = Desk(app, "Erke", "erke@example.org")
    for one in (desk, dana):
        with pytest.raises(SameReviewerError):
            answer(app, objection_id, one.id)
        page = one.browser.get(f"/staff/objections/{objection_id}/")
        assert "a colleague has to answer" in page.main
        assert "a colleague" in one.browser.get("/staff/objections/").main
    page = erke.browser.get(f"/staff/objections/{objection_id}/")
    assert "Bruno, Dana" in page.main
    assert "The entry was removed from the registry" in page.main
    answer(app, objection_id, erke.id, is_upheld=True)
    new_id = taken_up(app, objection_id)
    old, new = get(app, signature_id), get(app, new_id)
    assert (old.state, new.state, new.number) == ("revoked", "confirmed", None)
    assert old.entry != new.entry
    clock.shift(11)
    work(app)
    assert [one["kind"] for one in leaves(app, old.entry)] == ["confirm", "publish", "revoke"]
    assert [one["kind"] for one in leaves(app, new.entry)] == ["confirm"]


@ONE_ENGINE
def test_what_waited_of_the_entry_ends_with_it(app: Flask, desk: Desk, dana: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    wishes.ask(app, signature_id)
    approve(app, propose(app, signature_id, desk), dana)
    with app.app_context():
        assert db.session.scalars(select(Correction.state)).all() == ["cancelled"]
        assert not db.session.scalars(select(Objection)).all()
    assert moves(app, signature_id)[-1] == "revoke"


@ONE_ENGINE
def test_the_term_of_a_removed_entry_is_that_of_a_declined_one(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    gone, objecting = (revoked(app, desk, dana, clock, place=place) for place in (0, 1))
    object_to(app, objecting)
    clock.shift(timedelta(days=366))
    keep(app, clock)
    work(app)
    assert (get(app, gone).state, get(app, gone).full_name, get(app, gone).email) == ("erased", "", "")
    assert [one["kind"] for one in leaves(app, get(app, gone).entry)][-2:] == ["revoke", "erase"]
    assert get(app, objecting).state == "revoked"


@ONE_ENGINE
def test_only_what_is_published_is_removed_and_only_for_a_reason_of_the_list_by_two(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    with pytest.raises(FieldRefusedError):
        propose(app, signature_id, desk, reason="unanswered")

    @operation
    def alone() -> None:
        revoking.end_by_centre(
            get_signature(signature_id), reason="abuse", approvals=["s1", "s1"], staff_id=dana.id, now=now()
        )

    with app.app_context(), pytest.raises(SamePersonError):
        alone()
    approve(app, propose(app, signature_id, desk), dana)
    with pytest.raises(MoveRefusedError):
        propose(app, signature_id, desk)


def test_every_reason_is_one_of_the_log_and_has_words() -> None:
    assert {one.log for one in REVOCATIONS} == leaf_rules.LOG_REASONS - {"unanswered"}
    assert {one.code for one in REVOCATIONS} <= REASONS.keys()


@ONE_ENGINE
def test_the_desk_proposes_from_the_dossier_and_decides_on_a_page_of_its_own(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    dossier = desk.browser.get(f"/staff/review/{signature_id}/")
    form = desk.browser.get(dossier.href("/revoke/"))
    refused = form.submit("revoke-form", words="Twice", reason="")
    assert refused.status == 422
    assert "Twice" in refused.text
    shown = refused.submit("revoke-form", reason="abuse", preview="1")
    assert "Ваша запись исключена из реестра" in shown.main
    page = shown.submit("revoke-form")
    assert page.url.startswith("/staff/proposals/")
    assert "waits for an administrator" in page.main
    assert not page.tree.query("#approve-form")
    theirs = dana.browser.get("/staff/proposals/")
    assert "you can decide" in theirs.main
    assert "The Centre 1" in " ".join(theirs.tree.query("nav")[0].to_text().split())
    page = dana.browser.get(theirs.href("/staff/proposals/1/"))
    assert get(app, signature_id).full_name in page.main
    refused = page.submit("reject-form", words="")
    assert refused.status == 422
    done = page.submit("approve-form")
    assert "It is approved, and done." in done.text
    assert get(app, signature_id).state == "revoked"
    again = page.submit("approve-form")
    assert again.status == 409
    assert "This no longer waits" in again.main


@ONE_ENGINE
def test_who_proposes_second_keeps_what_they_wrote_and_is_led_to_the_first(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    form = dana.browser.get(f"/staff/review/{signature_id}/revoke/")
    proposal_id = propose(app, signature_id, desk)
    page = form.submit("revoke-form", reason="abuse", words="He told me himself.")
    assert page.status == 409
    assert page.fields("revoke-form")[1]["words"] == "He told me himself."
    assert page.href(f"/staff/proposals/{proposal_id}/")
    assert dana.browser.get(f"/staff/review/{signature_id}/revoke/").url.endswith(f"/staff/proposals/{proposal_id}/")


@ONE_ENGINE
def test_a_single_administrator_is_told_that_nobody_else_can_approve(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    form = desk.browser.get(f"/staff/review/{signature_id}/revoke/")
    assert "There is no administrator besides you" in form.main
    page = form.submit("revoke-form", reason="abuse", words="Twice")
    assert "Nobody else can approve this just now" in page.main
    assert "flask --app charter staff add" in page.main
    assert "taken back" in page.submit("cancel-form").text


@ONE_ENGINE
def test_whoever_withdrew_meanwhile_is_said_on_the_page_and_nothing_can_be_approved(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    proposal_id = propose(app, signature_id, desk)
    open_page = dana.browser.get(f"/staff/proposals/{proposal_id}/")
    withdraw(app, signature_id)
    late = open_page.submit("approve-form")
    assert late.status == 409
    assert "has changed since" in late.main
    assert "The entry has ended meanwhile" in late.main
    assert not late.tree.query("#approve-form")
    assert late.tree.query("#reject-form")


@ONE_ENGINE
def test_a_reviewer_of_other_regions_reads_neither_name_nor_words(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    proposal_id = propose(app, signature_id, desk)
    other = Desk(app, "Erlan", "erlan@example.org", role="reviewer", regions=["KZ-71"])
    page = other.browser.get(f"/staff/proposals/{proposal_id}/")
    assert "a region that is not yours" in page.main
    for word in (get(app, signature_id).full_name, "stands in the registry twice"):
        assert word not in page.text
    assert other.browser.get(f"/staff/review/{signature_id}/revoke/").status in {403, 404}
