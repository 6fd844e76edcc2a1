"""The log in a mirror: byte for byte as at the service, and whole for its checkpoint at every moment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader

from charter.mirror import log_files
from charter.mirror.errors import MirrorError
from charter.mirror.folder import Folder
from charter.queries import log_tiles
from charter.tlog import note, verify
from charter.tlog.tiles import Tile, new_tiles
from tests.house.world import World
from tests.mirror.reading import changed, files, mirror
from tests.web.test_log import commitments, grow, leaves, parted, secure

on_sqlite = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


def of_log(folder: Path) -> dict[str, bytes]:
    """The log's files of a mirror."""
    return {place: content for place, content in files(folder).items() if place.startswith("log/")}


def check(folder: Path) -> int:
    """Reads the whole log out of the folder as somebody else would; returns its size."""
    reader = TilesReader(LocalBackend(folder / "log"))
    checkpoint = reader.get_checkpoint()
    assert reader.calculate_root_hash() == checkpoint.root_hash
    data = [reader.get_entry(index) for index in range(checkpoint.size)]
    about, found = parted((folder / log_files.REGISTRY).read_bytes())
    assert note.read(about["checkpoint"])[0].size == checkpoint.size
    assert found == commitments(data)
    return int(checkpoint.size)


def proved(folder: Path) -> bool:
    """Whether our own verifier finds nothing to complain of in a folder, without anything else."""
    vkey = (folder / log_files.VKEY).read_text().strip()
    return verify.main(["--vkey", vkey, "--base", str(folder), "--quiet"]) == verify.PROVED


def test_a_mirror_has_the_log_byte_for_byte(world: World, folder: Path) -> None:
    grow(world.app, 300)
    size = secure(world.app)
    mirror(world.app, folder)
    found = of_log(folder)
    expected = {"log/checkpoint", "log/registry.ndjson", "log/vkey"}
    expected |= {f"log/{tile.path}" for tile in new_tiles(0, size)}
    assert found.keys() == expected
    client = world.app.test_client()
    for place, content in found.items():
        assert client.get(f"/{place}").data == content, place
    assert check(folder) == size
    assert proved(folder)
    assert json.loads((folder / "mirror.json").read_text())["log_size"] == size


def test_full_tiles_stay_and_what_the_former_checkpoint_needs_stays_one_run_longer(world: World, folder: Path) -> None:
    grow(world.app, 235)
    first = secure(world.app)
    mirror(world.app, folder)
    grow(world.app, 20)
    second = secure(world.app)
    assert first < 256 < second
    mirror(world.app, folder)
    full = folder / "log" / Tile(0, 0).path
    written_at = full.stat().st_mtime_ns
    partial = {f"log/{Tile(0, 0, first).path}", f"log/{Tile(0, 1, second - 256).path}"}
    assert partial <= of_log(folder).keys()
    world.people["amina"].browser.get("/ru/my/withdraw/").submit("withdraw-form")
    third = secure(world.app)
    run = mirror(world.app, folder)
    assert run.removed >= 2
    assert full.stat().st_mtime_ns == written_at
    found = of_log(folder)
    assert f"log/{Tile(0, 0, first).path}" not in found
    assert {f"log/{Tile(None, 1, width - 256).path}" for width in (second, third)} <= found.keys()
    assert check(folder) == third
    assert proved(folder)


@on_sqlite
def test_the_checkpoint_comes_last_and_a_run_that_is_cut_off_leaves_a_whole_log(
    world: World, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, order = Folder.put, []
    before = check(made)
    grow(world.app, 300)
    secure(world.app)

    def note_order(self: Folder, new: Path | str, place: str) -> None:
        if place == log_files.CHECKPOINT:
            raise RuntimeError("cut off")
        put(self, new, place)
        order.append(place)

    with monkeypatch.context() as patched:
        patched.setattr(Folder, "put", note_order)
        with pytest.raises(RuntimeError, match="cut off"):
            mirror(world.app, made)
    places = [place for place in order if place.startswith("log/")]
    assert places[-1] == log_files.REGISTRY, "tiles, then the registry"
    assert order[-1] == places[-1], "and pages before"
    # Somebody who comes now checks the former checkpoint with what is there.
    reader = TilesReader(LocalBackend(made / "log"))
    assert reader.get_checkpoint().size == before
    assert reader.calculate_root_hash() == reader.get_checkpoint().root_hash
    mirror(world.app, made)
    assert check(made) > before


@on_sqlite
def test_a_log_that_does_not_extend_the_mirrored_one_replaces_nothing(world: World, made: Path) -> None:
    path = made / log_files.CHECKPOINT
    text = path.read_text(encoding="utf-8")
    checkpoint, signatures = note.read(text)
    other = note.Checkpoint(checkpoint.origin, checkpoint.size, bytes(32))
    path.write_text(note.write(other, signatures), encoding="utf-8")
    grow(world.app, 3)
    secure(world.app)
    before = of_log(made)
    with pytest.raises(MirrorError, match="does not extend"):
        mirror(world.app, made)
    after = of_log(made)
    assert {place: after[place] for place in before} == before
    path.write_text("17\n", encoding="utf-8")
    with pytest.raises(MirrorError, match="cannot be read"):
        mirror(world.app, made)
    path.write_text(text, encoding="utf-8")
    mirror(world.app, made)
    assert check(made) == len(leaves(world.app)) > checkpoint.size


@on_sqlite
def test_a_shorter_log_replaces_nothing(world: World, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(world.app, 3)
    secure(world.app)
    older = world.app.test_client()
    answers = {place: older.get(f"/{place}").data for place in (log_files.CHECKPOINT, log_files.REGISTRY)}
    grow(world.app, 3)
    secure(world.app)
    mirror(world.app, made)
    before = of_log(made)

    def fetch_older(self: Any, new: Path) -> Any:
        line = answers[log_files.REGISTRY].partition(b"\n")[0]
        return log_files._Registry(log_files._about(line)[0], '"older"', None)

    monkeypatch.setattr(log_files.LogFiles, "_fetch_registry", fetch_older)
    monkeypatch.setattr(log_files.LogFiles, "_fetch", lambda _self, place: answers[place])
    with pytest.raises(MirrorError, match="does not extend"):
        mirror(world.app, made)
    assert of_log(made) == before


@on_sqlite
def test_a_registry_that_breaks_off_leaves_the_one_that_is_there(
    world: World, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of_log(made)
    world.people["amina"].browser.get("/ru/my/withdraw/").submit("withdraw-form")
    secure(world.app)
    with monkeypatch.context() as patched:
        patched.setattr(log_tiles.RegistryReading, "_rows", _fail)
        with pytest.raises(MirrorError, match="broke off"):
            mirror(world.app, made)
    assert of_log(made) == before
    mirror(world.app, made)
    assert check(made) == len(leaves(world.app))


def _fail(self: log_tiles.RegistryReading, *_: Any) -> list[Any]:
    raise self._connection.dialect.loaded_dbapi.OperationalError("gone")


@on_sqlite
def test_a_tile_that_was_lost_is_missed_and_comes_back_when_asked(world: World, made: Path) -> None:
    before = of_log(made)
    partial = next(place for place in before if place.startswith("log/tile/0/"))
    (made / partial).unlink()
    with pytest.raises(MirrorError, match="--all"):
        mirror(world.app, made)
    mirror(world.app, made, everything=True)
    assert changed(before, of_log(made)) == set()
