"""Fills a database with people who stand in the registry, with all that the service would have kept of them."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks import waiting
from benchmarks.applicants import REGIONS
from benchmarks.installation import Installation, names
from benchmarks.waiting import typed
from charter.domain import token as tokens
from charter.domain.alphabet import sort_key
from charter.domain.calendar import local_date
from charter.domain.fold import fold, skeleton
from charter.operations import staff
from charter.tlog import leaf as leaves
from charter.tlog.record import SALT_BYTES, commitment, encode_record
from charter.tlog.tree import hash_leaf

#: People in one publication batch, and batches that are written together.
IN_BATCH = 500
BATCHES_AT_ONCE = 40

_ENTRY = names(
    "number entry rev line kind display name region_code affiliation_slug affiliation_name edition_slug signed_on"
    " words sort_key changed_revision"
)
_DECISION = names("id signature_id staff_id action state_before decided_at effective_at")
_AUDIT = names("at staff_id action subject subject_id detail")
_LEAF = names("index data hash revision")
_BATCH = names("revision at tree_size")
_COUNTERS = {
    "region_count": names("region_code kind listed unlisted withdrawn revoked"),
    "day_count": names("signed_on region_code kind signed"),
    "day_span": names("signed_on first_number last_number"),
    "registry_word": names("word skeleton entries"),
}
#: What happened after signing: move, state before, state after, by whom.
_MOVES = (
    ("confirm", "submitted", "confirmed", "signatory"),
    ("approve", "confirmed", "approved", "centre"),
    ("publish", "approved", "published", "service"),
)


@dataclass
class _Rows:
    """What is written together."""

    tables: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)

    def add(self, table: str, *rows: tuple[Any, ...]) -> None:
        self.tables.setdefault(table, []).extend(rows)


_COLUMNS = {
    "signature": [*waiting.SIGNATURE, "confirmed_at", "due_on", "number", "application_line"],
    "signature_word": waiting.WORD,
    "link": waiting.LINK,
    "signature_consent": waiting.CONSENT,
    "signature_event": waiting.EVENT,
    "message": waiting.MESSAGE,
    "decision": _DECISION,
    "audit": _AUDIT,
    "registry_entry": _ENTRY,
    "log_batch": _BATCH,
    "log_leaf": _LEAF,
}


def add(made: Installation, count: int) -> None:
    """`count` people into an installation where nobody has signed yet."""
    app = made.app()
    now = datetime.now(UTC).replace(microsecond=0)
    with app.app_context():
        staff_id = staff.invite(
            "Bruno", email="bruno@example.org", language="en", digest=bytes(32), expires_at=now, now=now
        )
    edition = str(made.scalar("SELECT slug FROM edition WHERE is_current"))
    waiting.add_consent_texts(made, now)
    tree_size = int(made.scalar("SELECT count(*) FROM log_leaf"))
    revision = int(made.scalar("SELECT coalesce(max(revision), 0) FROM log_batch"))
    at = now + timedelta(seconds=1)
    counts: Counter[str] = Counter()
    words: Counter[str] = Counter()
    numbers = iter(range(1, count + 1))
    rows, in_rows = _Rows(), 0
    while batch := [one for one, _ in zip(numbers, range(IN_BATCH), strict=False)]:
        revision += 1
        at += timedelta(seconds=1)
        lines = [
            _person(rows, made, one, edition=edition, staff_id=staff_id, at=at, revision=revision, words=words)
            for one in batch
        ]
        counts.update(REGIONS[one % len(REGIONS)] for one in batch)
        data = [*(confirm for confirm, _ in lines), *(publish for _, publish in lines)]
        rows.add("log_batch", (revision, at, tree_size + len(data)))
        rows.add(
            "log_leaf",
            *((tree_size + place, one, hash_leaf(one), revision) for place, one in enumerate(data)),
        )
        tree_size += len(data)
        in_rows += 1
        if in_rows == BATCHES_AT_ONCE:
            _write(made, rows)
            rows, in_rows = _Rows(), 0
    _write(made, rows)
    day = local_date(at)
    counted: dict[str, list[tuple[Any, ...]]] = {
        "region_count": [(region, "independent", number, 0, 0, 0) for region, number in counts.items()],
        "day_count": [(day, region, "independent", number) for region, number in counts.items()],
        "day_span": [(day, 1, count)],
        "registry_word": [(word, skeleton(word), number) for word, number in words.items()],
    }
    for table, columns in _COUNTERS.items():
        made.load(table, columns, counted[table])
    waiting.raise_sequences(made, "signature", "link", "signature_event", "message", "decision")
    made.settle()


def _write(made: Installation, rows: _Rows) -> None:
    for table, columns in _COLUMNS.items():
        if rows.tables.get(table):
            made.load(table, columns, typed(made, iter(rows.tables[table])))


def _person(
    rows: _Rows,
    made: Installation,
    number: int,
    *,
    edition: str,
    staff_id: int,
    at: datetime,
    revision: int,
    words: Counter[str],
) -> tuple[bytes, bytes]:
    """Adds the rows of one person; returns the leaves: confirm and publish."""
    signed = waiting.signature_row(number, edition, at)
    of = dict(zip(waiting.SIGNATURE, signed, strict=True)) | {"state": "published", "version": 4}
    common: dict[str, Any] = {
        "entry": of["entry"],
        "kind": of["kind"],
        "display": of["display"],
        "name": of["full_name"],
        "region": of["region_code"],
        "affiliation": None,
        "affiliation_name": None,
        "charter": edition,
        "signed_on": local_date(at),
    }
    application = encode_record(**common, salt=os.urandom(SALT_BYTES), rev=0, number=None)
    line = encode_record(**common, salt=os.urandom(SALT_BYTES), rev=1, number=number)
    due = local_date(at + timedelta(days=7))
    folded = fold(of["full_name"])
    words.update(folded)
    rows.add("signature", (*of.values(), at, due, number, application))
    rows.add("signature_word", *((number, word) for word in dict.fromkeys(of["name_fold"].split())))
    rows.add("link", *_links(number, made.key, at))
    rows.add("signature_consent", *waiting.consent_rows(number, at))
    rows.add("signature_event", *_events(number, staff_id, at))
    rows.add("message", *_messages(number, at))
    rows.add("decision", (number, number, staff_id, "approve", "confirmed", at, at))
    rows.add("audit", (at, staff_id, "approve", "signature", number, '{"reason": null}'))
    rows.add(
        "registry_entry",
        (
            number,
            of["entry"],
            1,
            line,
            of["kind"],
            "full",
            of["full_name"],
            of["region_code"],
            None,
            None,
            edition,
            local_date(at),
            " ".join((*folded, f"_r{of['region_code'].lower()}", f"_k{of['kind']}")),
            sort_key(of["full_name"]),
            revision,
        ),
    )
    t = leaves.format_time(at)
    return (
        leaves.encode("confirm", t=t, commit=commitment(application), due=due.isoformat(), entry=of["entry"]),
        leaves.encode("publish", t=t, commit=commitment(line), entry=of["entry"], rev=1),
    )


def _links(number: int, key: bytes, at: datetime) -> Iterator[tuple[Any, ...]]:
    yield waiting.link_row(2 * number - 1, number, key, at)
    uid = hashlib.md5(b"personal %d" % number, usedforsecurity=False).digest()
    digest = tokens.token_digest(tokens.token(key, "personal", uid))
    yield (2 * number, uid, "personal", number, digest, 0, at, None)


def _events(number: int, staff_id: int, at: datetime) -> Iterator[tuple[Any, ...]]:
    first = 4 * number - 3
    yield (first, number, at, "sign", None, "submitted", "signatory")
    for place, (move, before, after, actor) in enumerate(_MOVES, start=1):
        yield (first + place, number, at, move, before, after, actor)


def _messages(number: int, at: datetime) -> Iterator[tuple[Any, ...]]:
    for place, kind in enumerate(("signing", "confirmed", "published")):
        uid = hashlib.md5(b"%b %d" % (kind.encode(), number), usedforsecurity=False).hexdigest()
        link = 2 * number - (place == 0)
        yield (3 * number - 2 + place, uid, kind, "kk", None, number, link, "{}", False, at, at, 1, at, at)
