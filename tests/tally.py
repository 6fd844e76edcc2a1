"""What the public side keeps counted and indexed, told anew from its entries: every difference as a sentence."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple

from charter.domain.alphabet import sort_key
from charter.domain.fold import fold, skeleton
from charter.models.log import PLACED, key_place


class Database(NamedTuple):
    """engine: sqlite | postgresql. connection: of the driver itself; one, because SQLite's look into its index is."""

    engine: str
    connection: Any

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What a statement without parameters returns."""
        cursor = self.connection.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


_FATE = (
    "SELECT region_code, kind,"
    " sum(CASE WHEN ended_on IS NULL AND display <> 'unlisted' THEN 1 ELSE 0 END),"
    " sum(CASE WHEN ended_on IS NULL AND display = 'unlisted' THEN 1 ELSE 0 END),"
    " sum(CASE WHEN ended_by = 'signatory' THEN 1 ELSE 0 END), sum(CASE WHEN ended_by = 'centre' THEN 1 ELSE 0 END)"
    " FROM registry_entry GROUP BY 1, 2"
)
#: Counter → (as it is kept, as it is counted); a row that counts nothing is no row.
_COUNTERS = {
    "region_count": ("SELECT region_code, kind, listed, unlisted, withdrawn, revoked FROM region_count", _FATE),
    "affiliation_count": (
        "SELECT affiliation_slug, region_code, kind, listed FROM affiliation_count",
        "SELECT affiliation_slug, region_code, kind, count(*) FROM registry_entry WHERE affiliation_slug IS NOT NULL"
        " GROUP BY 1, 2, 3",
    ),
    "day_count": (
        "SELECT signed_on, region_code, kind, signed FROM day_count",
        "SELECT signed_on, region_code, kind, count(*) FROM registry_entry GROUP BY 1, 2, 3",
    ),
    "day_span": (
        "SELECT signed_on, first_number, last_number FROM day_span",
        "SELECT signed_on, min(number), max(number) FROM registry_entry GROUP BY 1",
    ),
}
_KEYS = {"region_count": 2, "affiliation_count": 3, "day_count": 3, "day_span": 1}


def region_differences(database: Database) -> list[str]:
    """Of the totals alone, which every release keeps."""
    return _compare(database, "region_count")


def differences(database: Database) -> list[str]:
    """Of everything: counters, words, what entries are found by, and the index of it."""
    found = [note for table in _COUNTERS for note in _compare(database, table)]
    entries = database.rows(
        "SELECT number, name, affiliation_name, affiliation_slug, region_code, kind, display, ended_on, words,"
        " sort_key, changed_revision FROM registry_entry ORDER BY number"
    )
    words = _entries(entries, found)
    kept = database.rows("SELECT word, entries, skeleton FROM registry_word")
    counted = Counter(word for said in words.values() for word in said if not word.startswith("_"))
    found += _mapped("registry_word", {word: entries for word, entries, _ in kept}, counted)
    found += [f"registry_word: {word} has another skeleton" for word, _, bones in kept if bones != skeleton(word)]
    if database.engine == "sqlite":
        found += _sqlite_disagreement(database)
        index, terms = _sqlite_index(database), Counter(word for said in words.values() for word in said)
    else:
        index, terms = _postgresql_index(database), Counter(term for said in words.values() for term in terms_of(said))
    return [*found, *_mapped("search index", index, terms), *tree_differences(database)]


def tree_differences(database: Database) -> list[str]:
    """Of the tree over the leaves: hashes, nodes, roots and places, told anew from the leaves' bytes alone."""
    rows = database.rows('SELECT "index", data, hash FROM log_leaf ORDER BY "index"')
    found = [f"leaf {place}: index {index}" for place, (index, _, _) in enumerate(rows) if index != place]
    levels = [[hashlib.sha256(b"\0" + bytes(data)).digest() for _, data, _ in rows]]
    found += [f"leaf {index}: hash" for (index, _, hash_), one in zip(rows, levels[0], strict=True) if hash_ != one]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([_joined(below[place], below[place + 1]) for place in range(0, len(below) - 1, 2)])
    stored = database.rows('SELECT level, "index", hash FROM log_node')
    kept = {(level, index): bytes(one) for level, index, one in stored}
    # Leaves of an older release have no nodes until the worker makes them; of a last single one none tells.
    built = 2 * sum(level == 1 for level, _ in kept)
    end = len(rows) if len(rows) - built <= 1 else built
    nodes = {(level, index): one for level, row in enumerate(levels) for index, one in enumerate(row) if level}
    whole = {place: one for place, one in nodes.items() if (place[1] + 1) << place[0] <= end}
    found += _mapped("log_node", kept, whole)
    for size, root in database.rows("SELECT size, root FROM log_checkpoint"):
        if bytes(root) != _root(levels[0][:size]):
            found.append(f"checkpoint {size}: root")
    stand = {entry: [*at] for entry, *at in database.rows("SELECT entry, confirm_index, record_index FROM log_place")}
    leaves = [json.loads(bytes(data)) for _, data, _ in rows[:end]]
    _, placed = stand.pop(PLACED, (None, None))
    if placed is not None:
        # Until the worker notes the rest, it is read from the leaves.
        for entry, rest in _places(leaves, placed).items():
            before = stand.get(entry, [None, None])
            stand[entry] = [old if new is None else new for old, new in zip(before, rest, strict=True)]
    # The place of a last single leaf of an older release is noted by the next batch.
    return found if stand == _places(leaves[:built]) else found + _mapped("log_place", stand, _places(leaves))


