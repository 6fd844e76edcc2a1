"""Receipts: what the log proves to whoever keeps two files, where they are given, and when there are none."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, select, update
from time_machine import Traveller as Clock

from charter import log_key, worker
from charter.domain import token as tokens
from charter.mail import RECEIPT_PAUSE, RECEIPT_WAIT, transport_for
from charter.models.base import db, writing
from charter.models.log import LogBatch, LogLeaf, LogPlace
from charter.models.outbox import Message
from charter.models.registry import PublicEntry
from charter.models.signature import Link, Signature
from charter.operations import publication, tree
from charter.operations.public_side import Changes, append_batch, build_entry, move_counters, replace_entry
from charter.operations.unit import lock, operation
from charter.queries import log, receipts, selfcheck
from charter.queries.receipts import Receipt
from charter.tlog import leaf, note, proof
from charter.tlog.record import commitment
from tests.conftest import MakeApp
from tests.operations.test_outbox import Server
from tests.operations.test_publication import publish, published
from tests.operations.test_signing import confirmed, decide, get, key_of, now, withdraw
from tests.pages import Browser
from tests.people import Desk, mails, text_of, work
from tests.statements import statements
from tests.test_mail import Taker, serving


def receipt(app: Flask, signature_id: int, *, is_application: bool = False) -> Receipt | None:
    entry = get(app, signature_id).entry
    with app.app_context():
        return receipts.receipt_of(entry, is_application=is_application)


def papers(app: Flask, signature_id: int) -> tuple[str, str]:
    entry = get(app, signature_id).entry
    with app.app_context():
        found = receipts.papers_of(entry)
        return found.record, found.application


def proved(app: Flask, record: bytes, text: str) -> tuple[str, dict[str, Any]]:
    """What whoever has the two files and the log's key learns: kind and values of the leaf."""
    key = note.parse_key(log_key.signer(app.config["CHARTER"]).vkey)
    found = proof.read(text)
    checkpoint = proof.verify(found, key, log_key.verify)
    assert checkpoint.origin == key.name
    kind, values = leaf.decode(found.extra)
    assert values["commit"] == hashlib.sha256(record).hexdigest()
    assert values["entry"] == json.loads(record)["entry"]
    return kind, values


def publish_unseen(app: Flask) -> None:
    """A batch that is signed and that no guard and no witness has seen yet."""
    with app.app_context():
        publication.publish_batch(now=now(), signer=log_key.signer(app.config["CHARTER"]))


def serve(app: Flask) -> None:
    work(app)


# ── what is proved ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_receipt_proves_the_line_that_everybody_sees(app: Flask, desk: Desk, clock: Clock) -> None:
    ids = [published(app, desk, clock, place) for place in range(3)]
    for signature_id in ids:
        found = receipt(app, signature_id)
        assert found is not None
        kind, values = proved(app, found.record, found.proof_text)
        assert (kind, values["rev"]) == ("publish", 1)
        line = json.loads(found.record)
        assert line["name"] == "Әмина Оспанова"
        assert line["number"] == get(app, signature_id).number
        read = proof.read(found.proof_text)
        assert (read.index, note.read(read.checkpoint)[0].size) == (found.index, found.size)
        application = receipt(app, signature_id, is_application=True)
        assert application is not None
        kind, values = proved(app, application.record, application.proof_text)
        assert kind == "confirm"
        assert values["due"] == "2026-11-27"
        assert json.loads(application.record)["rev"] == 0


def test_another_line_is_not_proved(app: Flask, desk: Desk, clock: Clock) -> None:
    found = receipt(app, published(app, desk, clock))
    assert found is not None
    with pytest.raises(AssertionError):
        proved(app, found.record.replace(b"KZ-75", b"KZ-71"), found.proof_text)
    with pytest.raises(note.NoteError):
        proved(app, found.record, found.proof_text.replace("\n\n", "\n\nother.", 1))


