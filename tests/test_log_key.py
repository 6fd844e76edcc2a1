"""The log's keys: made once, for nobody's eyes; exchanged without a break; never made anew for a log that began."""

from __future__ import annotations

import json
import stat
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from structlog.testing import capture_logs
from time_machine import Traveller as Clock

from charter import cli, guard, log_key
from charter.models.base import db
from charter.models.log import LogEvent, LogLeaf, LogPlace, key_place
from charter.queries import standing
from charter.tlog import note
from tests.conftest import MakeApp
from tests.people import work
from tests.test_guard import (
    assert_goes_on,
    assert_stopped,
    assert_whole,
    config,
    guarded_bytes,
    nothing_said_yet,
    signed,
)

__all__ = ["nothing_said_yet"]

SQLITE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
DAYS_90 = timedelta(days=90)


def say(app: Flask, *words: str, code: int = 0) -> str:
    """What a command prints."""
    result = app.test_cli_runner().invoke(args=["log-key", *words])
    assert result.exit_code == code, result.output
    output: str = result.output
    return output


def held(app: Flask) -> list[str]:
    return [one.vkey for one in log_key.held(config(app))]


def id_of(vkey: str) -> str:
    return vkey.split("+")[1]


def key_leaves(app: Flask) -> list[tuple[int, str, str]]:
    """(index, action, vkey) of all `key` leaves."""
    with app.app_context():
        rows = db.session.execute(select(LogLeaf.index, LogLeaf.data).order_by(LogLeaf.index))
        found = [(row.index, json.loads(row.data)) for row in rows]
    return [(index, leaf["action"], leaf["vkey"]) for index, leaf in found if leaf["kind"] == "key"]


def signers(app: Flask) -> list[str]:
    """The keys whose signatures the newest note bears, in its order, all of them right."""
    with app.app_context():
        newest = standing.newest_checkpoint()
    assert newest is not None
    signatures = note.read(newest.text)[1]
    found = []
    for vkey in dict.fromkeys(vkey for _, _, vkey in key_leaves(app)):
        key = note.parse_key(vkey)
        if any(one.key_id == key.id for one in signatures):
            assert note.verify(newest.text, key, log_key.verify).size == newest.size
            found.append(vkey)
    assert len(found) == len(signatures)
    order = [one.key_id.hex() for one in signatures]
    return sorted(found, key=lambda vkey: order.index(id_of(vkey)))


def seeds(app: Flask) -> list[str]:
    # Base64 has a plus of its own.
    return [line.split("+", 4)[4] for line in log_key.path_of(config(app)).read_text().split()]


# ── the first run ────────────────────────────────────────────────────────────────────────────────────────────────────


@SQLITE
def test_the_first_run_makes_a_key_that_only_the_owner_can_read(app: Flask, clock: Clock) -> None:
    path = log_key.path_of(config(app))
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    (vkey,) = held(app)
    assert vkey.startswith("127.0.0.1:8000/log+")
    assert key_leaves(app) == [(0, "add", vkey)]
    with app.app_context():
        place = db.session.get_one(LogPlace, key_place(vkey))
        assert (place.confirm_index, place.record_index) == (0, None)
    assert_goes_on(app)
    assert signers(app) == [vkey]


@SQLITE
def test_no_secret_is_shown_or_written(app: Flask, clock: Clock) -> None:
    with capture_logs() as lines:
        say(app, "rotate")
        work(app)
        shown = say(app, "show") + say(app, "export-public") + repr(log_key.held(config(app))) + str(lines)
    assert len(seeds(app)) == 2
    for seed in seeds(app):
        assert seed not in shown
        assert seed[:20] not in shown


# ── a key that must not be used ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", [0o440, 0o602])
@SQLITE
def test_a_key_that_others_can_use_signs_nothing(app: Flask, clock: Clock, mode: int) -> None:
    path = log_key.path_of(config(app))
    path.chmod(mode)
    assert_stopped(app, "others can read the key", code="key_readable")
    assert "0400" in say(app, "show", code=1)
    path.chmod(0o400)
    work(app)
    assert_whole(app)


def test_for_a_log_that_has_begun_no_key_is_ever_made(app: Flask, clock: Clock) -> None:
    assert_goes_on(app)
    path = log_key.path_of(config(app))
    kept = path.read_bytes()
    path.unlink()
    assert_stopped(app, "there is no key", code="no_key")
    assert not path.exists()
    guard.path_of(config(app)).unlink()
    # Without the guard too, as on a new machine.
    assert_stopped(app, "unknown", code="no_key")
    assert not path.exists()
    path.write_bytes(kept)
    path.chmod(0o400)
    work(app)
    assert_whole(app)


@SQLITE
def test_not_even_for_an_empty_database_beside_a_guard(app: Flask, clock: Clock) -> None:
    assert_goes_on(app)
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    for path in config(app).instance_path.glob("charter.db*"):
        path.unlink()
    log_key.path_of(config(app)).unlink()
    cli.prepare(app)
    before = guarded_bytes(app)
    work(app)
    assert not log_key.path_of(config(app)).exists()
    assert guarded_bytes(app) == before
    assert signed(app) == []


@pytest.mark.parametrize("text", ["", "nothing", "PRIVATE+KEY+a/log+00000000+AAAA\n", "\xff"])
@SQLITE
def test_a_file_that_holds_no_key_stops_publication(app: Flask, clock: Clock, text: str) -> None:
    path = log_key.path_of(config(app))
    path.chmod(0o600)
    path.write_text(text, encoding="latin-1")
    path.chmod(0o400)
    assert_stopped(app, "the key cannot be used", code="key_unusable")


