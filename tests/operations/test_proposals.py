"""Four eyes: one proposes, another approves; whatever happens at once, it takes effect once or not at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from time_machine import Traveller as Clock

from charter.domain.duties import Second
from charter.domain.errors import (
    AlreadyProposedError,
    CharterError,
    DecidedMeanwhileError,
    DutyRefusedError,
    MoveRefusedError,
    NotFoundError,
    SamePersonError,
)
from charter.models.base import db, writing
from charter.models.decision import Audit
from charter.models.desk import Proposal
from charter.models.log import LogEvent
from charter.models.staff import StaffAccount
from charter.operations import proposals, revoking, signing
from charter.operations.proving import Proof, Result
from charter.operations.unit import act_as, act_as_nobody
from charter.queries import proposals as queries
from tests.operations.test_publication import published
from tests.operations.test_races import at_once
from tests.operations.test_signing import HERE, get, key_of, moves, now, withdraw
from tests.people import Desk, mails, text_of, work

#: The rule is the same on both engines; what differs between them is asked of both.
ONE_ENGINE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
WORDS = "He wrote to us that he stands in the registry twice."


@pytest.fixture
def dana(app: Flask, clock: Clock) -> Desk:
    """The second pair of eyes."""
    return Desk(app, "Dana", "dana@example.org")


@pytest.fixture
def reviewer(app: Flask, clock: Clock) -> Desk:
    """Who may propose and not approve."""
    return Desk(app, "Erlan", "erlan@example.org", role="reviewer")


def propose(app: Flask, signature_id: int, desk: Desk, *, reason: str = "duplicate") -> int:
    with app.app_context():
        return revoking.propose(signature_id, reason=reason, words=WORDS, staff_id=desk.id, now=now())


def approving(proposal_id: int, desk: Desk) -> Callable[[], None]:
    return lambda: proposals.approve(proposal_id, staff_id=desk.id, now=now())


def approve(app: Flask, proposal_id: int, desk: Desk) -> None:
    with app.app_context():
        approving(proposal_id, desk)()


def the_one(app: Flask, proposal_id: int) -> Proposal:
    with app.app_context():
        row = db.session.get_one(Proposal, proposal_id)
        db.session.expunge(row)
        db.session.rollback()
        return row


def written(app: Flask, subject: str = "proposal") -> list[tuple[str, int | None]]:
    """(action, staff) of the audit."""
    with app.app_context():
        rows = db.session.execute(
            select(Audit.action, Audit.staff_id).where(Audit.subject == subject).order_by(Audit.id)
        ).all()
        db.session.rollback()
        return [(row.action, row.staff_id) for row in rows]


def leaves_waiting(app: Flask, kind: str = "revoke") -> int:
    with app.app_context():
        return len(db.session.scalars(select(LogEvent).where(LogEvent.kind == kind)).all())


def change(app: Flask, desk: Desk, **values: Any) -> None:
    with app.app_context(), writing():
        db.session.execute(update(StaffAccount).where(StaffAccount.id == desk.id).values(**values))
        db.session.commit()


def test_one_proposes_and_another_approves_and_the_audit_names_both(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    proposal_id = propose(app, signature_id, desk)
    assert (get(app, signature_id).state, leaves_waiting(app)) == ("published", 0)
    approve(app, proposal_id, dana)
    row = the_one(app, proposal_id)
    assert (row.state, row.proposed_by, row.decided_by) == ("approved", desk.id, dana.id)
    assert get(app, signature_id).state == "revoked"
    assert written(app) == [("propose", desk.id), ("proposal-approved", dana.id)]
    with app.app_context():
        audit = db.session.scalars(select(Audit).where(Audit.action == "revoke")).one()
        assert (audit.staff_id, audit.detail["proposed_by"], audit.reason) == (dana.id, desk.id, "duplicate")
        assert (audit.before, audit.after) == ({"state": "published"}, {"state": "revoked"})


@ONE_ENGINE
def test_nobody_is_their_own_second_person_and_not_every_role_is_one(
    app: Flask, desk: Desk, dana: Desk, reviewer: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    proposal_id = propose(app, signature_id, desk)
    editor = Desk(app, "Chloe", "chloe@example.org", role="editor")
    for one, error in ((desk, SamePersonError), (reviewer, DutyRefusedError), (editor, DutyRefusedError)):
        with pytest.raises(error):
            approve(app, proposal_id, one)
        with app.app_context(), pytest.raises(error):
            proposals.reject(proposal_id, staff_id=one.id, reason="No", now=now())
    with app.app_context(), pytest.raises(NotFoundError):
        proposals.cancel(proposal_id, staff_id=dana.id, now=now())
    assert (the_one(app, proposal_id).state, get(app, signature_id).state) == ("open", "published")


@ONE_ENGINE
@pytest.mark.parametrize(("role", "regions"), [("editor", None), ("auditor", None), ("reviewer", ["KZ-71"])])
def test_who_may_not_remove_may_not_propose_it_either(
    app: Flask, desk: Desk, clock: Clock, role: str, regions: list[str] | None
) -> None:
    signature_id = published(app, desk, clock)
    other = Desk(app, "Chloe", "chloe@example.org", role=role, regions=regions)
    with pytest.raises(DutyRefusedError):
        propose(app, signature_id, other)
    assert written(app) == []


def test_the_same_thing_waits_once_and_can_be_proposed_anew_when_nobody_decided(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    first = propose(app, signature_id, desk)
    with pytest.raises(AlreadyProposedError):
        propose(app, signature_id, dana)
    clock.shift(timedelta(days=7))
    with pytest.raises(DecidedMeanwhileError) as lapsed:
        approve(app, first, dana)
    assert lapsed.value.state == "expired"
    second = propose(app, signature_id, dana, reason="abuse")
    assert (the_one(app, first).state, the_one(app, second).state) == ("expired", "open")
    approve(app, second, desk)
    assert get(app, signature_id).state == "revoked"


@ONE_ENGINE
def test_what_was_answered_or_taken_back_is_over(app: Flask, desk: Desk, dana: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    rejected = propose(app, signature_id, desk)
    with app.app_context():
        proposals.reject(rejected, staff_id=dana.id, reason="It is her sister.", now=now())
        found = queries.find(rejected, now=now())
    assert found is not None
    assert (found.state, found.decider, found.rejected_because) == ("rejected", "Dana", "It is her sister.")
    cancelled = propose(app, signature_id, desk)
    with app.app_context():
        proposals.cancel(cancelled, staff_id=desk.id, now=now())
    for proposal_id in (rejected, cancelled):
        with pytest.raises(DecidedMeanwhileError):
            approve(app, proposal_id, dana)
    assert get(app, signature_id).state == "published"
    assert [action for action, _ in written(app)] == ["propose", "proposal-rejected", "propose", "proposal-cancelled"]


def test_whoever_left_proposes_nothing_any_more_and_approves_nothing(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    proposal_id = propose(app, signature_id, desk)
    change(app, dana, active=False)
    with pytest.raises(DutyRefusedError):
        approve(app, proposal_id, dana)
    change(app, dana, active=True)
    change(app, desk, active=False)
    with pytest.raises(DecidedMeanwhileError):
        approve(app, proposal_id, dana)
    # Another role came between: a change of role ends what is open, but not what is proposed in the same moment.
    change(app, desk, active=True, role="auditor")
    with pytest.raises(DecidedMeanwhileError):
        approve(app, proposal_id, dana)
    assert get(app, signature_id).state == "published"


def test_two_who_approve_at_once_are_one_effect(app: Flask, desk: Desk, dana: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    erke = Desk(app, "Erke", "erke@example.org")
    proposal_id = propose(app, signature_id, desk)
    results = at_once(app, approving(proposal_id, dana), approving(proposal_id, erke))
    assert sorted(type(one).__name__ for one in results) == ["DecidedMeanwhileError", "NoneType"]
    assert (leaves_waiting(app), moves(app, signature_id).count("revoke")) == (1, 1)


def test_approving_against_taking_back_has_one_winner(app: Flask, desk: Desk, dana: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    proposal_id = propose(app, signature_id, desk)
    results = at_once(
        app, approving(proposal_id, dana), lambda: proposals.cancel(proposal_id, staff_id=desk.id, now=now())
    )
    assert sorted(type(one).__name__ for one in results) == ["DecidedMeanwhileError", "NoneType"]
    state = the_one(app, proposal_id).state
    assert (state, get(app, signature_id).state, leaves_waiting(app)) in {
        ("approved", "revoked", 1),
        ("cancelled", "published", 0),
    }


def test_two_who_propose_the_same_at_once_are_one_proposal(app: Flask, desk: Desk, dana: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)

    def proposing(one: Desk) -> Callable[[], int]:
        return lambda: revoking.propose(signature_id, reason="abuse", words=WORDS, staff_id=one.id, now=now())

    results = at_once(app, proposing(desk), proposing(dana))
    assert sorted(type(one).__name__ for one in results) == ["AlreadyProposedError", "int"]


def test_who_withdraws_while_it_is_approved_ends_once(app: Flask, desk: Desk, dana: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    proposal_id = propose(app, signature_id, desk)

    def leaving() -> Result:
        return signing.withdraw(signature_id, proof=Proof(HERE, None), key=key_of(app), code_tries=5, now=now())

    approved, left = at_once(app, approving(proposal_id, dana), leaving)
    state = get(app, signature_id).state
    assert (state, approved is None, isinstance(left, Result)) in {
        ("revoked", True, True),
        ("revoked", True, False),
        ("withdrawn", False, True),
    }
    if state == "withdrawn":
        assert isinstance(approved, MoveRefusedError)
    assert leaves_waiting(app) + leaves_waiting(app, "withdraw") == 1


@ONE_ENGINE
def test_who_has_withdrawn_wins_and_the_proposal_refuses_and_can_be_rejected(
    app: Flask, desk: Desk, dana: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    proposal_id = propose(app, signature_id, desk)
    withdraw(app, signature_id)
    with pytest.raises(MoveRefusedError):
        approve(app, proposal_id, dana)
    assert the_one(app, proposal_id).state == "open"
    with app.app_context():
        proposals.reject(proposal_id, staff_id=dana.id, reason="Withdrawn meanwhile.", now=now())
    assert the_one(app, proposal_id).state == "rejected"


@ONE_ENGINE
def test_those_who_may_decide_are_told_by_mail_without_a_word_about_the_signatory(
    app: Flask, desk: Desk, dana: Desk, reviewer: Desk, clock: Clock
) -> None:
    signature_id = published(app, desk, clock)
    work(app)
    before = len(mails(app))
    propose(app, signature_id, desk)
    work(app)
    sent = mails(app)[before:]
    assert [mail["To"] for mail in sent] == ["dana@example.org"]
    words = text_of(sent[0])
    assert "/staff/proposals/" in words
    assert "Remove an entry" in words
    for personal in (get(app, signature_id).full_name, get(app, signature_id).email, WORDS):
        assert personal not in words


@ONE_ENGINE
def test_the_count_of_what_waits_is_of_what_one_may_decide(
    app: Flask, desk: Desk, dana: Desk, reviewer: Desk, clock: Clock
) -> None:
    propose(app, published(app, desk, clock), desk)
    with app.app_context():
        counts = [queries.count_for(one.id, role, now=now()) for one, role in (
            (desk, "administrator"), (dana, "administrator"), (reviewer, "reviewer"), (dana, "auditor")
        )]  # fmt: skip
        assert queries.others_who_may(Second.REVOKE, proposed_by=desk.id) == 1
    assert counts == [0, 1, 0, 0]
    change(app, dana, active=False)
    with app.app_context():
        assert queries.others_who_may(Second.REVOKE, proposed_by=desk.id) == 0
        clock.shift(timedelta(days=8))
        assert queries.count_for(dana.id, "administrator", now=now()) == 0


@ONE_ENGINE
def test_what_was_decided_is_read_by_pages(
    app: Flask, desk: Desk, dana: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "PAGE_SIZE", 2)
    signature_id = published(app, desk, clock)
    made = []
    for _ in range(5):
        made.append(propose(app, signature_id, desk))
        with app.app_context():
            proposals.cancel(made[-1], staff_id=desk.id, now=now())
    made.append(propose(app, signature_id, desk))
    found: list[int] = []
    before: int | None = None
    with app.app_context():
        while True:
            page = queries.closed_ones(now=now(), before=before)
            found += [one.proposal_id for one in page.rows]
            before = page.next_before
            if before is None:
                break
        assert [one.proposal_id for one in queries.open_ones(now=now())] == made[-1:]
    assert found == made[-2::-1]


@ONE_ENGINE
def test_every_verb_is_recorded_where_staff_are_at_work(app: Flask, desk: Desk, dana: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    act_as(desk.id)
    try:
        proposal_id = propose(app, signature_id, desk)
        act_as(dana.id)
        approve(app, proposal_id, dana)
    finally:
        act_as_nobody()
    assert the_one(app, proposal_id).state == "approved"


@ONE_ENGINE
def test_an_effect_that_refuses_leaves_nothing_behind(
    app: Flask, desk: Desk, dana: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature_id = published(app, desk, clock)
    proposal_id = propose(app, signature_id, desk)

    def refuse(*_: object) -> None:
        raise CharterError

    monkeypatch.setitem(proposals._effects, Second.REVOKE, refuse)
    with pytest.raises(CharterError):
        approve(app, proposal_id, dana)
    assert (the_one(app, proposal_id).state, written(app)) == ("open", [("propose", desk.id)])
