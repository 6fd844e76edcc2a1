"""What a hostile reading of rights and limits found: races, leftovers and promises that were not kept."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from time_machine import Traveller as Clock

from charter.domain.bounce import envelope_sender, marks_in
from charter.domain.errors import MoveRefusedError
from charter.models.base import db, writing
from charter.models.limits import MailboxTally
from charter.models.outbox import Message
from charter.models.rights import Correction
from charter.models.signature import Signature
from charter.operations import bouncing, corrections, erasing, mailboxes, publication, retention, review
from charter.operations.mailboxes import Lifting
from charter.operations.proving import Outcome
from tests.operations import test_corrections as wishes
from tests.operations.test_addresses import NEW, OLD, changed
from tests.operations.test_objections import (
    answer,
    dana,
    declined,
    declined_wish,
    object_to,
    taken_up,
)
from tests.operations.test_outbox import claimed
from tests.operations.test_publication import entry_row, published
from tests.operations.test_races import at_once
from tests.operations.test_rights import erase, record
from tests.operations.test_signing import confirmed, decide, get, key_of, leaves, now, request_code, sign
from tests.people import Desk, mails, work

__all__ = ["dana"]

ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


# ── what was taken up again ──────────────────────────────────────────────────────────────────────────────────────────


@ONE_ENGINE
@pytest.mark.parametrize("by", ["signatory", "command"])
@pytest.mark.parametrize("seconds", [0, 11])
def test_who_erases_the_declined_application_is_not_kept_in_what_took_it_up_again(
    app: Flask, desk: Desk, dana: Desk, clock: Clock, by: str, seconds: int
) -> None:
    old_id = declined(app, desk, clock)
    objection_id = object_to(app, old_id)
    answer(app, objection_id, dana.id)
    new_id = taken_up(app, objection_id)
    clock.shift(seconds)
    work(app)
    if by == "signatory":
        assert erase(app, old_id) is Outcome.DONE
    else:
        with app.app_context():
            erasing.erase(db.session.get_one(Signature, old_id).entry, now=now())
    row = get(app, new_id)
    assert (row.full_name, row.email, row.name_key) == ("", "", "")
    assert row.state in {"erased", "expired"}
    clock.shift(61)
    work(app)
    known = [leaf["kind"] for leaf in leaves(app, row.entry)]
    assert known == ([] if row.state == "expired" else ["confirm", "withdraw", "erase"])


@ONE_ENGINE
def test_an_old_mailbox_does_not_erase_what_has_another_address_by_now(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    old_id = declined(app, desk, clock)
    objection_id = object_to(app, old_id)
    answer(app, objection_id, dana.id)
    new_id = taken_up(app, objection_id)
    clock.shift(11)
    work(app)
    with app.app_context(), writing():
        row = db.session.get_one(Signature, new_id)
        row.email = row.mailbox = "elsewhere@example.net"
        db.session.commit()
    assert erase(app, old_id) is Outcome.DONE
    assert get(app, new_id).state == "confirmed"


@ONE_ENGINE
def test_what_was_taken_up_again_and_withdrawn_at_once_ends_after_it_began(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    old_id = declined(app, desk, clock)
    objection_id = object_to(app, old_id)
    answer(app, objection_id, dana.id)
    new_id = taken_up(app, objection_id)
    record(app, desk, new_id, "withdraw")
    work(app)
    clock.shift(61)
    work(app)
    assert [leaf["kind"] for leaf in leaves(app, get(app, new_id).entry)] == ["confirm", "withdraw"]


# ── words that have a term ───────────────────────────────────────────────────────────────────────────────────────────


def is_over(app: Flask, clock: Clock, rule: str) -> None:
    """What the worker does once all there is is over its term."""
    with app.app_context():
        retention.note(rule, cutoff_at=now(), now=now())
    clock.shift(3601)
    with app.app_context():
        while retention.act(rule, now=now()):
            pass


@ONE_ENGINE
def test_the_words_of_a_declined_correction_stay_while_an_objection_to_it_waits(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    signature_id, objection_id = declined_wish(app, desk, clock)
    is_over(app, clock, "corrections")
    answer(app, objection_id, dana.id)
    clock.shift(11)
    work(app)
    assert entry_row(app, signature_id).name == wishes.NAME


@ONE_ENGINE
def test_nobody_objects_to_a_correction_whose_words_are_gone(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    wishes.ask(app, signature_id)
    wishes.decide(app, wishes.the_one(app, signature_id).id, desk.id, "decline", reason="name-not-shown")
    clock.shift(11)
    work(app)
    is_over(app, clock, "corrections")
    with pytest.raises(MoveRefusedError):
        object_to(app, signature_id)


# ── two at once ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_who_shuts_search_engines_out_while_a_batch_lets_them_in_is_heard(
    app: Flask, desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature_id = published(app, desk, clock)
    wishes.show(app, signature_id, "full", is_indexable=True)
    move_counters = publication.move_counters
    threads = []

    def meanwhile(changes: Any) -> None:
        if not threads:
            threads.append(threading.Thread(target=wishes.show, args=(app, signature_id, "full")))
            threads[0].start()
            # Waits for the batch, or is through before it.
            threads[0].join(timeout=0.5)
        move_counters(changes)

    monkeypatch.setattr(publication, "move_counters", meanwhile)
    with app.app_context():
        publication.publish_batch(now=now())
    threads[0].join(timeout=30)
    work(app)
    assert entry_row(app, signature_id).is_indexable is False


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
@pytest.mark.parametrize("room", ["review", "corrections"])
def test_no_mail_leaves_of_a_decline_that_was_taken_back_at_the_same_instant(
    app: Flask, desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch, room: str
) -> None:
    taken: list[str] = []

    def take_mail() -> None:
        # A worker whose clock runs ahead of ours.
        with app.app_context():
            taken.extend(one.kind for one in claimed(app, at=now() + timedelta(seconds=60)))

    if room == "review":
        signature_id = confirmed(app)
        work(app)
        decision_id = decide(app, signature_id, desk.id, "decline", "duplicate")
        step = review.take_back

        def between(*args: Any, **more: Any) -> None:
            at_once(app, take_mail)
            step(*args, **more)

        monkeypatch.setattr(review, "take_back", between)
        with app.app_context():
            review.undo(decision_id, staff_id=desk.id, now=now())
    else:
        signature_id = published(app, desk, clock)
        work(app)
        wishes.ask(app, signature_id)
        correction_id = wishes.decide(
            app, wishes.the_one(app, signature_id).id, desk.id, "decline", reason="name-not-shown"
        )
        find = corrections._unsent_mail_of

        def found(correction: Correction) -> Message | None:
            mail = find(correction)
            at_once(app, take_mail)
            return mail

        monkeypatch.setattr(corrections, "_unsent_mail_of", found)
        wishes.undo(app, correction_id, desk.id)
    assert taken == []


# ── mail ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@ONE_ENGINE
def test_each_former_address_is_told_of_its_own_change(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    for address in (NEW, "third@example.org"):
        assert changed(app, signature_id, address).outcome is Outcome.DONE
    with app.app_context():
        told = db.session.scalars(
            select(Message.recipient).filter_by(signature_id=signature_id, kind="address-changed").order_by(Message.id)
        ).all()
    assert told == [OLD, NEW]


def comes_back(app: Flask, uid: str) -> bouncing.Noted:
    """A report that this mail's mailbox is gone."""
    key = key_of(app)
    (mark,) = marks_in(envelope_sender("bounce@charter.example", uid=uid, mailbox=OLD, key=key))
    with app.app_context():
        return bouncing.note(mark, is_hard=True, key=key, now=now())


