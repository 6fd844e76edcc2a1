"""The worker: publishes batches and delivers mail, side by side; any number of them may run at once."""

from __future__ import annotations

import secrets
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from types import FrameType
from typing import TypeVar

import structlog
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from charter import clock, kept_spreadsheet, logs, meters, metrics
from charter.chores import Chores
from charter.domain.mail import Batch, Delivery
from charter.forgetting import Forgetting
from charter.mail import (
    PUBLISHED,
    RECEIPT_PAUSE,
    WITHOUT_RECEIPT,
    DeliveryError,
    ReceiptComingError,
    Transport,
    envelope_sender,
    receipt_for,
    render,
    transport_for,
)
from charter.operations import figures, names, outbox, tree
from charter.publishing import is_urgent, publish
from charter.queries import hints, log, schema, statistics
from charter.retention import Retention
from charter.selfcheck import SelfCheck
from charter.settings import Settings
from charter.witnessing import asker

T = TypeVar("T")
logger = structlog.get_logger()

TICK_SECONDS = 0.5
MESSAGES_AT_ONCE = 50
#: After a failure of the mail server nobody tries for so long, twice as long after each further one.
FIRST_REST_SECONDS = 1.0
LONGEST_REST_SECONDS = 30.0
#: After SIGTERM a mail that is being sent has so long to leave; whoever started us kills after seven seconds.
LEAVE_SECONDS = 4.0
#: Sent mails are noted in small groups, a commit for each would cost more than sending. Who dies before the note sends
#: them again, under the same Message-ID: so a group is small, and none waits for a slow server.
NOTED_AT_ONCE = 5
NOTED_WITHIN_SECONDS = 0.1


class OlderNames:
    """Once, when a worker starts: signatures of an older release get what they are compared by today."""

    def __init__(self) -> None:
        self._walked: int | None = 0

    def step(self) -> bool:
        """Some thousand rows are looked at; returns whether there are more."""
        if self._walked is not None:
            found, self._walked = hints.find_unfolded(self._walked)
            schema.let_go()
            if found:
                names.fold_names(found)
        return self._walked is not None


def count_past() -> bool:
    """Counts and notes some leaves that no batch has, such as those from before an upgrade; whether there are more."""
    is_more = statistics.has_uncounted_leaves() and figures.count_past()
    is_more = (log.lacks_nodes() and tree.build_past()) or is_more
    return (log.lacks_places() and tree.note_places()) or is_more


# ── mail ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Round:
    """One round of mail. sent: how many left. is_full: more may be due. is_broken: the way out does not work."""

    sent: int = 0
    is_full: bool = False
    is_broken: bool = False


