"""A log written straight into files, as a mirror holds it, without a database: for measurements and for tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from charter.tlog import canonical, note
from charter.tlog.rebuild import Rebuilt, hash_leaves
from charter.tlog.signer import Signer
from charter.tlog.tiles import WIDTH, Tile, bundle


def make_signer(origin: str, seed: bytes, *more: bytes) -> Signer:
    """Keys from seeds of 32 bytes; the first is the chief one."""
    keys = []
    for one in (seed, *more):
        private = Ed25519PrivateKey.from_private_bytes(one)
        keys.append((note.Key(origin, note.ED25519, private.public_key().public_bytes_raw()), private.sign))
    return Signer(keys)


def write_log(folder: Path, leaves: Iterable[bytes], signer: Signer, *, keep_at: int = 0) -> tuple[str, str]:
    """Bundles, tiles and checkpoint of a log below `folder`/log; returns its note, and the one it had at `keep_at`.

    keep_at: a size at which a tile ends.
    """
    grown = Rebuilt()
    rest = iter(leaves)
    kept = ""
    while True:
        if grown.size == keep_at:
            kept = signer.sign(grown.size, grown.root())
        some = list(islice(rest, WIDTH))
        if not some:
            break
        _put(folder, Tile(None, grown.size // WIDTH, len(some)), bundle(some))
        for tile, data in grown.add(hash_leaves(some)):
            _put(folder, tile, data)
    for tile, data in grown.unfinished():
        _put(folder, tile, data)
    text = signer.sign(grown.size, grown.root())
    (folder / "log").mkdir(parents=True, exist_ok=True)
    (folder / "log" / "checkpoint").write_text(text, encoding="utf-8")
    return text, kept


def write_registry(folder: Path, text: str, lines: Iterable[bytes], *, count: int) -> None:
    """log/registry.ndjson. text: the note that it embeds. lines: records by entry, without newlines."""
    with (folder / "log" / "registry.ndjson").open("wb") as file:
        file.writelines(_registry(text, lines, count))


def _registry(text: str, lines: Iterable[bytes], count: int) -> Iterator[bytes]:
    yield canonical.encode({"checkpoint": text, "kind": "registry", "records": count, "v": 1}) + b"\n"
    for line in lines:
        yield line + b"\n"


def _put(folder: Path, tile: Tile, data: bytes) -> None:
    place = folder / "log" / tile.path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
