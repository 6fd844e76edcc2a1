"""Tiles and bundles: one address each, and every cut one refused (C2SP tlog-tiles)."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tlog_scales import tiles as theirs

from charter.tlog import tiles
from charter.tlog.tiles import WIDTH, Tile, TileError

_TILES = st.builds(Tile, st.one_of(st.none(), st.integers(0, 63)), st.integers(0, 2**50), st.integers(1, WIDTH))


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 1234067), "tile/0/x001/x234/067"),
        (Tile(1, 273, 208), "tile/1/273.p/208"),
        (Tile(None, 1000), "tile/entries/x001/000"),
        (Tile(None, 70_086, 128), "tile/entries/x070/086.p/128"),
    ],
)
def test_addresses_are_those_of_the_specification(tile: Tile, path: str) -> None:
    assert tile.path == path


@given(_TILES)
def test_an_address_leads_back_to_its_tile_and_is_that_of_another_library(tile: Tile) -> None:
    _, level, rest = tile.path.split("/", 2)
    assert tiles.parse_path(level, rest) == tile
    partial = 0 if tile.width == WIDTH else tile.width
    assert "/".join(theirs.tile_path(-1 if tile.level is None else tile.level, tile.index, partial)) == tile.path


@pytest.mark.parametrize(
    ("level", "rest"),
    [
        ("0", "0"),
        ("0", "00"),
        ("0", "0000"),
        ("0", "x000/000"),
        ("0", "x000/001"),
        ("0", "001/002"),
        ("0", "x001/x002"),
        ("0", "000.p/0"),
        ("0", "000.p/256"),
        ("0", "000.p/257"),
        ("0", "000.p/01"),
        ("0", "000.p/1/"),
        ("0", "000.p/"),
        ("0", "٠٠٠"),
        ("0", "000\n"),
        ("00", "000"),
        ("64", "000"),
        ("-1", "000"),
        ("entry", "000"),
        ("", "000"),
    ],
)
def test_no_tile_has_a_second_address(level: str, rest: str) -> None:
    with pytest.raises(TileError):
        tiles.parse_path(level, rest)


@given(st.text("0123456789x/.p", max_size=14))
def test_whatever_is_read_as_an_address_is_the_address(rest: str) -> None:
    try:
        tile = tiles.parse_path("3", rest)
    except TileError:
        return
    assert tile.path == f"tile/3/{rest}"


def test_new_tiles_are_those_that_become_wider() -> None:
    def all_of(size: int) -> set[Tile]:
        return {
            Tile(level, index, width)
            for level in (None, 0, 1, 2)
            for index in range((size >> 8 * (level or 0)) // WIDTH + 1)
            if (width := tiles.width_of(Tile(level, index), size))
        }

    for old, size in ((0, 1), (0, 256), (0, 70_000), (255, 256), (256, 257), (65_535, 65_536), (700, 66_000), (5, 5)):
        found = list(tiles.new_tiles(old, size))
        assert len(set(found)) == len(found)
        assert set(found) == all_of(size) - all_of(old)


def test_a_bundle_is_read_back_and_a_cut_one_is_refused() -> None:
    leaves = [b"", b"a", b"b" * 65535]
    data = tiles.bundle(leaves)
    assert data[:5] == b"\x00\x00\x00\x01a"
    assert tiles.unbundle(data) == leaves
    for end in (1, 3, 4, 6, len(data) - 1):
        with pytest.raises(TileError):
            tiles.unbundle(data[:end])
    for wrong in ([b"x" * 65536], [b""] * 257):
        with pytest.raises(TileError):
            tiles.bundle(wrong)


@given(st.lists(st.binary(max_size=300), max_size=WIDTH), st.binary(max_size=40))
def test_bundles_hold_any_bytes_and_any_bytes_are_read_or_refused(leaves: list[bytes], noise: bytes) -> None:
    assert tiles.unbundle(tiles.bundle(leaves)) == leaves
    with contextlib.suppress(TileError):
        assert tiles.bundle(tiles.unbundle(noise)) == noise
