"""Fills the public side alone: entries, words, counters and log as so many publications would have left them."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from benchmarks.crowd import Crowd
from benchmarks.installation import Installation, names
from benchmarks.waiting import typed
from charter import cli, log_key, shipped
from charter.demo.affiliations import _OWN_ORGANISATIONS
from charter.demo.database import date_edition
from charter.demo.people import REGION_WEIGHTS
from charter.domain.alphabet import sort_key
from charter.domain.calendar import local_date
from charter.domain.fold import fold, skeleton
from charter.domain.name import default_short_form
from charter.models.base import db
from charter.models.log import PLACED
from charter.operations import publication, standing, tree
from charter.queries import standing as shown
from charter.tlog import leaf as leaves
from charter.tlog import tree as hashes
from charter.tlog.record import ENTRY_BYTES, SALT_BYTES

#: Entries that one batch publishes, and batches that are written together.
IN_BATCH = 500
BATCHES_AT_ONCE = 40
DAYS = 180
#: At most so long an application waits for its publication; days.
LONGEST_WAIT = 5
_SHORT, _UNLISTED, _ENDED = 0.10, 0.08, 0.03
_KINDS = {"party": 0.28, "international": 0.04, "independent": 0.68}
#: Of the independent ones, who names an organisation; parties and missions are always named.
_WITH_ORGANISATION = 0.14
_IN_OWN_WORDS = 0.3
_TYPES = {"party": "party", "independent": "organisation", "international": "mission"}

_ENTRY = names(
    "number entry rev line kind display name region_code affiliation_slug affiliation_name edition_slug signed_on"
    " ended_on ended_by words sort_key changed_revision"
)
#: In the order in which one refers to the other.
_TABLES = {
    "registry_entry": _ENTRY,
    "log_batch": names("revision at tree_size"),
    "log_leaf": names("index data hash revision"),
    "log_node": names("level index hash"),
}
_COUNTERS = {
    "region_count": names("region_code kind listed unlisted withdrawn revoked"),
    "affiliation_count": names("affiliation_slug region_code kind listed"),
    "day_count": names("signed_on region_code kind signed"),
    "day_span": names("signed_on first_number last_number"),
    "registry_word": names("word skeleton entries"),
    "log_place": names("entry confirm_index record_index"),
}


def make(made: Installation, count: int) -> None:
    """Prepares an empty installation whose Charter was opened half a year ago, and adds `count` entries."""
    now = datetime.now(UTC).replace(microsecond=0)
    opened_at = now - timedelta(days=DAYS)
    app = made.app()
    cli.prepare(app)
    log_key.make(app.config["CHARTER"])
    signer = log_key.signer(app.config["CHARTER"])
    with app.app_context():
        date_edition(loaded_at=opened_at)
        publication.publish_batch(now=opened_at, signer=signer)
        db.session.remove()
        db.engine.dispose()
    add(made, count, opened_at=opened_at, now=now)
    with app.app_context():
        tree.sign_newest(signer, now=now)
        newest = shown.newest_checkpoint()
        assert newest is not None
        standing.note_guarded(newest.size, is_served=True)
        db.session.remove()
        db.engine.dispose()


def add(made: Installation, count: int, *, opened_at: datetime, now: datetime) -> None:
    """`count` entries into an installation on which only the Charter itself is published."""
    edition = str(made.scalar("SELECT slug FROM edition WHERE is_current"))
    first = [bytes(one) for (one,) in made.rows('SELECT hash FROM log_leaf ORDER BY "index"')]
    story = _Story(edition=edition, count=count, opened_at=opened_at, now=now, first=first)
    with _bulk(made) as write:
        for tables in story.tell():
            for table, columns in _TABLES.items():
                write(table, columns, tables[table])
        for table, rows in story.counters().items():
            write(table, _COUNTERS[table], rows)
    with made.connect() as connection:
        size = "(SELECT max(tree_size) FROM log_batch)"
        connection.execute(f"UPDATE log_place SET record_index = {size} WHERE entry = '{PLACED}'")
    made.settle()


# ── the entries ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Affiliation:
    """slug: None in the observer's own words. text: the name as JSON."""

    slug: str | None
    name: str
    words: tuple[str, ...]
    text: str


