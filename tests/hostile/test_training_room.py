"""Sixty people of one training room sign within an hour: from the form to the reviewers' queue, through every limit."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import func, select
from time_machine import Traveller as Clock

from charter.models.base import db
from charter.models.limits import SigningTrace
from charter.models.signature import Signature
from tests.operations.test_limits import letters
from tests.people import Observer, link_in, mails, work

PEOPLE = 60


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_room_behind_one_address_all_reaches_the_queue(app: Flask, clock: Clock) -> None:
    # All forms at about the same minute is the hardest that a room can do, and no more than that.
    room = [
        Observer(app, full_name=f"{letters(place)} Оспанова", email=f"observer{place}@training.example")
        for place in range(PEOPLE)
    ]
    for place, one in enumerate(room):
        one.browser.client.environ_base["REMOTE_ADDR"] = "203.0.113.7"
        assert one.sign().url == "/ru/sign/check-mail/", place
        clock.shift(2)
    with app.app_context():
        assert db.session.scalar(select(func.count(func.distinct(SigningTrace.network)))) == 1
        assert db.session.scalars(select(Signature.id).where(Signature.held)).all() == []
    while work(app)[1]:
        pass
    sent = {str(mail["To"]): link_in(mail, "/confirm/") for mail in mails(app)}
    assert len(sent) == PEOPLE
    for one in room:
        page = one.browser.get(sent[one.answers["email"]]).submit("confirm-form")
        assert page.url.startswith("/ru/my/")
    with app.app_context():
        assert db.session.scalar(select(func.count()).where(Signature.state == "confirmed")) == PEOPLE
