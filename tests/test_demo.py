"""The demonstration: everything that can happen has happened, the same way every time, and only in its own folder."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from charter import cli, create_app, demo, worker
from charter.demo.letters import romanise
from charter.demo.nations import NATIONS
from charter.domain.calendar import local_date
from charter.domain.reasons import CATALOGUE
from charter.domain.signature import State
from charter.models.base import db
from charter.models.decision import Decision
from charter.models.edition import Edition
from charter.models.log import LogBatch, LogLeaf
from charter.models.outbox import Message
from charter.models.registry import PublicEntry, RegionCount
from charter.models.signature import Clarification, Signature, SignatureConsent, SignatureEvent
from charter.models.staff import StaffAccount
from charter.queries import staff as staff_queries
from charter.tlog.record import commitment
from charter.tlog.tree import hash_leaf
from tests.conftest import make_settings

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)  # a Monday afternoon in Almaty
COUNT = 60


def make_demo(instance: Path, count: int, *, now: datetime = NOW) -> Flask:
    """An application whose database holds a demonstration."""
    app = create_app(make_settings(instance))
    cli.prepare(app)
    demo.load(app, count, now=now)
    return app


def let_go(app: Flask) -> None:
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    app = make_demo(tmp_path_factory.mktemp("demo"), COUNT)
    yield app
    let_go(app)


@pytest.fixture
def context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def everything(table: type[Any]) -> list[Any]:
    return list(db.session.scalars(select(table)))


@pytest.mark.usefixtures("context")
def test_sixty_show_every_state_kind_region_language_and_way_of_being_shown() -> None:
    signatures = everything(Signature)
    assert len(signatures) == COUNT
    # Nobody can be removed by the Centre or erased yet.
    assert {one.state for one in signatures} == set(State) - {State.REVOKED, State.ERASED}
    assert {one.kind for one in signatures} == {"party", "independent", "international"}
    assert {one.display for one in signatures} == {"full", "short", "unlisted"}
    assert {one.signed_language for one in signatures} == {"kk", "ru", "en"}
    assert any(one.held for one in signatures)
    assert any(one.affiliation_text for one in signatures)
    live = [entry for entry in everything(PublicEntry) if entry.ended_on is None]
    assert len({entry.region_code for entry in live}) == 21
    assert {entry.kind for entry in live} == {"party", "independent", "international"}
    assert {entry.display for entry in live} == {"full", "short", "unlisted"}


@pytest.mark.usefixtures("context")
def test_sixty_show_every_decision() -> None:
    decisions = everything(Decision)
    declined = {one.reason for one in decisions if one.action == "decline" and one.undone_at is None}
    assert declined == {reason.code for reason in CATALOGUE if reason.action == "decline"}
    assert any(one.undone_at for one in decisions)
    questions = everything(Clarification)
    assert any(one.answered_at for one in questions)
    assert any(not one.answered_at for one in questions)
    moves = set(db.session.scalars(select(SignatureEvent.move)))
    assert {"sign", "confirm", "ask", "answer", "approve", "decline", "publish", "withdraw"} <= moves
    assert {"expire", "correct", "undo", "release"} <= moves


@pytest.mark.usefixtures("context")
def test_the_queue_has_what_is_late_due_today_and_due_later() -> None:
    today = local_date(NOW)
    due = [one.due_on for one in everything(Signature) if one.state == State.CONFIRMED]
    assert any(day < today for day in due)
    assert any(day == today for day in due)
    assert any(day > today for day in due)


@pytest.mark.usefixtures("context")
def test_people_left_before_and_after_publication() -> None:
    left = {one.entry for one in everything(Signature) if one.state == State.WITHDRAWN}
    published = {one.entry for one in everything(PublicEntry)}
    assert left & published
    assert left - published
    assert any(entry.ended_by == "signatory" for entry in everything(PublicEntry))


@pytest.mark.usefixtures("context")
def test_counters_equal_counts() -> None:
    counted: Counter[tuple[str, str, str]] = Counter()
    for entry in everything(PublicEntry):
        column = "withdrawn" if entry.ended_on else "unlisted" if entry.display == "unlisted" else "listed"
        counted[entry.region_code, entry.kind, column] += 1
    kept: Counter[tuple[str, str, str]] = Counter()
    for count in everything(RegionCount):
        for column in ("listed", "unlisted", "withdrawn", "revoked"):
            kept[count.region_code, count.kind, column] = getattr(count, column)
    assert +kept == counted


@pytest.mark.usefixtures("context")
def test_the_log_is_true() -> None:
    leaves = list(db.session.scalars(select(LogLeaf).order_by(LogLeaf.index)))
    batches = list(db.session.scalars(select(LogBatch).order_by(LogBatch.revision)))
    assert [leaf.index for leaf in leaves] == list(range(len(leaves)))
    assert batches[-1].tree_size == len(leaves)
    assert all(earlier.at <= later.at for earlier, later in pairwise(batches))
    assert batches[-1].at <= NOW
    assert all(leaf.hash == hash_leaf(leaf.data) for leaf in leaves)
    assert b'"kind":"charter"' in leaves[0].data
    log = b"\n".join(leaf.data for leaf in leaves)
    live = [entry for entry in everything(PublicEntry) if entry.line]
    assert live
    for entry in live:
        assert commitment(entry.line).encode() in log
    edition = db.session.scalars(select(Edition)).one()
    assert edition.published_on < min(entry.signed_on for entry in live)


@pytest.mark.usefixtures("context")
def test_everybody_consented_twice_and_nothing_lies_in_the_future() -> None:
    consents = everything(SignatureConsent)
    assert len(consents) == 2 * COUNT
    signed = {one.id: one.submitted_at for one in everything(Signature)}
    assert all(consent.given_at == signed[consent.signature_id] for consent in consents)
    assert all(event.at <= NOW for event in everything(SignatureEvent))


@pytest.mark.usefixtures("context")
def test_old_mail_is_gone_and_a_little_new_mail_waits() -> None:
    messages = everything(Message)
    waiting = [one for one in messages if one.done_at is None and not one.on_hold]
    assert 5 <= len(waiting) <= 20
    assert all((NOW - one.created_at).total_seconds() <= 3600 for one in waiting)
    assert {one.kind for one in waiting} >= {"signing", "confirmed", "clarification", "declined", "withdrawn", "code"}
    failed = [one for one in messages if one.failed_at]
    assert failed
    for one in messages:
        if one.done_at and not one.failed_at:
            assert one.recipient is None
            assert one.values == {}
            assert one.sent_at


@pytest.mark.usefixtures("context")
def test_nobody_real_can_get_mail() -> None:
    addresses = [*db.session.scalars(select(Signature.email)), *db.session.scalars(select(StaffAccount.email))]
    domains = {address.rpartition("@")[2] for address in addresses}
    assert domains <= {"example.com", "example.org", "example.net"}


@pytest.mark.usefixtures("context")
def test_nobody_can_sign_in_as_the_reviewer_of_the_demonstration() -> None:
    account = db.session.scalars(select(StaffAccount)).one()
    assert account.password is None
    assert account.tf_totp_secret is None
    assert account.invite_digest is not None
    assert staff_queries.find_invitation(account.invite_digest, now=NOW) is None


def facts(app: Flask) -> list[Any]:
    """What a visitor, a signatory or a reviewer could see, without addresses and salts."""
    entries = (
        PublicEntry.number,
        PublicEntry.kind,
        PublicEntry.display,
        PublicEntry.name,
        PublicEntry.region_code,
        PublicEntry.affiliation_name,
        PublicEntry.signed_on,
        PublicEntry.ended_on,
        PublicEntry.ended_by,
    )
    people = (
        Signature.full_name,
        Signature.short_name,
        Signature.email,
        Signature.state,
        Signature.held,
        Signature.language,
        Signature.signed_language,
        Signature.due_on,
        Signature.number,
    )
    counts = (RegionCount.region_code, RegionCount.kind, RegionCount.listed, RegionCount.unlisted)
    decisions = (Decision.signature_id, Decision.action, Decision.reason, Decision.note)
    with app.app_context():
        return [
            [tuple(row) for row in db.session.execute(select(*columns).order_by(*columns))]
            for columns in (entries, people, counts, decisions)
        ]


def test_the_same_number_on_the_same_day_gives_the_same_facts(app: Flask, tmp_path: Path) -> None:
    again = make_demo(tmp_path / "again", COUNT, now=datetime(2026, 11, 23, 17, 5, 7, tzinfo=UTC))
    assert facts(again) == facts(app)
    with app.app_context():
        first = set(db.session.scalars(select(PublicEntry.entry)))
    with again.app_context():
        assert not first & set(db.session.scalars(select(PublicEntry.entry)))
    let_go(again)


@pytest.mark.parametrize("count", [0, 1, 2, 5, 12, 33, 59])
def test_any_number_is_exactly_that_number(count: int, tmp_path: Path) -> None:
    app = make_demo(tmp_path, count)
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Signature)) == count
        published = db.session.scalar(select(func.count()).select_from(PublicEntry)) or 0
        assert published >= count // 2
    let_go(app)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 22, 19, 0, 3, tzinfo=UTC),  # three seconds after midnight
        datetime(2026, 11, 21, 10, tzinfo=UTC),  # a Saturday
        datetime(2026, 3, 24, 6, tzinfo=UTC),  # the middle of a holiday
        datetime(2031, 1, 8, 6, tzinfo=UTC),  # beyond the holiday list
    ],
)
def test_any_moment_will_do(moment: datetime, tmp_path: Path) -> None:
    app = make_demo(tmp_path, COUNT, now=moment)
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Signature)) == COUNT
        assert all(event.at <= moment for event in everything(SignatureEvent))
    let_go(app)


def test_other_settings_change_the_stories_and_break_none(tmp_path: Path) -> None:
    short = {"confirm_link_days": "1", "answer_due_working_days": "1", "undo_seconds": "0", "code_minutes": "5"}
    long = {
        "confirm_link_days": "30",
        "unconfirmed_keep_days": "30",
        "answer_due_working_days": "60",
        "undo_seconds": "600",
        "people_per_mailbox": "1",
    }
    for place, given in enumerate((short, long)):
        app = create_app(make_settings(tmp_path / str(place), **given))
        cli.prepare(app)
        demo.load(app, COUNT, now=NOW)
        with app.app_context():
            assert db.session.scalar(select(func.count()).select_from(Signature)) == COUNT
        let_go(app)


def test_a_database_in_use_is_refused(app: Flask) -> None:
    before = facts(app)
    with pytest.raises(RuntimeError, match="empty"):
        demo.load(app, 5, now=NOW)
    assert facts(app) == before


def test_the_worker_goes_on_from_there(tmp_path: Path) -> None:
    app = create_app(make_settings(tmp_path))
    cli.prepare(app)
    demo.load(app, COUNT)
    leaves, mails = worker.run_once(app)
    assert leaves
    assert mails >= 5
    assert len(list(app.config["CHARTER"].mail_path.glob("*.eml"))) == mails
    with app.app_context():
        assert not db.session.scalar(select(func.count()).where(Signature.state == State.APPROVED))
    let_go(app)


def test_commits_wait_for_the_disk_again_afterwards(app: Flask) -> None:
    with app.app_context(), db.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


# Audit hooks cannot be taken away again: this one listens only while it is told to.
_touched: list[str] = []
_listening = False


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if not _listening:
        return
    is_write = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if is_write or event in {"sqlite3.connect", "os.remove", "os.mkdir", "os.rename", "shutil.rmtree"}:
        _touched.append(str(arguments[0]))
    elif event in {"socket.connect", "subprocess.Popen", "os.exec"}:
        _touched.append(event)


def test_nothing_outside_the_instance_folder_is_touched(tmp_path: Path) -> None:
    global _listening
    instance = tmp_path / "instance"
    app = create_app(make_settings(instance))
    cli.prepare(app)
    sys.addaudithook(_listen)
    _listening = True
    try:
        demo.load(app, COUNT, now=NOW)
    finally:
        _listening = False
    let_go(app)
    assert _touched
    assert [path for path in _touched if not Path(path).is_relative_to(instance)] == []
    assert {
        path.name.removesuffix("-wal").removesuffix("-shm").removesuffix("-turns") for path in instance.iterdir()
    } == {
        "charter.db",
        "secret_key",
    }


def test_names_from_abroad_keep_their_letters_and_others_can_be_written_in_latin() -> None:
    names = "".join("".join((*nation.men, *nation.women, *nation.surnames)) for nation in NATIONS.values())
    assert set("łßçğıöşžÞəőțø") <= set(names)
    assert romanise("Қожабекова Жұлдыз") == "Kozhabekova Zhuldyz"