@ONE_ENGINE
def test_a_mail_that_waits_leaves_when_the_bounce_is_lifted_though_a_report_about_it_came_late(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    signature_id = confirmed(app)
    assert request_code(app, signature_id)
    with app.app_context():
        ours = select(Message.uid).where(Message.kind.in_(("confirmed", "code"))).order_by(Message.id)
        uids = db.session.scalars(ours).all()
    # Both were offered before, and nobody told us that they were taken.
    assert comes_back(app, uids[0]) is bouncing.Noted.HARD
    work(app)
    assert mails(app) == []
    assert comes_back(app, uids[1]) is bouncing.Noted.HARD
    with app.app_context():
        assert mailboxes.lift(OLD, Lifting.BOUNCE, key=key_of(app), staff_id=desk.id, now=now())
    work(app)
    assert len(mails(app)) == len(uids)


@ONE_ENGINE
def test_of_a_name_at_a_mailbox_that_takes_no_mail_no_count_is_kept_for_ever(app: Flask, clock: Clock) -> None:
    sign(app)
    with app.app_context():
        uid = db.session.scalars(select(Message.uid)).one()
    comes_back(app, uid)
    work(app)
    assert mails(app) == []
    clock.shift(1)
    is_over(app, clock, "mailboxes")
    with app.app_context():
        kept = db.session.scalars(select(MailboxTally)).all()
        # The mailbox itself, whose bounce has a moment and so its term; nothing of the name.
        assert [row.bounce_count for row in kept] in ([1], [])


@ONE_ENGINE
def test_names_that_a_stranger_signs_for_a_mailbox_do_not_keep_its_owner_from_moving_there(
    app: Flask, clock: Clock
) -> None:
    signature_id = confirmed(app)
    for name in ("Жала Бір", "Жала Екі", "Жала Үш"):
        sign(app, name, NEW)
    assert changed(app, signature_id, NEW).outcome is Outcome.DONE
    assert get(app, signature_id).email == NEW
