"""Invalidation: what conditions mean, who may begin one, and that each signature is ended once and given back once."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select, update

from charter import chores
from charter.chores import sweeps
from charter.domain.duties import ALONE
from charter.domain.errors import (
    AlreadyProposedError,
    CharterError,
    DecidedMeanwhileError,
    DutyRefusedError,
    FieldRefusedError,
    NotFoundError,
    SamePersonError,
)
from charter.domain.sweep import Conditions
from charter.models.base import db, writing
from charter.models.decision import Audit, Decision
from charter.models.desk import DeskCount, Proposal
from charter.models.limits import SigningTrace
from charter.models.log import LogEvent, LogLeaf
from charter.models.outbox import Message
from charter.models.registry import PublicEntry
from charter.models.signature import Link, Signature, SignatureEvent
from charter.models.staff import StaffAccount
from charter.models.sweeping import Invalidation, InvalidationItem
from charter.operations import proposals, review, sweep_steps, sweeping
from charter.operations.sweeping import NeedsSecondError, NothingMeantError
from tests.operations.test_races import at_once
from tests.people import Desk, Observer, link_in, mails, text_of, work

DOMAIN = Conditions(domain="spam.example")


def now() -> datetime:
    return datetime.now(UTC)


def spammer(app: Flask, place: int, **answers: Any) -> Observer:
    name = "Спамер " + "абвгдежзик"[place] * 3
    return Observer(app, **{"email": f"s{place}@spam.example", "full_name": name, **answers})


def ids(app: Flask) -> dict[str, int]:
    """Address → the newest signature."""
    with app.app_context():
        return dict(db.session.execute(select(Signature.email, Signature.id).order_by(Signature.id)).all())


def state_of(app: Flask, person: Observer) -> str:
    with app.app_context():
        return (
            db.session.scalars(
                select(Signature.state).where(Signature.email == person.answers["email"]).order_by(Signature.id.desc())
            ).first()
            or ""
        )


def draft(app: Flask, desk: Desk, conditions: Conditions = DOMAIN, reason: str = "abuse") -> int:
    with app.app_context():
        return sweeping.draft(conditions, reason=reason, note=None, staff_id=desk.id, now=now())


def act(app: Flask, verb: Any, sweep_id: int, desk: Desk) -> Any:
    with app.app_context():
        version = db.session.scalars(select(Invalidation.version).where(Invalidation.id == sweep_id)).one()
        db.session.remove()
        return verb(sweep_id, expected_version=version, staff_id=desk.id, now=now())


def sweep_of(app: Flask, sweep_id: int) -> Invalidation:
    with app.app_context():
        found = db.session.get_one(Invalidation, sweep_id)
        db.session.expunge(found)
        return found


def items_of(app: Flask, sweep_id: int) -> Counter[tuple[str, str]]:
    with app.app_context():
        rows = db.session.execute(
            select(InvalidationItem.state_before, InvalidationItem.outcome).where(
                InvalidationItem.invalidation_id == sweep_id
            )
        )
        return Counter((before, outcome) for before, outcome in rows)


def counted(app: Flask) -> dict[str, int]:
    """Action → how many, as the figures of the desk know it."""
    with app.app_context():
        rows = db.session.execute(select(DeskCount.action, func.sum(DeskCount.count)).group_by(DeskCount.action))
        return {action: int(number) for action, number in rows}


def leaf_kinds() -> list[str]:
    lines = db.session.scalars(select(LogLeaf.data).order_by(LogLeaf.index))
    return [json.loads(line)["kind"] for line in lines]


def multiply(app: Flask, person: Observer, count: int) -> None:
    """So many more that came as this one did, as rows."""
    with app.app_context(), writing():
        old = db.session.scalars(select(Signature).where(Signature.email == person.answers["email"])).one()
        trace = db.session.get_one(SigningTrace, old.id)
        kept = {column.key for column in Signature.__table__.columns} - {"id", "entry", "email", "mailbox"}
        for place in range(count):
            new = Signature(
                **{name: getattr(old, name) for name in kept},
                entry=f"{place:032x}",
                email=f"m{place}@spam.example",
                mailbox=f"m{place}@spam.example",
            )
            db.session.add(new)
            db.session.flush()
            db.session.add(SigningTrace(signature_id=new.id, at=trace.at, network=trace.network, domain=trace.domain))
            db.session.add(
                Link(
                    uid=bytes([place]) * 16,
                    purpose="confirm",
                    signature_id=new.id,
                    token_digest=bytes([place]) * 32,
                    created_at=trace.at,
                    expires_at=trace.at,
                )
            )
        db.session.commit()


# ── what is meant ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("conditions", "field"),
    [
        (Conditions(), "conditions"),
        (Conditions(published=True), "conditions"),
        (Conditions(name="аб"), "name"),
        (Conditions(name="!!!"), "name"),
        (Conditions(network="xyz"), "network"),
        (Conditions(since=datetime(2026, 11, 20, tzinfo=UTC)), "until"),
        (
            Conditions(since=datetime(2026, 11, 20, tzinfo=UTC), until=datetime(2026, 11, 21, 1, tzinfo=UTC)),
            "until",
        ),
        (Conditions(since=datetime(2026, 11, 20, tzinfo=UTC), until=datetime(2026, 11, 20, tzinfo=UTC)), "until"),
    ],
)
@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_conditions_that_are_empty_or_mean_everybody_are_refused(
    app: Flask, desk: Desk, conditions: Conditions, field: str
) -> None:
    with pytest.raises(FieldRefusedError) as refused:
        draft(app, desk, conditions)
    assert refused.value.field == field
    with app.app_context():
        assert db.session.scalars(select(Invalidation)).all() == []


def test_each_condition_means_those_and_all_of_them_together_fewer(app: Flask, desk: Desk, clock: object) -> None:
    spammer(app, 0).sign()
    spammer(app, 1, region="KZ-71").sign()
    Observer(app).sign()
    network = b"n" * 32
    with app.app_context(), writing():
        db.session.execute(update(SigningTrace).values(network=network))
        db.session.commit()
        at = db.session.scalars(select(SigningTrace.at).limit(1)).one()
    minute = at.replace(second=0, microsecond=0)
    together = {"since": minute, "until": minute + timedelta(minutes=2)}
    for conditions, found in (
        (DOMAIN, 2),
        (Conditions(network=network.hex()), 3),
        (Conditions(**together), 3),
        (Conditions(name="спам"), 2),
        (Conditions(name="SPAMER ааа"), 1),
        (Conditions(domain="spam.example", name="Оспанова"), 0),
        (Conditions(domain="spam.example", **together, network=network.hex(), name="ббб"), 1),
        (Conditions(domain="elsewhere.example"), 0),
        (Conditions(words="Общество"), 0),
    ):
        assert sweep_of(app, draft(app, desk, conditions)).found == found, conditions


def test_a_reviewer_of_one_region_means_only_its_people_and_touches_no_wider_sweep(app: Flask, desk: Desk) -> None:
    spammer(app, 0).sign()
    elsewhere = spammer(app, 1, region="KZ-71")
    elsewhere.sign()
    local = Desk(app, "Chloe", "chloe@example.org", role="reviewer", regions=["KZ-71"])
    mine = draft(app, local)
    assert sweep_of(app, mine).found == 1
    act(app, sweeping.start, mine, local)
    wider = draft(app, desk)
    for verb in (sweeping.stop, sweeping.undo):
        with pytest.raises(DutyRefusedError):
            act(app, verb, wider, local)
    work(app)
    assert state_of(app, elsewhere) == "expired"
    assert state_of(app, spammer(app, 0)) == "submitted"
    auditor = Desk(app, "Dana", "dana@example.org", role="auditor")
    with pytest.raises(DutyRefusedError):
        draft(app, auditor)


# ── forwards ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_small_sweep_ends_each_as_it_stands_and_leaves_the_registry_alone(
    app: Flask, desk: Desk, clock: time_machine.Traveller
) -> None:
    submitted, confirmed, asked, approved, published, other = (
        *(spammer(app, place) for place in range(5)),
        Observer(app),
    )
    for person in (confirmed, asked, approved, published, other):
        person.sign_and_confirm()
    submitted.sign()
    work(app)
    found = ids(app)
    with app.app_context():
        for person, action, wait in ((published, "approve", 0), (asked, "ask", 0), (approved, "approve", 600)):
            review.decide(
                found[person.answers["email"]],
                action=action,
                expected_version=2,
                reason="something-else" if action == "ask" else None,
                note=None,
                staff_id=desk.id,
                undo_seconds=wait,
                now=now(),
            )
    work(app)
    assert state_of(app, published) == "published"
    late = spammer(app, 5)
    sweep_id = draft(app, desk)
    late.sign()
    before = len(mails(app))
    act(app, sweeping.start, sweep_id, desk)
    work(app)
    assert [state_of(app, one) for one in (submitted, confirmed, asked, approved)] == ["expired", *["declined"] * 3]
    assert [state_of(app, one) for one in (published, other, late)] == ["published", "confirmed", "submitted"]
    done = sweep_of(app, sweep_id)
    assert (done.state, done.done, done.skipped) == ("done", 4, 0)
    assert items_of(app, sweep_id) == {
        (state, "done"): 1 for state in ("submitted", "confirmed", "clarification", "approved")
    }
    clock.shift(20)
    work(app)
    told = [str(mail["To"]) for mail in mails(app)[before:]]
    assert sorted(told) == sorted([*(one.answers["email"] for one in (confirmed, asked, approved)), "s5@spam.example"])
    with app.app_context():
        marks = set(db.session.scalars(select(Decision.bulk).where(Decision.action == "decline")))
        assert marks == {f"invalidation-{sweep_id}"}
        leaves = Counter(leaf_kinds())
        assert leaves["refuse"] == 3
        assert leaves["revoke"] == 0
        assert db.session.scalars(
            select(Audit.action).where(Audit.subject == "invalidation").order_by(Audit.id)
        ).all() == ["invalidation-draft", "invalidation-begin", "invalidation-step", "invalidation-done"]
        lines = db.session.scalars(select(Audit)).all()
        assert "spam" not in str([(line.detail, line.before, line.after, line.reason) for line in lines])
        assert db.session.scalars(select(Message).where(Message.recipient == "s0@spam.example")).all() == []


def test_more_than_alone_is_refused_alone_and_begins_with_a_second_person(app: Flask, desk: Desk) -> None:
    first = spammer(app, 0)
    first.sign()
    multiply(app, first, ALONE)
    sweep_id = draft(app, desk)
    with pytest.raises(NeedsSecondError):
        act(app, sweeping.start, sweep_id, desk)
    proposal_id = act(app, sweeping.propose, sweep_id, desk)
    with pytest.raises(AlreadyProposedError):
        act(app, sweeping.propose, sweep_id, desk)
    work(app)
    assert sweep_of(app, sweep_id).state == "proposed"
    assert state_of(app, first) == "submitted"
    spammer(app, 1).sign()
    dana = Desk(app, "Dana", "dana@example.org")
    with app.app_context():
        with pytest.raises(SamePersonError):
            proposals.approve(proposal_id, staff_id=desk.id, now=now())
        proposals.approve(proposal_id, staff_id=dana.id, now=now())
    work(app)
    done = sweep_of(app, sweep_id)
    assert (done.state, done.done, done.found, done.approved_by) == ("done", ALONE + 1, ALONE + 1, dana.id)
    assert state_of(app, spammer(app, 1)) == "submitted", "who came later is not meant"


def test_entries_of_the_registry_end_only_at_the_word_of_two_however_few(
    app: Flask, desk: Desk, clock: time_machine.Traveller
) -> None:
    person = spammer(app, 0)
    person.sign_and_confirm()
    with app.app_context():
        review.decide(
            ids(app)["s0@spam.example"],
            action="approve",
            expected_version=2,
            reason=None,
            note=None,
            staff_id=desk.id,
            undo_seconds=0,
            now=now(),
        )
    work(app)
    sweep_id = draft(app, desk, Conditions(domain="spam.example", published=True))
    with pytest.raises(NeedsSecondError):
        act(app, sweeping.start, sweep_id, desk)
    proposal_id = act(app, sweeping.propose, sweep_id, desk)
    dana = Desk(app, "Dana", "dana@example.org")
    with app.app_context():
        proposals.approve(proposal_id, staff_id=dana.id, now=now())
    work(app)
    clock.shift(70)
    work(app)
    assert state_of(app, person) == "revoked"
    with app.app_context():
        assert leaf_kinds()[-1] == "revoke"
        assert db.session.scalars(select(PublicEntry.name)).all() in ([None], [""], [])


def test_a_rejected_sweep_can_be_proposed_again_and_a_stopped_one_is_not_begun_by_an_approval(
    app: Flask, desk: Desk
) -> None:
    first = spammer(app, 0)
    first.sign()
    multiply(app, first, ALONE)
    dana = Desk(app, "Dana", "dana@example.org")
    sweep_id = draft(app, desk)
    rejected = act(app, sweeping.propose, sweep_id, desk)
    with app.app_context():
        proposals.reject(rejected, staff_id=dana.id, now=now(), reason="Зачем?")
    again = act(app, sweeping.propose, sweep_id, desk)
    act(app, sweeping.stop, sweep_id, desk)
    with app.app_context():
        with pytest.raises(DecidedMeanwhileError):
            proposals.approve(again, staff_id=dana.id, now=now())
        assert db.session.get_one(Proposal, again).state == "open"
    work(app)
    assert state_of(app, first) == "submitted"


def test_nobody_begins_what_is_another_s_means_nobody_or_changed_since_it_was_shown(app: Flask, desk: Desk) -> None:
    spammer(app, 0).sign()
    dana = Desk(app, "Dana", "dana@example.org")
    sweep_id = draft(app, desk)
    with pytest.raises(NotFoundError):
        act(app, sweeping.start, sweep_id, dana)
    nobody = draft(app, desk, Conditions(domain="elsewhere.example"))
    with pytest.raises(NothingMeantError):
        act(app, sweeping.start, nobody, desk)
    act(app, sweeping.start, sweep_id, desk)
    with app.app_context(), pytest.raises(DecidedMeanwhileError):
        sweeping.stop(sweep_id, expected_version=1, staff_id=desk.id, now=now())
    with pytest.raises(DecidedMeanwhileError):
        act(app, sweeping.start, sweep_id, desk)


# ── on its way ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def many(app: Flask, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> int:
    """Twelve that are meant, in steps of three; the sweep runs and no worker has come yet."""
    monkeypatch.setattr(sweep_steps, "AT_ONCE", 3)
    monkeypatch.setattr(sweep_steps, "BACK_AT_ONCE", 3)
    first = spammer(app, 0)
    first.sign()
    multiply(app, first, 11)
    sweep_id = draft(app, desk)
    act(app, sweeping.start, sweep_id, desk)
    return sweep_id


def step(app: Flask) -> bool:
    with app.app_context():
        return sweeps.step(app.config["CHARTER"])


def test_a_worker_that_dies_between_or_in_a_step_leaves_what_the_next_one_goes_on_with(
    app: Flask, desk: Desk, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert step(app)
    assert sweep_of(app, many).done == 3
    real = sweep_steps._note

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep_steps, "_note", die)
    with pytest.raises(KeyboardInterrupt):
        step(app)
    monkeypatch.setattr(sweep_steps, "_note", real)
    assert sweep_of(app, many).done == 3, "half a step leaves nothing"
    while step(app):
        pass
    done = sweep_of(app, many)
    assert (done.state, done.done) == ("done", 12)
    assert sum(items_of(app, many).values()) == 12
    with app.app_context():
        moves = Counter(db.session.scalars(select(SignatureEvent.signature_id).where(SignatureEvent.move == "expire")))
        assert set(moves.values()) == {1}
        assert len(moves) == 12


def test_two_workers_share_a_sweep_and_end_nobody_twice(app: Flask, desk: Desk, many: int) -> None:
    def all_of_it() -> int:
        config, steps = app.config["CHARTER"], 0
        while db.session.scalars(select(Invalidation.state).where(Invalidation.id == many)).one() == "running":
            db.session.remove()
            sweeps.step(config)
            steps += 1
        return steps

    results = at_once(app, all_of_it, all_of_it)
    assert all(isinstance(result, int) for result in results), results
    assert (sweep_of(app, many).done, sum(items_of(app, many).values())) == (12, 12)


def test_stopped_in_the_middle_what_was_done_stays_and_is_said(app: Flask, desk: Desk, many: int) -> None:
    step(app)
    act(app, sweeping.stop, many, Desk(app, "Dana", "dana@example.org"))
    assert not step(app)
    stopped = sweep_of(app, many)
    assert (stopped.state, stopped.done) == ("cancelled", 3)
    act(app, sweeping.undo, many, desk)
    while step(app):
        pass
    assert sweep_of(app, many).undone == 3


def test_a_sweep_of_somebody_who_may_no_longer_stops_by_itself(app: Flask, desk: Desk, many: int) -> None:
    step(app)
    with app.app_context(), writing():
        db.session.execute(update(StaffAccount).where(StaffAccount.id == desk.id).values(role="editor"))
        db.session.commit()
    assert not step(app)
    assert (sweep_of(app, many).state, sweep_of(app, many).done) == ("cancelled", 3)


@pytest.mark.parametrize("what", ["confirm", "withdraw", "decide"])
def test_against_a_person_or_a_colleague_at_the_same_moment_one_thing_happens(
    app: Flask, desk: Desk, what: str
) -> None:
    for place in range(3):
        person = spammer(app, place)
        person.sign()
        if what == "confirm":
            work(app)
            page = person.browser.get(link_in(person.mail(), "/confirm/"))

            def other(page: Any = page) -> Any:
                return page.submit("confirm-form").status
        else:
            person.confirm()
            signature_id = ids(app)[person.answers["email"]]
            if what == "withdraw":
                page = person.browser.get("/ru/my/withdraw/")

                def other(page: Any = page) -> Any:
                    return page.submit("withdraw-form").status
            else:

                def other(signature_id: int = signature_id) -> Any:
                    return review.decide(
                        signature_id,
                        action="approve",
                        expected_version=2,
                        reason=None,
                        note=None,
                        staff_id=desk.id,
                        undo_seconds=0,
                        now=now(),
                    )

        signature = ids(app)[person.answers["email"]]
        sweep_id = draft(app, desk, Conditions(domain="spam.example", name=person.answers["full_name"]))
        act(app, sweeping.start, sweep_id, desk)
        results = at_once(app, other, lambda: sweeps.step(app.config["CHARTER"]))
        assert not any(isinstance(one, Exception) and not isinstance(one, CharterError) for one in results), results
        work(app)
        done = sweep_of(app, sweep_id)
        assert done.state == "done"
        with app.app_context():
            ended = db.session.get_one(Signature, signature).state
        assert ended in {"expired", "declined", "withdrawn", "approved", "published", "confirmed"}
        # Whoever was faster: the sweep has ended the person exactly where it says so.
        assert (ended in {"expired", "declined"}) == (done.done == 1), (ended, done.done, results)


# ── and back ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_undone_in_time_decisions_are_taken_back_and_the_never_confirmed_wait_again(app: Flask, desk: Desk) -> None:
    held, waiting, confirmed = (spammer(app, place) for place in range(3))
    waiting.sign()
    confirmed.sign_and_confirm()
    with app.app_context(), writing():
        db.session.commit()
    held.sign()
    with app.app_context(), writing():
        held_id = ids(app)["s0@spam.example"]
        db.session.execute(update(Signature).where(Signature.id == held_id).values(held=True, held_because="network"))
        db.session.execute(update(Message).where(Message.signature_id == held_id).values(on_hold=True))
        db.session.commit()
    work(app)
    before = len(mails(app))
    sweep_id = draft(app, desk)
    act(app, sweeping.start, sweep_id, desk)
    with app.app_context():
        while sweeps.step(app.config["CHARTER"]):
            pass
    assert counted(app) == {"sweep": 1}
    act(app, sweeping.undo, sweep_id, desk)
    with pytest.raises(DecidedMeanwhileError):
        act(app, sweeping.undo, sweep_id, desk)
    with app.app_context():
        while sweeps.step(app.config["CHARTER"]):
            pass
    work(app)
    assert [state_of(app, one) for one in (held, waiting, confirmed)] == ["submitted", "submitted", "confirmed"]
    assert sweep_of(app, sweep_id).undone == 3
    assert len(mails(app)) == before, "nobody was told anything"
    assert counted(app) == {"sweep": 0}, "and what a sweep ends is no pace of the desk"
    with app.app_context():
        assert db.session.scalars(select(LogEvent.kind).where(LogEvent.kind == "refuse")).all() == []
    with pytest.raises(DecidedMeanwhileError):
        act(app, sweeping.undo, sweep_id, desk)
    with app.app_context():
        review.release(held_id, staff_id=desk.id, confirm_link_days=7, now=now())
    work(app)
    for person in (held, waiting):
        assert person.browser.get(link_in(person.mail(), "/confirm/")).submit("confirm-form").status == 200
        assert state_of(app, person) == "confirmed"


def test_undone_later_the_declined_are_taken_up_again_and_who_left_is_not(
    app: Flask, desk: Desk, clock: time_machine.Traveller
) -> None:
    stays, leaves = spammer(app, 0), spammer(app, 1)
    for person in (stays, leaves):
        person.sign_and_confirm()
    sweep_id = draft(app, desk)
    act(app, sweeping.start, sweep_id, desk)
    work(app)
    clock.shift(30)
    work(app)
    page = leaves.browser.get("/ru/my/erase/")
    page.submit("erase-form", sure="y")
    work(app)
    assert state_of(app, stays) == "declined"
    act(app, sweeping.undo, sweep_id, desk)
    work(app)
    clock.shift(30)
    work(app)
    assert state_of(app, stays) == "confirmed"
    undone = sweep_of(app, sweep_id)
    assert (undone.state, undone.undone) == ("undone", 1)
    assert items_of(app, sweep_id) == {("confirmed", "undone"): 1, ("confirmed", "kept"): 1}
    assert "/my/" in text_of(stays.mail())
    with app.app_context():
        assert Counter(leaf_kinds())["confirm"] == 3
        assert db.session.scalars(select(func.count()).select_from(Signature)).one() == 3


def test_what_took_two_to_end_takes_two_to_give_back(app: Flask, desk: Desk) -> None:
    first = spammer(app, 0)
    first.sign()
    multiply(app, first, ALONE)
    dana = Desk(app, "Dana", "dana@example.org")
    sweep_id = draft(app, desk)
    for verb in (sweeping.propose, sweeping.undo):
        proposal_id = act(app, verb, sweep_id, desk)
        assert sweep_of(app, sweep_id).state in {"proposed", "done"}
        with app.app_context():
            proposals.approve(proposal_id, staff_id=dana.id, now=now())
        work(app)
    assert (sweep_of(app, sweep_id).state, sweep_of(app, sweep_id).undone) == ("undone", ALONE + 1)
    assert state_of(app, first) == "submitted"


def test_the_worker_has_sweeps_among_its_chores() -> None:
    assert sweeps.step in chores.STEPS
