"""Whoever withdrew or was erased is in no byte of what the service keeps, and the log still verifies."""

from __future__ import annotations

import io
import json
import sqlite3
import subprocess
import zipfile
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select, text, update
from time_machine import Traveller as Clock

from charter import kept_spreadsheet
from charter.domain import token as tokens
from charter.domain.errors import MoveRefusedError, NotFoundError
from charter.domain.fold import fold
from charter.domain.mail import Batch
from charter.domain.signature import State
from charter.forgetting import Forgetting
from charter.mirror import making
from charter.models.base import db, writing
from charter.models.log import LogCheckpoint, LogEvent, LogLeaf
from charter.models.outbox import Message
from charter.models.registry import PublicEntry
from charter.models.signature import Link
from charter.operations import corrections, erasing, outbox, proving, review, signing
from charter.operations.proving import Outcome
from charter.queries import erasing as queries
from charter.tlog import tree
from tests.operations.test_addresses import begin
from tests.operations.test_publication import entry_row, published
from tests.operations.test_signing import (
    DETAILS,
    confirm,
    confirmed,
    decide,
    get,
    key_of,
    leaves,
    moves,
    now,
    sign,
    withdraw,
)
from tests.pages import Browser
from tests.people import Desk, link_in, mails, work

NAME = "Ақжүніс Құлшымбай"
ADDRESS = "Aqjunis.K@example.org"
COMING = "qulshymbai@example.com"
WORDS = "Құлшымбайдың өз сөзі"


# ── looking at every byte ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Traces:
    """What would lead to one person, as bytes, by what it is."""

    found: dict[str, bytes]

    def in_(self, data: bytes) -> list[str]:
        """Which of them are there, as they are or in hexadecimal, as PostgreSQL writes bytes."""
        return [what for what, one in self.found.items() if one in data or one.hex().encode() in data]


def traces_of(app: Flask, signature_id: int) -> Traces:
    """While the person is still there: the name in every form, address, tokens, salts, the browser's digest."""
    row = get(app, signature_id)
    found = {
        "name": NAME.encode(),
        "upper": NAME.upper().encode(),
        "key": NAME.casefold().encode(),
        "escaped": json.dumps(NAME)[1:-1].encode(),
        "words": WORDS.encode(),
        "escaped words": json.dumps(WORDS)[1:-1].encode(),
        "address": ADDRESS.encode(),
        "mailbox": ADDRESS.casefold().encode(),
        "coming address": COMING.encode(),
        **{f"folded {place}": word.encode() for place, word in enumerate(fold(NAME))},
    }
    lines = {"application": row.application_line}
    with app.app_context():
        public = db.session.scalars(select(PublicEntry).filter_by(entry=row.entry)).first()
        if public is not None:
            lines["record"] = public.line
            if public.sort_key is not None:
                found["sort key"] = public.sort_key.encode()
        for link in db.session.scalars(select(Link).where(Link.signature_id == signature_id)):
            found[f"token {link.purpose} {link.id}"] = tokens.token(key_of(app), link.purpose, link.uid).encode()
    for what, line in lines.items():
        if line is not None:
            salt = json.loads(line)["salt"]
            found |= {f"{what} salt": salt.encode(), f"{what} salt, raw": bytes.fromhex(salt)}
    return Traces(found)


def instance_bytes(app: Flask) -> dict[str, bytes]:
    """Every file of the instance but sent mail (which is the postman's) and backups (which age out, LOG §5)."""
    settings = app.config["CHARTER"]
    kept = {}
    for path in sorted(settings.instance_path.rglob("*")):
        if not path.is_file() or settings.mail_path in path.parents or path.name.endswith((".gz", ".pgdump", ".age")):
            continue
        # By another process: closing the database's file here would take SQLite's locks on it away.
        data = subprocess.run(["cat", path], capture_output=True, check=True).stdout
        if path.suffix == ".xlsx":
            with zipfile.ZipFile(io.BytesIO(data)) as book:
                data = b"".join(book.read(name) for name in book.namelist())
        kept[path.name] = data
    return kept


