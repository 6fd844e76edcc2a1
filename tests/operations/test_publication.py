"""Batches: what one appends, shows and counts, in which time, and that it does all of it or nothing."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, select
from time_machine import Traveller as Clock

from charter import log_key, worker
from charter.models.base import db, writing
from charter.models.log import LogBatch, LogEvent, LogLeaf
from charter.models.registry import PublicEntry, RegionCount
from charter.models.signature import Signature
from charter.operations import publication
from charter.tlog.leaf import LeafError
from tests.conftest import MakeApp
from tests.operations.test_signing import confirmed, decide, get, leaves, now, withdraw
from tests.pages import Browser
from tests.people import Desk, mails, work


def batches(app: Flask) -> list[LogBatch]:
    with app.app_context():
        rows = list(db.session.scalars(select(LogBatch).order_by(LogBatch.revision)))
        db.session.expunge_all()
        return rows


def publish(app: Flask, *, at: datetime | None = None) -> publication.BatchResult | None:
    with app.app_context():
        return publication.publish_batch(now=at or now())


def published(app: Flask, desk: Desk, clock: Clock, place: int = 0, **more: Any) -> int:
    """An entry in the registry; the id of its signature."""
    signature_id = confirmed(app, address=f"p{place}@example.org", **more)
    decide(app, signature_id, desk.id)
    clock.shift(11)
    work(app)
    assert get(app, signature_id).state == "published"
    return signature_id


def entry_row(app: Flask, signature_id: int) -> PublicEntry:
    entry = get(app, signature_id).entry
    with app.app_context():
        row = db.session.scalars(select(PublicEntry).filter_by(entry=entry)).one()
        db.session.expunge(row)
        return row


# ── time and revisions ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_log_begins_with_its_key_and_the_charter(app: Flask) -> None:
    key, charter = leaves(app)
    signer = log_key.signer(app.config["CHARTER"])
    assert (key["kind"], key["action"], key["vkey"]) == ("key", "add", signer.vkey)
    assert (charter["kind"], charter["charter"]) == ("charter", "specimen-1")
    assert charter["t"].startswith("2026-11-16T04:0")
    assert [(batch.revision, batch.tree_size) for batch in batches(app)] == [(1, 2)]


def test_the_time_of_a_batch_never_goes_back_when_the_clock_does(app: Flask, clock: Clock) -> None:
    confirmed(app, address="first@example.org")
    work(app)
    before = batches(app)[-1]
    clock.shift(-3 * 3600)
    confirmed(app, address="second@example.org")
    work(app)
    after = batches(app)[-1]
    assert after.revision == before.revision + 1
    assert after.at == before.at
    clock.shift(6 * 3600)
    confirmed(app, address="third@example.org")
    work(app)
    times = [leaf["t"] for leaf in leaves(app)]
    assert times == sorted(times)
    assert len(set(times)) == 3
    assert batches(app)[-1].at > after.at


def test_a_batch_raises_the_revision_by_one_whatever_is_in_it(app: Flask, clock: Clock) -> None:
    assert publish(app) is None, "nothing due, no batch"
    for place in range(3):
        confirmed(app, address=f"p{place}@example.org")
    result = publish(app)
    assert result == publication.BatchResult(revision=2, leaf_count=3, is_full=False, has_losses=False)
    assert publish(app) is None
    assert [(batch.revision, batch.tree_size) for batch in batches(app)] == [(1, 2), (2, 5)]
    with app.app_context():
        rows = db.session.scalars(select(LogLeaf).order_by(LogLeaf.index)).all()
        assert [(row.index, row.revision) for row in rows] == [(0, 1), (1, 1), (2, 2), (3, 2), (4, 2)]
        assert [row.hash for row in rows] == [hashlib.sha256(b"\0" + row.data).digest() for row in rows]


def test_a_change_without_a_leaf_raises_the_revision_too(app: Flask, clock: Clock) -> None:
    with app.app_context(), writing():
        db.session.add(LogEvent(kind="refresh", values={}, effective_at=now()))
        db.session.commit()
    assert publish(app) == publication.BatchResult(revision=2, leaf_count=0, is_full=False, has_losses=False)
    assert len(leaves(app)) == 2


def test_more_than_a_batch_holds_follows_in_the_next(app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publication, "MOST_EVENTS", 2)
    for place in range(5):
        confirmed(app, address=f"p{place}@example.org")
    with app.app_context():
        assert worker.publish() == 5
    assert [batch.tree_size for batch in batches(app)] == [2, 4, 6, 7]


def test_events_that_are_not_due_wait(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app)
    decide(app, signature_id, desk.id)
    work(app)
    assert [leaf["kind"] for leaf in leaves(app, get(app, signature_id).entry)] == ["confirm"]
    clock.shift(11)
    work(app)
    assert [leaf["kind"] for leaf in leaves(app, get(app, signature_id).entry)] == ["confirm", "publish"]


# ── leaves ───────────────────────────────────────────────────────────────────────────────────────────────────────────


DAYS = [
    ("2026-11-20T09:00:00Z", "2026-11-27"),  # a Friday: the weekend does not count
    ("2026-11-21T09:00:00Z", "2026-11-27"),  # nor the day itself, a Saturday
    ("2026-12-10T09:00:00Z", "2026-12-18"),  # Independence Day, the 16th, does not count
    ("2026-12-16T09:00:00Z", "2026-12-23"),  # confirmed on the holiday itself
    ("2026-12-31T18:59:00Z", "2027-01-12"),  # the 1st, 4th and 7th of January, and two weekends
]


def test_the_confirm_leaf_is_exactly_what_was_queued_with_the_day_an_answer_is_due(app: Flask, clock: Clock) -> None:
    for place, (confirmed_at, due) in enumerate(DAYS):
        clock.move_to(datetime.fromisoformat(confirmed_at), tick=False)
        signature_id = confirmed(app, address=f"p{place}@example.org")
        row = get(app, signature_id)
        clock.shift(2.5)
        work(app)
        assert row.application_line is not None
        assert leaves(app, row.entry) == [
            {
                "commit": hashlib.sha256(row.application_line).hexdigest(),
                "due": due,
                "entry": row.entry,
                "kind": "confirm",
                "t": (datetime.fromisoformat(confirmed_at) + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "v": 1,
            }
        ]
        line = json.loads(row.application_line)
        assert (line["rev"], line["name"], line["region"]) == (0, "Әмина Оспанова", "KZ-75")
        assert "number" not in line


def test_refusing_and_publishing_write_these_leaves_and_no_others(app: Flask, desk: Desk, clock: Clock) -> None:
    refused = confirmed(app, address="refused@example.org")
    decide(app, refused, desk.id, "decline", "not-an-observer")
    entered = published(app, desk, clock)
    keys = {leaf["kind"]: set(leaf) for leaf in leaves(app)}
    assert keys == {
        "charter": {"charter", "files", "kind", "t", "v"},
        "confirm": {"commit", "due", "entry", "kind", "t", "v"},
        "key": {"action", "kind", "t", "v", "vkey"},
        "publish": {"commit", "entry", "kind", "rev", "t", "v"},
        "refuse": {"entry", "kind", "reason", "t", "v"},
    }
    assert leaves(app, get(app, refused).entry)[-1]["reason"] == "ineligible"
    row = entry_row(app, entered)
    assert row.line is not None
    assert leaves(app, row.entry)[-1]["commit"] == hashlib.sha256(row.line).hexdigest()


def test_nobody_is_named_in_the_log(app: Flask, desk: Desk, clock: Clock) -> None:
    published(app, desk, clock)
    with app.app_context():
        log = b"".join(db.session.scalars(select(LogLeaf.data)))
    for word in ("Әмина", "Оспанова", "p0@", "KZ-75"):
        assert word.encode() not in log


# ── all or nothing ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_bad_event_publishes_nothing_and_loses_nothing(app: Flask, desk: Desk, clock: Clock) -> None:
    leaver = published(app, desk, clock, 1)
    newcomer = confirmed(app, address="new@example.org")
    decide(app, newcomer, desk.id)
    withdraw(app, leaver)
    clock.shift(11)
    with app.app_context(), writing():
        bad = LogEvent(kind="withdraw", values={"entry": "not an entry"}, effective_at=now())
        db.session.add(bad)
        db.session.commit()
        bad_id = bad.id
        waiting = list(db.session.scalars(select(LogEvent.id).order_by(LogEvent.id)))
    before = (batches(app)[-1].revision, leaves(app), Browser(app).get("/ru/registry/").main, len(mails(app)))
    for _ in range(2):
        with pytest.raises(LeafError):
            publish(app)
    after = (batches(app)[-1].revision, leaves(app), Browser(app).get("/ru/registry/").main, len(mails(app)))
    assert after == before
    with app.app_context():
        assert list(db.session.scalars(select(LogEvent.id).order_by(LogEvent.id))) == waiting
        db.session.rollback()
        with writing():
            db.session.execute(delete(LogEvent).where(LogEvent.id == bad_id))
            db.session.commit()
    assert get(app, newcomer).state == "approved"
    assert entry_row(app, leaver).name == "Әмина Оспанова"
    work(app)
    assert get(app, newcomer).state == "published"
    assert get(app, newcomer).number == 2
    assert entry_row(app, leaver).name is None


# ── what the public sees ─────────────────────────────────────────────────────────────────────────────────────────────


def test_an_unlisted_entry_stores_no_name_and_no_affiliation_anywhere_public(
    app: Flask, desk: Desk, clock: Clock
) -> None:
    signature_id = published(
        app, desk, clock, name="Куат Құпия", display="unlisted", affiliation_text="Құпия достары", short_name="Куат Қ."
    )
    row = entry_row(app, signature_id)
    assert (row.name, row.affiliation_name, row.affiliation_slug) == (None, None, None)
    assert row.line is not None
    line = json.loads(row.line)
    assert set(line) == {"charter", "display", "entry", "kind", "number", "region", "rev", "salt", "signed"}
    for path in ("/kk/", "/kk/registry/", "/kk/registry/almaty/", f"/kk/registry/entries/{row.entry}"):
        page = Browser(app).get(path)
        assert page.status == 200
        assert "Куат" not in page.text
        assert "Құпия" not in page.text
    with app.app_context():
        count = db.session.scalars(select(RegionCount)).one()
        assert (count.listed, count.unlisted) == (0, 1)


def test_the_short_form_shows_the_short_form_and_never_the_name(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock, display="short", short_name="Әмина О.")
    row = entry_row(app, signature_id)
    assert row.name == "Әмина О."
    assert row.line is not None
    assert "Оспанова" not in row.line.decode()
    for path in ("/ru/", "/ru/registry/", f"/ru/registry/entries/{row.entry}"):
        page = Browser(app).get(path)
        assert "Әмина О." in page.main
        assert "Оспанова" not in page.text


def test_an_affiliation_of_the_list_is_kept_by_slug_and_as_signed(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock, kind="party", affiliation_slug="auyl")
    row = entry_row(app, signature_id)
    assert row.line is not None
    line = json.loads(row.line)
    assert line["affiliation"] == row.affiliation_slug == "auyl"
    assert line["affiliation_name"] == row.affiliation_name
    assert row.affiliation_name in Browser(app).get(f"/kk/registry/entries/{row.entry}").main


def test_an_entry_keeps_its_address_number_and_dates_after_withdrawal(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    before = entry_row(app, signature_id)
    path = f"/en/registry/entries/{before.entry}"
    assert "Әмина Оспанова" in Browser(app).get(path).main
    clock.shift(40 * 86_400)
    withdraw(app, signature_id)
    work(app)
    after = entry_row(app, signature_id)
    assert (after.number, after.entry, after.signed_on) == (before.number, before.entry, before.signed_on)
    assert (after.line, after.name, after.affiliation_name, after.affiliation_slug) == (None, None, None, None)
    assert str(after.ended_on) == "2026-12-30"
    page = Browser(app).get(path)
    assert page.status == 200
    assert "withdrawn by the signatory Signed 20\xa0November 2026 Ended 30\xa0December 2026" in page.main
    assert "Оспанова" not in page.text
    newest = published(app, desk, clock, 2)
    assert get(app, newest).number == before.number + 1, "a number is never given twice"


def test_figures_of_regions_kinds_and_fates_add_up(app: Flask, desk: Desk, clock: Clock) -> None:
    plan = [
        ("KZ-75", "independent", "full", False),
        ("KZ-75", "party", "short", False),
        ("KZ-75", "independent", "unlisted", False),
        ("KZ-75", "independent", "full", True),
        ("KZ-71", "international", "unlisted", True),
        ("ZZ", "international", "full", False),
    ]
    words = {"party": "Достық", "international": "Planet Express", "independent": None}
    ids = []
    for place, (region, kind, display, _) in enumerate(plan):
        signature_id = confirmed(
            app,
            address=f"p{place}@example.org",
            region_code=region,
            kind=kind,
            display=display,
            affiliation_text=words[kind],
        )
        decide(app, signature_id, desk.id)
        ids.append(signature_id)
    clock.shift(11)
    work(app)
    for signature_id, (*_, leaves_again) in zip(ids, plan, strict=True):
        if leaves_again:
            withdraw(app, signature_id)
    work(app)
    with app.app_context():
        kept = {
            (row.region_code, row.kind): (row.listed, row.unlisted, row.withdrawn, row.revoked)
            for row in db.session.scalars(select(RegionCount))
        }
    assert kept == {
        ("KZ-75", "independent"): (1, 1, 1, 0),
        ("KZ-75", "party"): (1, 0, 0, 0),
        ("KZ-71", "international"): (0, 0, 1, 0),
        ("ZZ", "international"): (1, 0, 0, 0),
    }
    browser = Browser(app)

    def figures(path: str) -> dict[str, str]:
        rows = browser.get(path).tree.query("dl.sum > div")
        return {row.query("dt")[0].to_text(): row.query("dd")[0].to_text() for row in rows}

    almaty, everywhere = figures("/en/registry/almaty/"), figures("/en/registry/")
    assert list(almaty.values()) == ["2", "1", "1", "0", "4"], almaty
    assert list(everywhere.values()) == ["3", "1", "2", "0", "6"], everywhere
    assert figures("/en/") == everywhere


# ── withdrawals do not wait ──────────────────────────────────────────────────────────────────────────────────────────


def test_with_rare_batches_a_withdrawal_is_urgent_and_nothing_else_is(make_app: MakeApp, clock: Clock) -> None:
    app = make_app(publish_interval_seconds="3600")
    config = app.config["CHARTER"]
    desk = Desk(app, "Bruno", "bruno@example.org")

    def is_urgent() -> bool:
        with app.app_context():
            return worker.is_urgent(config)

    signature_id = confirmed(app)
    assert not is_urgent()
    decide(app, signature_id, desk.id)
    clock.shift(11)
    assert not is_urgent()
    work(app)
    withdraw(app, signature_id)
    assert is_urgent()
    work(app)
    assert not is_urgent()
    assert entry_row(app, signature_id).name is None


def test_with_frequent_batches_nothing_is_asked(app: Flask, clock: Clock) -> None:
    signature_id = confirmed(app)
    withdraw(app, signature_id)
    with app.app_context():
        assert not worker.is_urgent(app.config["CHARTER"])
        assert db.session.scalars(select(Signature.state)).one() == "withdrawn"
        assert db.session.scalars(select(LogEvent.kind).order_by(LogEvent.id)).all() == [
            "confirm", "withdraw", "refresh",
        ]  # fmt: skip


# ── revisions and ends ───────────────────────────────────────────────────────────────────────────────────────────────


def queue(app: Flask, kind: str, signature_id: int, **values: Any) -> None:
    with app.app_context(), writing():
        db.session.add(LogEvent(kind=kind, signature_id=signature_id, values=values, effective_at=now()))
        db.session.commit()


def test_a_correction_gives_the_entry_a_new_line_under_the_same_number(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    before = entry_row(app, signature_id)
    with app.app_context(), writing():
        db.session.get_one(Signature, signature_id).display = "unlisted"
        db.session.commit()
    queue(app, "correct", signature_id)
    work(app)
    row = entry_row(app, signature_id)
    assert (row.number, row.rev, row.display, row.name, row.words) == (
        before.number,
        2,
        "unlisted",
        None,
        "_rkz-75 _kindependent",
    )
    assert before.line is not None
    assert row.line is not None
    salts = {json.loads(line)["salt"] for line in (before.line, row.line)}
    assert len(salts) == 2
    last = leaves(app, row.entry)[-1]
    assert (last["kind"], last["rev"], last["commit"]) == ("correct", 2, hashlib.sha256(row.line).hexdigest())


def test_who_left_is_not_corrected_any_more(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    entry = entry_row(app, signature_id).entry
    queue(app, "withdraw", signature_id, entry=entry)
    queue(app, "correct", signature_id)
    work(app)
    assert [leaf["kind"] for leaf in leaves(app, entry)] == ["confirm", "publish", "withdraw"]
    assert entry_row(app, signature_id).line is None


def test_what_two_end_at_the_same_time_ends_once(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock)
    entry = entry_row(app, signature_id).entry
    queue(app, "revoke", signature_id, entry=entry, reason="impersonation", approvals=["s1", "s2"])
    queue(app, "withdraw", signature_id, entry=entry)
    queue(app, "erase", signature_id, entry=entry)
    work(app)
    assert [leaf["kind"] for leaf in leaves(app, entry)] == ["confirm", "publish", "revoke", "erase"]
    row = entry_row(app, signature_id)
    assert (row.ended_by, row.line, row.name) == ("centre", None, None)
