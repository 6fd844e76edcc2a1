"""The log as others fetch it: bytes as LOG §2 says, read back by tools that are not ours, at a constant cost."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text
from time_machine import Traveller as Clock
from tlog_scales.reader import TilesReader
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from charter import log_key, publishing
from charter.models.base import db, writing
from charter.models.log import LogBatch, LogLeaf, LogStanding
from charter.models.registry import PublicEntry
from charter.operations.public_side import append_batch
from charter.queries import log_tiles, replica
from charter.queries.standing import served_checkpoint
from charter.tlog import leaf, note, proof, tree, verify
from charter.tlog.tiles import Tile, bundle, new_tiles
from tests.conftest import MakeApp
from tests.hostile.test_breakdown import take_database_away
from tests.house.test_cost import crowd
from tests.house.world import World
from tests.pages import Browser
from tests.statements import statements

FOR_EVER = "public, max-age=31536000, immutable"


def get(app: Flask, path: str, **more: Any) -> TestResponse:
    """Below /log/, by somebody without a cookie, who gets none."""
    answer = app.test_client(use_cookies=False).get(f"/log/{path}", **more)
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    return answer


def leaves(app: Flask) -> list[bytes]:
    """Every leaf of the log."""
    with app.app_context():
        found = [bytes(data) for data in db.session.scalars(select(LogLeaf.data).order_by(LogLeaf.index))]
        db.session.rollback()
        return found


def secure(app: Flask) -> int:
    """Publishes what is due, and returns the size of the tree that is shown from then on."""
    with app.app_context():
        publishing.publish()
        found = served_checkpoint()
        assert found is not None
        db.session.rollback()
        return found.size


def grow(app: Flask, count: int) -> None:
    """So many more leaves: applications that are confirmed and stay without an answer."""
    with app.app_context(), writing():
        last = db.session.scalars(select(LogBatch).order_by(LogBatch.revision.desc()).limit(1)).one()
        values = {"commit": "0" * 64, "due": "2026-11-27", "t": leaf.format_time(last.at)}
        data = [leaf.encode("confirm", entry=secrets.token_hex(16), **values) for _ in range(count)]
        append_batch(revision=last.revision + 1, at=last.at, first_index=last.tree_size, data=data)
        db.session.commit()


def commitments(data: list[bytes]) -> dict[str, str]:
    """entry → commit of every live entry after these leaves, told by the leaves alone."""
    live: dict[str, str] = {}
    for one in map(json.loads, data):
        if one["kind"] in {"publish", "correct"}:
            live[one["entry"]] = one["commit"]
        elif one["kind"] in {"withdraw", "revoke", "erase"}:
            live.pop(one["entry"], None)
    return live


def parted(body: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """The first line of the registry's file, and entry → SHA-256 of each record line; checks the form of both."""
    assert body.endswith(b"\n")
    first, *lines = body[:-1].split(b"\n")
    about = json.loads(first)
    assert list(about) == ["checkpoint", "kind", "records", "v"]
    assert (about["kind"], about["v"], about["records"]) == ("registry", 1, len(lines))
    found = {json.loads(line)["entry"]: hashlib.sha256(line).hexdigest() for line in lines}
    assert list(found) == sorted(found)
    return about, found


@pytest.fixture
def log(world: World) -> Flask:
    """The application of a told world, whose newest checkpoint is shown."""
    secure(world.app)
    return world.app