def _places(leaves: list[dict[str, Any]], first: int = 0) -> dict[str, list[int | None]]:
    places: dict[str, list[int | None]] = {}
    for index, leaf in enumerate(leaves[first:], start=first):
        if leaf["kind"] in ("confirm", "publish", "correct"):
            places.setdefault(leaf["entry"], [None, None])[leaf["kind"] != "confirm"] = index
        elif leaf["kind"] == "key":
            places.setdefault(key_place(leaf["vkey"]), [None, None])[leaf["action"] != "add"] = index
    return places


def _joined(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def _root(hashes: list[bytes]) -> bytes:
    """RFC 6962 §2.1, word for word."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return _joined(_root(hashes[:split]), _root(hashes[split:]))


def terms_of(words: Iterable[str]) -> set[str]:
    """The words of an entry and their first two and three letters, as PostgreSQL's index holds them."""
    said = set(words)
    return said | {f"^{word[:size]}" for word in said for size in (2, 3) if word[0] != "_" and len(word) >= size}


def _entries(rows: Iterable[tuple[Any, ...]], found: list[str]) -> dict[int, list[str]]:
    """Words by number of those that are shown; notes what is not as it must be."""
    words: dict[int, list[str]] = {}
    newest = 0
    for number, name, affiliation, slug, region, kind, display, ended_on, said, key, revision in rows:
        if ended_on is None:
            expected = [*fold(f"{name or ''} {affiliation or ''}"), f"_r{region.lower()}", f"_k{kind}"]
            expected += [] if slug is None else [f"_a{slug}"]
            words[number] = expected
            if said is None or said.split() != expected:
                found.append(f"entry {number}: words")
            if key != sort_key(name):
                found.append(f"entry {number}: sort_key")
        elif said != "" or key is not None:
            found.append(f"entry {number} has ended and is still found")
        if (ended_on is not None or display == "unlisted") and (name or affiliation or slug):
            found.append(f"entry {number} is named")
        if revision is None:
            found.append(f"entry {number}: changed_revision")
        newest = max(newest, revision or 0)
    return words


def _compare(database: Database, table: str) -> list[str]:
    size = _KEYS[table]
    kept, counted = (
        {tuple(map(_plain, row[:size])): tuple(map(int, row[size:])) for row in database.rows(statement)}
        for statement in _COUNTERS[table]
    )
    return _mapped(table, kept, counted)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _mapped(what: str, kept: Mapping[Any, Any], counted: Mapping[Any, Any]) -> list[str]:
    """Places where the two are not the same; what counts nothing need not be there."""
    return [
        f"{what}: {place} is kept as {kept.get(place)}, counted as {counted.get(place)}"
        for place in sorted(kept.keys() | counted.keys())
        if (_something(kept.get(place)) or _something(counted.get(place))) and kept.get(place) != counted.get(place)
    ]


def _something(value: Any) -> bool:
    return any(value) if isinstance(value, tuple) else bool(value)


def _sqlite_disagreement(database: Database) -> list[str]:
    """Whether the index agrees with the table in every posting."""
    try:
        database.rows("INSERT INTO registry_search (registry_search, rank) VALUES ('integrity-check', 1)")
    except sqlite3.DatabaseError as error:
        return [f"search index: {error}"]
    return []


def _sqlite_index(database: Database) -> dict[str, int]:
    """Word → entries, out of the index itself."""
    database.rows("CREATE VIRTUAL TABLE IF NOT EXISTS temp.registry_tally USING fts5vocab(main, registry_search, row)")
    return {term: int(entries) for term, entries in database.rows("SELECT term, doc FROM temp.registry_tally")}


def _postgresql_index(database: Database) -> dict[str, int]:
    rows = database.rows("SELECT term, count(*) FROM registry_search_term GROUP BY 1")
    return {term: int(entries) for term, entries in rows}
