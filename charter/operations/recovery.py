"""Bringing a restored database up to its log: what was published after the backup happens once more, batch by batch.

Each step may be repeated: a batch that is there already is left alone. What a leaf does to a signature that the backup
knows is one rule for each kind; a signature that it does not know is lost, and `queries/recovery.py` tells of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import delete, select

from charter.domain.reasons import CATALOGUE, REVOCATIONS
from charter.domain.signature import Actor, Move, State, may
from charter.models.base import db
from charter.models.decision import Decision
from charter.models.leaving import KIND as LEAVING
from charter.models.log import LogBatch, LogEvent
from charter.models.registry import PublicEntry
from charter.models.signature import Signature
from charter.models.staff import StaffSession
from charter.operations import editions
from charter.operations.corrections import take_effect
from charter.operations.erasing import destroy, move_to_erased
from charter.operations.kept_lines import bring_over, entry_of
from charter.operations.public_side import (
    Changes,
    append_batch,
    build_entry,
    count_entry,
    end_entry,
    move_counters,
    numbers_given,
    replace_entry,
)
from charter.operations.revoking import step_down
from charter.operations.steps import (
    add_event,
    cancel_log_events,
    cancel_messages,
    end_by_signatory,
    expire,
    new_link,
    personal_link,
    queue_message,
    take_back,
)
from charter.operations.unit import lock, operation
from charter.tlog import leaf as leaves
from charter.tlog.leaves_text import Batch
from charter.tlog.record import commitment

#: Corrections in one batch.
MOST_CORRECTIONS = 1000
#: Added to the seconds since the last known batch: more batches than that were not published in them.
SPARE_REVISIONS = 1000


class RecoveryError(Exception):
    """The leaves do not follow on the database; the text is a sentence for the operator."""


@dataclass
class _Replay:
    """One batch that happens again. at: when it was published. now: today, for mail. lines: as `replay` is given."""

    at: datetime
    now: datetime
    key: bytes
    lines: Mapping[str, bytes]
    signatures: dict[str, Signature]
    public: dict[str, PublicEntry]
    changes: Changes
    last_number: int | None = None

    def take_number(self) -> int:
        self.last_number = (numbers_given() if self.last_number is None else self.last_number) + 1
        return self.last_number

    def kept(self, values: Mapping[str, object]) -> PublicEntry | None:
        """The record that a leaf committed to, where its line was kept."""
        line = self.lines.get(str(values["commit"]))
        return None if line is None else entry_of(line)

    def enter(self, row: PublicEntry) -> None:
        """A new public record."""
        db.session.add(row)
        self.public[row.entry] = row
        count_entry(row, self.changes)


@operation
def replay(batch: Batch, *, key: bytes, now: datetime, lines: Mapping[str, bytes] | None = None) -> bool:
    """Appends a batch of the leaves file or of a mirror byte for byte and applies it; False if it is there already.

    Rows get the revision, time, tree size and indices they had, so that no entity tag ever names other content.
    lines: `commit` → record line whose SHA-256 it is, of entries that stand: these come back as they were, salt and
    all, and also where their signature is lost.
    Raises RecoveryError for a batch that does not follow on the last one, or a leaf that does not fit its signature;
    LeafError for a leaf that is none.
    """
    lock("publisher", "one")
    last = db.session.scalars(select(LogBatch).order_by(LogBatch.revision.desc()).limit(1)).first()
    closing = batch.closing
    if last is not None and closing.revision <= last.revision:
        return False
    if batch.first_index != (0 if last is None else last.tree_size):
        raise RecoveryError(f"batch {closing.revision} of the log does not follow on the database")
    found = [leaves.decode(data) for data in batch.leaves]
    entries = {str(values["entry"]) for _, values in found if "entry" in values}
    again = _Replay(
        changes=Changes(closing.revision),
        at=closing.at,
        now=now,
        key=key,
        lines=lines or {},
        signatures={
            row.entry: row for row in db.session.scalars(select(Signature).where(Signature.entry.in_(entries)))
        },
        public={
            row.entry: row for row in db.session.scalars(select(PublicEntry).where(PublicEntry.entry.in_(entries)))
        },
    )
    for kind, values in found:
        RULES[kind](again, values)
    append_batch(revision=closing.revision, at=closing.at, first_index=batch.first_index, data=batch.leaves)
    move_counters(again.changes)
    return True


# ── what each kind of leaf does ──────────────────────────────────────────────────────────────────────────────────────


def _charter(again: _Replay, values: Mapping[str, object]) -> None:
    """Its leaf is in the log now; a text that the instance has not cannot be made from digests."""
    for event in db.session.scalars(select(LogEvent).where(LogEvent.kind == "charter")):
        if event.values.get("charter") == values["charter"]:
            db.session.delete(event)
            # Approved before the backup was made: its bytes are in it.
            editions.enter(str(values["charter"]), now=again.at)


def _confirm(again: _Replay, values: Mapping[str, object]) -> None:
    """A new personal link is mailed: the old one was lost with its row. So was the salt of the application line."""
    signature = again.signatures.get(str(values["entry"]))
    if signature is None:
        return
    cancel_log_events(signature, "confirm")
    if signature.state != State.SUBMITTED:
        return
    for other in db.session.scalars(
        select(Signature).where(
            Signature.mailbox == signature.mailbox,
            Signature.name_key == signature.name_key,
            Signature.id != signature.id,
            Signature.state == State.SUBMITTED,
        )
    ):
        expire(other, now=again.at)
    signature.held = False
    before = signature.move(Move.CONFIRM)
    signature.confirmed_at = again.at
    signature.due_on = date.fromisoformat(str(values["due"]))
    add_event(signature, Move.CONFIRM, before=before, actor=Actor.SIGNATORY, now=again.at)
    cancel_messages(signature, now=again.now)
    link = new_link(signature, "personal", key=again.key, now=again.now, lifetime=None)
    queue_message("confirmed", signature, link=link, now=again.now, values={"due_on": signature.due_on.isoformat()})


def _publish(again: _Replay, values: Mapping[str, object]) -> None:
    """Under the number it had. Where the line was not kept its salt is lost: a fresh one follows, as next revision."""
    number = again.take_number()
    kept = again.kept(values)
    if kept is not None and kept.number != number:
        raise RecoveryError(f"the kept line of entry {kept.entry} bears another number than the log gives it")
    signature = again.signatures.get(str(values["entry"]))
    if signature is None:
        if kept is not None:
            again.enter(kept)
        return
    cancel_log_events(signature, "publish")
    _reopen(signature, again, unless=State.APPROVED)
    if signature.state != State.APPROVED:
        # By whom is lost with the decision.
        before = _moved(signature, Move.APPROVE)
        add_event(signature, Move.APPROVE, before=before, actor=Actor.CENTRE, now=again.at)
    if kept is not None:
        bring_over(signature, kept)
        again.enter(kept)
    else:
        row, line = build_entry(signature, number=number, rev=_next_rev(values))
        again.enter(row)
    signature.number = number
    before = _moved(signature, Move.PUBLISH)
    add_event(signature, Move.PUBLISH, before=before, actor=Actor.SERVICE, now=again.at)
    # Nobody waits any more for what an earlier mail would say.
    cancel_messages(signature, now=again.now)
    if kept is None:
        _queue_correction(signature, line, rev=row.rev, at=again.at)


def _correct(again: _Replay, values: Mapping[str, object]) -> None:
    """Where the corrected line is lost, what the backup knows is committed to once more, as a later revision."""
    signature = again.signatures.get(str(values["entry"]))
    row = again.public.get(str(values["entry"]))
    kept = again.kept(values)
    if kept is not None:
        if row is None:
            again.enter(kept)
        elif row.ended_on is None:
            replace_entry(row, kept, changes=again.changes)
        if signature is not None:
            cancel_log_events(signature, "correct")
            bring_over(signature, kept)
        return
    if signature is None or row is None or row.ended_on is not None:
        return
    for event in db.session.scalars(
        select(LogEvent).where(LogEvent.signature_id == signature.id, LogEvent.kind == "correct")
    ):
        # Approved before the backup was made, and surely in the line that is lost.
        take_effect(signature, event.values, personal_link(signature.id), now=again.now)
    fresh, line = build_entry(signature, number=row.number, rev=_next_rev(values), shown=row)
    replace_entry(row, fresh, changes=again.changes)
    _queue_correction(signature, line, rev=row.rev, at=again.at)


def _refuse(again: _Replay, values: Mapping[str, object]) -> None:
    """The log's reason is all that is left of the decision: who made it and in which words is lost."""
    signature = again.signatures.get(str(values["entry"]))
    if signature is None:
        return
    cancel_log_events(signature, "refuse")
    if signature.state == State.DECLINED:
        return
    _reopen(signature, again)
    before = _moved(signature, Move.DECLINE)
    signature.ended_at = again.at
    codes = [one.code for one in CATALOGUE if one.action == "decline" and one.log == values["reason"]]
    reason = codes[0] if len(codes) == 1 else None
    add_event(signature, Move.DECLINE, before=before, actor=Actor.CENTRE, now=again.at, reason=reason)
    cancel_messages(signature, now=again.now)