# ── bytes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_checkpoint_is_the_signed_note_of_the_newest_tree(log: Flask) -> None:
    answer = get(log, "checkpoint")
    key = note.parse_key(get(log, "vkey").text)
    checkpoint = note.verify(answer.text, key, log_key.verify)
    data = leaves(log)
    assert checkpoint.size == len(data)
    assert answer.content_type == "text/plain; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=5"
    again = get(log, "checkpoint", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    head = log.test_client().head("/log/checkpoint")
    assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", answer.headers["ETag"])


@pytest.mark.usefixtures("clock")
def test_every_tile_and_bundle_is_there_and_wider_ones_are_not(app: Flask) -> None:
    grow(app, 600)
    size = secure(app)
    data = leaves(app)
    assert size == len(data) > 512
    hashes = [tree.hash_leaf(one) for one in data]
    nodes = {(level, index): one for level, index, one in tree.append(0, hashes, lambda _level, _index: b"")}
    expected = list(new_tiles(0, size))
    assert {tile.level for tile in expected} == {None, 0, 1}
    for tile in expected:
        answer = get(app, tile.path)
        first = tile.index * 256
        if tile.level is None:
            assert answer.data == bundle(data[first : first + tile.width])
        else:
            rows = [nodes[8 * tile.level, first + place] for place in range(tile.width)]
            assert answer.data == b"".join(rows)
        assert (answer.content_type, answer.headers["Cache-Control"]) == ("application/octet-stream", FOR_EVER)
        assert int(answer.headers["Content-Length"]) == len(answer.data)
        again = get(app, tile.path, headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304
    # Widths that the log has passed stay; what it has not reached is nowhere, and nobody keeps that for a year.
    for tile in (Tile(0, 0, 3), Tile(None, 1, 255), Tile(1, 0, 1), Tile(0, 2, 1)):
        assert len(get(app, tile.path).data) == 32 * tile.width or tile.level is None
    for tile in (Tile(0, 2, size % 256 + 1), Tile(0, 2), Tile(None, 2), Tile(1, 0, 3), Tile(2, 0, 1), Tile(0, 3, 1)):
        answer = get(app, tile.path)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (404, "no-store"), tile


class Backend:
    """Fetches for tlog-scales, as its own would by HTTP."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def get(self, *path: str) -> bytes | None:
        answer = get(self._app, "/".join(path))
        return answer.data if answer.status_code == 200 else None


@pytest.mark.usefixtures("clock")
def test_a_reader_that_is_not_ours_finds_leaves_root_and_proofs(app: Flask) -> None:
    grow(app, 300)
    size = secure(app)
    reader = TilesReader(Backend(app))
    checkpoint = reader.get_checkpoint()
    assert checkpoint.size == size
    assert reader.calculate_root_hash() == checkpoint.root_hash
    data = leaves(app)
    for index in (0, 1, 255, 256, size - 1):
        assert reader.get_entry(index) == data[index]
        path = reader.get_inclusion_proof(index, size).node_hashes
        tree.check_inclusion(tree.hash_leaf(data[index]), index, size, path, checkpoint.root_hash)
    for old in (1, 17, 256, size - 1):
        fetch = {(level, index): one for level, index, one in _nodes(data[:old])}
        before = tree.root(old, lambda level, index, at=fetch: at[level, index])  # type: ignore[misc]
        path = reader.get_consistency_proof(old, size).node_hashes
        tree.check_consistency(old, size, path, before, checkpoint.root_hash)


def _nodes(data: list[bytes]) -> Iterator[tuple[int, int, bytes]]:
    return tree.append(0, [tree.hash_leaf(one) for one in data], lambda _level, _index: b"")


def test_our_verifier_finds_it_whole_over_http(log: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    server = make_server("127.0.0.1", 0, log, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        base = f"http://127.0.0.1:{server.port}"
        code = verify.main(["--vkey", get(log, "vkey").text.strip(), "--base", base])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert code == verify.PROVED, capsys.readouterr().out


# ── records and receipts ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_record_and_its_receipt_prove_each_other(log: Flask) -> None:
    key = note.parse_key(get(log, "vkey").text)
    for entry, commit in commitments(leaves(log)).items():
        record, receipt = get(log, f"record/{entry}"), get(log, f"receipt/{entry}")
        assert hashlib.sha256(record.data).hexdigest() == commit
        assert record.content_type == "application/json"
        assert 'filename="record.json"' in record.headers["Content-Disposition"]
        found = proof.read(receipt.text)
        proof.verify(found, key, log_key.verify)
        assert json.loads(found.extra)["commit"] == commit
        assert 'filename="receipt.tlog-proof"' in receipt.headers["Content-Disposition"]
        for answer in (record, receipt):
            assert answer.headers["Cache-Control"] == "public, max-age=5"
            assert answer.headers["X-Robots-Tag"] == "noindex"


def ended(app: Flask) -> str:
    """Somebody's entry who has withdrawn."""
    with app.app_context():
        found = db.session.scalars(select(PublicEntry.entry).where(PublicEntry.ended_on.is_not(None))).first()
        db.session.rollback()
        return str(found)


def test_what_has_ended_or_never_was_has_no_record(log: Flask) -> None:
    for kind in ("record", "receipt"):
        for entry, status in ((ended(log), 410), ("0" * 32, 404)):
            answer = get(log, f"{kind}/{entry}")
            assert (answer.status_code, answer.content_type) == (status, "text/plain; charset=utf-8")
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.text.count("\n") == 1


@pytest.mark.parametrize("lang", ["kk", "ru", "en"])
@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_home_and_entries_say_how_the_log_stands(log: Flask, lang: str) -> None:
    checkpoint = note.read(get(log, "checkpoint").text)[0]
    root = checkpoint.body.splitlines()[2]
    live = next(iter(commitments(leaves(log))))
    browser = Browser(log)
    for path in (f"/{lang}/", f"/{lang}/registry/entries/{live}"):
        page = browser.get(path)
        assert root in page.main, path
        assert str(checkpoint.size) in page.main
        assert page.href("/log/checkpoint")
        assert page.href(f"/{lang}/verify/")
    page = browser.get(f"/{lang}/registry/entries/{live}")
    assert page.href("/verify/?entry=").endswith(live)
    assert get(log, page.href("/log/record/").removeprefix("/log/")).status_code == 200
    assert get(log, page.href("/log/receipt/").removeprefix("/log/")).status_code == 200
    gone = browser.get(f"/{lang}/registry/entries/{ended(log)}")
    assert gone.href("/verify/?entry=")
    assert "/log/record/" not in gone.text


# ── the registry's file ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_registry_file_is_what_its_checkpoint_commits_to(log: Flask) -> None:
    answer = get(log, "registry.ndjson")
    about, found = parted(answer.data)
    assert found == commitments(leaves(log))
    assert len(found) >= 2
    assert about["checkpoint"] == get(log, "checkpoint").text
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert answer.headers["X-Robots-Tag"] == "noindex"
    again = get(log, "registry.ndjson", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("pieces", [0, 1, 2])
def test_who_is_published_or_withdraws_meanwhile_changes_no_file_on_its_way(
    world: World, pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_tiles, "WINDOW", 1)
    secure(world.app)
    before = leaves(world.app)
    answer = world.app.test_client().get("/log/registry.ndjson", buffered=False)
    on_its_way = iter(answer.response)
    begun = [next(on_its_way) for _ in range(pieces)]
    world.people["amina"].browser.get("/ru/my/withdraw/").submit("withdraw-form")
    world.pass_seconds(11)  # and the one who was approved is published
    secure(world.app)
    about, found = parted(b"".join([*begun, *on_its_way]))
    answer.close()
    size = note.read(about["checkpoint"])[0].size
    assert size == len(before) < len(leaves(world.app))
    assert found == commitments(before)
    about, found = parted(get(world.app, "registry.ndjson").data)
    assert found == commitments(leaves(world.app)) != commitments(before)


def test_a_publication_that_the_guard_does_not_have_yet_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = secure(world.app)
    tag = get(world.app, "registry.ndjson").headers["ETag"]
    world.people["amina"].browser.get("/ru/my/withdraw/").submit("withdraw-form")
    with monkeypatch.context() as patched:
        patched.setattr(publishing, "_note_guarded", lambda *_: None)
        assert secure(world.app) == size
    monkeypatch.setattr(log_tiles, "PATIENCE_SECONDS", 0.0)
    answer = get(world.app, "registry.ndjson")
    assert (answer.status_code, answer.content_type) == (503, "text/plain; charset=utf-8")
    assert int(answer.headers["Retry-After"]) > 0
    assert note.read(get(world.app, "checkpoint").text)[0].size == size, "the one before it goes on being shown"
    assert get(world.app, Tile(None, 0, size + 1).path).status_code == 404

    def arrive(_seconds: float) -> None:
        secure(world.app)

    monkeypatch.setattr(log_tiles, "PATIENCE_SECONDS", 60.0)
    monkeypatch.setattr(time, "sleep", arrive)
    answer = get(world.app, "registry.ndjson")
    assert parted(answer.data)[1] == commitments(leaves(world.app))
    assert answer.headers["ETag"] != tag


def test_a_file_that_could_not_be_read_to_its_end_says_so(log: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_tiles, "WINDOW", 1)
    read = log_tiles.RegistryReading._rows

    def fail(self: log_tiles.RegistryReading, sql: str, values: Any) -> list[Any]:
        if self.count:
            raise self._connection.dialect.loaded_dbapi.OperationalError("gone")
        return read(self, sql, values)

    monkeypatch.setattr(log_tiles.RegistryReading, "_rows", fail)
    first, *lines = get(log, "registry.ndjson").data.split(b"\n")
    assert len(lines) == 2 <= json.loads(first)["records"]
    assert lines[-1].startswith(b'{"incomplete":"')
    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(lines[-1])
    with log.app_context():
        assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_only_so_many_files_leave_at_once(make_app: MakeApp, clock: Clock) -> None:
    app = make_app(downloads_at_once="1")
    secure(app)
    first = app.test_client().get("/log/registry.ndjson", buffered=False)
    assert first.status_code == 200
    busy = get(app, "registry.ndjson")
    assert (busy.status_code, busy.headers["Cache-Control"]) == (503, "no-store")
    assert app.test_client().get("/log/checkpoint").status_code == 200
    assert get(app, "registry.ndjson", headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    head = app.test_client().head("/log/registry.ndjson")
    assert head.status_code == 200, "who asks for headers alone takes no place"
    first.close()
    assert get(app, "registry.ndjson").status_code == 200
    assert clock is not None


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────────────────────────

HOSTILE = (
    *("", "x", "checkpoint/", "tile", "tile/", "tile/0", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000"),
    *("tile/00/000.p/1", "tile/-1/000", "tile/64/000", "tile/data/000", "tile/entries/000.p/0", "tile/0/000.p/256"),
    *("tile/0/000.p/257", "tile/0/000.p/01", "tile/0/000.p/", "tile/0/000.p", "tile/0/x000/000", "tile/0/x001/x001"),
    *("tile/0/001/x001", "tile/0/999", "tile/63/000.p/1", "tile/0/x999/x999/x999/x999/x999/x999/999.p/1"),
    *("tile/0/" + "x999/" * 2000 + "999", "tile/0/" + "9" * 5000, "tile/0/٠٠٠", "tile/0/%00", "tile/0/000%0a"),
    *("tile/0/000/../000", "tile/0/000?q=1'--"[:10] + "%27", "record/", "record/" + "0" * 31, "record/" + "F" * 32),
    *("record/" + "0" * 33, "receipt/../vkey/x", "registry.ndjson/", "registry", "vkey/", "%2e%2e/", "a" * 3000),
)


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_addresses_that_nothing_has_get_one_sentence(log: Flask) -> None:
    for path in HOSTILE:
        answer = get(log, path)
        assert answer.status_code == 404, path[:80]
        assert answer.content_type == "text/plain; charset=utf-8"
        assert (answer.headers["Cache-Control"], answer.text.count("\n")) == ("no-store", 1)
    for method in ("POST", "PUT", "DELETE"):
        refused = log.test_client().open("/log/checkpoint", method=method)
        assert (refused.status_code, refused.content_type) == (405, "text/plain; charset=utf-8")


def test_before_anything_may_be_shown_the_log_says_so(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_tiles, "PATIENCE_SECONDS", 0.0)
    with app.app_context(), writing():
        db.session.execute(LogStanding.__table__.delete())
        db.session.commit()
    _nothing_is_shown(app)
    assert clock is not None


@pytest.mark.usefixtures("clock")
def test_one_schema_behind_the_log_is_not_there_yet(app: Flask) -> None:
    with app.app_context(), writing():
        for table in ("log_cosignature", "log_standing", "log_checkpoint", "log_place", "log_node"):
            db.session.execute(text(f"DROP TABLE {table}"))
        db.session.commit()
        db.engine.dispose()
    _nothing_is_shown(app)


def test_a_replica_that_lags_hides_no_tile(log: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = get(log, "tile/entries/000.p/2").data
    monkeypatch.setattr(replica, "read_public", lambda _read: None)
    monkeypatch.setattr(replica, "is_well", lambda: True)
    assert get(log, "tile/entries/000.p/2").data == expected
    monkeypatch.setattr(replica, "is_well", lambda: None)
    assert get(log, "tile/entries/000.p/2").status_code == 404, "where there is none, nobody asks twice"


def _nothing_is_shown(app: Flask) -> None:
    for path, status in (("checkpoint", 503), ("registry.ndjson", 503), ("tile/0/000.p/1", 404)):
        answer = get(app, path)
        assert (answer.status_code, answer.content_type) == (status, "text/plain; charset=utf-8"), path
        assert answer.headers["Cache-Control"] == "no-store"
        assert ("Retry-After" in answer.headers) == (status == 503)
    assert app.test_client().get("/en/").status_code == 200


def test_without_a_database_the_log_asks_to_come_back(log: Flask) -> None:
    entry = next(iter(commitments(leaves(log))))
    take_database_away(log)
    for path in ("checkpoint", "vkey", "tile/0/000.p/1", "registry.ndjson", f"record/{entry}", f"receipt/{entry}"):
        answer = get(log, path)
        assert (answer.status_code, answer.content_type) == (503, "text/plain; charset=utf-8"), path
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.headers["Cache-Control"] == "no-store"


# ── cost ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("clock")
def test_each_costs_the_same_however_long_the_log_is(app: Flask) -> None:
    def costs() -> dict[str, int]:
        entry = next(iter(commitments(leaves(app))))
        paths = {"checkpoint": "checkpoint", "vkey": "vkey", "registry": "registry.ndjson"}
        paths |= {"tile": "tile/0/000.p/4", "bundle": "tile/entries/000.p/4"}
        paths |= {"record": f"record/{entry}", "receipt": f"receipt/{entry}"}
        found = {}
        for name, path in paths.items():
            with statements(app) as seen:
                assert get(app, path).status_code == 200, path
            noise = ("BEGIN", "PRAGMA", "SET ", "ROLLBACK", "COMMIT")
            asked = [one for one in seen if not one.startswith(noise)]
            assert not [one for one in asked if "count(" in one.lower()]
            found[name] = len(asked)
        return found

    crowd(app, 3)
    secure(app)
    few = costs()
    crowd(app, 30)
    grow(app, 300)
    secure(app)
    assert costs() == few
    assert (few["tile"], few["bundle"], few["record"]) == (1, 1, 1)
    assert max(few.values()) <= 8, few