def test_there_is_none_before_the_leaf_is_shown(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    assert receipt(app, signature_id, is_application=True) is None
    assert papers(app, signature_id) == ("none", "coming")
    publish_unseen(app)
    assert receipt(app, signature_id, is_application=True) is None, "signed, and not yet served"
    assert papers(app, signature_id) == ("none", "coming")
    serve(app)
    assert papers(app, signature_id) == ("none", "ready")
    found = receipt(app, signature_id, is_application=True)
    assert found is not None
    assert proved(app, found.record, found.proof_text)[0] == "confirm"
    assert receipt(app, signature_id) is None
    with app.app_context():
        assert receipts.receipt_of("0" * 32) is None
        assert receipts.papers_of("0" * 32) == receipts.Papers("none", "none")


def test_who_has_left_gets_none(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    withdraw(app, signature_id)
    work(app)
    assert receipt(app, signature_id) is None
    assert receipt(app, signature_id, is_application=True) is None
    assert papers(app, signature_id) == ("none", "none")


@operation
def correct(signature_id: int) -> None:
    """A later revision of a published entry, with its leaf, in one batch."""
    lock("publisher", "one")
    signature = db.session.get_one(Signature, signature_id)
    signature.full_name = "Әмина Серікқызы Оспанова"
    row = db.session.scalars(select(PublicEntry).filter_by(entry=signature.entry)).one()
    last = db.session.scalars(select(LogBatch).order_by(LogBatch.revision.desc()).limit(1)).one()
    assert signature.number is not None
    fresh, line = build_entry(signature, number=signature.number, rev=row.rev + 1)
    changes = Changes(last.revision + 1)
    replace_entry(row, fresh, changes=changes)
    values = {"commit": commitment(line), "entry": signature.entry, "rev": row.rev}
    data = [leaf.encode("correct", t=leaf.format_time(last.at), **values)]
    append_batch(revision=changes.revision, at=last.at, first_index=last.tree_size, data=data)
    move_counters(changes)


def test_a_corrected_entry_is_proved_by_its_new_line(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    before = receipt(app, signature_id)
    assert before is not None
    with app.app_context():
        correct(signature_id)
    assert receipt(app, signature_id) is None, "the new leaf is not shown yet, and the old line is gone"
    serve(app)
    after = receipt(app, signature_id)
    assert after is not None
    kind, values = proved(app, after.record, after.proof_text)
    assert (kind, values["rev"], json.loads(after.record)["rev"]) == ("correct", 2, 2)
    assert after.index > before.index
    assert proved(app, before.record, before.proof_text)[0] == "publish", "what somebody kept stays proved"


def test_a_line_that_no_leaf_commits_to_yet_has_none(app: Flask, desk: Desk, clock: Clock) -> None:
    """As in a database that is being restored."""
    signature_id = published(app, desk, clock)
    with app.app_context(), writing():
        row = db.session.scalars(select(PublicEntry)).one()
        assert row.line is not None
        row.line = row.line.replace(b'"rev":1', b'"rev":2')
        db.session.commit()
    assert receipt(app, signature_id) is None


def test_the_places_of_older_leaves_are_found_after_an_upgrade(app: Flask, desk: Desk, clock: Clock) -> None:
    ids = [published(app, desk, clock, place) for place in range(3)]
    before = [receipt(app, one) for one in ids]
    with app.app_context(), writing():
        # An older release has written all but the first leaves.
        connection = db.session.connection()
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("DROP TRIGGER log_node_no_delete")
        else:
            connection.exec_driver_sql("ALTER TABLE log_node DISABLE TRIGGER USER")
        connection.exec_driver_sql("DELETE FROM log_node")
        db.session.execute(delete(LogPlace))
        db.session.commit()
    assert [receipt(app, one) for one in ids] == [None] * 3
    with app.app_context():
        steps = 0
        while tree.build_past(most=3):
            steps += 1
        assert steps > 1
    assert [receipt(app, one) for one in ids] == before


def test_what_a_batch_has_not_noted_is_found_in_its_leaves_and_noted_by_the_next_worker(
    app: Flask, desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(tree, "note_places", lambda **_: False)
        signature_id = published(app, desk, clock)
        before = [receipt(app, signature_id, is_application=place) for place in (False, True)]
        assert None not in before
        assert papers(app, signature_id) == ("ready", "ready")
        with app.app_context():
            assert log.lacks_places()
            assert db.session.get(LogPlace, get(app, signature_id).entry) is None
            assert [selfcheck.look(walk, 0).findings for walk in ("entries", "waiting")] == [(), ()]
            correct(signature_id)
    with app.app_context():
        size, steps = len(db.session.scalars(select(LogLeaf.index)).all()), 1
        while tree.note_places(most=2):
            steps += 1
        assert steps > 1 and not log.lacks_places()
        place = db.session.get_one(LogPlace, get(app, signature_id).entry)
        assert before[1] is not None
        assert (place.confirm_index, place.record_index) == (before[1].index, size - 1), "the newest record's"
    serve(app)
    assert [receipt(app, signature_id, is_application=place) is None for place in (False, True)] == [False, False]


def test_a_receipt_costs_the_same_whatever_the_size(app: Flask, desk: Desk, clock: Clock) -> None:
    first = published(app, desk, clock)
    entry = get(app, first).entry
    seen = []
    for place in range(1, 4):
        with statements(app) as found, app.app_context():
            assert receipts.receipt_of(entry) is not None
        seen.append(len(found))
        for more in range(5):
            confirmed(app, address=f"p{place}-{more}@example.org")
        work(app)
    assert seen[1] == seen[2] <= 5


# ── my signature ─────────────────────────────────────────────────────────────────────────────────────────────────────


def at_home(app: Flask, signature_id: int) -> Browser:
    """The browser of whoever has the personal link."""
    with app.app_context():
        uid = db.session.scalars(
            select(Link.uid).filter_by(signature_id=signature_id, purpose="personal").order_by(Link.id)
        ).first()
    assert uid is not None
    browser = Browser(app)
    assert browser.get(f"/en/my/{tokens.token(key_of(app), 'personal', uid)}").status == 200
    return browser


def test_my_signature_gives_both_files_as_they_are(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    browser = at_home(app, signature_id)
    page = browser.get("/en/my/")
    assert "Your receipt" in page.main
    assert "/en/verify/" in page.href("/verify/")
    expected = receipt(app, signature_id), receipt(app, signature_id, is_application=True)
    names = (
        (("record", "record.json"), ("receipt", "receipt.tlog-proof")),
        (
            ("application-record", "application.json"),
            ("application-receipt", "application.tlog-proof"),
        ),
    )
    for found, ((record, record_name), (proving, proof_name)) in zip(expected, names, strict=True):
        assert found is not None
        line = browser.get(page.href(f"/my/{record}/"))
        assert line.response.data == found.record
        assert line.response.mimetype == "application/json"
        text = browser.get(page.href(f"/my/{proving}/"))
        assert text.response.data.decode() == found.proof_text
        proved(app, line.response.data, text.response.data.decode())
        for one, name in ((line, record_name), (text, proof_name)):
            assert one.response.headers["Content-Disposition"] == f"attachment; filename={name}"
            assert one.response.headers["Cache-Control"] == "no-store"


def test_my_signature_says_when_a_receipt_comes_and_that_there_is_none_any_more(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    signature_id = confirmed(app)
    browser = at_home(app, signature_id)
    assert "The receipt of your application comes with the next publication." in browser.get("/en/my/").main
    assert browser.get("/en/my/application-receipt/").url.endswith("/en/my/"), "nothing to take yet: back to the page"
    work(app)
    assert "your application stands in the registry’s log" in browser.get("/en/my/").main
    decide(app, signature_id, desk.id)
    clock.shift(11)
    publish_unseen(app)
    assert "The receipt of your entry comes with the next publication." in browser.get("/en/my/").main
    serve(app)
    assert "exactly as it is shown" in browser.get("/en/my/").main
    withdraw(app, signature_id)
    for _ in range(2):
        page = browser.get("/en/my/")
        assert "After a withdrawal there is no receipt any more" in page.main
        assert "record.json" not in page.main
        assert browser.get("/en/my/record/").url.endswith("/en/my/")
        work(app)


def test_the_files_of_my_signature_are_for_nobody_else(app: Flask, desk: Desk, clock: Clock) -> None:
    published(app, desk, clock)
    stranger = Browser(app)
    for name in ("record", "receipt", "application-record", "application-receipt"):
        page = stranger.get(f"/en/my/{name}/")
        assert page.status == 403
        assert "salt" not in page.text


# ── the mail ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def attached(message: EmailMessage) -> dict[str, tuple[str, bytes]]:
    """Name → (type, content)."""
    found = {}
    for part in message.iter_attachments():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found[str(part.get_filename())] = part.get_content_type(), content
    return found


def test_the_mail_of_a_publication_brings_its_receipt(make_app: MakeApp, clock: Clock) -> None:
    taker = Taker()
    with serving(taker) as port:
        app = make_app(mail_transport="smtp", smtp_host="127.0.0.1", smtp_port=str(port), smtp_security="none")
        signature_id = published(app, Desk(app, "Bruno", "bruno@example.org"), clock)
    message = taker.mails[-1]
    found = attached(message)
    assert set(found) == {"record.json", "receipt.tlog-proof"}
    (kind, record), (proof_kind, text) = found["record.json"], found["receipt.tlog-proof"]
    assert (kind, proof_kind) == ("application/json", "application/octet-stream")
    own = receipt(app, signature_id)
    assert own is not None
    assert (record, text.decode()) == (own.record, own.proof_text)
    assert proved(app, record, text.decode())[0] == "publish"
    assert "приложены два файла" in text_of(message)
    assert f"/ru/verify/?entry={get(app, signature_id).entry}" in text_of(message)
    assert len(message.as_bytes()) < 12_000
    assert all(not attached(other) for other in taker.mails[:-1]), "no other mail brings files"


def waiting(app: Flask) -> Message | None:
    with app.app_context():
        row = db.session.scalars(select(Message).filter_by(kind="published", done_at=None)).first()
        db.session.expunge_all()
        return row


def deliver(app: Flask) -> int:
    transport = transport_for(app.config["CHARTER"])
    try:
        with app.app_context():
            return worker.deliver(app.config["CHARTER"], transport).sent
    finally:
        transport.close()


def approved_unseen(app: Flask, desk: Desk, clock: Clock) -> int:
    """Published by a batch that is not served yet; the mail about it waits."""
    signature_id = confirmed(app)
    work(app)
    decide(app, signature_id, desk.id)
    clock.shift(11)
    publish_unseen(app)
    return signature_id


def test_a_mail_waits_some_seconds_for_its_receipt(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = approved_unseen(app, desk, clock)
    sent = len(mails(app))
    assert deliver(app) == 0
    message = waiting(app)
    assert message is not None
    assert (message.attempts, message.last_error, message.leased_until) == (0, None, None)
    assert timedelta(0) < message.due_at - now() <= RECEIPT_PAUSE
    serve(app)
    assert len(mails(app)) == sent, "not before its seconds are over"
    clock.shift(RECEIPT_PAUSE)
    assert deliver(app) == 1
    found = attached(mails(app)[-1])
    assert proved(app, found["record.json"][1], found["receipt.tlog-proof"][1].decode())[1]["entry"] == (
        get(app, signature_id).entry
    )


def test_a_mail_does_not_wait_for_a_late_receipt(app: Flask, desk: Desk, clock: Clock) -> None:
    approved_unseen(app, desk, clock)
    rounds = 0
    while not deliver(app):
        clock.shift(RECEIPT_PAUSE)
        rounds += 1
        assert rounds * RECEIPT_PAUSE <= RECEIPT_WAIT + RECEIPT_PAUSE
    assert rounds > 2
    message = mails(app)[-1]
    assert attached(message) == {}
    assert "скоро появится на вашей личной странице" in text_of(message)


def test_a_mail_that_was_offered_without_its_receipt_stays_without(app: Flask, desk: Desk, clock: Clock) -> None:
    """The first one may have arrived though nobody said so: a second one must not read otherwise."""
    approved_unseen(app, desk, clock)
    clock.shift(RECEIPT_WAIT + timedelta(seconds=1))
    refusing = Server("smtp-451")
    with app.app_context():
        worker.deliver(app.config["CHARTER"], refusing)
    assert len(refusing.taken) == 1
    serve(app)
    clock.shift(61)
    assert deliver(app) == 1
    assert attached(mails(app)[-1]) == {}
    assert text_of(mails(app)[-1]) == text_of(refusing.taken[0])


def test_a_clock_that_went_back_makes_no_mail_wait(app: Flask, desk: Desk, clock: Clock) -> None:
    approved_unseen(app, desk, clock)
    clock.shift(-3600)
    with app.app_context(), writing():
        db.session.execute(update(Message).values(due_at=now()))
        db.session.commit()
    assert deliver(app) == 1


def test_without_a_log_to_show_the_mail_goes_at_once(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    work(app)
    decide(app, signature_id, desk.id)
    clock.shift(11)
    with app.app_context(), writing():
        db.session.connection().exec_driver_sql("DELETE FROM log_standing")
        db.session.commit()
    assert publish(app) is not None
    assert deliver(app) == 1
    assert attached(mails(app)[-1]) == {}
