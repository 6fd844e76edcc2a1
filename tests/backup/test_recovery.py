"""What each leaf does to a restored database: every road that a signature can have gone since the backup."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from time_machine import Traveller as Clock

from charter import leaves_file, shipped
from charter.domain.edition import digest
from charter.domain.fold import fold
from charter.models.base import db, writing
from charter.models.edition import Edition
from charter.models.log import LogEvent, LogLeaf
from charter.models.outbox import Message
from charter.models.registry import PublicEntry
from charter.models.signature import Link, Signature
from charter.operations import erasing, recovery, review, seed
from charter.operations.public_side import numbers_given
from charter.settings import Settings
from charter.tlog import leaf
from charter.tlog.leaves_text import Batch, Closing
from tests.backup.conftest import NewMachine, back_up, now, restore, settings_of
from tests.backup.test_restore_drill import check_log
from tests.house.world import dump
from tests.operations.test_publication import batches, entry_row, published
from tests.operations.test_signing import confirm, confirmed, decide, get, key_of, leaves, moves, sign, withdraw
from tests.pages import Browser
from tests.people import Desk, link_in, mails, work

OpenMachine = Callable[[Settings], Flask]


@dataclass
class Loss:
    """Loses the machine: what was after the backup is in the leaves file only."""

    app: Flask
    new_machine: NewMachine
    open_machine: OpenMachine
    backup: Path | None = None
    report: str = ""

    def back_up(self) -> None:
        self.backup = back_up(self.app)

    def restored(self) -> Flask:
        assert self.backup is not None
        work(self.app)
        settings = self.new_machine(settings_of(self.app))
        self.report = restore(self.backup, settings)
        found = self.open_machine(settings)
        check_log(dump(found))
        return found


@pytest.fixture
def loss(app: Flask, clock: Clock, new_machine: NewMachine, open_machine: OpenMachine) -> Loss:
    return Loss(app, new_machine, open_machine)


def undo(app: Flask, decision_id: int, staff_id: int) -> None:
    with app.app_context():
        review.undo(decision_id, staff_id=staff_id, now=now())


def waiting_mail(app: Flask, signature_id: int) -> list[str]:
    with app.app_context():
        query = select(Message.kind).where(Message.signature_id == signature_id, Message.done_at.is_(None))
        return list(db.session.scalars(query.order_by(Message.id)))


def events(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(LogEvent.kind).order_by(LogEvent.id)))


def kinds(app: Flask, signature_id: int) -> list[str]:
    return [one["kind"] for one in leaves(app, get(app, signature_id).entry)]


def test_there_is_a_rule_for_every_kind_of_leaf() -> None:
    assert set(recovery.RULES) == set(leaf.KINDS)


# ── what waited when the backup was made ─────────────────────────────────────────────────────────────────────────────


def test_what_waited_in_the_backup_and_is_in_the_log_is_not_written_twice(loss: Loss, desk: Desk, clock: Clock) -> None:
    app = loss.app
    leaver = published(app, desk, clock, 1)
    declined = confirmed(app, address="declined@example.org")
    approved = confirmed(app, address="approved@example.org")
    work(app)
    fresh = confirmed(app, address="fresh@example.org")
    withdraw(app, leaver)
    decide(app, declined, desk.id, "decline", "duplicate")
    decide(app, approved, desk.id)
    loss.back_up()
    assert sorted(events(app)) == ["confirm", "publish", "refresh", "refuse", "withdraw"]
    line = get(app, fresh).application_line
    clock.shift(11)
    found = loss.restored()
    assert events(found) == []
    assert [get(found, one).state for one in (fresh, leaver, declined, approved)] == [
        "confirmed", "withdrawn", "declined", "published",
    ]  # fmt: skip
    assert kinds(found, fresh) == ["confirm"]
    assert get(found, fresh).application_line == line, "it is still there, and opens the commitment"
    assert get(found, fresh).entry not in loss.report
    assert kinds(found, leaver) == ["confirm", "publish", "withdraw"]
    assert kinds(found, declined) == ["confirm", "refuse"]
    assert kinds(found, approved) == ["confirm", "publish", "correct"]
    assert entry_row(found, leaver).name is None
    assert waiting_mail(found, declined) == ["confirmed", "declined"] or waiting_mail(found, declined) == ["declined"]
    assert work(found)[0] == 0


def test_decisions_that_were_taken_back_after_the_backup_do_not_stand_in_the_way(
    loss: Loss, desk: Desk, clock: Clock
) -> None:
    app = loss.app
    up, down, gone = (confirmed(app, address=f"{name}@example.org") for name in ("up", "down", "gone"))
    work(app)
    decisions = {
        up: decide(app, up, desk.id, "decline", "abuse"),
        down: decide(app, down, desk.id),
        gone: decide(app, gone, desk.id, "decline", "other"),
    }
    loss.back_up()
    for decision_id in decisions.values():
        undo(app, decision_id, desk.id)
    decide(app, up, desk.id)
    decide(app, down, desk.id, "decline", "not-an-observer")
    withdraw(app, gone)
    clock.shift(11)
    found = loss.restored()
    assert [get(found, one).state for one in (up, down, gone)] == ["published", "declined", "withdrawn"]
    assert moves(found, up) == ["sign", "confirm", "decline", "undo", "approve", "publish"]
    assert moves(found, down) == ["sign", "confirm", "approve", "undo", "decline"]
    assert moves(found, gone) == ["sign", "confirm", "decline", "undo", "withdraw"]
    assert events(found) == []
    assert "declined" not in waiting_mail(found, up) + waiting_mail(found, gone)
    assert get(found, up).ended_at is None


# ── what happened afterwards ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_confirmation_after_the_backup_gets_its_day_and_a_new_personal_link(loss: Loss, clock: Clock) -> None:
    app = loss.app
    first = sign(app, address="twice@example.org")
    second = sign(app, address="twice@example.org")
    for place in range(3):
        sign(app, f"Адам {'Абвг'[place]}", "office@example.org")
    held = sign(app, "Дана Қалған", "office@example.org")
    work(app)
    assert get(app, held).held
    loss.back_up()
    confirm(app, second)
    with app.app_context():
        review.release(held, staff_id=staff_of(app), confirm_link_days=7, now=now())
    confirm(app, held)
    due = get(app, second).due_on
    work(app)
    clock.shift(timedelta(days=3))
    found = loss.restored()
    assert [get(found, one).state for one in (first, second, held)] == ["expired", "confirmed", "confirmed"]
    assert not get(found, held).held
    row = get(found, second)
    assert (row.due_on, row.application_line) == (due, None)
    assert row.confirmed_at is not None and row.confirmed_at < now() - timedelta(days=2)
    assert row.entry in loss.report
    assert waiting_mail(found, second) == waiting_mail(found, held) == ["confirmed"]
    work(found)
    page = Browser(found).get(link_in(mails(found)[-1], "/my/"))
    assert page.status == 200
    # A signature under the same name brings the same link once more.
    sign(found, address="twice@example.org")
    work(found)
    with found.app_context():
        uid = db.session.scalars(select(Link.uid).filter_by(signature_id=second, purpose="personal")).one()
    assert uid
    assert "/my/" in link_in(mails(found)[-1], "/my/")


def staff_of(app: Flask) -> int:
    return Desk(app, "Dana", "dana@example.org").id


def test_published_and_withdrawn_after_the_backup_leaves_a_nameless_line_and_no_correction(
    loss: Loss, desk: Desk, clock: Clock
) -> None:
    app = loss.app
    signature_id = confirmed(app)
    work(app)
    loss.back_up()
    decide(app, signature_id, desk.id)
    clock.shift(11)
    work(app)
    withdraw(app, signature_id)
    found = loss.restored()
    row = entry_row(found, signature_id)
    assert (row.number, row.name, row.line, row.ended_by) == (1, None, None, "signatory")
    assert kinds(found, signature_id) == ["confirm", "publish", "withdraw"]
    assert waiting_mail(found, signature_id) == []
    figures = dump(found)["region_count"]
    assert [(one["listed"], one["unlisted"], one["withdrawn"]) for one in figures] == [(0, 0, 1)]


def test_a_refusal_keeps_the_log_s_reason_and_never_the_words_of_an_earlier_question(
    loss: Loss, desk: Desk, clock: Clock
) -> None:
    app = loss.app
    asked, vague = confirmed(app, address="asked@example.org"), confirmed(app, address="vague@example.org")
    work(app)
    personal = link_in(next(mail for mail in reversed(mails(app)) if mail["To"] == "asked@example.org"), "/my/")
    decide(app, asked, desk.id, "ask", "name-unclear")
    clock.shift(11)
    work(app)
    loss.back_up()
    decide(app, asked, desk.id, "decline", "impersonation")
    decide(app, vague, desk.id, "decline", "under-age")
    clock.shift(11)
    found = loss.restored()
    page = Browser(found).get(personal.replace("/ru/", "/en/"))
    assert "somebody else signed in this name" in page.main
    assert moves(found, asked)[-1] == "decline"
    history = [row for row in dump(found)["signature_event"] if row["move"] == "decline"]
    assert [(row["actor"], row["staff_id"], row["reason"]) for row in history] == [
        ("centre", None, "impersonation"), ("centre", None, None),
    ]  # fmt: skip
    assert (
        "Declined after the backup. Who decided, in which words, is lost; the log's reason is kept (2):" in loss.report
    )


def test_a_machine_that_is_lost_twice_still_opens_every_commitment(
    loss: Loss, desk: Desk, clock: Clock, new_machine: NewMachine, open_machine: OpenMachine
) -> None:
    app = loss.app
    signature_id = confirmed(app, display="unlisted")
    work(app)
    loss.back_up()
    decide(app, signature_id, desk.id)
    clock.shift(11)
    found = loss.restored()
    assert entry_row(found, signature_id).rev == 2
    work(found)
    # The same old backup once more, with the leaves file that has the correction in it.
    again = new_machine(settings_of(found))
    assert loss.backup is not None
    restore(loss.backup, again)
    last = open_machine(again)
    check_log(dump(last))
    row = entry_row(last, signature_id)
    assert (row.rev, row.number, row.name) == (3, 1, None)
    assert kinds(last, signature_id) == ["confirm", "publish", "correct", "correct"]
    figures = dump(last)["region_count"]
    assert [(one["listed"], one["unlisted"], one["withdrawn"]) for one in figures] == [(0, 1, 0)]


# ── what is lost ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_numbers_of_the_lost_are_never_given_again(loss: Loss, desk: Desk, clock: Clock) -> None:
    app = loss.app
    known = confirmed(app, address="known@example.org")
    work(app)
    loss.back_up()
    lost = [published(app, desk, clock, place) for place in range(3)]
    withdraw(app, lost[1])
    entries = [get(app, one).entry for one in lost]
    found = loss.restored()
    for number, entry in enumerate(entries, start=1):
        assert f"{entry}, number {number}" in loss.report
        assert Browser(found).client.get(f"/ru/registry/entries/{entry}").status_code == 404
    with found.app_context():
        assert numbers_given() == 3
    decide(found, known, desk.id)
    clock.shift(11)
    work(found)
    assert get(found, known).number == 4
    next_one = published(found, desk, clock, 9)
    assert get(found, next_one).number == 5


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_who_signed_and_left_again_after_the_backup_is_not_called_lost(loss: Loss, clock: Clock) -> None:
    loss.back_up()
    stays = get(loss.app, confirmed(loss.app, address="stays@example.org"))
    goes = confirmed(loss.app, address="goes@example.org")
    work(loss.app)
    withdraw(loss.app, goes)
    loss.restored()
    assert get(loss.app, goes).entry not in loss.report
    assert f"{stays.entry}, an answer is due on {stays.due_on}" in loss.report


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_the_way_back_to_the_last_number_crosses_many_leaves(
    app: Flask, desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charter.operations.public_side._LEAVES_AT_ONCE", 2)
    with app.app_context():
        assert numbers_given() == 0
    for place in range(2):
        published(app, desk, clock, place)
    for place in range(5, 12):
        confirmed(app, address=f"{place}@example.org")
    work(app)
    with app.app_context():
        assert numbers_given() == 2


# ── editions ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def load(app: Flask, slug: str, texts: dict[str, bytes]) -> bool:
    with app.app_context():
        return seed.load_shipped(
            regions=shipped.regions(),
            affiliations=shipped.affiliations(),
            edition_slug=slug,
            edition_texts=texts,
            now=now(),
        )


def test_an_edition_that_only_the_log_knows_is_told_and_gets_no_second_leaf(loss: Loss, clock: Clock) -> None:
    loss.back_up()
    texts = shipped.edition_texts("specimen-1")
    assert load(loss.app, "specimen-2", texts)
    found = loss.restored()
    assert "Editions in the log that this instance has not" in loss.report
    assert "  specimen-2\n" in loss.report
    other = texts | {"en": texts["en"].rstrip() + b" Also.\n"}
    assert digest(other["en"]) != digest(texts["en"])
    with pytest.raises(ValueError, match="specimen-2 is in the log with other texts"):
        load(found, "specimen-2", other)
    assert load(found, "specimen-2", texts)
    work(found)
    with found.app_context():
        assert db.session.scalars(select(Edition.slug).where(Edition.is_current)).all() == ["specimen-2"]
        logged = [leaf.decode(bytes(data)) for data in db.session.scalars(select(LogLeaf.data))]
    assert [values["charter"] for kind, values in logged if kind == "charter"] == ["specimen-1", "specimen-2"]


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_an_edition_that_waited_in_the_backup_is_not_logged_twice(loss: Loss, clock: Clock) -> None:
    load(loss.app, "specimen-2", shipped.edition_texts("specimen-1"))
    loss.back_up()
    found = loss.restored()
    assert events(found) == []
    assert "Editions" not in loss.report
    work(found)
    assert [one["charter"] for one in leaves(found) if one["kind"] == "charter"] == ["specimen-1", "specimen-2"]


# ── the operations themselves ────────────────────────────────────────────────────────────────────────────────────────


def replay(app: Flask, batch: Batch) -> bool:
    with app.app_context():
        return recovery.replay(batch, key=key_of(app), now=now())


def test_a_batch_is_applied_once_and_only_where_it_follows(app: Flask, clock: Clock) -> None:
    at = datetime(2026, 11, 20, 9, tzinfo=UTC)
    data = leaf.encode("withdraw", t=leaf.format_time(at), entry="ab" * 16)
    batch = Batch(Closing(7, 3, at), (data,))
    assert replay(app, batch)
    assert not replay(app, batch)
    last = batches(app)[-1]
    assert (last.revision, last.tree_size, last.at) == (7, 3, at)
    with app.app_context():
        row = db.session.get_one(LogLeaf, 2)
        assert (row.data, row.hash) == (data, hashlib.sha256(b"\0" + data).digest())
    for size in (3, 5):
        with pytest.raises(recovery.RecoveryError, match="batch 8 of the log does not follow"):
            replay(app, Batch(Closing(8, size, at), (data,)))
    assert batches(app)[-1].revision == 7


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_leaf_that_no_road_leads_to_changes_nothing(app: Flask, clock: Clock) -> None:
    signature_id = sign(app)
    at = datetime(2026, 11, 20, 9, tzinfo=UTC)
    entry = get(app, signature_id).entry
    data = leaf.encode("publish", t=leaf.format_time(at), entry=entry, commit="ab" * 32, rev=1)
    with pytest.raises(recovery.RecoveryError, match=f"says approve of entry {entry}, which is submitted"):
        replay(app, Batch(Closing(2, 3, at), (data,)))
    assert get(app, signature_id).state == "submitted"
    assert len(batches(app)) == 1


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_many_corrections_go_in_batches(app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "MOST_CORRECTIONS", 2)
    values: dict[str, Any] = {"commit": "ab" * 32, "rev": 2}
    with app.app_context(), writing():
        for place in range(5):
            event = LogEvent(kind="correct", values=values | {"entry": f"{place:032x}"}, effective_at=now())
            db.session.add(event)
        db.session.commit()
    with app.app_context():
        assert [recovery.append_corrections(now=now()) for _ in range(4)] == [2, 2, 1, 0]
        assert db.session.scalar(select(func.count()).select_from(LogLeaf)) == 7
        assert db.session.scalar(select(func.count()).select_from(PublicEntry)) == 0
        assert leaves_file.follow(settings_of(app)).behind == 0


def test_the_next_number_of_a_batch_is_one_that_no_lost_batch_can_have_had(app: Flask, clock: Clock) -> None:
    last = batches(app)[-1]
    with app.app_context():
        revision = recovery.begin_anew(now=now())
    assert revision >= last.revision + (now() - last.at).total_seconds() + 999
    assert batches(app)[-1].tree_size == last.tree_size
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Signature)) == 0


# ── who is forgotten again ───────────────────────────────────────────────────────────────────────────────────────────


def test_whoever_left_after_the_backup_is_forgotten_again_before_the_service_opens(
    loss: Loss, desk: Desk, clock: Clock
) -> None:
    app = loss.app
    name, address = "Ақжүніс Құлшымбай", "Aqjunis.K@example.org"
    roads = {
        "withdrawn": confirmed(app, name, address),
        "shown": published(app, desk, clock, 1, name=name),
        "erased": published(app, desk, clock, 2, name=name),
        "declined": confirmed(app, name, "declined@example.org"),
        "waiting": confirmed(app, name, "waiting@example.org"),
    }
    stays = published(app, desk, clock, 3, name="Басқа Адам")
    decide(app, roads["declined"], desk.id, "decline", "duplicate")
    clock.shift(11)
    work(app)
    # It waits in the backup, and has left in the log.
    withdraw(app, roads["withdrawn"])
    loss.back_up()
    withdraw(app, roads["shown"])
    for one in ("erased", "declined", "waiting"):
        with app.app_context():
            erasing.erase(get(app, roads[one]).entry, now=now())
    found = loss.restored()
    assert {one: get(found, number).state for one, number in roads.items()} == {
        "withdrawn": "withdrawn", "shown": "withdrawn", "erased": "erased", "declined": "erased", "waiting": "erased",
    }  # fmt: skip
    assert moves(found, roads["declined"]) == ["sign", "confirm", "decline", "erase"]
    assert kinds(found, roads["declined"]) == ["confirm", "refuse", "erase"]
    assert kinds(found, roads["waiting"]) == ["confirm", "withdraw", "erase"]
    assert events(found) == []
    assert get(found, stays).full_name == "Басқа Адам"
    rows = repr(dump(found))
    settings = settings_of(found)
    if settings.database_url.startswith("sqlite"):
        rows += (settings.instance_path / "charter.db").read_bytes().decode("utf-8", "replace")
    for trace in (name, *fold(name), address, address.casefold(), "declined@", "waiting@", "p1@", "p2@"):
        assert trace not in rows, trace
    assert get(found, roads["erased"]).number == 2
    work(found)
    check_log(dump(found))


def test_whoever_was_never_confirmed_and_erased_after_the_backup_goes_by_the_same_term_again(
    loss: Loss, clock: Clock
) -> None:
    """No leaf tells of them: the term does, which ran on."""
    signature_id = sign(loss.app, "Ешкім Білмейді", "unknown@example.org")
    clock.shift(timedelta(days=13))
    loss.back_up()
    clock.shift(timedelta(days=2))
    for _pass in range(2):
        work(loss.app)
        clock.shift(timedelta(hours=1))
    assert get(loss.app, signature_id).state == "erased"
    found = loss.restored()
    assert get(found, signature_id).email == "unknown@example.org"
    for _pass in range(2):
        work(found)
        clock.shift(timedelta(hours=1))
    row = get(found, signature_id)
    assert (row.state, row.email, row.full_name) == ("erased", "", "")


def test_a_removal_by_the_centre_is_made_again_and_keeps_what_the_centre_reviews(
    loss: Loss, desk: Desk, clock: Clock
) -> None:
    app = loss.app
    signature_id = published(app, desk, clock)
    loss.back_up()
    with app.app_context(), writing():
        values = {"entry": get(app, signature_id).entry, "reason": "court_order", "approvals": ["s1", "s2"]}
        db.session.add(LogEvent(kind="revoke", signature_id=signature_id, values=values, effective_at=now()))
        db.session.commit()
    work(app)
    assert entry_row(app, signature_id).ended_by == "centre"
    found = loss.restored()
    row = entry_row(found, signature_id)
    assert (row.line, row.name, row.ended_by) == (None, None, "centre")
    assert get(found, signature_id).state == "revoked"
    assert (get(found, signature_id).application_line, get(found, signature_id).full_name != "") == (None, True)
    assert moves(found, signature_id)[-1] == "revoke"
