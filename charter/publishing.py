"""Publication: what is due goes out batch by batch, signed, and never from a database that is not what it was.

The order is that of LOG §3: commit, then the plain leaves, then the guard, then the checkpoint may be shown.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from flask import current_app

from charter import clock, guard, leaves_file, log_key, meters, selfcheck
from charter.forgetting import Forgetting
from charter.log_key import Held, LogKeyError
from charter.operations import figures, keys, publication, standing, tree
from charter.queries import log, schema, statistics
from charter.queries import standing as standings
from charter.queries import tree as queries
from charter.queries.tree import LoggedKey, Signed
from charter.settings import Settings
from charter.tlog import note
from charter.tlog.note import Checkpoint
from charter.tlog.signer import Signer

logger = structlog.get_logger()

OK = "ok"
UNKNOWN = "unknown"
#: With a publication interval longer than this, withdrawals are looked for in between.
URGENT_SECONDS = 10

#: Why publication stops because of a file → a short word for metrics. The others are those of `LogKeyError`.
CODES: dict[leaves_file.State | guard.State, str] = {
    leaves_file.State.AHEAD: "leaves_ahead",
    leaves_file.State.DIFFERS: "leaves_differ",
    leaves_file.State.RESTORING: "restoring",
    guard.State.BUILDING: "building",
    guard.State.AHEAD: "guard_ahead",
    guard.State.DIFFERS: "guard_differs",
    guard.State.UNUSABLE: "guard_unusable",
}


@dataclass(frozen=True)
class Signing:
    """Who signs today, and what was signed last. signer: None while the database has no tables for a tree."""

    signer: Signer | None = None
    after: Checkpoint | None = None


class StoppedError(Exception):
    """Nothing may be published; the text is a sentence for the operator. code: a short word for metrics.

    is_said: somebody has written it to the log already.
    """

    def __init__(self, code: str, sentence: str, *, problem: str | None = None, is_said: bool = False) -> None:
        super().__init__(sentence)
        self.code, self.problem, self.is_said = code, problem, is_said


def is_urgent(settings: Settings) -> bool:
    """Whether a withdrawal must not wait for the next regular batch; asked only where batches are far apart."""
    return settings.publish_interval_seconds > URGENT_SECONDS and log.has_urgent(now=clock.now())


def publish(forgetting: Forgetting | None = None) -> int:
    """Publishes everything that is due, batch after batch; returns the number of leaves.

    Nothing from a database that is older than its leaves file or than what was signed; and both follow each batch.
    forgetting: is told when somebody left.
    """
    settings: Settings = current_app.config["CHARTER"]
    # What was read before must not hold a connection while the files ask for another: a pooler has few.
    schema.let_go()
    leaves = 0
    try:
        signing = _ready(settings)
        _say(settings, None)
        if statistics.is_new_day(now=clock.now()):
            figures.begin_day(now=clock.now())
        while True:
            began = time.perf_counter()
            result = publication.publish_batch(now=clock.now(), signer=signing.signer, after=signing.after)
            if result is None:
                break
            meters.batch_published(result.leaf_count, time.perf_counter() - began)
            leaves += result.leaf_count
            if result.has_losses and forgetting is not None:
                forgetting.somebody_left()
            logger.info("published", revision=result.revision, leaves=result.leaf_count)
            # Keys may have come or gone with this batch.
            signing = _ready(settings)
            while tree.note_places():
                pass
            if not result.is_full:
                break
        if signing.signer is not None and log.is_unsigned():
            tree.sign_newest(signing.signer, now=clock.now(), after=signing.after)
            _ready(settings)
    except StoppedError as stop:
        _say(settings, stop)
    except tree.ForkError:
        _say(settings, StoppedError(CODES[guard.State.DIFFERS], guard.LINES[guard.State.DIFFERS]))
    return leaves


def _ready(settings: Settings) -> Signing:
    """Lets the files follow what is committed, and says who may sign what comes next. Raises StoppedError."""
    leaves = leaves_file.follow(settings)
    if not leaves.may_publish:
        raise StoppedError(CODES[leaves.state], str(leaves.state), is_said=True)
    if not selfcheck.may_publish(settings):
        raise StoppedError("selfcheck", selfcheck.LINE)
    try:
        found = _keys(settings)
        if found is None:
            return Signing()
        held, logged, newest = found
        signer = log_key.signer_of(who_signs(held, logged))
    except LogKeyError as error:
        raise StoppedError(error.code, str(error)) from None
    guarded = guard.advance(settings)
    if not guarded.may_sign:
        raise StoppedError(CODES[guarded.state], guard.LINES[guarded.state], problem=guarded.problem)
    if newest is not None:
        _note_guarded(settings, newest.size)
    for one in held:
        if one.vkey not in {key.vkey for key in logged}:
            keys.announce(one.vkey, now=clock.now())
    return Signing(signer, guarded.last)


def _note_guarded(settings: Settings, size: int) -> None:
    """The database hears how far the guard has come. Asked first, so that an idle round writes nothing."""
    is_served = not settings.witness_quorum
    shown = standings.served_checkpoint() if is_served else standings.guarded_checkpoint()
    schema.let_go()
    if shown is None or shown.size < size:
        standing.note_guarded(size, is_served=is_served)


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _keys(settings: Settings, *, may_make: bool = True) -> tuple[list[Held], list[LoggedKey], Signed | None] | None:
    """The keys here, those that the log names, and what was signed last; None while there are no tables for a tree.

    Makes the first key of a log that begins, and never one for a log that has begun. Raises LogKeyError.
    """
    with schema.connection() as connection:
        if not queries.has_tree(connection):
            return None
        newest = queries.newest(connection)
        logged = queries.keys(connection)
        to_come = queries.keys_to_come(connection)
    has_begun = newest is not None or guard.path_of(settings).exists()
    if may_make and not has_begun:
        log_key.make(settings)
    held = log_key.held(settings)
    log_key.check_name(settings, held[0].key.name)
    named = {key.vkey for key in logged} | {vkey for _, vkey in to_come}
    if newest is not None and not any(one.vkey in named or _has_signed(one, newest) for one in held):
        raise LogKeyError(
            "key_other",
            f"{log_key.NAME} holds no key of this log, {newest.origin}: put the right one in its place",
        )
    return held, logged, newest


def _has_signed(one: Held, newest: Signed) -> bool:
    try:
        return note.verify(newest.note, one.key, log_key.verify).size == newest.size
    except note.NoteError:
        return False


def who_signs(held: Sequence[Held], logged: Sequence[LoggedKey]) -> list[Held]:
    """The keys that sign today, the chief one first: those that the log names and has not retired, the newest first.

    Where it names none of them yet, the oldest one that is not retired. Raises LogKeyError if there is none.
    """
    retired = {key.vkey for key in logged if key.retired_at is not None}
    order = {key.vkey: place for place, key in enumerate(logged)}
    usable = [one for one in held if one.vkey not in retired]
    named = sorted((one for one in usable if one.vkey in order), key=lambda one: order[one.vkey], reverse=True)
    if not usable:
        raise LogKeyError("no_key", f"every key in {log_key.NAME} is retired")
    return named or usable[:1]


# ── what machines and people are told ────────────────────────────────────────────────────────────────────────────────


def look(settings: Settings) -> str:
    """How signing stands, as a word or two for `/readyz`; changes nothing and costs the same whatever the size.

    A process that does not see the files of key and guard cannot tell. Needs an application context. Raises
    SQLAlchemyError.
    """
    if not guard.path_of(settings).is_file():
        return UNKNOWN
    try:
        found = _keys(settings, may_make=False)
        if found is None:
            return UNKNOWN
        who_signs(*found[:2])
    except LogKeyError as error:
        return log_key.WORDS[error.code]
    state = guard.standing(settings).state
    if state not in guard.STOPPED and not selfcheck.may_publish(settings):
        return selfcheck.FOUND
    return str(state)


_said: dict[Path, str | None] = {}


def _say(settings: Settings, stop: StoppedError | None) -> None:
    """One line when it changes: this is looked at every few seconds."""
    code = None if stop is None else stop.code
    meters.publication_stopped(code)
    before = _said.get(settings.log_path)
    _said[settings.log_path] = code
    if code == before:
        return
    if stop is None:
        logger.info("publication goes on")
    elif not stop.is_said:
        more = {} if stop.problem is None else {"problem": stop.problem}
        logger.error("publication stopped", reason=str(stop), **more)
