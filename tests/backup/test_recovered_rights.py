"""Rights and a lost machine: who erased everything stays erased, and what was taken up again stands once."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select
from time_machine import Traveller as Clock

from charter.models.base import db
from charter.models.outbox import Message
from charter.operations.proving import Outcome
from tests.backup.test_recovery import Loss, events, kinds, loss
from tests.operations.test_objections import answer, declined, object_to, taken_up
from tests.operations.test_rights import erase
from tests.operations.test_signing import confirmed, get
from tests.people import Desk, work

__all__ = ["loss"]

#: What waits in a backup is the same on both engines.
ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


def recipients(app: Flask, signature_id: int) -> list[str | None]:
    with app.app_context():
        return list(db.session.scalars(select(Message.recipient).where(Message.signature_id == signature_id)))


@ONE_ENGINE
def test_a_backup_that_has_the_last_mail_does_not_bring_the_address_back(loss: Loss, clock: Clock) -> None:
    app = loss.app
    signature_id = confirmed(app)
    work(app)
    assert erase(app, signature_id) is Outcome.DONE
    loss.back_up()
    assert recipients(app, signature_id) == ["amina@example.org"]
    clock.shift(60)
    work(app)
    restored = loss.restored()
    assert get(restored, signature_id).state == "erased"
    assert recipients(restored, signature_id) == []
    assert events(restored) == []
    assert kinds(restored, signature_id) == ["confirm", "withdraw", "erase"]


@ONE_ENGINE
def test_what_was_taken_up_again_just_before_the_backup_stands_once(loss: Loss, desk: Desk, clock: Clock) -> None:
    app = loss.app
    objection_id = object_to(app, declined(app, desk, clock))
    answer(app, objection_id, Desk(app, "Dana", "dana@example.org").id)
    new_id = taken_up(app, objection_id)
    loss.back_up()
    clock.shift(11)
    work(app)
    line = get(app, new_id).application_line
    restored = loss.restored()
    work(restored)
    assert kinds(restored, new_id) == ["confirm"]
    assert (get(restored, new_id).state, get(restored, new_id).application_line) == ("confirmed", line)
    assert get(restored, get(restored, new_id).id - 1).state == "declined"
