"""Our files are read by a program that others wrote, and its proofs and files by ours (`tlog-scales`)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tlog_scales import backend, reader, signing, tlog, writer

from charter.tlog import note, tree, verify
from charter.tlog import tiles as ours
from tests.tlog.history import ORIGIN, SIGNER, VKEY, History, checks, fetch_over, key_of

SIZES = (1, 2, 255, 256, 257, 700)


def _log(folder: Path, size: int) -> History:
    history = History()
    history.sign_up((size - 1) // 2)
    if len(history.leaves) < size:
        history.confirm("0" * 32)
    history.write(folder)
    return history


@pytest.mark.parametrize("size", SIZES)
def test_their_reader_reads_our_folder(tmp_path: Path, size: int) -> None:
    history = _log(tmp_path, size)
    theirs = reader.TilesReader(backend.LocalBackend(tmp_path / "log"))
    checkpoint = theirs.get_checkpoint()
    checkpoint.verify(signing.Vkey.from_string(VKEY))
    assert (checkpoint.origin, checkpoint.size) == (ORIGIN, size)
    assert theirs.calculate_root_hash() == checkpoint.root_hash == tree.root(size, fetch_over(history.leaves))
    for index in {0, size // 3, size - 1}:
        assert theirs.get_entry(index) == history.leaves[index]


@pytest.mark.parametrize("size", SIZES)
def test_proofs_go_both_ways(tmp_path: Path, size: int) -> None:
    history = _log(tmp_path, size)
    fetch = fetch_over(history.leaves)
    root = tree.root(size, fetch)
    theirs = reader.TilesReader(backend.LocalBackend(tmp_path / "log"))
    theirs.get_checkpoint()
    for index in {0, size // 2, size - 1}:
        leaf_hash = tree.hash_leaf(history.leaves[index])
        mine = tree.inclusion_proof(index, size, fetch)
        tlog.InclusionProof(index, size, mine).check(leaf_hash, root)
        other = theirs.get_inclusion_proof(index, size)
        assert other.node_hashes == mine
        tree.check_inclusion(leaf_hash, index, size, other.node_hashes, root)
    for old in {1, size // 2 + 1, size}:
        mine = tree.consistency_proof(old, size, fetch)
        tlog.ConsistencyProof(old, size, mine).check(tree.root(old, fetch), root)
        other_way = theirs.get_consistency_proof(old, size)
        assert other_way.node_hashes == mine
        tree.check_consistency(old, size, other_way.node_hashes, tree.root(old, fetch), root)


def test_their_checkpoint_is_verified_by_ours() -> None:
    root = tree.hash_leaf(b"")
    seed = bytes(range(32))
    theirs = tlog.Checkpoint.make_signed(ORIGIN, 1, root, [signing.PlainEd25519Signer(ORIGIN, seed)])
    assert theirs.serialize() == SIGNER.sign(1, root)
    assert note.verify(theirs.serialize(), key_of(SIGNER), checks).size == 1


def test_the_files_that_they_write_are_ours_byte_for_byte(tmp_path: Path) -> None:
    history = _log(tmp_path / "ours", 700)
    theirs = writer.TilesWriter.create(tmp_path / "theirs", ORIGIN)
    for leaf in history.leaves:
        theirs.add_leaf(leaf)
    theirs.commit([signing.PlainEd25519Signer(ORIGIN, bytes(range(32)))])
    for tile in ours.new_tiles(0, 700):
        assert (tmp_path / "theirs" / tile.path).read_bytes() == (tmp_path / "ours/log" / tile.path).read_bytes()
    assert (tmp_path / "theirs/checkpoint").read_bytes() == (tmp_path / "ours/log/checkpoint").read_bytes()
    (tmp_path / "ours/log/registry.ndjson").rename(tmp_path / "theirs/registry.ndjson")
    (tmp_path / "theirs").rename(tmp_path / "log")
    assert verify.main(["--vkey", VKEY, "--base", str(tmp_path), "--quiet"]) == verify.PROVED