def stored(app: Flask) -> dict[str, bytes]:
    """All rows of all tables, and on PostgreSQL what it says of their columns; on SQLite the files say it."""
    url = app.config["CHARTER"].database_url
    if url.startswith("sqlite"):
        return {}
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        tables = [row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        found = {}
        for table in tables:
            with connection.cursor().copy(f'COPY "{table}" TO STDOUT') as copy:  # type: ignore[call-overload]
                found[table] = b"".join(bytes(data) for data in copy)
        rows = connection.execute("SELECT * FROM pg_stats WHERE schemaname = 'public'").fetchall()
        found["pg_stats"] = repr(rows).encode()
    return found


PUBLIC = (
    "/en/",
    "/kk/registry/",
    "/en/registry/almaty/",
    "/ru/registry/numbers/",
    "/en/developers/",
    "/log/registry.ndjson",
)


def public_bytes(app: Flask, entry: str) -> dict[str, bytes]:
    """Pages, feeds and files as anybody gets them."""
    client = app.test_client()
    exports = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith(("takeaway.", "api."))]
    paths = {rule.rule.replace("<lang:lang>", "en").replace("<entry:entry>", entry) for rule in exports}
    paths |= {*PUBLIC, f"/en/registry/entries/{entry}", f"/log/record/{entry}"}
    found = {path: client.get(path) for path in sorted(paths) if "<" not in path}
    assert sum(answer.status_code == 200 for answer in found.values()) >= 10, found
    return {path: answer.get_data() for path, answer in found.items()}


def mirror_bytes(app: Flask, folder: Path) -> dict[str, bytes]:
    making.make(app, folder, now=now())
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def everything(app: Flask, entry: str, folder: Path | None = None) -> dict[str, bytes]:
    mirrored = {} if folder is None else mirror_bytes(app, folder)
    return {**instance_bytes(app), **stored(app), **public_bytes(app, entry), **mirrored}


def left(traces: Traces, found: dict[str, bytes]) -> dict[str, list[str]]:
    return {where: seen for where, data in found.items() if (seen := traces.in_(data))}


def check_log(app: Flask) -> None:
    """Every checkpoint's root is that of the leaves, whatever was destroyed beside them."""
    with app.app_context():
        rows = db.session.execute(select(LogLeaf.data, LogLeaf.hash).order_by(LogLeaf.index)).all()
        hashes = [bytes(row.hash) for row in rows]
        assert hashes == [tree.hash_leaf(bytes(row.data)) for row in rows]
        checkpoints = db.session.execute(select(LogCheckpoint.size, LogCheckpoint.root)).all()
        assert checkpoints
        assert max(row.size for row in checkpoints) == len(hashes)
        for row in checkpoints:
            assert bytes(row.root) == root_of(hashes[: row.size])


def root_of(hashes: list[bytes]) -> bytes:
    if len(hashes) == 1:
        return hashes[0]
    half = 1 << ((len(hashes) - 1).bit_length() - 1)
    return tree.hash_node(root_of(hashes[:half]), root_of(hashes[half:]))


# ── the person ───────────────────────────────────────────────────────────────────────────────────────────────────────


def person(app: Flask, desk: Desk, clock: Clock) -> int:
    """Somebody with a long story: corrected, asked, answered, published; a correction, a code, another address wait."""
    signature_id = confirmed(app, NAME, ADDRESS, affiliation_text=WORDS)
    work(app)
    with app.app_context():
        version = get(app, signature_id).version
        review.decide(
            signature_id, action="ask", expected_version=version, reason="name-unclear", note=f"Сіз {NAME} ма?",
            staff_id=desk.id, undo_seconds=10, now=now(),
        )  # fmt: skip
    clock.shift(11)
    work(app)
    with app.app_context():
        signing.answer(signature_id, f"Иә, {WORDS}.", now=now())
    decide(app, signature_id, desk.id)
    clock.shift(11)
    work(app)
    assert get(app, signature_id).number
    wish = replace(DETAILS, full_name=f"{NAME} Ким", short_name=f"{NAME} К.", affiliation_text=WORDS)
    for is_last in (False, True):
        with app.app_context():
            corrections.ask(signature_id, wish, answer_due_working_days=5, holidays=frozenset(), now=now())
            waiting = corrections.find_pending(signature_id)
            assert waiting is not None
            correction_id, version = waiting.id, waiting.version
        # The first is declined and mailed, the second waits.
        if not is_last:
            with app.app_context():
                corrections.decide(
                    correction_id, action="decline", expected_version=version, reason="other", note=f"{WORDS}, {NAME}",
                    staff_id=desk.id, undo_seconds=0, now=now(),
                )  # fmt: skip
    with app.app_context():
        assert proving.request_code(signature_id, key=key_of(app), code_minutes=30, now=now())
    assert begin(app, signature_id, COMING) is Outcome.DONE
    return signature_id


