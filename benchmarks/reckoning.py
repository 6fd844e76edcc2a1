"""Compares what was acknowledged, what arrived as mail and what every table says."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.applicants import address
from benchmarks.installation import Installation
from benchmarks.sink import Received


@dataclass
class Reckoning:
    """Counts; everything from `lost` on but `waiting` and `repeated_same_id` has to be 0. notes: what contradicts."""

    acknowledged: int
    confirmations: int
    signatures: int
    entries: int
    leaves: int
    mails: int
    lost: int
    without_mail: int
    waiting: int
    repeated_same_id: int
    repeated_other_id: int
    double_events: int
    contradictions: int
    notes: list[str] = field(default_factory=list)


def reckon(made: Installation, mails: list[Received], signed: set[int], confirmed: set[int], *, run: str) -> Reckoning:
    """signed: numbers of people whose signing was acknowledged; confirmed: ids of signatures likewise."""
    notes: list[str] = []
    signatures = made.rows("SELECT id, email, state FROM signature")
    by_email: dict[str, list[int]] = defaultdict(list)
    for signature_id, email, _state in signatures:
        by_email[email].append(signature_id)
    state = {signature_id: state for signature_id, _email, state in signatures}
    lost = [one for one in signed if not by_email.get(address(one, run))]
    lost_confirmations = [one for one in confirmed if state.get(one) not in ("confirmed", "approved", "published")]
    if lost_confirmations:
        notes.append(f"{len(lost_confirmations)} acknowledged confirmations are not there")
    twice = [email for email, ids in by_email.items() if len(ids) > 1]
    if twice:
        notes.append(f"{len(twice)} people stand there twice after one request")
    messages = made.rows("SELECT uid, kind, signature_id, done_at, sent_at, failed_at FROM message")
    arrived = Counter(mail.uid for mail in mails)
    without = _without_mail(messages, arrived, (by_email.get(address(one, run), []) for one in signed))
    known = {row[0] for row in messages}
    of_kind: Counter[tuple[str, int]] = Counter((row[1], row[2]) for row in messages)
    other_id = sum(count - 1 for count in of_kind.values()) + sum(uid not in known for uid in arrived)
    for uid, kind, _signature_id, _done_at, sent_at, failed_at in messages:
        if failed_at is not None:
            notes.append(f"a mail was given up ({kind})")
        if sent_at is not None and uid not in arrived:
            notes.append(f"a mail is noted as sent and never arrived ({kind})")
    double_events = made.rows("SELECT signature_id, move FROM signature_event GROUP BY 1, 2 HAVING count(*) > 1")
    notes += _histories(made) + _log(made) + _registry(made)
    return Reckoning(
        acknowledged=len(signed),
        confirmations=len(confirmed),
        signatures=len(signatures),
        entries=int(made.scalar("SELECT count(*) FROM registry_entry")),
        leaves=int(made.scalar("SELECT count(*) FROM log_leaf")),
        mails=sum(arrived.values()),
        lost=len(lost) + len(lost_confirmations),
        without_mail=without,
        waiting=sum(row[3] is None for row in messages),
        repeated_same_id=sum(count - 1 for count in arrived.values()),
        repeated_other_id=other_id,
        double_events=len(double_events),
        contradictions=len(notes),
        notes=notes[:20],
    )


def _without_mail(messages: list[tuple[object, ...]], arrived: Counter[str], acknowledged: Iterable[list[int]]) -> int:
    """Signatures whose first mail neither arrived nor waits."""
    has_mail = {
        signature_id
        for uid, kind, signature_id, done_at, _sent_at, _failed_at in messages
        if kind == "signing" and (uid in arrived or done_at is None)
    }
    return sum(not has_mail.intersection(ids) for ids in acknowledged if ids)


def _histories(made: Installation) -> list[str]:
    """Every state was reached by exactly the moves that lead there."""
    expected = {
        "submitted": ["sign"],
        "confirmed": ["sign", "confirm"],
        "approved": ["sign", "confirm", "approve"],
        "published": ["sign", "confirm", "approve", "publish"],
    }
    moves: dict[int, list[str]] = defaultdict(list)
    for signature_id, move in made.rows("SELECT signature_id, move FROM signature_event ORDER BY id"):
        moves[signature_id].append(move)
    notes = []
    for signature_id, state in made.rows("SELECT id, state FROM signature"):
        if moves[signature_id] != expected.get(state):
            notes.append(f"a signature that is {state} has the history {moves[signature_id]}")
    for what, count in (
        (
            "consents",
            "SELECT count(*) FROM signature WHERE id NOT IN"
            " (SELECT signature_id FROM signature_consent GROUP BY 1 HAVING count(*) = 2)",
        ),
        ("links", "SELECT count(*) FROM signature WHERE id NOT IN (SELECT signature_id FROM link)"),
    ):
        if found := int(made.scalar(count)):
            notes.append(f"{found} signatures lack {what}")
    return notes


def _log(made: Installation) -> list[str]:
    """Leaves without gaps, hashes that fit, batches that add up, one leaf of a kind for one entry."""
    notes = []
    leaves = made.rows('SELECT "index", data, hash, revision FROM log_leaf ORDER BY "index"')
    if [row[0] for row in leaves] != list(range(len(leaves))):
        notes.append("the leaves have gaps")
    if any(hashlib.sha256(b"\0" + bytes(data)).digest() != bytes(digest) for _, data, digest, _ in leaves):
        notes.append("a leaf and its hash differ")
    sizes = Counter(row[3] for row in leaves)
    total = 0
    for revision, tree_size in made.rows("SELECT revision, tree_size FROM log_batch ORDER BY revision"):
        total += sizes[revision]
        if total != tree_size:
            notes.append(f"batch {revision} says {tree_size} leaves, there are {total}")
    kinds: Counter[tuple[str, str]] = Counter()
    for _, data, _, _ in leaves:
        values = json.loads(bytes(data))
        kinds[str(values["kind"]), str(values.get("entry"))] += 1
    twice = [place for place, count in kinds.items() if count > 1]
    if twice:
        notes.append(f"{len(twice)} entries have two leaves of one kind")
    states = Counter(dict(made.rows("SELECT state, count(*) FROM signature GROUP BY 1")))
    by_kind = Counter(kind for kind, _ in kinds)
    waiting = Counter(dict(made.rows("SELECT kind, count(*) FROM log_event GROUP BY 1")))
    confirmed = states["confirmed"] + states["approved"] + states["published"]
    if by_kind["confirm"] + waiting["confirm"] != confirmed:
        notes.append(f"{by_kind['confirm']} confirm leaves and {waiting['confirm']} to come for {confirmed}")
    if by_kind["publish"] != states["published"]:
        notes.append(f"{by_kind['publish']} publish leaves for {states['published']} published")
    return notes


def _registry(made: Installation) -> list[str]:
    notes = []
    numbers = [row[0] for row in made.rows("SELECT number FROM registry_entry ORDER BY number")]
    if numbers != list(range(1, len(numbers) + 1)):
        notes.append("the registry's numbers have gaps")
    counted = int(made.scalar("SELECT coalesce(sum(listed + unlisted + withdrawn + revoked), 0) FROM region_count"))
    published = int(made.scalar("SELECT count(*) FROM signature WHERE state = 'published'"))
    if not counted == len(numbers) == published:
        notes.append(f"{counted} counted, {len(numbers)} in the registry, {published} published")
    return notes
