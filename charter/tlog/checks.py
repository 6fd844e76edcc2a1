"""A whole check of a log: checkpoint, tree, tiles, rules, registry and texts, each proved or told in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import BinaryIO

from charter.tlog import note, rebuild, registry
from charter.tlog.audit import Audit
from charter.tlog.report import Known, Report, Witnesses, cosigned, signed, told
from charter.tlog.source import Source, SourceError, TooLargeError
from charter.tlog.stored import StoppedError, Stored
from charter.tlog.tiles import WIDTH

MOST_NOTE_BYTES = 64 * 1024
#: So many missing files are named.
MOST_MISSING = 100
MOST_TEXT_BYTES = 8 * 1024 * 1024
#: A record has two leaves and some hundred bytes; what is above this is no registry of a log of that size.
_REGISTRY_BYTES_A_LEAF = 1024
#: It may have grown since the checkpoint was read, though hardly by so many.
_LEAVES_MEANWHILE = 100_000
#: Texts that are asked for: a Charter has few editions.
_MOST_EDITIONS = 100


class Check:
    """One run over one source. keys: of the log, of which one has to have signed."""

    def __init__(
        self, source: Source, keys: Sequence[note.Key], verify: note.Verify, *, with_tiles: bool = True
    ) -> None:
        self.source = source
        self.keys = keys
        self.verify = verify
        self.with_tiles = with_tiles
        self.report = Report()
        self._findings = self.report.findings

    def run(self, known: Sequence[Known], *, wanted: frozenset[bytes] = frozenset(), witnesses: Witnesses) -> Report:
        """Everything; `known` are checkpoints that somebody kept, `wanted` commitments to look for."""
        audit = self.report.audit = Audit(self._findings, origin=self.keys[0].name, wanted=wanted)
        try:
            checkpoint = self._checkpoint(witnesses)
            with self._registry(checkpoint) as opened:
                self._log(checkpoint, opened, known, audit)
            self._keys(checkpoint, audit)
            self._texts(audit)
        except StoppedError as error:
            if error.code:
                self._findings.add(error.code, error.text)
        except SourceError as error:
            self.report.unchecked.append(f"Could not be read: {error}.")
        except TooLargeError as error:
            self._findings.add("too-large", f"{error} is larger than it can rightly be.")
        return self.report

    def signed(self, text: str) -> note.Checkpoint:
        """The checkpoint of a note that one of the keys signed. Raises NoteError."""
        return signed(text, self.keys, self.verify)

    # ── checkpoint ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _checkpoint(self, witnesses: Witnesses) -> note.Checkpoint:
        data = self.source.read("log/checkpoint", MOST_NOTE_BYTES)
        if data is None:
            self.report.unchecked.append("There is no log/checkpoint there.")
            raise StoppedError
        try:
            self.report.text = data.decode("utf-8")
            checkpoint = self.signed(self.report.text)
        except ValueError as error:
            self._findings.add("checkpoint", f"The checkpoint is not one of this log: {told(error)}.")
            raise StoppedError from None
        self.report.checkpoint = checkpoint
        self.report.proved.append(
            f"The checkpoint of {checkpoint.origin} is signed by its key: {checkpoint.size} leaves,"
            f" root {checkpoint.root.hex()}."
        )
        cosigned(checkpoint, self.report.text, self.report, witnesses, self.verify)
        return checkpoint

    # ── leaves ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _registry(self, checkpoint: note.Checkpoint) -> Iterator[tuple[BinaryIO, int, note.Checkpoint] | None]:
        """The registry's file behind its header, its count and its own checkpoint; None if it is not to be had.

        It may be of a newer or an older tree than `checkpoint`: they were read one after the other.
        """
        most = (checkpoint.size + _LEAVES_MEANWHILE) * _REGISTRY_BYTES_A_LEAF
        stream = self.source.open("log/registry.ndjson", most)
        if stream is None:
            self.report.unchecked.append("There is no log/registry.ndjson there, so no record was compared.")
            yield None
            return
        with stream:
            try:
                text, count = registry.read_header(stream)
                found = self.signed(text)
            except (registry.RegistryError, note.NoteError) as error:
                self._findings.add("registry-form", f"The registry is not one of this log: {told(error)}.")
                yield None
                return
            if found.size < checkpoint.size:
                self.report.remarks.append(
                    f"The registry is that of {found.size} leaves: the newest {checkpoint.size - found.size} of the"
                    " checkpoint are not in it yet."
                )
            yield stream, count, found

    def _log(
        self,
        checkpoint: note.Checkpoint,
        opened: tuple[BinaryIO, int, note.Checkpoint] | None,
        known: Sequence[Known],
        audit: Audit,
    ) -> None:
        stones = [Known("The signed root", "root", checkpoint), *known]
        if opened is not None:
            stones.append(Known("The root that the registry's file names", "registry-root", opened[2]))
        size = max(checkpoint.size, opened[2].size if opened is not None else 0)
        for one in stones:
            if one.checkpoint.size > size:
                self._findings.add(
                    "rollback",
                    f"{one.name} is of {one.checkpoint.size} leaves, and now the log has only {size}:"
                    " something that was signed is gone.",
                )
        stops = sorted({one.checkpoint.size for one in stones if one.checkpoint.size <= size})
        tree = rebuild.Rebuilt()
        stored = Stored(
            self.source, size, findings=self._findings, missing=self._is_missing, with_hashes=self.with_tiles
        )
        for stop in stops:
            self._extend(tree, audit, stored, end=stop)
            root = tree.root()
            for one in stones:
                if one.checkpoint.size == stop:
                    self._compare_root(one, root)
            if opened is not None and opened[2].size == stop:
                self._compare_registry(opened[0], opened[1], audit)
        self.report.is_read = True
        for tile, data in tree.unfinished():
            stored.compare_tile(tile, data)
        self.report.proved.append(f"All {size} leaves were read, and their tree was built anew.")
        if self.with_tiles and not stored.faults and not self.report.unchecked:
            self.report.proved.append("The tiles hold the hashes of that tree.")

    def _compare_root(self, one: Known, root: bytes) -> None:
        if one.checkpoint.root == root:
            if one.code != "root":
                self.report.proved.append(f"{one.name} ({one.checkpoint.size} leaves) is part of this log.")
            else:
                self.report.proved.append("The leaves lead to the signed root.")
            return
        self._findings.add(
            one.code,
            f"{one.name} is another one than that of the first {one.checkpoint.size} leaves, which is {root.hex()}"
            + (": the log was forked or rewritten." if one.code != "root" else ": a leaf was changed."),
        )

    def _extend(self, tree: rebuild.Rebuilt, audit: Audit, stored: Stored, *, end: int) -> None:
        """Reads on up to leaf `end` − 1; the bundle in which the last stretch ended is read again."""
        begin = tree.size
        places = range(begin // WIDTH, -(-end // WIDTH)) if begin < end else range(0)
        for index, (leaves, there) in zip(places, self.source.ahead(stored.bundle, places), strict=True):
            first = max(begin, index * WIDTH)
            mine = leaves[first - index * WIDTH : end - index * WIDTH]
            hashes = rebuild.hash_leaves(mine)
            for leaf in mine:
                audit.take(leaf)
            stored.compare_hashes(first, hashes, there)
            for tile, data in tree.add(hashes):
                stored.compare_tile(tile, data)

    def _is_missing(self, path: str) -> None:
        if len(self.report.unchecked) < MOST_MISSING:
            self.report.unchecked.append(f"There is no {path}.")

    def _compare_registry(self, stream: BinaryIO, count: int, audit: Audit) -> None:
        before = len(self._findings)
        try:
            found = registry.compare(stream, count=count, audit=audit, findings=self._findings)
        except registry.RegistryError as error:
            self.report.unchecked.append(f"log/registry.ndjson: {error}.")
            return
        if len(self._findings) == before:
            self.report.proved.append(f"The registry's {found} records are exactly the live commitments of the log.")

    # ── keys and texts ───────────────────────────────────────────────────────────────────────────────────────────────

    def _keys(self, checkpoint: note.Checkpoint, audit: Audit) -> None:
        for key in self.keys:
            retired = audit.keys_retired.get(key.text)
            if retired is not None and retired < checkpoint.size and _has_signed(self.report.text, key):
                self._findings.add("retired-key", f"The key {key.id.hex()} was retired, and signs still.", retired)

        given = {key.text for key in self.keys}
        for vkey, index in audit.keys_added.items():
            if vkey not in given and vkey not in audit.keys_retired:
                self.report.remarks.append(f"The log has a further key since leaf {index}: {vkey}")

    def _texts(self, audit: Audit) -> None:
        for edition, files in list(audit.editions.items())[:_MOST_EDITIONS]:
            for language, digest in sorted(files.items()):
                path = f"charter/{edition}/{language}.txt"
                data = self.source.read(path, MOST_TEXT_BYTES)
                if data is None:
                    self.report.remarks.append(f"There is no {path} to compare with the log.")
                elif sha256(data).hexdigest() != digest:
                    self._findings.add("text", f"{path} is not the text whose digest the log holds.")
                else:
                    self.report.proved.append(f"{path} is the text that the log fixed.")


def _has_signed(text: str, key: note.Key) -> bool:
    return any(one.name == key.name and one.key_id == key.id for one in note.read(text)[1])
