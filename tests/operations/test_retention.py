"""What has a term goes in two passes an hour apart, only what is over, and whatever the clock does nobody too early."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

import pytest
from click.testing import Result as Ran
from flask import Flask
from sqlalchemy import func, select
from time_machine import Traveller as Clock

from charter import retention as keeping
from charter.domain.errors import FieldRefusedError
from charter.domain.retention import RULES, Turn, turn
from charter.domain.sweep import Conditions
from charter.models import terms
from charter.models.base import Base, db, writing
from charter.models.limits import DayKey, MailboxTally, MailHour, RetentionPass, SigningTrace, SpentChallenge
from charter.models.log import LogLeaf
from charter.models.outbox import Message
from charter.models.rights import AddressChange, Correction, Objection
from charter.models.signature import Link, Signature, SignatureEvent
from charter.models.sweeping import Invalidation
from charter.operations import retention
from charter.retention import Retention
from tests.operations.test_erasing import ADDRESS, NAME, everything, left, traces_of
from tests.operations.test_signing import confirm, confirmed, decide, get, now, sign
from tests.people import Desk, code_in, link_in, mails, text_of, work


def keep(app: Flask, clock: Clock, *, hours: float = 1.0) -> None:
    """One pass now and one after so long."""
    step(app)
    clock.shift(timedelta(hours=hours))
    step(app)


def step(app: Flask, worker: Retention | None = None) -> None:
    with app.app_context():
        one = worker or Retention(app.config["CHARTER"])
        while one.step(at_once=True):
            pass
        db.session.remove()


def noted(app: Flask) -> set[str]:
    with app.app_context():
        return set(db.session.scalars(select(RetentionPass.rule)))


def reminders(app: Flask) -> list[Any]:
    return [mail for mail in mails(app) if "waits for you" in str(mail["Subject"]) or "ждёт" in str(mail["Subject"])]


def queued(app: Flask, kind: str = "reminder") -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(Message).where(Message.kind == kind)) or 0


# ── the one reminder ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_has_not_confirmed_is_reminded_once_with_the_same_link_and_never_again(app: Flask, clock: Clock) -> None:
    signature_id = sign(app)
    work(app)
    (first,) = mails(app)
    clock.shift(timedelta(hours=47))
    keep(app, clock, hours=0.9)
    assert noted(app) == set() and not queued(app), "not before its time"
    clock.shift(timedelta(hours=0.2))
    keep(app, clock)
    work(app)
    second = mails(app)[-1]
    assert link_in(second, "/confirm/") == link_in(first, "/confirm/")
    assert code_in(second) == code_in(first)
    for _ in range(4):
        clock.shift(timedelta(hours=13))
        keep(app, clock)
    assert queued(app) == 1
    assert confirm(app, signature_id).outcome.value == "done"


def test_nobody_is_reminded_of_what_is_confirmed_set_aside_signed_again_or_over(app: Flask, clock: Clock) -> None:
    confirmed(app, "Confirmed Person", "one@example.org")
    for place in range(4):
        sign(app, f"Held Person{'abcd'[place]}", "held@example.org")
    older = sign(app, "Same Person", "same@example.org")
    clock.shift(timedelta(minutes=20))
    newer = sign(app, "Same Person", "same@example.org")
    stands = sign(app, "Standing Person", "standing@example.org")
    confirm(app, stands)
    again = sign(app, "Standing Person", "standing@example.org")
    clock.shift(timedelta(hours=49))
    keep(app, clock)
    with app.app_context():
        reminded = set(db.session.scalars(select(Message.signature_id).where(Message.kind == "reminder")))
        held = set(db.session.scalars(select(Signature.id).where(Signature.held)))
    assert len(held) == 1
    assert newer in reminded
    assert reminded.isdisjoint({older, stands, again, *held})
    late = sign(app, "Late Person", "late@example.org")
    clock.shift(timedelta(days=8))
    keep(app, clock)
    assert queued(app) == len(reminded), "a link that no longer works is not sent again"
    assert get(app, late).reminded_at is not None


def test_who_confirms_while_the_reminder_waits_gets_none(app: Flask, clock: Clock) -> None:
    signature_id = sign(app)
    work(app)
    clock.shift(timedelta(hours=49))
    keep(app, clock)
    assert queued(app) == 1
    confirm(app, signature_id)
    before = len(mails(app))
    work(app)
    assert all("/confirm/" not in text_of(mail) for mail in mails(app)[before:])


# ── erasing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_never_confirmed_is_erased_to_the_last_byte_and_the_log_never_hears_of_it(
    app: Flask, clock: Clock
) -> None:
    signature_id = sign(app, NAME, ADDRESS)
    work(app)
    traces = traces_of(app, signature_id)
    entry = get(app, signature_id).entry
    with app.app_context():
        leaves = db.session.scalar(select(func.count()).select_from(LogLeaf))
    clock.shift(timedelta(days=13, hours=23))
    keep(app, clock, hours=0.99)
    assert get(app, signature_id).email
    clock.shift(timedelta(hours=0.1))
    work(app)
    assert get(app, signature_id).email, "the first pass only notes"
    clock.shift(timedelta(hours=1))
    work(app)
    row = get(app, signature_id)
    assert (row.state, row.email, row.full_name, row.mailbox, row.name_key) == ("erased", "", "", "", "")
    for mail in list(app.config["CHARTER"].mail_path.glob("*.eml")):
        mail.unlink()  # what has been sent is with whoever got it
    assert left(traces, everything(app, entry)) == {}
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(LogLeaf)) == leaves
        moves = db.session.execute(
            select(SignatureEvent.move, SignatureEvent.actor).where(SignatureEvent.signature_id == signature_id)
        ).all()
        assert moves[-1] == ("erase", "service")
        assert not db.session.scalar(select(func.count()).select_from(Link).where(Link.signature_id == signature_id))


def test_declined_applications_go_after_their_term_with_a_leaf_but_not_while_an_objection_waits(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    first = confirmed(app, "First Person", "first@example.org")
    second = confirmed(app, "Second Person", "second@example.org")
    for one in (first, second):
        decide(app, one, desk.id, "decline", "other")
    clock.shift(timedelta(seconds=11))
    work(app)
    with app.app_context(), writing():
        db.session.add(
            Objection(signature_id=second, state="pending", words="Нет.", made_at=now(), due_on=now().date())
        )
        db.session.commit()
    clock.shift(timedelta(days=366))
    keep(app, clock)
    assert get(app, first).state == "erased"
    assert get(app, second).state == "declined"
    work(app)
    with app.app_context():
        last = bytes(db.session.scalars(select(LogLeaf.data).order_by(LogLeaf.index.desc()).limit(1)).one())
    assert b'"kind":"erase"' in last and get(app, first).entry.encode() in last


def test_whoever_stands_is_erased_by_no_term(app: Flask, desk: Desk, clock: Clock) -> None:
    published, waiting = confirmed(app, "Some Body", "a@example.org"), confirmed(app, "No Body", "b@example.org")
    decide(app, published, desk.id)
    clock.shift(timedelta(seconds=11))
    work(app)
    for _ in range(3):
        clock.shift(timedelta(days=3650))
        keep(app, clock, hours=2)
    assert get(app, published).state == "published" and get(app, published).email
    assert get(app, waiting).state == "confirmed" and get(app, waiting).email


# ── the clock ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_clock_that_runs_ahead_for_less_than_an_hour_erases_nobody(app: Flask, clock: Clock) -> None:
    signature_id = sign(app)
    worker_settings = app.config["CHARTER"]
    clock.shift(timedelta(days=400))
    step(app)
    clock.shift(timedelta(minutes=59))
    step(app)
    assert get(app, signature_id).email
    clock.shift(timedelta(days=-400))
    step(app, Retention(worker_settings))
    assert noted(app) == set(), "what a wrong clock noted is forgotten"
    clock.shift(timedelta(hours=2))
    keep(app, clock)
    assert get(app, signature_id).email


def test_a_clock_that_jumps_between_the_passes_acts_on_what_was_over_before_the_jump(app: Flask, clock: Clock) -> None:
    old = sign(app, "Old Person", "old@example.org")
    clock.shift(timedelta(days=15))
    young = sign(app, "Young Person", "young@example.org")
    step(app)
    clock.shift(timedelta(days=400))
    step(app)
    assert get(app, old).state == "erased"
    assert get(app, young).state == "submitted"


def test_a_worker_that_sees_the_clock_jump_begins_its_passes_anew(app: Flask, clock: Clock) -> None:
    signature_id = sign(app)
    clock.shift(timedelta(days=15))
    worker = Retention(app.config["CHARTER"])
    step(app, worker)
    assert "unconfirmed" in noted(app)
    with app.app_context():
        worker.clock_jumped()
    clock.shift(timedelta(hours=2))
    step(app, worker)
    assert get(app, signature_id).email, "noted for the first time"
    clock.shift(timedelta(hours=1))
    step(app, worker)
    assert get(app, signature_id).state == "erased"


def test_nothing_is_acted_on_without_a_first_pass_an_hour_ago(app: Flask, clock: Clock) -> None:
    signature_id = sign(app)
    clock.shift(timedelta(days=30))
    with app.app_context():
        assert retention.act("unconfirmed", now=now()) == 0
        retention.note("unconfirmed", cutoff_at=now(), now=now())
        assert retention.act("unconfirmed", now=now()) == 0
        # A second worker's first pass changes nothing of it.
        retention.note("unconfirmed", cutoff_at=now() + timedelta(days=9), now=now() - timedelta(days=1))
        assert retention.act("unconfirmed", now=now()) == 0
    assert get(app, signature_id).email
    assert turn(None, now=now()) is Turn.NOTE


# ── everything else that has a term ──────────────────────────────────────────────────────────────────────────────────


def rows_of_every_kind(signature_id: int) -> list[Base]:
    """One row for each rule that is not about a signature itself."""
    moment = now()
    details = {"kind": "independent", "full_name": "Басқа Адам", "short_name": "Б.", "display": "full"}
    return [
        SigningTrace(signature_id=signature_id, at=moment, network=secrets.token_bytes(32), domain="example.org"),
        DayKey(day=moment.date(), key=secrets.token_bytes(32)),
        SpentChallenge(digest=secrets.token_bytes(32), expires_at=moment),
        MailboxTally(digest=secrets.token_bytes(32), unconfirmed_count=1, last_mail_at=moment, bounce_count=0),
        AddressChange(
            signature_id=signature_id,
            email="new@example.org",
            mailbox="new@example.org",
            old_uid=b"o" * 16,
            old_digest=secrets.token_bytes(32),
            old_tries=0,
            new_uid=b"n" * 16,
            new_digest=secrets.token_bytes(32),
            new_tries=0,
            created_at=moment,
            expires_at=moment,
        ),
        Correction(
            signature_id=signature_id,
            state="declined",
            region_code="KZ-75",
            created_at=moment,
            decided_at=moment,
            due_on=moment.date(),
            **details,
        ),
        Objection(
            signature_id=signature_id,
            state="rejected",
            words="Қарсымын.",
            answer="Жоқ.",
            made_at=moment,
            decided_at=moment,
            due_on=moment.date(),
        ),
        MailHour(hour_at=moment, sent_count=3),
        Invalidation(
            conditions={"name": "тимур", "regions": ["KZ-75"]},
            reason="abuse",
            note="Тимур тағы да.",
            state="draft",
            staff_id=1,
            created_at=moment,
        ),
    ]


def test_each_rule_acts_on_its_rows_after_its_term_and_on_none_before(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    with app.app_context(), writing():
        db.session.execute(DayKey.__table__.delete())
        db.session.execute(SigningTrace.__table__.delete())
        db.session.execute(MailboxTally.__table__.delete())
        db.session.execute(MailHour.__table__.delete())
        db.session.add_all(rows_of_every_kind(signature_id))
        db.session.commit()
    about_people = {"reminder", "unconfirmed", "declined", "revoked"}
    settings, begun = app.config["CHARTER"], now()
    rules = {rule.name: keeping.keeps_for(rule, settings) for rule in RULES if rule.name not in about_people}

    def over(name: str) -> int:
        with app.app_context():
            return len(db.session.execute(terms.over(name, now() - rules[name], most=9)).all())

    for kept in sorted(set(rules.values())):
        names = [name for name in rules if rules[name] == kept]
        clock.move_to(begun + kept - timedelta(minutes=1))
        assert {name: over(name) for name in names} == dict.fromkeys(names, 0)
        clock.move_to(begun + kept + timedelta(days=2))
        assert {name: over(name) for name in names} == dict.fromkeys(names, 1)
        keep(app, clock)
        assert {name: over(name) for name in names} == dict.fromkeys(names, 0)
    with app.app_context():
        objection = db.session.scalars(select(Objection)).one()
        assert (objection.words, objection.answer, objection.state) == (None, None, "rejected")
        correction = db.session.scalars(select(Correction)).one()
        assert (correction.full_name, correction.state) == ("", "declined")
        sweep = db.session.scalars(select(Invalidation)).one()
        assert (sweep.conditions, sweep.note) == ({"emptied": True, "regions": ["KZ-75"]}, None)
        assert sweep.state == "cancelled", "without its name it would mean a whole region"
        with pytest.raises(FieldRefusedError):
            Conditions.from_json(sweep.conditions).check()
    assert get(app, signature_id).email


def test_many_are_erased_in_steps_and_two_workers_share_them(app: Flask, clock: Clock) -> None:
    for place in range(7):
        sign(app, f"Person {'abcdefg'[place]}", f"{place}@example.org")
    clock.shift(timedelta(days=15))
    step(app)
    clock.shift(timedelta(hours=1))
    with app.app_context():
        assert [retention.act("unconfirmed", now=now(), most=3) for _ in range(4)] == [3, 3, 1, 0]
        assert retention.act("unconfirmed", now=now(), most=3) == 0
        assert not db.session.scalar(select(func.count()).select_from(Signature).where(Signature.email != ""))


def run_command(app: Flask, *arguments: str) -> Ran:
    return app.test_cli_runner().invoke(args=["retention", *arguments])


def test_the_dry_run_counts_and_changes_nothing_and_the_command_keeps_the_hour(app: Flask, clock: Clock) -> None:
    signature_id = sign(app)
    clock.shift(timedelta(days=15))
    told = run_command(app, "--dry-run")
    assert told.exit_code == 0, told.output
    line = next(line for line in told.output.splitlines() if line.startswith("unconfirmed"))
    assert " 1 over " in line and " 0 noted" in line
    assert noted(app) == set()
    assert run_command(app).exit_code == 0
    line = next(line for line in run_command(app, "--dry-run").output.splitlines() if line.startswith("unconfirmed"))
    assert " 1 noted " in line and "acts from" in line
    run_command(app)
    assert get(app, signature_id).email
    clock.shift(timedelta(hours=1))
    run_command(app)
    assert get(app, signature_id).state == "erased"
    assert "amina" not in told.output.lower() and "example.org" not in told.output


@pytest.mark.parametrize("rule", [rule.name for rule in RULES])
def test_looking_for_what_is_over_uses_an_index_or_a_table_that_stays_small(app: Flask, rule: str) -> None:
    small = {"day-keys", "address-changes", "corrections", "objections", "mail-hours", "sweeps"}
    if rule in small:
        assert rule not in {"reminder", "unconfirmed", "declined", "revoked", "traces", "mailboxes"}
        return
    with app.app_context():
        if db.engine.dialect.name != "sqlite":
            # PostgreSQL reads an empty table whole, whatever indexes there are.
            db.session.execute(db.text("SET LOCAL enable_seqscan = off"))
        query = terms.over(rule, now(), most=1)
        sql = str(query.compile(db.engine, compile_kwargs={"literal_binds": True}))
        explain = "EXPLAIN QUERY PLAN " if db.engine.dialect.name == "sqlite" else "EXPLAIN "
        plan = "\n".join(str(row) for row in db.session.execute(db.text(explain + sql)))
    assert "ix_" in plan, plan
