"""Asking witnesses, side by side: who is asked for what, what their answers mean, and when a checkpoint may be shown.

Each witness is asked in a thread of its own that holds nothing but bytes, so that one that is slow, silent or hostile
costs its own signature and nothing else. Everything else happens in the thread that calls `step`.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue

import structlog

from charter import clock, log_key, meters
from charter.domain.moments import has_come
from charter.operations import standing
from charter.queries import schema
from charter.queries import witnesses as queries
from charter.queries.witnesses import BrokenTreeError, Candidate
from charter.settings import Settings, read_witnesses
from charter.tlog import note, witness
from charter.tlog.witness import Witness
from charter.witnessing.posting import Answer, PostError, code_of_status, post
from charter.witnessing.standing import FRESH_FOR, QUORUM_LATE_AFTER

logger = structlog.get_logger()

#: A witness has so long for each answer.
ANSWER_SECONDS = 5.0
#: What comes on top of it for looking up its name, which no time-out reaches.
LOOK_UP_SECONDS = 1.0
#: After a failure a witness is left alone for so long, twice as long after each further one.
FIRST_REST_SECONDS = 1.0
LONGEST_REST_SECONDS = 60.0
#: The time in a cosignature may be so far from ours; one from the future would never be followed by a newer one.
CLOCKS_DIFFER = timedelta(hours=1)
#: How often a witness may name another size before we leave it at that.
MOST_RESENDS = 2


@dataclass(frozen=True)
class Ask:
    """One question: the checkpoint of `size` leaves to a witness that has `old`. resends: answered by 409 so often."""

    witness: Witness
    size: int
    text: str
    old: int
    proof: list[bytes]
    resends: int = 0


@dataclass
class Place:
    """How we stand with one witness. known_size: the newest we know it to have. code: of its last failure."""

    known_size: int
    ask: Ask | None = None
    asked_until: float = 0.0
    rest_seconds: float = 0.0
    rests_until: float = 0.0
    code: str | None = None
    refusal: str | None = None


@dataclass
class _Quorum:
    """witnessed: the newest size that had it. missing_since: when the first guarded one after that was signed.

    is_over: checkpoints are shown without it. said: what was last written to the log about it.
    """

    witnessed: int = 0
    is_over: bool = False
    said: str = ""
    missing_since: datetime | None = None


class Asking:
    """Everything that is remembered between steps; it may be lost at any time, a witness says itself what it has."""

    def __init__(self, settings: Settings, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._witnesses = {one.name: one for one in read_witnesses(settings.witnesses)}
        self._needed = settings.witness_quorum
        self._grace = timedelta(hours=settings.witness_grace_hours)
        self._answer_seconds = answer_seconds
        self._places: dict[str, Place] = {}
        self._answers: SimpleQueue[tuple[Ask, Answer | PostError]] = SimpleQueue()
        self._has_log = False
        self._target = 0
        self._quorum = _Quorum()

    @property
    def is_waiting(self) -> bool:
        """Whether an answer may still come."""
        return any(self._is_asked(place) for place in self._places.values())

    def step(self, *, wait_seconds: float = 0.0) -> None:
        """Takes answers, waiting so long for the first; shows what may be shown; asks whoever is to be asked.

        Needs an application context. Raises SQLAlchemyError; the next step goes on where this one was.
        """
        for ask, answer in self._take(wait_seconds):
            self._places[ask.witness.name].ask = None
            self._hear(ask, answer)
        for place in self._places.values():
            if place.ask is not None and not self._is_asked(place) and place.code != "time":
                self._fail(place.ask, "time")
        if not self._has_log:
            self._has_log = queries.has_log()
            if not self._has_log:
                return
            self._remember()
        guarded, served = queries.sizes()
        if not guarded:
            return
        # Without a quorum whoever guards a checkpoint shows it in the same moment.
        if self._needed:
            self._show(guarded, served)
        self._ask_all(guarded)
        self._tell()

    # ── what comes back ──────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, wait_seconds: float) -> list[tuple[Ask, Answer | PostError]]:
        found = []
        # What was read before must not hold a connection while we wait.
        schema.let_go()
        try:
            found.append(self._answers.get(timeout=wait_seconds) if wait_seconds else self._answers.get_nowait())
            while True:
                found.append(self._answers.get_nowait())
        except Empty:
            return found

    def _hear(self, ask: Ask, answer: Answer | PostError) -> None:
        if isinstance(answer, PostError):
            self._fail(ask, answer.code)
        elif answer.status == 200:
            self._keep(ask, answer.body)
        elif answer.status == 409:
            self._resend(ask, answer)
        elif answer.status == 422:
            self._refuse(ask, "proof")
        else:
            self._fail(ask, code_of_status(answer.status))

    def _keep(self, ask: Ask, body: bytes) -> None:
        checkpoint, _ = note.read(ask.text)
        name = ask.witness.name
        try:
            seconds, signature = witness.read_cosignature(body, checkpoint, ask.witness.key, log_key.verify)
        except note.NoteError as error:
            self._fail(ask, "signature" if str(error) == "cosignature" else "answer")
            return
        now = clock.now()
        if abs(seconds - now.timestamp()) > CLOCKS_DIFFER.total_seconds():
            self._fail(ask, "clock")
            return
        standing.note_cosignature(ask.size, name, at=datetime.fromtimestamp(seconds, tz=UTC), line=signature.line)
        place = self._places[name]
        if place.code is not None or place.refusal is not None:
            logger.info("witness answers again", witness=name)
        place.known_size = ask.size
        place.code = place.refusal = None
        place.rest_seconds = place.rests_until = 0.0
        meters.witness_answered()

    def _resend(self, ask: Ask, answer: Answer) -> None:
        """409: the witness has another size, or, at the same size, another root."""
        place = self._places[ask.witness.name]
        try:
            size = witness.read_size(answer.body) if answer.content_type == witness.SIZE_TYPE else ask.old
        except note.NoteError:
            size = ask.old
        if size == ask.old:
            # Having said what it says it has, we can only have been refused for the root (C2SP tlog-witness).
            if ask.old == ask.size:
                self._refuse(ask, "root")
            else:
                self._fail(ask, "answer")
            return
        if size > ask.size:
            # Another worker may have told it of a newer one, which then stands in the same database.
            if size > queries.sizes()[0]:
                self._refuse(ask, "size")
            else:
                place.known_size = size
            return
        if size < place.known_size:
            logger.warning("witness has forgotten", witness=ask.witness.name, knew=place.known_size, knows=size)
        place.known_size = size
        if ask.resends >= MOST_RESENDS:
            self._fail(ask, "conflict")
        else:
            self._ask(replace(ask, old=size, resends=ask.resends + 1))

    def _fail(self, ask: Ask, code: str) -> None:
        place = self._places[ask.witness.name]
        place.rest_seconds = min(max(place.rest_seconds * 2, FIRST_REST_SECONDS), LONGEST_REST_SECONDS)
        place.rests_until = time.monotonic() + place.rest_seconds
        if place.code != code:
            logger.warning("witness failed", witness=ask.witness.name, code=code, size=ask.size)
        place.code = code
        meters.witness_failed(code)

    def _refuse(self, ask: Ask, reason: str) -> None:
        """It says that what we sent does not extend what it has seen: either it errs, or there are two logs."""
        place = self._places[ask.witness.name]
        place.rest_seconds = LONGEST_REST_SECONDS
        place.rests_until = time.monotonic() + place.rest_seconds
        if place.refusal != reason:
            logger.error("witness refuses the log", witness=ask.witness.name, reason=reason, size=ask.size, old=ask.old)
        place.refusal = reason
        meters.witness_failed("refused")

    # ── what may be shown ────────────────────────────────────────────────────────────────────────────────────────────

    def _remember(self) -> None:
        self._places = {name: Place(size) for name, size in queries.last_sizes(self._witnesses).items()}
        if self._needed:
            self._quorum.witnessed = queries.witnessed_size(self._witnesses, quorum=self._needed)

    def _show(self, guarded: int, served: int) -> None:
        """Shows the newest checkpoint that had its quorum, and after the grace the newest one there is."""
        quorum, now = self._quorum, clock.now()
        if quorum.witnessed < guarded:
            quorum.witnessed = queries.witnessed_size(self._witnesses, quorum=self._needed, above=quorum.witnessed)
        if served < quorum.witnessed:
            standing.note_served(quorum.witnessed)
            served = quorum.witnessed
        since = quorum.missing_since = queries.first_after(quorum.witnessed)
        if since is None or not has_come(since + self._grace, now=now, longest=self._grace):
            quorum.is_over = False
        elif self._target and not self._is_asked_for(self._target):
            # Not before all were asked: a quorum that was just set, on an old log, has been missing for ever.
            quorum.is_over = True
        if quorum.is_over and served < guarded:
            standing.note_served(guarded)

    def _tell(self) -> None:
        """One line when it changes, and gauges."""
        places, quorum = self._places.values(), self._quorum
        meters.witnesses_stand(
            failing=sum(1 for one in places if one.code is not None),
            refusing=sum(1 for one in places if one.refusal is not None),
            is_quorum_given_up=quorum.is_over,
        )
        since = quorum.missing_since
        is_late = since is not None and clock.now() - since > QUORUM_LATE_AFTER and not self._is_asked_for(self._target)
        state = "given up" if quorum.is_over else "missed" if is_late else ""
        if state == quorum.said or (since is not None and not state):
            return
        quorum.said = state
        if state == "given up":
            logger.error("checkpoints are shown without a quorum of witnesses", needed=self._needed)
        elif state == "missed":
            logger.error("witnesses are too few, the last checkpoint that had enough is shown", needed=self._needed)
        else:
            logger.info("witnesses are enough again")

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _ask_all(self, guarded: int) -> None:
        # With a quorum all are asked for the same until it has it, or all have answered: otherwise slow ones would sign
        # one and quick ones the next, and none would ever have enough.
        is_open = self._needed and self._quorum.witnessed < self._target and self._is_asked_for(self._target)
        if not is_open:
            self._target = guarded
        candidate = queries.find_candidate(self._target)
        if candidate is None:
            return
        for one in self._witnesses.values():
            place = self._places[one.name]
            if place.ask is None and time.monotonic() >= place.rests_until and self._is_wanted(one, candidate):
                self._ask(Ask(one, candidate.size, candidate.note, min(place.known_size, candidate.size), []))

    def _is_wanted(self, one: Witness, candidate: Candidate) -> bool:
        """Whether this witness has not signed this checkpoint, or long ago, or says that it has a newer one."""
        at = candidate.cosigned.get(one.name)
        if at is None:
            return self._places[one.name].known_size <= candidate.size
        return clock.now() - at > FRESH_FOR

    def _is_asked_for(self, size: int) -> bool:
        return any(
            self._is_asked(place) and place.ask is not None and place.ask.size == size
            for place in self._places.values()
        )

    @staticmethod
    def _is_asked(place: Place) -> bool:
        # A thread that hangs where no time-out reaches, in looking up a name, is not waited for.
        return place.ask is not None and time.monotonic() < place.asked_until

    def _ask(self, ask: Ask) -> None:
        place = self._places[ask.witness.name]
        try:
            ask = replace(ask, proof=queries.proof_between(ask.old, ask.size))
        except BrokenTreeError:
            # No witness is to blame: somebody has changed our database.
            self._refuse(ask, "own tree")
            return
        place.ask, place.asked_until = ask, time.monotonic() + self._answer_seconds + LOOK_UP_SECONDS
        threading.Thread(target=self._post, args=(ask,), name="witness", daemon=True).start()

    def _post(self, ask: Ask) -> None:
        answer: Answer | PostError = PostError("bug")
        try:
            body = witness.request(ask.old, ask.proof, ask.text)
            answer = post(ask.witness.url + witness.PATH, body, seconds=self._answer_seconds)
        except PostError as error:
            answer = error
        finally:
            # Whatever happened, the witness must not count as asked for ever.
            self._answers.put((ask, answer))