@dataclass
class _Words:
    """What names fold to, word by word: people share most of them."""

    folded: dict[str, tuple[str, ...]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    def of(self, name: str) -> list[str]:
        """As `fold`, of a name."""
        found: list[str] = []
        for word in name.split(" "):
            known = self.folded.get(word)
            if known is None:
                known = self.folded[word] = fold(word)
            found += known
        return found

    def key(self, name: str) -> str:
        """As `sort_key`, of a name."""
        found = []
        for word in name.split(" "):
            known = self.keys.get(word)
            if known is None:
                known = self.keys[word] = sort_key(word)
            found.append(known)
        return " ".join(found)


class _Story:
    """Half a year of publications. Deterministic but for entries and salts."""

    def __init__(self, *, edition: str, count: int, opened_at: datetime, now: datetime, first: list[bytes]) -> None:
        self.edition = edition
        self.count = count
        self.dice = Random(f"{count} entries")
        self.crowd = Crowd(self.dice)
        self.words = _Words()
        self.nameless = sort_key(None)
        batches = -(-count // IN_BATCH)
        step = (now - opened_at) / (batches + 1)
        #: By revision; the Charter's own is the first.
        self.at = {place + 1: (opened_at + place * step).replace(microsecond=0) for place in range(batches + 1)}
        self.days = {revision: local_date(at).isoformat() for revision, at in self.at.items()}
        self.last = batches + 1
        #: Batches between a confirmation and the publication of what was confirmed, at most.
        self.lag = max(1, int(timedelta(days=LONGEST_WAIT) / step))
        self.regions = [region.code for region in shipped.regions()]
        self.region_weights = [REGION_WEIGHTS.get(code, 300) for code in self.regions]
        self.affiliations = _affiliations()
        self.region_count: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self.affiliation_count: Counter[tuple[str, str, str]] = Counter()
        self.day_count: Counter[tuple[str, str, str]] = Counter()
        self.day_span: dict[str, tuple[int, int]] = {}
        self.word_count: Counter[str] = Counter()
        self.size = len(first)
        #: The newest node of each level, beginning with those over the leaves that are there.
        self.edge: dict[int, tuple[int, bytes]] = {}
        self._nodes(0, first)
        self.confirmed_at: dict[str, int] = {}
        self.published_at: dict[str, int] = {}

    def tell(self) -> Iterator[dict[str, list[tuple[Any, ...]]]]:
        """Rows by table, some batches at a time."""
        ahead: dict[int, list[tuple[str, int]]] = {}
        confirmed: dict[int, list[str]] = defaultdict(list)
        ending: dict[int, list[str]] = defaultdict(list)
        known, size = 1, self.size
        tables: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for revision in range(2, self.last + 1):
            while known < min(revision + self.lag, self.last):
                known += 1
                ahead[known] = self._stubs(known, confirmed)
            t = leaves.format_time(self.at[revision])
            due = (local_date(self.at[revision]) + timedelta(days=7)).isoformat()
            data = [
                b'{"commit":"%b","due":"%b","entry":"%b","kind":"confirm","t":"%b","v":1}'
                % (os.urandom(32).hex().encode(), due.encode(), entry.encode(), t.encode())
                for entry in confirmed[revision]
            ]
            for place, entry in enumerate(confirmed.pop(revision)):
                self.confirmed_at[entry] = size + place
            for row, commit in self._entries(revision, ahead.pop(revision), ending):
                tables["registry_entry"].append(row)
                self.published_at[row[1]] = size + len(data)
                data.append(
                    b'{"commit":"%b","entry":"%b","kind":"publish","rev":1,"t":"%b","v":1}'
                    % (commit.encode(), row[1].encode(), t.encode())
                )
            data += [
                b'{"entry":"%b","kind":"withdraw","t":"%b","v":1}' % (entry.encode(), t.encode())
                for entry in ending.pop(revision, ())
            ]
            hashed = [hashes.hash_leaf(one) for one in data]
            tables["log_leaf"] += [
                (size + place, one, hash_, revision)
                for place, (one, hash_) in enumerate(zip(data, hashed, strict=True))
            ]
            tables["log_node"] += self._nodes(size, hashed)
            size += len(data)
            tables["log_batch"].append((revision, self.at[revision], size))
            if revision % BATCHES_AT_ONCE == 0 or revision == self.last:
                yield tables
                tables = defaultdict(list)

    def _nodes(self, size: int, hashed: list[bytes]) -> list[tuple[int, int, bytes]]:
        """The nodes above leaves with these hashes, which follow on `size` others."""

        def fetch(level: int, index: int) -> bytes:
            place, found = self.edge[level]
            assert place == index
            return found

        nodes = list(hashes.append(size, hashed, fetch))
        self.edge |= {level: (index, one) for level, index, one in nodes}
        return [node for node in nodes if node[0] > 0]

    def _stubs(self, revision: int, confirmed: dict[int, list[str]]) -> list[tuple[str, int]]:
        """(entry, revision of its confirmation) of those whom batch `revision` will publish."""
        first = (revision - 2) * IN_BATCH
        found = []
        for _ in range(min(IN_BATCH, self.count - first)):
            entry = os.urandom(ENTRY_BYTES).hex()
            then = max(2, revision - self.dice.randrange(self.lag + 1))
            confirmed[then].append(entry)
            found.append((entry, then))
        return found

    def _entries(
        self, revision: int, stubs: list[tuple[str, int]], ending: dict[int, list[str]]
    ) -> Iterator[tuple[tuple[Any, ...], str]]:
        """The rows of a batch as they stand at the end of the story, and what their first leaves commit to."""
        count = len(stubs)
        people = self.crowd.names(count)
        kinds = self.dice.choices(list(_KINDS), list(_KINDS.values()), k=count)
        regions = self.dice.choices(self.regions, self.region_weights, k=count)
        first = (revision - 2) * IN_BATCH + 1
        for place, ((entry, then), (full, language), kind, region) in enumerate(
            zip(stubs, people, kinds, regions, strict=True)
        ):
            number = first + place
            ended = 0
            if revision < self.last and self.dice.random() < _ENDED:
                ended = min(self.last, revision + 1 + self.dice.randrange(self.lag * 10))
                ending[ended].append(entry)
            yield self._entry(
                number, entry, full, language, kind, region, self.days[then], revision=revision, ended=ended
            )

    def _entry(
        self,
        number: int,
        entry: str,
        full: str,
        language: str,
        kind: str,
        region: str,
        signed: str,
        *,
        revision: int,
        ended: int,
    ) -> tuple[tuple[Any, ...], str]:
        chance = self.dice.random()
        display = "short" if chance < _SHORT else "unlisted" if chance < _SHORT + _UNLISTED else "full"
        counts = self.region_count[region, kind]
        self.day_count[signed, region, kind] += 1
        low, high = self.day_span.get(signed, (number, number))
        self.day_span[signed] = min(low, number), max(high, number)
        row: tuple[Any, ...]
        if ended:
            counts[2] += 1
            row = (
                *(number, entry, 1, None, kind, display, None, region, None, None, self.edition, signed),
                *(self.days[ended], "signatory", "", None, ended),
            )
            # What it committed to can no longer be told from chance.
            return row, os.urandom(32).hex()
        filters = f"_r{region.lower()} _k{kind}"
        start, end = (
            f'"charter":"{self.edition}","display":"{display}","entry":"{entry}","kind":"{kind}",',
            f'"number":{number},"region":"{region}","rev":1,"salt":"{os.urandom(SALT_BYTES).hex()}","signed":"{signed}"}}',
        )
        if display == "unlisted":
            counts[1] += 1
            line = f"{{{start}{end}".encode()
            row = (
                *(number, entry, 1, line, kind, display, None, region, None, None, self.edition, signed),
                *(None, None, filters, self.nameless, revision),
            )
            return row, hashlib.sha256(line).hexdigest()
        counts[0] += 1
        name = default_short_form(full) if display == "short" else full
        affiliation = self._affiliation(kind, language)
        found = dict.fromkeys(self.words.of(name))
        slug = named = None
        begin = "{"
        if affiliation is not None:
            slug, named = affiliation.slug, affiliation.name
            found |= dict.fromkeys(affiliation.words)
            begin = f'{{"affiliation_name":{affiliation.text},'
            if slug is not None:
                begin = f'{{"affiliation":"{slug}","affiliation_name":{affiliation.text},'
                filters = f"{filters} _a{slug}"
                self.affiliation_count[slug, region, kind] += 1
        self.word_count.update(found.keys())
        line = f'{begin}{start}"name":"{name}",{end}'.encode()
        words = f"{' '.join(found)} {filters}"
        row = (
            *(number, entry, 1, line, kind, display, name, region, slug, named, self.edition, signed),
            *(None, None, words, self.words.key(name), revision),
        )
        return row, hashlib.sha256(line).hexdigest()

    def _affiliation(self, kind: str, language: str) -> _Affiliation | None:
        if kind == "independent" and self.dice.random() >= _WITH_ORGANISATION:
            return None
        listed, own = self.affiliations[kind, language]
        if kind == "independent" and self.dice.random() < _IN_OWN_WORDS:
            return self.dice.choice(own)
        # Earlier in the list means larger.
        return listed[int(self.dice.random() ** 2 * len(listed))]

    def counters(self) -> dict[str, list[tuple[Any, ...]]]:
        """Rows by table, once everything is told."""
        return {
            "region_count": [(*place, *counts) for place, counts in self.region_count.items()],
            "affiliation_count": [(*place, count) for place, count in self.affiliation_count.items()],
            "day_count": [(*place, count) for place, count in self.day_count.items()],
            "day_span": [(day, *span) for day, span in self.day_span.items()],
            "registry_word": [(word, skeleton(word), count) for word, count in self.word_count.items()],
            "log_place": [
                (entry, index, self.published_at.get(entry)) for entry, index in sorted(self.confirmed_at.items())
            ],
        }


def _affiliations() -> dict[tuple[str, str], tuple[list[_Affiliation], list[_Affiliation]]]:
    """(kind, language) → those of the list that can be chosen, and some in people's own words."""
    found = {}
    for kind, type_ in _TYPES.items():
        for language in ("kk", "ru", "en"):
            listed = [
                _affiliation(one.slug, one.name[language])
                for one in shipped.affiliations()
                if one.type == type_ and one.is_selectable
            ]
            own = [_affiliation(None, words) for words in _OWN_ORGANISATIONS[language]]
            found[kind, language] = listed, own
    return found


def _affiliation(slug: str | None, name: str) -> _Affiliation:
    return _Affiliation(slug, name, fold(name), json.dumps(name, ensure_ascii=False))


# ── into the tables ──────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _bulk(made: Installation) -> Iterator[Any]:
    """Yields write(table, columns, rows): without indexes and triggers, which are made anew at the end."""
    with made.connect() as connection:
        way = _Sqlite(connection, made) if made.engine == "sqlite" else _Postgresql(connection, made)
        way.begin()
        yield way.write
        way.end()


class _Sqlite:
    """One long transaction without a journal."""

    def __init__(self, connection: Any, made: Installation) -> None:
        self._connection = connection
        self._made = made
        self._statements: list[str] = []

    def begin(self) -> None:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -200000"):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()
        for kind, name, statement in self._connection.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
            " AND tbl_name IN ('registry_entry', 'registry_word')"
        ).fetchall():
            self._connection.execute(f'DROP {kind} "{name}"')
            self._statements.append(statement)

    def write(self, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
        quoted, places = ", ".join(f'"{column}"' for column in columns), ", ".join("?" * len(columns))
        self._connection.executemany(
            f'INSERT INTO "{table}" ({quoted}) VALUES ({places})', typed(self._made, iter(rows))
        )

    def end(self) -> None:
        for statement in self._statements:
            self._connection.execute(statement)
        self._connection.execute("INSERT INTO registry_search (registry_search) VALUES ('rebuild')")
        self._connection.commit()
        for pragma in ("synchronous = FULL", "journal_mode = WAL"):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()


class _Postgresql:
    """COPY; the index of words is made by one statement."""

    def __init__(self, connection: Any, _made: Installation) -> None:
        self._connection = connection
        self._statements: list[str] = []

    def begin(self) -> None:
        self._connection.execute("SET maintenance_work_mem = '512MB'")
        self._connection.execute("SET work_mem = '512MB'")
        self._connection.execute("SET synchronous_commit = off")
        for name, statement in self._connection.execute(
            "SELECT i.indexname, i.indexdef FROM pg_indexes i WHERE i.tablename IN ('registry_entry', 'registry_word')"
            " AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conname = i.indexname)"
        ).fetchall():
            self._connection.execute(f'DROP INDEX "{name}"')
            self._statements.append(statement)
        self._connection.execute("ALTER TABLE registry_entry DISABLE TRIGGER USER")

    def write(self, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
        quoted = ", ".join(f'"{column}"' for column in columns)
        with self._connection.cursor().copy(f'COPY "{table}" ({quoted}) FROM STDIN') as copy:
            for row in rows:
                copy.write_row(row)

    def end(self) -> None:
        for statement in self._statements:
            self._connection.execute(statement)
        self._connection.execute("ALTER TABLE registry_search_term DROP CONSTRAINT pk_registry_search_term")
        self._connection.execute(
            "INSERT INTO registry_search_term (term, number)"
            " SELECT unnest(registry_search_terms(words)) AS term, number FROM registry_entry WHERE words <> ''"
            " ORDER BY term, number"
        )
        self._connection.execute(
            "ALTER TABLE registry_search_term ADD CONSTRAINT pk_registry_search_term PRIMARY KEY (term, number)"
        )
        self._connection.execute("ALTER TABLE registry_entry ENABLE TRIGGER USER")
