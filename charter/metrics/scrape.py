"""One scrape: the meters of all processes added up, and what the database, the disk and the kernel say just then."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue

from flask import Flask
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from charter import clock
from charter.domain.calendar import local_date
from charter.metrics import disk
from charter.metrics.folder import MeetingPlace, Member
from charter.queries import health as queries
from charter.queries import witnesses
from charter.queries.health import Health

#: A database that takes longer is as good as gone; Prometheus itself waits ten seconds.
PATIENCE_SECONDS = 4.0


class Scrape:
    """Answers Prometheus; one scrape at a time."""

    def __init__(self, app: Flask, place: MeetingPlace) -> None:
        self._place = place
        self._disk = disk.kept_on(app.config["CHARTER"])
        self._database = _Patient(lambda: _ask_database(app))
        self._lock = threading.Lock()
        self._registry = CollectorRegistry(auto_describe=False)
        MultiProcessCollector(self._registry, path=str(place.folder))
        self._registry.register(self)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        with self._lock:
            return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What is not counted but found out: called by the registry."""
        yield from _processes(self._place.members())
        yield _gauge("disk_free_bytes", "Free where the instance or the SQLite file lies.", disk.free_bytes(self._disk))
        began = time.perf_counter()
        found = self._database.ask(PATIENCE_SECONDS)
        yield _gauge("database_up", "Whether the database answers: 1 or 0.", 0 if found is None else 1)
        if found is not None:
            yield _gauge("database_answer_seconds", "Time the questions below took.", time.perf_counter() - began)
            health, shown, now = found
            yield from _from_database(health, now)
            yield from _from_log(shown, now)


_Found = tuple[Health, witnesses.Standing | None, datetime]


def _ask_database(app: Flask) -> _Found:
    now = clock.now()
    with app.app_context():
        return queries.health(now=now, today=local_date(now)), witnesses.find_standing(), clock.now()


class _Patient:
    """Asks in a thread of its own and waits only so long. While an answer is missing nothing more is asked."""

    def __init__(self, question: Callable[[], _Found]) -> None:
        self._question = question
        self._answers: SimpleQueue[_Found | None] = SimpleQueue()
        self._asking: threading.Thread | None = None

    def ask(self, seconds: float) -> _Found | None:
        """The answer and when it came, or None if there was none in time."""
        if self._asking is not None and self._asking.is_alive():
            return None
        while not self._answers.empty():
            self._answers.get()  # came too late, last time
        self._asking = threading.Thread(target=self._run, name="metrics-database", daemon=True)
        self._asking.start()
        try:
            return self._answers.get(timeout=seconds)
        except Empty:
            return None

    def _run(self) -> None:
        answer = None
        try:
            answer = self._question()
        except Exception:  # noqa: S110 - `database_up 0` says it; a scrape must be answered whatever is broken
            pass
        finally:
            self._answers.put(answer)


def _from_database(health: Health, now: datetime) -> Iterator[Metric]:
    ready = health.readiness

    def age(at: datetime | None) -> float:
        return 0.0 if at is None else max(0.0, (now - at).total_seconds())

    yield _gauge("mail_waiting", "Mails that wait, counted up to 10000.", health.mail_waiting)
    yield _gauge(
        "mail_oldest_due_seconds", "For how long the first mail is due; 0 if none is.", age(ready.oldest_due_mail_at)
    )
    yield _gauge(
        "mail_oldest_waiting_seconds",
        "Age of the oldest mail that waits, failed tries included.",
        age(health.oldest_mail_at),
    )
    yield _gauge("mail_dead_letters", "Mails given up, counted up to 10000.", health.dead_letters)
    yield _gauge("review_waiting", "Applications that wait for the Centre.", health.review_waiting)
    yield _gauge("review_clarification", "Applications whose signatory was asked.", health.clarification_waiting)
    yield _gauge("review_overdue", "Applications past the day an answer was due.", health.overdue)
    yield _gauge(
        "review_oldest_seconds",
        "Age of the application that is due first, since confirmed.",
        age(health.oldest_unanswered_at),
    )
    yield _gauge("held", "Signatures set aside for a human, counted up to 10000.", health.held)
    yield _gauge(
        "publication_age_seconds",
        "Age of the newest batch; old is well while nothing is due.",
        None if health.newest_batch_at is None else age(health.newest_batch_at),
    )
    yield _gauge(
        "publication_oldest_due_seconds",
        "For how long the oldest event is due for publication; 0 if none is.",
        age(ready.oldest_due_event_at),
    )
    yield _gauge("public_revision", "Number of the newest batch.", health.revision)
    yield _gauge("log_tree_size", "Leaves in the log.", health.tree_size)
    yield _gauge(
        "log_checkpoint_age_seconds",
        "Age of the newest signed checkpoint; old is well while no leaf is due.",
        None if health.newest_checkpoint_at is None else age(health.newest_checkpoint_at),
    )
    offset = 0.0 if ready.database_at is None else (ready.database_at - now).total_seconds()
    yield _gauge("database_clock_offset_seconds", "How far the database's clock is ahead of ours.", offset)


def _from_log(shown: witnesses.Standing | None, now: datetime) -> Iterator[Metric]:
    yield _gauge("log_guarded_size", "Leaves that the signer's guard knows.", shown.guarded_size if shown else 0)
    yield _gauge("log_served_size", "Leaves of the checkpoint that is shown.", shown.served_size if shown else 0)
    unshown_at = shown.unshown_at if shown else None
    yield _gauge(
        "log_unshown_seconds",
        "For how long a newer checkpoint waits for witnesses; 0 if none does.",
        0.0 if unshown_at is None else max(0.0, (now - unshown_at).total_seconds()),
    )


def _processes(members: list[Member]) -> Iterator[Metric]:
    counted = GaugeMetricFamily("charter_processes", "Processes that are alive, by kind.", labels=["process"])
    memory = GaugeMetricFamily(
        "charter_process_resident_memory_bytes", "Memory of each process.", labels=["process", "number"]
    )
    numbers: Counter[str] = Counter()
    for member in members:
        numbers[member.process] += 1
        size = _resident_bytes(member.pid)
        if size is not None:
            memory.add_metric([member.process, str(numbers[member.process])], size)
    for process in ("web", "worker"):
        counted.add_metric([process], numbers[process])
    yield counted
    yield memory


def _resident_bytes(pid: int | None) -> int | None:
    if pid is None:
        return None
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _gauge(name: str, text: str, value: float | None) -> Metric:
    family = GaugeMetricFamily(f"charter_{name}", text)
    if value is not None:
        family.add_metric([], value)
    return family