def _withdraw(again: _Replay, values: Mapping[str, object]) -> None:
    """As the signatory did it. The mail about it went out then, so the person is forgotten at once."""
    signature = again.signatures.get(str(values["entry"]))
    if signature is not None:
        if signature.state == State.DECLINED:
            _reopen(signature, again)
        if may(State(signature.state), Move.WITHDRAW):
            end_by_signatory(signature, now=again.at)
        cancel_log_events(signature, *RULES, LEAVING)
        if signature.state == State.WITHDRAWN:
            destroy([signature], keeps_door=True)
    _end(again, values, by="signatory")


def _revoke(again: _Replay, values: Mapping[str, object]) -> None:
    """The entry leaves; who decided it stands in the log as pseudonyms only, and the rest stays with the Centre."""
    signature = again.signatures.get(str(values["entry"]))
    if signature is not None:
        cancel_log_events(signature, "revoke", "correct")
        if may(State(signature.state), Move.REVOKE):
            codes = [one.code for one in REVOCATIONS if one.log == values["reason"]]
            reason = codes[0] if len(codes) == 1 else None
            step_down(signature, reason=reason, staff_id=None, at=again.at, now=again.now)
    _end(again, values, by="centre")


def _erase(again: _Replay, values: Mapping[str, object]) -> None:
    """What the backup brought back is destroyed again. One that still stood has its `withdraw` before this leaf."""
    signature = again.signatures.get(str(values["entry"]))
    if signature is not None:
        if may(State(signature.state), Move.WITHDRAW):
            end_by_signatory(signature, now=again.at)
        cancel_log_events(signature, *RULES, LEAVING)
        if may(State(signature.state), Move.ERASE):
            move_to_erased(signature, now=again.at)
        elif signature.state == State.ERASED:
            # Its last mail waits in the backup, with the address.
            destroy([signature], keeps_door=False)
    _end(again, values, by="signatory")


