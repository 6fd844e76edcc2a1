"""The tree of RFC 6962: the vectors that its implementations share, another library, and every changed byte refused."""

from __future__ import annotations

import hashlib

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.tlog import tree
from charter.tlog.rebuild import Rebuilt, hash_leaves
from charter.tlog.tiles import WIDTH
from tests.tlog.history import fetch_over

#: Leaves and roots of the trees of their first 0 … 8, as certificate transparency's own tests have them.
INPUTS = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
#: (leaf, size) → audit path.
INCLUSION = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
}
#: (old, new) → proof.
CONSISTENCY = {
    (1, 1): [],
    (1, 8): INCLUSION[0, 8],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
MOST = 1000
LEAVES = [b"leaf %d" % place for place in range(MOST)]
FETCH = fetch_over(LEAVES)


def test_roots_are_those_that_everybody_has() -> None:
    fetch = fetch_over(INPUTS)
    for size, root in enumerate(ROOTS):
        assert tree.root(size, fetch).hex() == root


def test_proofs_are_those_that_everybody_has() -> None:
    fetch = fetch_over(INPUTS)
    for (index, size), path in INCLUSION.items():
        assert [one.hex() for one in tree.inclusion_proof(index, size, fetch)] == path
        leaf_hash = tree.hash_leaf(INPUTS[index])
        tree.check_inclusion(leaf_hash, index, size, [bytes.fromhex(one) for one in path], bytes.fromhex(ROOTS[size]))
    for (old, size), path in CONSISTENCY.items():
        assert [one.hex() for one in tree.consistency_proof(old, size, fetch)] == path
        proof = [bytes.fromhex(one) for one in path]
        tree.check_consistency(old, size, proof, bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[size]))


def test_roots_of_all_sizes_to_a_thousand_are_those_of_another_library() -> None:
    theirs = pymerkle.InmemoryTree(algorithm="sha256")
    theirs.append_entries(LEAVES)
    for size in range(MOST + 1):
        assert tree.root(size, FETCH) == theirs.get_root(size), size


def test_a_tree_that_grows_by_any_steps_is_the_same_tree() -> None:
    for step in (1, 3, 7, 255, 256, 257, 1000):
        nodes: dict[tuple[int, int], bytes] = {}

        def fetch(level: int, index: int, nodes: dict[tuple[int, int], bytes] = nodes) -> bytes:
            return nodes[level, index]

        for size in range(0, MOST, step):
            hashes = [tree.hash_leaf(one) for one in LEAVES[size : size + step]]
            for level, index, one in tree.append(size, hashes, fetch):
                assert (level, index) not in nodes, "each node is written once"
                nodes[level, index] = one
        assert tree.root(MOST, fetch) == tree.root(MOST, FETCH)
        assert len(nodes) == sum(MOST >> level for level in range(MOST.bit_length()))


def test_the_tree_built_tile_by_tile_is_the_same_at_every_size() -> None:
    grown = Rebuilt()
    found = []
    for size, one in enumerate(hash_leaves(LEAVES)):
        assert grown.root() == tree.root(size, FETCH)
        found += grown.add([one])
    assert grown.root() == tree.root(MOST, FETCH)
    tiles = [*found, *grown.unfinished()]
    assert [(tile.level, tile.index, tile.width) for tile, _ in tiles] == [
        *((0, index, WIDTH) for index in range(3)),
        (0, 3, 232),
        (1, 0, 3),
    ]
    for tile, data in tiles:
        assert tile.level is not None
        for place in range(tile.width):
            hashes = data[32 * place : 32 * place + 32]
            assert hashes == FETCH(8 * tile.level, WIDTH * tile.index + place)
    with pytest.raises(ValueError, match="tile"):
        grown.add([b"x" * 32] * (WIDTH + 1))


