"""A log told in the words of its rules, right or wrong, and written as the files that anybody may check."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import log_files
from charter.tlog import canonical, leaf, note, proof, tree
from charter.tlog.record import commitment, encode_record

ORIGIN = "charter.example/log"
SIGNER = log_files.make_signer(ORIGIN, bytes(range(32)))
STRANGER = log_files.make_signer(ORIGIN, bytes(range(1, 33)))
VKEY = SIGNER.vkey
TEXTS = {language: f"The Charter in {language}.\n".encode() for language in ("en", "kk", "ru")}
DIGESTS = {language: hashlib.sha256(text).hexdigest() for language, text in TEXTS.items()}


def entry_of(number: int) -> str:
    """Entries that are not in the order of their numbers."""
    return hashlib.sha256(b"entry %d" % number).hexdigest()[:32]


def record_line(entry: str, number: int | None, rev: int = 1, **changes: Any) -> bytes:
    """A record of Amina's or somebody else's; the salt follows from entry and revision."""
    values: dict[str, Any] = {
        "entry": entry,
        "salt": hashlib.sha256(f"{entry} {rev}".encode()).digest(),
        "rev": rev,
        "number": number,
        "kind": "independent",
        "display": "full",
        "name": f"Амина «{number}»",
        "region": "KZ-75",
        "affiliation": None,
        "affiliation_name": None,
        "charter": "specimen-1",
        "signed_on": date(2026, 11, 20),
    }
    return encode_record(**(values | changes))


class History:
    """What happened, leaf by leaf. lines: the live records."""

    def __init__(self, *, with_texts: bool = True) -> None:
        self.leaves: list[bytes] = []
        self.lines: dict[str, bytes] = {}
        self.published = 0
        self.t = "2026-11-20T09:00:00Z"
        if with_texts:
            self.add("charter", charter="specimen-1", files=DIGESTS)

    def add(self, kind: str, **values: Any) -> int:
        """One leaf as it has to be; returns its index."""
        self.leaves.append(leaf.encode(kind, t=self.t, **values))
        return len(self.leaves) - 1

    def add_raw(self, **values: Any) -> int:
        """One leaf as an insider might write it."""
        self.leaves.append(canonical.encode({"t": self.t, "v": 1, **values}))
        return len(self.leaves) - 1

    def confirm(self, entry: str, due: str = "2026-11-27") -> int:
        """An application."""
        return self.add("confirm", commit=commitment(record_line(entry, None, 0)), due=due, entry=entry)

    def publish(self, entry: str, **changes: Any) -> int:
        """It enters the registry."""
        self.published += 1
        self.lines[entry] = record_line(entry, self.published, **changes)
        return self.add("publish", commit=commitment(self.lines[entry]), entry=entry, rev=1)

    def correct(self, entry: str, rev: int, **changes: Any) -> int:
        """Another record takes the place of the last."""
        number = canonical.decode(self.lines[entry])["number"]
        assert isinstance(number, int)
        self.lines[entry] = record_line(entry, number, rev, **changes)
        return self.add("correct", commit=commitment(self.lines[entry]), entry=entry, rev=rev)

    def end(self, kind: str, entry: str, **values: Any) -> int:
        """Its record goes."""
        self.lines.pop(entry, None)
        return self.add(kind, entry=entry, **values)

    def sign_up(self, count: int) -> list[str]:
        """So many people are confirmed and published."""
        entries = [entry_of(len(self.leaves) + place) for place in range(count)]
        for entry in entries:
            self.confirm(entry)
        for entry in entries:
            self.publish(entry)
        return entries

    def write(self, folder: Path, *, signer: Any = SIGNER, registry: str = "") -> str:
        """The files of a mirror; registry: another note to embed than the checkpoint."""
        text, _ = log_files.write_log(folder, self.leaves, signer)
        lines = [self.lines[entry] for entry in sorted(self.lines)]
        log_files.write_registry(folder, registry or text, lines, count=len(lines))
        texts = folder / "charter" / "specimen-1"
        texts.mkdir(parents=True, exist_ok=True)
        for language, data in TEXTS.items():
            (texts / f"{language}.txt").write_bytes(data)
        return text

    def checkpoint(self, size: int | None = None, *, signer: Any = SIGNER) -> str:
        """The note of the first `size` leaves."""
        size = len(self.leaves) if size is None else size
        return str(signer.sign(size, tree.root(size, fetch_over(self.leaves[:size]))))

    def receipt(self, index: int, size: int | None = None, *, signer: Any = SIGNER) -> str:
        """A tlog-proof of one leaf."""
        size = len(self.leaves) if size is None else size
        path = tree.inclusion_proof(index, size, fetch_over(self.leaves[:size]))
        return proof.write(proof.Proof(self.leaves[index], index, path, self.checkpoint(size, signer=signer)))


def fetch_over(leaves: Sequence[bytes]) -> Callable[[int, int], bytes]:
    """Nodes of a tree over these leaves, as whoever appends them would have stored them."""
    nodes: dict[tuple[int, int], bytes] = {}

    def fetch(level: int, index: int) -> bytes:
        return nodes[level, index]

    for level, index, one in tree.append(0, [tree.hash_leaf(data) for data in leaves], fetch):
        nodes[level, index] = one
    return fetch


def checks(public: bytes, signature: bytes, message: bytes) -> bool:
    """`note.Verify`."""
    from charter.tlog.verify import verify_signature

    return verify_signature(public, signature, message)


def key_of(signer: Any) -> note.Key:
    """The verifier key of the chief one."""
    key: note.Key = signer.keys[0][0]
    return key