class Hand:
    """The messages that a round has taken up and not offered yet, their lease, and those sent and not noted yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Delivery] = []
        self._leased_until: datetime | None = None
        self._sent: list[int] = []
        self._first_sent = 0.0
        self._is_failing = False

    def fill(self, batch: Batch, *, leased_until: datetime) -> None:
        """Takes up a batch."""
        with self._lock:
            self._waiting, self._leased_until = list(batch.deliveries), leased_until
            self._is_failing = batch.is_failing

    def take(self) -> Delivery | None:
        """The next one, which from here on may have been offered."""
        with self._lock:
            return self._waiting.pop(0) if self._waiting else None

    def take_back(self, delivery: Delivery) -> None:
        """One that was taken and not offered after all."""
        with self._lock:
            self._waiting.insert(0, delivery)

    def sent(self, message_id: int) -> None:
        """The mail server has taken this one; notes it, now or with the next ones."""
        with self._lock:
            if not self._sent:
                self._first_sent = time.monotonic()
            self._sent.append(message_id)
            waited = time.monotonic() - self._first_sent
            is_time = len(self._sent) >= NOTED_AT_ONCE or waited >= NOTED_WITHIN_SECONDS
        if is_time:
            self.note()

    def failed(self) -> None:
        """The last attempt failed: the next success has to be told."""
        with self._lock:
            self._is_failing = True

    def note(self) -> None:
        """Notes what was sent. If the database fails it stays in hand, for the next time."""
        with self._lock:
            sent, is_failing = list(self._sent), self._is_failing
        if sent:
            outbox.mark_sent(sent, now=clock.now(), is_recovery=is_failing)
            with self._lock:
                self._sent = [one for one in self._sent if one not in sent]
                self._is_failing = False

    def put_back(self, *also: int, code: str | None = None) -> None:
        """Lets go of the rest, and of `also`, to which the way out was shut: another may take them up at once."""
        with self._lock:
            rest, self._waiting = [*also, *(one.message_id for one in self._waiting)], []
            until = self._leased_until
        if rest and until is not None:
            outbox.put_back(rest, leased_until=until, code=code, now=clock.now(), is_failure=bool(also))


def deliver(
    settings: Settings, transport: Transport, stop: threading.Event | None = None, hand: Hand | None = None
) -> Round:
    """Delivers what is due, at most MESSAGES_AT_ONCE. No transaction is open while sending.

    When the way out breaks, the rest goes back at once and no attempt is counted for it.
    """
    hand = hand or Hand()
    # What a round left that the database broke off.
    hand.note()
    hand.put_back()
    now = clock.now()
    # A slow server must not outlast the lease: another worker would send the same mails meanwhile.
    enough = time.monotonic() + settings.outbox_lease_seconds / 2
    batch = outbox.claim(
        limit=MESSAGES_AT_ONCE,
        lease_seconds=settings.outbox_lease_seconds,
        key=settings.secret_key.encode(),
        hourly_budget=settings.mail_hourly_budget,
        now=now,
    )
    meters.mail_rests(batch.is_paused)
    hand.fill(batch, leased_until=now + timedelta(seconds=settings.outbox_lease_seconds))
    try:
        return _offer(hand, partial(_is_over, stop, enough), settings, transport, is_full=batch.is_full)
    finally:
        hand.note()


def _is_over(stop: threading.Event | None, enough: float) -> bool:
    return (stop is not None and stop.is_set()) or time.monotonic() >= enough


def _offer(
    hand: Hand, is_over: Callable[[], bool], settings: Settings, transport: Transport, *, is_full: bool
) -> Round:
    key = settings.secret_key.encode()
    sent = 0
    while not is_over():
        delivery = hand.take()
        if delivery is None:
            return Round(sent, is_full=is_full)
        try:
            receipt = receipt_for(delivery, now=clock.now())
        except ReceiptComingError:
            outbox.put_off(delivery.message_id, until=clock.now() + RECEIPT_PAUSE, now=clock.now())
            continue
        except SQLAlchemyError:
            hand.take_back(delivery)
            raise
        if delivery.kind == PUBLISHED and receipt is None and WITHOUT_RECEIPT not in delivery.values:
            # It may arrive though nobody tells us: what is sent again must be the same mail.
            outbox.note_value(delivery.message_id, WITHOUT_RECEIPT)
        began = time.perf_counter()
        try:
            message = render(delivery, key=key, settings=settings, receipt=receipt)
            began = time.perf_counter()
            transport.send(message, uid=delivery.uid, sender=envelope_sender(delivery, key=key, settings=settings))
        except DeliveryError as error:
            meters.mail_failed(error.code, time.perf_counter() - began)
            # What was taken before comes before: only a success after a failure makes up for it.
            hand.note()
            is_paused = _fail(delivery, error)
            hand.failed()
            if error.is_broken or is_paused:
                hand.put_back(*(() if error.was_offered else (delivery.message_id,)), code=error.code)
                return Round(sent, is_broken=True)
        except Exception:
            # A bug that one mail brings out must not stand in the way of the others.
            outbox.mark_failed(delivery.message_id, code=outbox.BUG, is_permanent=False, now=clock.now())
            hand.put_back()
            raise
        else:
            seconds = time.perf_counter() - began
            meters.mail_sent(seconds)
            logger.info("mail sent", message=delivery.message_id, milliseconds=round(seconds * 1000, 1))
            sent += 1
            hand.sent(delivery.message_id)
    hand.put_back()
    return Round(sent, is_full=True)


def _fail(delivery: Delivery, error: DeliveryError) -> bool:
    """Notes it; whether nothing is to be tried for a while."""
    is_paused = error.was_offered and outbox.mark_failed(
        delivery.message_id, code=error.code, is_permanent=error.is_permanent, now=clock.now()
    )
    logger.warning(
        "mail failed",
        message=delivery.message_id,
        code=error.code,
        permanent=error.is_permanent,
        offered=error.was_offered,
    )
    return is_paused


class Postman:
    """Delivers mail in a thread of its own, so that a mail server that hangs holds up nothing but mail."""

    def __init__(self, app: Flask, stop: threading.Event) -> None:
        self._app = app
        self._stop = stop
        self._settings: Settings = app.config["CHARTER"]
        self._hand = Hand()
        self._rest_seconds = 0.0
        # A daemon: a send that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="mail", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def leave(self) -> None:
        """After `stop`: waits for the mail that is being sent, not for ever, and puts back what nobody has seen."""
        self._thread.join(LEAVE_SECONDS)
        if self._thread.is_alive():
            logger.warning("a mail was left behind, its lease will end")
        with self._app.app_context():
            _guarded(self._hand.note, self._stop)
            _guarded(self._hand.put_back, self._stop)

    def _run(self) -> None:
        transport = transport_for(self._settings)
        with schema.serving():
            while not self._stop.is_set():
                with self._app.app_context():
                    work = partial(deliver, self._settings, transport, self._stop, self._hand)
                    done = _guarded(work, self._stop)
                self._pause(done or Round())
        transport.close()

    def _pause(self, done: Round) -> None:
        if done.is_broken:
            self._rest_seconds = min(max(self._rest_seconds * 2, FIRST_REST_SECONDS), LONGEST_REST_SECONDS)
            self._stop.wait(self._rest_seconds)
            return
        if done.sent:
            self._rest_seconds = 0.0
        if not done.is_full:
            self._stop.wait(TICK_SECONDS)


# ── the whole ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _guarded(work: Callable[[], T], stop: threading.Event) -> T | None:
    """What `work` returns; None if the world or we ourselves failed: the next round tries again."""
    # The lines of one round belong together.
    structlog.contextvars.bind_contextvars(round=secrets.token_hex(4))
    try:
        return work()
    except SQLAlchemyError as error:
        if schema.is_breakdown(error):
            # Gone, full or locked for long: nothing is lost.
            logger.warning("database", kind=schema.code_of(error))
            stop.wait(2)
        else:
            _tell_bug(stop)
    except Exception:
        _tell_bug(stop)
    return None


def _tell_bug(stop: threading.Event) -> None:
    # A bug in one round must not stop publication and mail for good; the supervisor sees it in the log.
    logger.exception("bug in the worker")
    stop.wait(5)


def run_once(app: Flask) -> tuple[int, int]:
    """Publishes and delivers what is due now, until nothing is; returns (leaves, mails)."""
    settings: Settings = app.config["CHARTER"]
    transport = transport_for(settings)
    leaves = mails = 0
    try:
        with app.app_context(), schema.serving():
            while count_past():
                pass
            forgetting = Forgetting(is_start=False)
            leaves += publish(forgetting)
            while (done := deliver(settings, transport)).sent or done.is_full:
                mails += done.sent
                if done.is_broken:
                    break
            _keep_terms(Retention(settings), forgetting, at_once=True)
            chores = Chores(settings)
            while chores.round(at_once=True):
                pass
            while forgetting.step(at_once=True):
                pass
            asker.ask_once(settings)
    finally:
        transport.close()
    return leaves, mails


def run(app: Flask) -> None:
    """Works until SIGTERM or SIGINT; what is in hand is finished, what is not stays in the database.

    Publication keeps its interval in this thread, whatever mail does in the other one.
    """
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    settings: Settings = app.config["CHARTER"]
    postman = Postman(app, stop)
    watch = clock.Watch()
    forgetting = Forgetting()
    checking = SelfCheck(settings)
    retention = Retention(settings)
    older_names = OlderNames()
    chores = Chores(settings)
    next_publication = 0.0
    logs.speak_for_process()
    metrics.start(app, "worker")
    logger.info("worker started", transport=settings.mail_transport)
    postman.start()
    kept_spreadsheet.Keeper(app, stop, _guarded).start()
    asker.Asker(app, stop, _guarded).start()
    with schema.serving():
        while not stop.is_set():
            jump_seconds = watch.look()
            if jump_seconds:
                logger.warning("the clock jumped", seconds=round(jump_seconds))
                with app.app_context():
                    _guarded(retention.clock_jumped, stop)
            # A context for each round gives its database session back.
            with app.app_context():
                # A step in each round, so that nothing due waits for it.
                _guarded(count_past, stop)
                if _guarded(partial(_publish_if_time, settings, next_publication, forgetting), stop):
                    next_publication = time.monotonic() + settings.publish_interval_seconds
                _guarded(partial(_keep_terms, retention, forgetting), stop)
                _guarded(forgetting.step, stop)
                _guarded(checking.step, stop)
                _guarded(older_names.step, stop)
                is_busy = _guarded(chores.round, stop)
            if not is_busy:
                stop.wait(TICK_SECONDS)
    postman.leave()
    logger.info("worker stopped")


def _keep_terms(retention: Retention, forgetting: Forgetting, *, at_once: bool = False) -> None:
    """A step of what has a term, or all that is due; who cleans the files hears of those who were erased."""
    while retention.step(at_once=at_once) and at_once:
        pass
    if retention.has_erased:
        retention.has_erased = False
        forgetting.somebody_left()


def _publish_if_time(settings: Settings, moment: float, forgetting: Forgetting) -> bool:
    """Publishes if `moment` of the monotonic clock has come, or a withdrawal must not wait; returns whether it did."""
    if time.monotonic() < moment and not is_urgent(settings):
        return False
    publish(forgetting)
    return True