def erase(app: Flask, signature_id: int) -> None:
    entry = get(app, signature_id).entry
    with app.app_context():
        erasing.erase(entry, now=now())


@pytest.mark.parametrize("act", ["withdraw", "erase"])
def test_after_the_next_batch_not_one_byte_is_left_and_the_log_verifies(
    app: Flask, desk: Desk, clock: Clock, tmp_path: Path, act: str, engine_name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    others = [published(app, desk, clock, place, name=f"Басқа Адам{'а' * place}") for place in range(2)]
    signature_id = person(app, desk, clock)
    row = get(app, signature_id)
    traces = traces_of(app, signature_id)
    # Seconds for each; its own tests look at it too.
    mirror = tmp_path / "mirror" if (act, engine_name) == ("erase", "sqlite") else None
    with app.app_context(), writing():
        # As the engines do from time to time: samples of names are rows too.
        db.session.execute(text("ANALYZE" if engine_name == "postgresql" else "SELECT 1"))
        db.session.commit()
    with app.app_context():
        kept_spreadsheet.keep(app.config["CHARTER"])
    before = everything(app, row.entry, mirror)
    seen = {what for data in before.values() for what in traces.in_(data)}
    assert seen >= {"name", "key", "address", "mailbox", "coming address", "words", "application salt"}, seen
    assert "record salt" in seen
    if act == "withdraw":
        withdraw(app, signature_id)
    else:
        erase(app, signature_id)
    work(app)
    with app.app_context():
        kept_spreadsheet.keep(app.config["CHARTER"])
    assert left(traces, everything(app, row.entry, mirror)) == {}
    check_log(app)
    ended = ["confirm", "publish", "withdraw"] if act == "withdraw" else ["confirm", "publish", "withdraw", "erase"]
    assert [leaf["kind"] for leaf in leaves(app, row.entry)] == ended
    after, public = get(app, signature_id), entry_row(app, signature_id)
    assert (after.entry, after.number, after.region_code) == (row.entry, row.number, row.region_code)
    assert (public.number, public.ended_by, public.line) == (row.number, "signatory", None)
    assert [get(app, one).full_name != "" for one in others] == [True, True]
    captured = capfd.readouterr()
    assert traces.in_((captured.out + captured.err).encode()) == []


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_reader_who_still_sees_the_person_only_puts_it_off(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = person(app, desk, clock)
    traces = traces_of(app, signature_id)
    path = app.config["CHARTER"].instance_path / "charter.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        seen = reader.execute("SELECT full_name FROM signature WHERE id = ?", (signature_id,)).fetchone()
        assert seen == (NAME,)
        withdraw(app, signature_id)
        work(app)
        assert get(app, signature_id).full_name == ""
        assert reader.execute("SELECT full_name FROM signature WHERE id = ?", (signature_id,)).fetchone() == seen
        assert left(traces, instance_bytes(app)), "the reader needs it"
        reader.execute("COMMIT")
        # Still connected, as web processes are.
        with app.app_context():
            forgetting = Forgetting()
            while forgetting.step(at_once=True):
                pass
        assert left(traces, instance_bytes(app)) == {}
        assert reader.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_dead_rows_are_vacuumed_again_until_nobody_can_see_them(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app, NAME, ADDRESS)
    work(app)

    def dead(connection: Any) -> int:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pgstattuple")
        return int(connection.execute("SELECT dead_tuple_count FROM pgstattuple('signature')").fetchone()[0])

    url = app.config["CHARTER"].database_url.replace("+psycopg", "")
    forgetting = Forgetting(is_start=False)
    with psycopg.connect(url, autocommit=True) as looker, psycopg.connect(url) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM signature")
        withdraw(app, signature_id)
        with app.app_context():
            with writing():
                db.session.execute(update(Message).values(done_at=now()))
                db.session.commit()
            while forgetting.step(at_once=True):
                pass
            assert get(app, signature_id).full_name == ""
            assert dead(looker) > 0
            reader.rollback()
            while forgetting.step(at_once=True):
                pass
        assert dead(looker) == 0
        stats = looker.execute("SELECT relname FROM pg_stat_user_tables WHERE last_vacuum IS NOT NULL").fetchall()
        assert {"signature", "message", "link", "registry_search_term"} <= {row[0] for row in stats}


# ── when ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def refuse_mail(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "claim", lambda **_: Batch([]))


def test_the_address_is_kept_until_the_last_mail_has_left(
    app: Flask, desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature_id = confirmed(app, NAME, ADDRESS)
    work(app)
    with monkeypatch.context() as patched:
        refuse_mail(app, patched)
        withdraw(app, signature_id)
        clock.shift(timedelta(hours=71))
        work(app)
        assert get(app, signature_id).email == ADDRESS
    work(app)
    assert [mail["Subject"] for mail in mails(app) if mail["To"] == ADDRESS][-1] == "Ваша подпись отозвана"
    assert get(app, signature_id).email == ""


@pytest.mark.parametrize("hours", [72, -72])
def test_no_longer_than_three_days_whatever_the_mail_server_or_the_clock_does(
    app: Flask, desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    refuse_mail(app, monkeypatch)
    signature_id = confirmed(app, NAME, ADDRESS)
    work(app)
    withdraw(app, signature_id)
    work(app)
    assert get(app, signature_id).email == ADDRESS
    clock.shift(timedelta(hours=hours))
    work(app)
    assert get(app, signature_id).email == ""
    with app.app_context():
        assert db.session.scalars(select(LogEvent)).all() == []
        # The team's week goes its own way.
        assert db.session.scalars(select(Message).where(Message.kind != "staff-weekly")).all() == []


def test_a_last_mail_that_fails_for_good_is_waited_for_no_longer(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app, NAME, ADDRESS)
    work(app)
    withdraw(app, signature_id)
    with app.app_context():
        message_id = db.session.scalars(select(Message.id).filter_by(kind="withdrawn")).one()
        outbox.mark_failed(message_id, code="smtp-550", is_permanent=True, now=now())
    work(app)
    assert get(app, signature_id).email == ""
    with app.app_context(), pytest.raises(NotFoundError):
        outbox.retry(message_id, staff_id=desk.id, now=now())


def test_who_left_under_an_older_release_is_found_when_a_worker_starts(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "WINDOW", 2)
    ids = [confirmed(app, NAME, f"p{place}@example.org") for place in range(5)]
    for one in (ids[1], ids[4]):
        withdraw(app, one)
    with app.app_context(), writing():
        db.session.execute(update(LogEvent).where(LogEvent.kind == "refresh").values(signature_id=None))
        db.session.commit()
    work(app)
    assert get(app, ids[1]).full_name == NAME
    with app.app_context():
        forgetting = Forgetting()
        while forgetting.step(at_once=True):
            pass
    assert [get(app, one).full_name for one in ids] == [NAME, "", NAME, NAME, ""]


# ── erasing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def bring_to(app: Flask, desk: Desk, clock: Clock, state: str) -> int:
    """Somebody in this state, whose mail still waits where there is any."""
    if state in {"submitted", "held", "expired"}:
        for place in range(3 if state == "held" else 0):
            sign(app, f"Адам {'Абв'[place]}", ADDRESS)
        signature_id = sign(app, NAME, ADDRESS)
        if state == "expired":
            confirm(app, sign(app, NAME, ADDRESS))
        return signature_id
    signature_id = confirmed(app, NAME, ADDRESS)
    if state == "clarification":
        decide(app, signature_id, desk.id, "ask", "name-unclear")
    elif state in {"declined", "declining"}:
        decide(app, signature_id, desk.id, "decline", "duplicate")
    elif state in {"approved", "published"}:
        decide(app, signature_id, desk.id)
    elif state == "withdrawn":
        withdraw(app, signature_id)
    if state in {"declined", "published"}:
        clock.shift(11)
        work(app)
    return signature_id


@pytest.mark.parametrize(
    ("state", "kinds"),
    [
        ("submitted", []),
        ("held", []),
        ("expired", []),
        ("confirmed", ["confirm", "withdraw", "erase"]),
        ("clarification", ["confirm", "withdraw", "erase"]),
        ("approved", ["confirm", "withdraw", "erase"]),
        ("published", ["confirm", "publish", "withdraw", "erase"]),
        ("declining", ["confirm", "refuse", "erase"]),
        ("declined", ["confirm", "refuse", "erase"]),
        ("withdrawn", ["confirm", "withdraw", "erase"]),
    ],
)
def test_anybody_can_be_erased_and_the_log_says_so_only_of_whom_it_knew(
    app: Flask, desk: Desk, clock: Clock, state: str, kinds: list[str]
) -> None:
    signature_id = bring_to(app, desk, clock, state)
    erase(app, signature_id)
    row = get(app, signature_id)
    assert row.state == State.ERASED
    assert row.ended_at is not None
    assert {row.full_name, row.short_name, row.name_key, row.email, row.mailbox, row.browser_digest} == {"", b""}
    assert (row.affiliation_text, row.application_line, row.held) == (None, None, False)
    with app.app_context():
        for table in (Message, Link):
            assert db.session.scalars(select(table).where(table.signature_id == signature_id)).all() == []
    work(app)
    clock.shift(timedelta(minutes=1))
    work(app)
    assert [leaf["kind"] for leaf in leaves(app, row.entry)] == kinds
    assert moves(app, signature_id)[-1] == "erase"
    with app.app_context():
        waiting = db.session.scalars(select(LogEvent.kind)).all()
        assert waiting == []
        last = db.session.execute(text("SELECT action, staff_id, subject_id FROM audit ORDER BY id DESC")).first()
        assert tuple(last or ()) == ("erase", None, signature_id)
        with pytest.raises(MoveRefusedError):
            erasing.erase(row.entry, now=now())
        with pytest.raises(NotFoundError):
            erasing.erase("0" * 32, now=now())


def test_an_erased_decision_cannot_be_taken_back(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = confirmed(app, NAME, ADDRESS)
    desk.decide(desk.browser.get(f"/staff/review/{signature_id}/"), "decline", decline_reason="duplicate")
    assert NAME in desk.queue().main
    decision = desk.queue().fields(at="/undo")
    erase(app, signature_id)
    assert NAME not in desk.queue().text
    assert "too late" in desk.browser.post(*decision).main
    assert get(app, signature_id).state == State.ERASED


# ── what is seen of it ───────────────────────────────────────────────────────────────────────────────────────────────


def test_my_signature_and_the_dossier_show_what_is_left(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock, name=NAME)
    twin = published(app, desk, clock, 1, name=f"{NAME}ов")
    mine = Browser(app)
    mine.get(
        link_in(next(mail for mail in mails(app) if mail["To"] == "p0@example.org"), "/my/").replace("/ru/", "/en/")
    )
    withdraw(app, signature_id)
    page = mine.get("/en/my/")
    assert NAME in page.main
    assert "This is erased as soon as our last mail to you has left" in page.main
    withdraw(app, twin)
    work(app)
    page = mine.get("/en/my/")
    assert NAME not in page.text
    assert "Only this and the history below are left" in page.main
    assert "Number" in page.main
    assert "Signature withdrawn" in page.main
    dossier = desk.browser.get(f"/staff/review/{signature_id}/")
    assert dossier.status == 200
    assert "Personal data erased" in dossier.main
    assert "Others with the same address" not in dossier.main
    assert mine.get("/en/my/withdraw/").url == "/en/my/"
    erase(app, signature_id)
    assert mine.get("/en/my/").status == 403
    dossier = desk.browser.get(f"/staff/review/{signature_id}/")
    assert "Erased" in dossier.main
    with app.app_context():
        assert not proving.request_code(signature_id, key=key_of(app), code_minutes=30, now=now())


def test_whoever_was_erased_may_sign_again(app: Flask, desk: Desk, clock: Clock) -> None:
    first = confirmed(app, NAME, ADDRESS)
    erase(app, first)
    work(app)
    second = confirmed(app, NAME, ADDRESS)
    work(app)
    assert get(app, second).state == "confirmed"
    assert get(app, second).entry != get(app, first).entry


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_the_command_asks_and_erases(app: Flask, desk: Desk, clock: Clock) -> None:
    signature_id = published(app, desk, clock, name=NAME)
    entry = get(app, signature_id).entry
    run = app.test_cli_runner().invoke
    for wrong in ([], [entry, "--number", "1"], ["../etc"], ["--number", "0"]):
        assert run(args=["erase", *wrong]).exit_code == 2, wrong
    assert run(args=["erase", "f" * 32]).exit_code == 1
    asked = run(args=["erase", "--number", "1"], input="n\n")
    assert asked.exit_code == 1
    assert f"{NAME}: published, number 1, of 2026-11-20." in asked.output
    assert get(app, signature_id).full_name == NAME
    done = run(args=["erase", entry, "--yes"])
    assert done.exit_code == 0, done.output
    assert NAME not in done.output
    assert get(app, signature_id).state == "erased"
    again = run(args=["erase", "--number", "1", "--yes"])
    assert again.exit_code == 1
    assert "erased before" in again.output
