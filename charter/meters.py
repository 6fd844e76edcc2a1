"""What is counted while the service works; until `switch_on` every function here returns at once and keeps nothing."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client.mmap_dict import MmapedDict

#: Seconds. Pages take some milliseconds; beyond ten seconds every proxy has given up.
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MAIL_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
BATCH_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

#: A client may send any word as method; a label must not take it over.
METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
ACTIONS = (
    *("approve", "decline", "ask", "undo", "release"),
    *("correction-approve", "correction-decline", "correction-undo"),
    *("objection-upheld", "objection-rejected", "objection-undo"),
    *("proposal-approved", "proposal-rejected"),
)
WITNESS_CODES = ("time", "connection", "certificate", "http", "answer", "signature", "clock", "conflict", "refused")
#: Why publication stopped (docs/operators.md).
STOPS = (
    *("no_key", "key_readable", "key_unusable", "key_other", "name", "guard_ahead", "guard_differs", "guard_unusable"),
    *("building", "leaves_ahead", "leaves_differ", "restoring", "selfcheck"),
)
CODES = ("smtp-4xx", "smtp-5xx", "smtp-login", "smtp-connection", "file", "other")


class _Meters:
    """The meters of one process. Their values lie in files in `folder`, which whoever is scraped adds up."""

    def __init__(self, folder: Path, identifier: str) -> None:
        # Only here: who has no metrics does not load the library.
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

        # The library would take the folder from the environment, once for the whole process.
        values.ValueClass = _values_in(folder, identifier)
        registry = CollectorRegistry()
        self.requests = Histogram(
            "charter_request_seconds",
            "Time until an answer was ready, by endpoint, method and class of status.",
            ("endpoint", "method", "status"),
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        # The library takes a lock and makes texts of all labels at each look; there are some hundred at most.
        self.by_labels: dict[tuple[str, str, str], Histogram] = {}
        self.in_progress = Gauge(
            "charter_requests_in_progress",
            "Requests that are being answered.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.replica_rests = Gauge(
            "charter_replica_rests",
            "Web processes that do without the replica just now.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.sign_ups = Counter("charter_sign_ups", "Forms that were accepted and stored.", registry=registry)
        self.confirmations = Counter("charter_confirmations", "Signatures confirmed.", registry=registry)
        self.withdrawals = Counter("charter_withdrawals", "Signatures withdrawn.", registry=registry)
        self.decisions = Counter("charter_decisions", "What the Centre did, by action.", ("action",), registry=registry)
        self.mails_sent = Counter("charter_mails_sent", "Mails handed over.", registry=registry)
        self.mails_failed = Counter(
            "charter_mails_failed", "Attempts to send that failed, by class of code.", ("code",), registry=registry
        )
        self.mail_seconds = Histogram(
            "charter_mail_send_seconds",
            "Time that handing over one mail took, also in vain.",
            buckets=MAIL_BUCKETS,
            registry=registry,
        )
        self.mail_rests = Gauge(
            "charter_mail_rests",
            "1 while no mail is tried because too much failed in a row.",
            multiprocess_mode="livemax",
            registry=registry,
        )
        self.leaves = Counter("charter_publication_leaves", "Leaves appended to the log.", registry=registry)
        self.batches = Histogram(
            "charter_publication_seconds", "Time that one batch took.", buckets=BATCH_BUCKETS, registry=registry
        )
        self.cosignatures = Counter(
            "charter_witness_cosignatures", "Cosignatures of witnesses kept.", registry=registry
        )
        self.witness_failures = Counter(
            "charter_witness_failures",
            "Questions to witnesses in vain, by class of code.",
            ("code",),
            registry=registry,
        )
        gauge = partial(Gauge, multiprocess_mode="livesum", registry=registry)
        self.witnesses_failing = gauge("charter_witnesses_failing", "Witnesses that did not cosign when last asked.")
        self.witnesses_refusing = gauge(
            "charter_witnesses_refusing", "Witnesses that say that the log does not extend what they have seen."
        )
        self.quorum_given_up = gauge(
            "charter_witness_quorum_given_up", "1 while checkpoints are shown without a quorum, after the grace."
        )
        self.stopped = Gauge(
            "charter_publication_stopped",
            "Whether nothing may be published, by reason.",
            ("reason",),
            multiprocess_mode="livemax",
            registry=registry,
        )
        self.error_lines = Counter("charter_log_errors", "Log lines of level error.", registry=registry)
        # A rate needs a beginning: what has not happened yet is 0, not absent.
        for action in ACTIONS:
            self.decisions.labels(action)
        for code in CODES:
            self.mails_failed.labels(code)
        for reason in STOPS:
            self.stopped.labels(reason)
        for code in WITNESS_CODES:
            self.witness_failures.labels(code)


_meters: _Meters | None = None


def switch_on(folder: Path, identifier: str) -> None:
    """Begins to count, into files in `folder` whose names end in `identifier`, which no other process has."""
    global _meters
    _meters = _Meters(folder, identifier)


def switch_off() -> None:
    """Counts no longer."""
    global _meters
    _meters = None


def is_on() -> bool:
    """Whether anything is counted."""
    return _meters is not None


# ── what happens; each is called after the transaction that made it lasting ──────────────────────────────────────────


def request_began() -> None:
    """A request has arrived."""
    if _meters is not None:
        _meters.in_progress.inc()


def request_ended(endpoint: str, method: str, status: int, seconds: float) -> None:
    """It was answered. endpoint: a name out of our own code, never a path."""
    if _meters is not None:
        _meters.in_progress.dec()
        labels = (endpoint, method if method in METHODS else "other", f"{status // 100}xx")
        found = _meters.by_labels.get(labels)
        if found is None:
            found = _meters.by_labels[labels] = _meters.requests.labels(*labels)
        found.observe(seconds)


def signed_up() -> None:
    """A form was accepted."""
    if _meters is not None:
        _meters.sign_ups.inc()


def confirmed() -> None:
    """A signature was confirmed."""
    if _meters is not None:
        _meters.confirmations.inc()


def withdrawn() -> None:
    """A signature was withdrawn."""
    if _meters is not None:
        _meters.withdrawals.inc()


def decided(action: str) -> None:
    """The Centre did one of ACTIONS."""
    if _meters is not None:
        _meters.decisions.labels(action if action in ACTIONS else "other").inc()


def mail_sent(seconds: float) -> None:
    """The mail server took a mail."""
    if _meters is not None:
        _meters.mails_sent.inc()
        _meters.mail_seconds.observe(seconds)


def mail_failed(code: str, seconds: float) -> None:
    """It did not. code: of a DeliveryError."""
    if _meters is not None:
        _meters.mails_failed.labels(code_class(code)).inc()
        _meters.mail_seconds.observe(seconds)


def mail_rests(is_paused: bool) -> None:
    """Whether too much failed in a row, so that nothing is tried for a while."""
    if _meters is not None:
        _meters.mail_rests.set(1 if is_paused else 0)


def batch_published(leaves: int, seconds: float) -> None:
    """A publication batch was written."""
    if _meters is not None:
        _meters.leaves.inc(leaves)
        _meters.batches.observe(seconds)


def publication_stopped(reason: str | None) -> None:
    """Whether this worker may publish: None, or one of STOPS."""
    if _meters is not None:
        for one in STOPS:
            _meters.stopped.labels(one).set(1 if one == reason else 0)


def replica_is_well(is_well: bool) -> None:
    """Whether this process reads public pages from the replica."""
    if _meters is not None:
        _meters.replica_rests.set(0 if is_well else 1)


def witness_answered() -> None:
    """A cosignature was kept."""
    if _meters is not None:
        _meters.cosignatures.inc()


def witness_failed(code: str) -> None:
    """A witness was asked in vain. code: one of WITNESS_CODES, or what counts as `http`."""
    if _meters is not None:
        _meters.witness_failures.labels(code if code in WITNESS_CODES else "http").inc()


def witnesses_stand(*, failing: int, refusing: int, is_quorum_given_up: bool) -> None:
    """How this worker, if it is the one who asks, stands with all of them."""
    if _meters is not None:
        _meters.witnesses_failing.set(failing)
        _meters.witnesses_refusing.set(refusing)
        _meters.quorum_given_up.set(1 if is_quorum_given_up else 0)


def error_written() -> None:
    """A log line of level error was written."""
    if _meters is not None:
        _meters.error_lines.inc()


def code_class(code: str) -> str:
    """One of CODES: a server may answer with hundreds of codes, and none of them may become a label."""
    status = re.fullmatch(r"smtp-([45])[0-9]{2}", code)
    if status:
        return f"smtp-{status[1]}xx"
    if code.startswith("smtp-login"):
        return "smtp-login"
    if code.startswith("smtp-"):
        return "smtp-connection"
    return "file" if code.startswith("file-") else "other"


# ── where values lie ─────────────────────────────────────────────────────────────────────────────────────────────────


def _values_in(folder: Path, identifier: str) -> type:
    """The library's way to keep a value in a mapped file, with the folder given instead of read from outside."""
    from prometheus_client.mmap_dict import MmapedDict, mmap_key

    files: dict[str, MmapedDict] = {}
    lock = Lock()

    class Value:
        _multiprocess = True

        def __init__(
            self,
            typ: str,
            metric_name: str,
            name: str,
            labelnames: Any,
            labelvalues: Any,
            help_text: str,
            multiprocess_mode: str = "",
            **_more: Any,
        ) -> None:
            prefix = f"{typ}_{multiprocess_mode}" if typ == "gauge" else typ
            self._key = mmap_key(metric_name, name, labelnames, labelvalues, help_text)
            with lock:
                if prefix not in files:
                    files[prefix] = MmapedDict(str(folder / f"{prefix}_{identifier}.db"))
                self._file = files[prefix]
                self._value: float = self._file.read_value(self._key)[0]

        def inc(self, amount: float) -> None:
            with lock:
                self._value += amount
                self._file.write_value(self._key, self._value, 0.0)

        def set(self, value: float, timestamp: float | None = None) -> None:
            with lock:
                self._value = value
                self._file.write_value(self._key, value, timestamp or 0.0)

        def get(self) -> float:
            return self._value

        def set_exemplar(self, exemplar: Any) -> None:
            """Exemplars do not cross processes."""

        def get_exemplar(self) -> None:
            return None

    return Value