def test_a_tree_of_tiles_of_three_levels_has_the_root_that_its_nodes_have() -> None:
    hashes = hash_leaves([b"%d" % place for place in range(66_000)])
    grown = Rebuilt()
    for first in range(0, len(hashes), WIDTH):
        grown.add(hashes[first : first + WIDTH])
    nodes: dict[tuple[int, int], bytes] = {}
    for level, index, one in tree.append(0, hashes, lambda level, index: nodes[level, index]):
        nodes[level, index] = one
    assert grown.root() == tree.root(len(hashes), lambda level, index: nodes[level, index])
    assert [tile.level for tile, _ in grown.unfinished()] == [0, 1, 2]


@st.composite
def _places(draw: st.DrawFn) -> tuple[int, int]:
    size = draw(st.integers(1, MOST))
    return draw(st.integers(0, size - 1)), size


@given(_places(), st.data())
def test_a_changed_byte_of_an_inclusion_proof_is_refused(place: tuple[int, int], data: st.DataObject) -> None:
    index, size = place
    path, root = tree.inclusion_proof(index, size, FETCH), tree.root(size, FETCH)
    leaf_hash = tree.hash_leaf(LEAVES[index])
    tree.check_inclusion(leaf_hash, index, size, path, root)
    parts = [leaf_hash, root, *path]
    which, byte = data.draw(st.integers(0, len(parts) - 1)), data.draw(st.integers(0, 31))
    parts[which] = _changed(parts[which], byte, data.draw(st.integers(1, 255)))
    wrong = [(parts[0], index, size, parts[2:], parts[1]), (leaf_hash, index, size, [*path, root], root)]
    wrong += [(leaf_hash, index, size, path[:-1], root)] if path else []
    wrong += [(leaf_hash, other, size, path, root) for other in (index ^ 1, index + 1, -1, size) if other != index]
    for one in wrong:
        with pytest.raises(tree.ProofError):
            tree.check_inclusion(*one)


@given(_places(), st.data())
def test_a_changed_byte_of_a_consistency_proof_is_refused(place: tuple[int, int], data: st.DataObject) -> None:
    old, size = place[0] + 1, place[1]
    proof = tree.consistency_proof(old, size, FETCH)
    old_root, root = tree.root(old, FETCH), tree.root(size, FETCH)
    tree.check_consistency(old, size, proof, old_root, root)
    parts = [old_root, root, *proof]
    which, byte = data.draw(st.integers(0, len(parts) - 1)), data.draw(st.integers(0, 31))
    parts[which] = _changed(parts[which], byte, data.draw(st.integers(1, 255)))
    wrong = [
        (old, size, parts[2:], parts[0], parts[1]),
        (old, size, [*proof, root], old_root, root),
        (size + 1, size, proof, old_root, root),
        (-1, size, proof, old_root, root),
    ]
    wrong += [(old, size, proof[:-1], old_root, root)] if proof else []
    for one in wrong:
        with pytest.raises(tree.ProofError):
            tree.check_consistency(*one)


def test_the_empty_tree_comes_before_every_other() -> None:
    root = tree.root(7, FETCH)
    assert tree.consistency_proof(0, 7, FETCH) == []
    tree.check_consistency(0, 7, [], tree.EMPTY_ROOT, root)
    for wrong in (([], root), ([root], tree.EMPTY_ROOT)):
        with pytest.raises(tree.ProofError):
            tree.check_consistency(0, 7, wrong[0], wrong[1], root)


def test_there_is_no_proof_beyond_the_tree() -> None:
    for index, size in ((5, 5), (-1, 5), (0, 0)):
        with pytest.raises(tree.ProofError):
            tree.inclusion_proof(index, size, FETCH)
    for old, size in ((6, 5), (-1, 5)):
        with pytest.raises(tree.ProofError):
            tree.consistency_proof(old, size, FETCH)


def test_a_node_is_never_taken_for_a_leaf() -> None:
    left, right = tree.hash_leaf(b"a"), tree.hash_leaf(b"b")
    assert tree.hash_node(left, right) == hashlib.sha256(b"\x01" + left + right).digest()
    assert tree.hash_node(left, right) != tree.hash_leaf(left + right)


def _changed(data: bytes, byte: int, by: int) -> bytes:
    return data[:byte] + bytes([data[byte] ^ by]) + data[byte + 1 :]
