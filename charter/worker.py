"""The worker: publishes batches and delivers mail, again and again; any number of them may run at once."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType

import structlog
from flask import Flask
from sqlalchemy.exc import DBAPIError

from charter import clock
from charter.mail import DeliveryError, Transport, render, transport_for
from charter.operations import outbox, publication
from charter.queries import log
from charter.settings import Settings

logger = structlog.get_logger()

TICK_SECONDS = 0.5
MESSAGES_AT_ONCE = 50


#: With a publication interval longer than this, withdrawals are looked for in between.
URGENT_SECONDS = 10


def is_urgent(settings: Settings) -> bool:
    """Whether a withdrawal must not wait for the next regular batch; asked only where batches are far apart."""
    return settings.publish_interval_seconds > URGENT_SECONDS and log.has_urgent(now=clock.now())


def publish() -> int:
    """Publishes everything that is due, batch after batch; returns the number of leaves."""
    leaves = 0
    while (result := publication.publish_batch(now=clock.now())) is not None:
        leaves += result.leaf_count
        logger.info("published", revision=result.revision, leaves=result.leaf_count)
        if not result.is_full:
            break
    return leaves


def deliver(settings: Settings, transport: Transport, stop: threading.Event | None = None) -> int:
    """Delivers what is due, at most MESSAGES_AT_ONCE; returns how many left. No transaction is open while sending."""
    key = settings.secret_key.encode()
    sent = 0
    for delivery in outbox.claim(limit=MESSAGES_AT_ONCE, lease_seconds=settings.outbox_lease_seconds, now=clock.now()):
        if stop is not None and stop.is_set():
            break
        try:
            transport.send(render(delivery, key=key, settings=settings), uid=delivery.uid)
        except DeliveryError as error:
            outbox.mark_failed(delivery.message_id, code=error.code, is_permanent=error.is_permanent, now=clock.now())
            logger.warning("mail failed", message=delivery.message_id, code=error.code, permanent=error.is_permanent)
        else:
            outbox.mark_sent(delivery.message_id, now=clock.now())
            sent += 1
    return sent


def run_once(app: Flask) -> tuple[int, int]:
    """Publishes and delivers what is due now, until nothing is; returns (leaves, mails)."""
    settings: Settings = app.config["CHARTER"]
    transport = transport_for(settings)
    leaves = mails = 0
    try:
        with app.app_context():
            leaves += publish()
            while count := deliver(settings, transport):
                mails += count
    finally:
        transport.close()
    return leaves, mails


def run(app: Flask) -> None:
    """Works until SIGTERM or SIGINT; what is in hand is finished, what is not stays in the database."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    settings: Settings = app.config["CHARTER"]
    transport = transport_for(settings)
    next_publication = 0.0
    logger.info("worker started", transport=settings.mail_transport)
    while not stop.is_set():
        busy = False
        try:
            # A context for each round gives its database session back.
            with app.app_context():
                if time.monotonic() >= next_publication or is_urgent(settings):
                    publish()
                    next_publication = time.monotonic() + settings.publish_interval_seconds
                busy = deliver(settings, transport, stop) == MESSAGES_AT_ONCE
        except DBAPIError as error:
            # Gone or locked for long: nothing is lost, the next round tries again.
            logger.warning("database", kind=type(error.orig).__name__)
            stop.wait(2)
        except Exception:
            # A bug in one round must not stop publication and mail for good; the supervisor sees it in the log.
            logger.exception("bug in the worker")
            stop.wait(5)
        if not busy:
            stop.wait(TICK_SECONDS)
    transport.close()
    logger.info("worker stopped")
