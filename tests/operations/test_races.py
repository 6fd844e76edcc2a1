"""Two of everything at once: one wins, the other is told, nothing happens twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from sqlalchemy import func, select

from charter.domain.errors import DecidedMeanwhileError
from charter.domain.signature import State
from charter.domain.token import token
from charter.models.base import db
from charter.models.log import LogBatch, LogLeaf
from charter.models.registry import PublicEntry
from charter.models.signature import Link, Signature, SignatureEvent
from charter.operations import publication, review, signing
from charter.operations.proving import Outcome, Proof, Result
from tests.operations.test_outbox import claimed
from tests.people import Desk, Observer, work

ROUNDS = 5


def at_once(app: Flask, *verbs: Callable[[], Any]) -> list[Any]:
    """Runs the verbs in threads that start together; an exception is a result."""
    results: list[Any] = [None] * len(verbs)
    gate = threading.Barrier(len(verbs), timeout=60)

    def run(place: int, verb: Callable[[], Any]) -> None:
        with app.app_context():
            gate.wait()
            try:
                results[place] = verb()
            except Exception as error:
                results[place] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(verbs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results


def confirmed(app: Flask, place: int) -> int:
    """A confirmed application; its id."""
    person = Observer(app, email=f"amina{place}@example.org", full_name="Әмина " + "А" * (place + 1))
    person.sign_and_confirm()
    with app.app_context():
        return db.session.scalars(select(func.max(Signature.id))).one()


def decide(signature_id: int, staff_id: int, action: str = "approve", **more: Any) -> Callable[[], int]:
    return lambda: review.decide(
        signature_id,
        action=action,
        expected_version=2,
        reason=more.get("reason"),
        note=None,
        staff_id=staff_id,
        undo_seconds=0,
        now=datetime.now(UTC),
    )


def test_two_reviewers_at_once_make_one_decision_and_the_other_is_told_who_won(app: Flask, desk: Desk) -> None:
    dana = Desk(app, "Dana", "dana@example.org")
    for place in range(ROUNDS):
        signature_id = confirmed(app, place)
        results = at_once(
            app, decide(signature_id, desk.id), decide(signature_id, dana.id, "decline", reason="duplicate")
        )
        told = [result for result in results if isinstance(result, DecidedMeanwhileError)]
        won = [result for result in results if isinstance(result, int)]
        assert len(told) == len(won) == 1, results
        assert told[0].by_staff_name in {"Bruno", "Dana"}
        with app.app_context():
            moves = db.session.scalars(
                select(SignatureEvent.move).where(SignatureEvent.signature_id == signature_id)
            ).all()
            assert sum(move in {"approve", "decline"} for move in moves) == 1


def test_deciding_against_withdrawing_leaves_a_history_that_the_table_allows(app: Flask, desk: Desk) -> None:
    key = app.config["CHARTER"].secret_key.encode()
    for place in range(ROUNDS):
        signature_id = confirmed(app, place)
        with app.app_context():
            browser = db.session.get_one(Signature, signature_id).browser_digest

        def withdraw(signature_id: int = signature_id, browser: bytes = browser) -> Result:
            return signing.withdraw(
                signature_id, proof=Proof(browser, None), key=key, code_tries=5, now=datetime.now(UTC)
            )

        results = at_once(
            app, decide(signature_id, desk.id), withdraw, lambda: publication.publish_batch(now=datetime.now(UTC))
        )
        assert isinstance(results[1], Result), results
        assert results[1].outcome is Outcome.DONE
        assert isinstance(results[0], int | DecidedMeanwhileError), results
        assert not isinstance(results[2], Exception), results
    work(app)
    with app.app_context():
        assert set(db.session.scalars(select(Signature.state))) == {State.WITHDRAWN}
        assert db.session.scalars(select(PublicEntry).where(PublicEntry.ended_on.is_(None))).first() is None


def test_many_publishers_at_once_leave_no_gap_and_no_double(app: Flask, desk: Desk) -> None:
    ids = [confirmed(app, place) for place in range(6)]
    with app.app_context():
        for signature_id in ids:
            decide(signature_id, desk.id)()
    now = datetime.now(UTC)
    results = at_once(app, *[lambda: publication.publish_batch(now=now)] * 4)
    assert not [result for result in results if isinstance(result, Exception)], results
    with app.app_context():
        leaves = db.session.scalars(select(LogLeaf).order_by(LogLeaf.index)).all()
        assert [leaf.index for leaf in leaves] == list(range(len(leaves)))
        last = db.session.scalars(select(LogBatch).order_by(LogBatch.revision.desc())).first()
        assert last is not None
        assert last.tree_size == len(leaves)
        assert sorted(db.session.scalars(select(PublicEntry.number))) == [1, 2, 3, 4, 5, 6]


def test_two_links_of_one_person_confirmed_at_once_leave_one_application(app: Flask) -> None:
    config = app.config["CHARTER"]
    for place in range(ROUNDS):
        person = Observer(app, email=f"twice{place}@example.org")
        for _ in range(2):
            person.sign()
        work(app)
        with app.app_context():
            uids = db.session.scalars(select(Link.uid).order_by(Link.id.desc()).limit(2)).all()
            tokens = [token(config.secret_key.encode(), "confirm", uid) for uid in uids]
            assert tokens[0] != tokens[1]
            browser = db.session.scalars(select(Signature.browser_digest).order_by(Signature.id.desc()).limit(1)).one()

        def confirm(token: str, browser: bytes = browser) -> Result:
            return signing.confirm(
                token,
                proof=Proof(browser, None),
                key=config.secret_key.encode(),
                code_tries=5,
                answer_due_working_days=5,
                holidays=frozenset(),
                now=datetime.now(UTC),
            )

        results = at_once(app, lambda: confirm(tokens[0]), lambda: confirm(tokens[1]))  # noqa: B023 - ends in this round
        assert sorted(result.outcome for result in results) in (
            [Outcome.ALREADY, Outcome.DONE],
            [Outcome.DONE, Outcome.EXPIRED],
        ), results
        with app.app_context():
            states = db.session.scalars(
                select(Signature.state).where(Signature.mailbox == f"twice{place}@example.org")
            ).all()
            assert sorted(states) == ["confirmed", "expired"]


def test_people_signing_at_once_with_one_address_never_pass_the_limit(app: Flask) -> None:
    people = [Observer(app, full_name="Ким " + "Б" * (place + 1)) for place in range(6)]
    results = at_once(app, *[person.sign for person in people])
    assert [result.status for result in results] == [200] * 6
    with app.app_context():
        assert db.session.scalar(select(func.count()).where(~Signature.held)) == 3
        assert db.session.scalar(select(func.count()).where(Signature.held)) == 3


def test_many_workers_take_each_message_once(app: Flask) -> None:
    for place in range(8):
        Observer(app, email=f"one{place}@example.org").sign()
    now = datetime.now(UTC) + timedelta(seconds=1)
    results = at_once(app, *[lambda: claimed(app, limit=3, at=now)] * 4)
    taken = [delivery.message_id for deliveries in results for delivery in deliveries]
    assert len(taken) == len(set(taken)) == 8