def _end(again: _Replay, values: Mapping[str, object], *, by: str) -> None:
    row = again.public.get(str(values["entry"]))
    if row is not None and row.ended_on is None:
        end_entry(row, by=by, at=again.at, changes=again.changes)


def _key(_again: _Replay, values: Mapping[str, object]) -> None:
    """Keys are files beside the database; a leaf about one that still waited is in the log now."""
    for event in db.session.scalars(select(LogEvent).where(LogEvent.kind == "key")):
        if event.values == dict(values):
            db.session.delete(event)


#: A kind without a rule would bring back half of what happened: a test asks for one of every kind of leaf.
RULES: dict[str, Callable[[_Replay, Mapping[str, object]], None]] = {
    "charter": _charter,
    "confirm": _confirm,
    "publish": _publish,
    "correct": _correct,
    "refuse": _refuse,
    "withdraw": _withdraw,
    "revoke": _revoke,
    "erase": _erase,
    "key": _key,
}


def _next_rev(values: Mapping[str, object]) -> int:
    rev = values["rev"]
    assert isinstance(rev, int)
    return rev + 1


def _queue_correction(signature: Signature, line: bytes, *, rev: int, at: datetime) -> None:
    """The leaf that commits to the fresh line; appended after all leaves that come back."""
    cancel_log_events(signature, "correct")
    values = {"commit": commitment(line), "entry": signature.entry, "rev": rev}
    db.session.add(LogEvent(kind="correct", signature_id=signature.id, values=values, effective_at=at))


def _reopen(signature: Signature, again: _Replay, *, unless: State | None = None) -> None:
    """Undoes a decision of the backup that the log knows nothing of: it was taken back within its seconds."""
    if signature.state == unless or signature.state not in {State.APPROVED, State.DECLINED}:
        return
    decision = db.session.scalars(
        select(Decision)
        .where(Decision.signature_id == signature.id, Decision.undone_at.is_(None))
        .order_by(Decision.id.desc())
        .limit(1)
    ).first()
    if decision is not None:
        take_back(signature, decision, now=again.at, staff_id=None)


def _moved(signature: Signature, move: Move) -> State:
    if not may(State(signature.state), move):
        raise RecoveryError(f"the log says {move} of entry {signature.entry}, which is {signature.state} in the backup")
    return signature.move(move)


# ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def possible_revisions(*, since: datetime, now: datetime) -> int:
    """More than the batches that the lost machine can have published since then."""
    return max(0, int((now - since).total_seconds())) + SPARE_REVISIONS


@operation
def begin_anew(*, now: datetime) -> int:
    """Ends every staff session, and publishes an empty batch with a number that no earlier one can have had.

    What the lost machine published after the last batch that is known here carried numbers too: a page or cache that
    kept one must not take ours for the same. Returns the revision.
    """
    lock("publisher", "one")
    db.session.execute(delete(StaffSession))
    last = db.session.scalars(select(LogBatch).order_by(LogBatch.revision.desc()).limit(1)).first()
    if last is None:
        return 0
    revision = last.revision + possible_revisions(since=last.at, now=now)
    at = max(now.replace(microsecond=0), last.at)
    append_batch(revision=revision, at=at, first_index=last.tree_size, data=[])
    return revision


@operation
def append_corrections(*, now: datetime) -> int:
    """Commits to the lines that `replay` made afresh, at most MOST_CORRECTIONS at once; returns how many."""
    lock("publisher", "one")
    events = db.session.scalars(
        select(LogEvent)
        # What a signatory asked for before the backup waits for its batch; these commit to a line that is there.
        .where(LogEvent.kind == "correct", LogEvent.values["commit"].as_string().is_not(None))
        .order_by(LogEvent.id)
        .limit(MOST_CORRECTIONS)
    ).all()
    if not events:
        return 0
    last = db.session.scalars(select(LogBatch).order_by(LogBatch.revision.desc()).limit(1)).one()
    at = max(now.replace(microsecond=0), last.at)
    data = [leaves.encode("correct", t=leaves.format_time(at), **event.values) for event in events]
    append_batch(revision=last.revision + 1, at=at, first_index=last.tree_size, data=data)
    for event in events:
        db.session.delete(event)
    return len(events)