@SQLITE
def test_the_log_keeps_its_name_when_the_address_changes_and_no_other_is_forced_on_it(
    make_app: MakeApp, clock: Clock
) -> None:
    assert_goes_on(make_app())
    moved = make_app(public_url="https://charter.example.org")
    assert_goes_on(moved)
    with moved.app_context():
        newest = standing.newest_checkpoint()
    assert newest is not None and newest.text.startswith("127.0.0.1:8000/log\n")
    assert_goes_on(make_app(public_url="https://charter.example.org", log_origin="127.0.0.1:8000/log"))
    assert_stopped(make_app(log_origin="other.example/log"), "the settings name another log", code="name")


# ── exchanging keys ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_keys_are_exchanged_without_a_break(app: Flask, clock: Clock) -> None:
    (old,) = held(app)
    assert_goes_on(app)
    assert "90 days" in say(app, "rotate")
    old_again, new = held(app)
    assert old_again == old
    assert stat.S_IMODE(log_key.path_of(config(app)).stat().st_mode) == 0o400
    assert "waits for its leaf" in say(app, "show")
    assert say(app, "export-public").split() == [old]
    assert "publish first" in say(app, "rotate", code=1)
    work(app)
    # The tree that names the new key bears the word of the old one alone.
    assert [(action, vkey) for _, action, vkey in key_leaves(app)] == [("add", old), ("add", new)]
    assert signers(app) == [old]
    assert_goes_on(app)
    assert signers(app) == [new, old]
    assert say(app, "export-public").split() == [new, old]
    assert "Two keys sign already" in say(app, "rotate", code=1)
    told = say(app, "show")
    assert "signs (chief)" in told and "may be retired from 2027-02-18" in told
    assert "until 2027-02-18" in say(app, "retire", id_of(old), code=1)
    clock.shift(DAYS_90)
    assert_goes_on(app)
    assert signers(app) == [new, old]
    assert id_of(old) in say(app, "retire", id_of(old))
    assert held(app) == [new]
    work(app)
    assert key_leaves(app)[-1][1:] == ("retire", old)
    assert signers(app) == [new]
    assert_goes_on(app)
    assert "retired 2027-02-18" in say(app, "show")
    assert "last key" in say(app, "retire", id_of(new), "--now", code=1)
    # Nothing of it is written twice.
    assert say(app, "retire", old)
    work(app)
    assert len(key_leaves(app)) == 3


def test_a_stolen_key_is_retired_at_once_and_signs_not_even_the_tree_that_says_so(app: Flask, clock: Clock) -> None:
    (old,) = held(app)
    say(app, "rotate")
    work(app)
    assert_goes_on(app)
    new = held(app)[1]
    before = log_key.path_of(config(app)).read_bytes()
    assert "stolen" in say(app, "retire", id_of(old), code=1)
    assert "thief" in say(app, "retire", id_of(old), "--now")
    # As if the command had been killed before it changed the file.
    log_key.path_of(config(app)).unlink()
    log_key.path_of(config(app)).write_bytes(before)
    log_key.path_of(config(app)).chmod(0o400)
    work(app)
    assert key_leaves(app)[-1][1:] == ("retire", old)
    assert signers(app) == [new]
    assert_goes_on(app)
    assert signers(app) == [new]


@SQLITE
def test_the_newest_key_is_never_retired_without_being_asked_to_at_once(app: Flask, clock: Clock) -> None:
    say(app, "rotate")
    work(app)
    _, new = held(app)
    clock.shift(DAYS_90 * 2)
    assert "say --now" in say(app, "retire", id_of(new), code=1)
    assert "no key 12345678" in say(app, "retire", "12345678", code=1)


def test_a_rotation_that_was_killed_before_the_database_heard_of_it_goes_on(app: Flask, clock: Clock) -> None:
    new = log_key.add(config(app)).vkey
    assert work(app)[0] >= 1
    work(app)
    assert [vkey for _, _, vkey in key_leaves(app)] == held(app)
    assert held(app)[-1] == new
    with app.app_context():
        assert db.session.scalars(select(LogEvent.kind)).all() == []


def test_after_a_lost_key_the_log_goes_on_under_its_name_and_says_so(app: Flask, clock: Clock) -> None:
    (old,) = held(app)
    assert "Move it away" in say(app, "rotate", "--lost", code=1)
    assert_goes_on(app)
    log_key.path_of(config(app)).unlink()
    assert "no key" in say(app, "rotate", code=1)
    assert "vouches" in say(app, "rotate", "--lost")
    (new,) = held(app)
    assert new.partition("+")[0] == old.partition("+")[0]
    work(app)
    assert key_leaves(app)[-1][1:] == ("add", new)
    assert_goes_on(app)
    assert signers(app) == [new]
    assert "not here" in say(app, "show")
    say(app, "retire", id_of(old), "--now")
    work(app)
    assert key_leaves(app)[-1][1:] == ("retire", old)
    assert_whole(app)


@SQLITE
def test_before_the_first_publication_there_is_nothing_to_exchange(make_app: MakeApp, clock: Clock) -> None:
    app = make_app()
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    for path in [*config(app).instance_path.glob("charter.db*"), *config(app).instance_path.glob("log.*")]:
        path.unlink()
    cli.prepare(app)
    assert "makes one at its first publication" in say(app, "show")
    assert "no key" in say(app, "rotate", code=1)
    assert "has not begun" in say(app, "rotate", "--lost", code=1)
