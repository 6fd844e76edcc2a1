"""The load client: one process, one thread, plain sockets, so that it takes as little of the processor as it can.

Started with `python -m benchmarks.load`; reads its order as JSON from standard input and prints its result as JSON.
"""

from __future__ import annotations

import heapq
import json
import re
import resource
import selectors
import socket
import subprocess
import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks.applicants import BROWSER, form_body
from benchmarks.installation import ROOT

PERCENTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


@dataclass
class Order:
    """What to send.

    kind: `hello` (GET /), `sign` (the form), `confirm` (the button behind the links in `tokens`), `browse` (pages),
    `fetch` (GET `paths` in turn, with `headers`, of which those with `good_status` count).
    rate: requests a second, sent when they are due whatever came back (latency counts from that moment); None: as
    fast as the connections allow. most: end after so many requests. renew_after: requests on one connection.
    acknowledged_path: receives the number of each acknowledged request, a line each.
    """

    kind: str
    ports: list[int]
    connections: int = 16
    warm_up_seconds: float = 0
    seconds: float = 10
    rate: float | None = None
    most: int | None = None
    renew_after: int = 100
    run: str = "a"
    templates: list[str] = field(default_factory=list)
    tokens_path: str | None = None
    acknowledged_path: str | None = None
    latencies_path: str | None = None
    with_signer_cookie: bool = False
    retry_tokens: bool = False
    paths: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    good_status: int = 200


@dataclass
class Result:
    """count: acknowledged within `seconds`; acknowledged: in all, warm-up too. errors: code or reason → how often.

    Latencies are those of all requests that began (with a rate: were due) within `seconds`, whenever they ended.
    """

    count: int
    acknowledged: int
    sent: int
    seconds: float
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    most_ms: float
    errors: dict[str, int]
    client_cpu_share: float


def run(order: Order) -> Result:
    """Starts the client in a process of its own and waits for it."""
    return Client(order).result()


class Client:
    """The client in a process of its own."""

    def __init__(self, order: Order) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdin
        self._process.stdin.write(json.dumps(asdict(order)).encode())
        self._process.stdin.close()

    def is_running(self) -> bool:
        """Whether it still sends."""
        return self._process.poll() is None

    def stop(self) -> Result:
        """Ends it early; what it sent is answered first."""
        self._process.terminate()
        return self.result()

    def result(self) -> Result:
        """Waits for its end."""
        assert self._process.stdout
        said = self._process.stdout.read()
        if self._process.wait() != 0:
            raise RuntimeError("The load client broke; see above.")
        return Result(**json.loads(said))


def percentile(sorted_values: Any, share: float) -> float:
    """The value below which `share` of them lie; 0 of none."""
    if not len(sorted_values):
        return 0.0
    return float(sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))])


# ── inside its process ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class _Browser:
    """What a page with a form gave: a cookie and its token."""

    cookie: str
    csrf_token: str


def _open_form(port: int) -> _Browser:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/en/sign/")
    answer = connection.getresponse()
    page = answer.read().decode()
    connection.close()
    cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    if answer.status != 200 or not cookie or not found:
        raise RuntimeError(f"No form to fill in: status {answer.status}.")
    return _Browser(cookie, found[1])


class _Plan:
    """Makes requests, and knows a good answer from a bad one."""

    good_status = b"200"
    good_place = b""

    def __init__(self, order: Order, browsers: list[_Browser]) -> None:
        self.order = order
        self.browsers = browsers
        self.sent = 0
        self._heads = [self._head(browser) for browser in browsers]

    def _head(self, browser: _Browser) -> bytes:
        cookie = browser.cookie + (f"; signer={BROWSER}" if self.order.with_signer_cookie else "")
        return (
            f" HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "
        ).encode()

    def request(self, place: int) -> tuple[bytes, int] | None:
        """The next request of the browser `place`, and its number; None when there are no more."""
        raise NotImplementedError

    def failed(self, number: int) -> None:
        """A request that came to nothing."""


class _Hello(_Plan):
    def request(self, place: int) -> tuple[bytes, int] | None:
        self.sent += 1
        return b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", self.sent


class _Browse(_Plan):
    PAGES = ("/kk/", "/ru/charter/", "/en/registry/", "/ru/registry/", "/kk/sign/", "/en/privacy/")

    def request(self, place: int) -> tuple[bytes, int] | None:
        self.sent += 1
        page = self.PAGES[self.sent % len(self.PAGES)]
        return f"GET {page} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode(), self.sent


class _Fetch(_Plan):
    def __init__(self, order: Order, browsers: list[_Browser]) -> None:
        super().__init__(order, browsers)
        self.good_status = str(order.good_status).encode()
        head = "".join(f"{line}\r\n" for line in ("Host: 127.0.0.1", *order.headers))
        self._requests = [f"GET {path} HTTP/1.1\r\n{head}\r\n".encode() for path in order.paths]

    def request(self, place: int) -> tuple[bytes, int] | None:
        self.sent += 1
        return self._requests[self.sent % len(self._requests)], self.sent


class _Sign(_Plan):
    good_status = b"303"
    good_place = b"/sign/check-mail/"

    def request(self, place: int) -> tuple[bytes, int] | None:
        self.sent += 1
        templates = self.order.templates
        body = form_body(
            templates[self.sent % len(templates)], self.sent, self.order.run, self.browsers[place].csrf_token
        )
        return b"POST /ru/sign/%b%d\r\n\r\n%b" % (self._heads[place], len(body), body), self.sent


class _Confirm(_Plan):
    """Links come from a file that may still grow; a line holds a number and a token."""

    good_status = b"303"
    good_place = b"/my/"

    def __init__(self, order: Order, browsers: list[_Browser]) -> None:
        super().__init__(order, browsers)
        assert order.tokens_path
        self._lines = Path(order.tokens_path).open("rb")  # noqa: SIM115 - open as long as the client runs
        self._again: deque[tuple[int, bytes]] = deque()
        self._open: dict[int, bytes] = {}

    def request(self, place: int) -> tuple[bytes, int] | None:
        if self._again:
            number, token = self._again.popleft()
        else:
            line = self._lines.readline()
            if not line.endswith(b"\n"):
                self._lines.seek(-len(line), 1)
                return None
            first, token = line.split()
            number = int(first)
        self.sent += 1
        if self.order.retry_tokens:
            self._open[number] = token
        body = b"code=&csrf_token=" + self.browsers[place].csrf_token.encode()
        return b"POST /ru/confirm/%b%b%d\r\n\r\n%b" % (token, self._heads[place], len(body), body), number

    def failed(self, number: int) -> None:
        """A person whose page did not come presses the button once more."""
        if number in self._open:
            self._again.append((number, self._open.pop(number)))


_PLANS = {"hello": _Hello, "browse": _Browse, "fetch": _Fetch, "sign": _Sign, "confirm": _Confirm}


@dataclass(eq=False)
class _Connection:
    place: int
    port: int
    socket: socket.socket | None = None
    began: float = 0
    number: int = 0
    used: int = 0
    is_busy: bool = False
    data: bytearray = field(default_factory=bytearray)


class _Driver:
    """The loop: every connection has at most one request on its way."""

    RETRY_SECONDS = 0.05

    def __init__(self, order: Order) -> None:
        self.order = order
        needs_form = order.kind in ("sign", "confirm")
        browsers = [
            _open_form(order.ports[place % len(order.ports)]) if needs_form else _Browser("", "")
            for place in range(order.connections)
        ]
        self.plan = _PLANS[order.kind](order, browsers)
        self.selector = selectors.DefaultSelector()
        self.connections = [
            _Connection(place, order.ports[place % len(order.ports)]) for place in range(order.connections)
        ]
        self.idle = deque(self.connections)
        self.resting: list[tuple[float, int, _Connection]] = []
        self.latencies = array("d")
        self.errors: Counter[str] = Counter()
        self.acknowledged = self.count = 0
        self.is_stopping = False
        self._acknowledged_file = (
            open(order.acknowledged_path, "ab", buffering=0) if order.acknowledged_path else None  # noqa: SIM115
        )

    def drive(self) -> Result:
        order = self.order
        self.start = time.perf_counter()
        self.measured_from = self.start + order.warm_up_seconds
        self.until = self.measured_from + order.seconds
        cpu_from = _cpu_seconds()
        due = self._due_times()
        next_due = next(due)
        give_up = self.until + 30
        while True:
            now = time.perf_counter()
            self._wake(now)
            is_over = self.is_stopping or now >= self.until or (order.most and self.plan.sent >= order.most)
            if is_over:
                if not any(one.is_busy for one in self.connections) or now > give_up:
                    break
                give_up = min(give_up, now + 30)
            wait = 0.05
            while not is_over and self.idle and next_due <= now:
                if not self._send(self.idle.popleft(), now if order.rate is None else next_due):
                    break
                next_due = next(due)
                if order.most and self.plan.sent >= order.most:
                    break
            if not is_over and self.idle and order.rate is not None:
                wait = min(wait, max(0.0, next_due - time.perf_counter()))
            if self.resting:
                wait = min(wait, max(0.0, self.resting[0][0] - time.perf_counter()))
            for key, _ in self.selector.select(wait):
                self._receive(key.data)
        ended = time.perf_counter()
        for connection in self.connections:
            if connection.is_busy:
                self._fail(connection, "no answer")
            self._drop(connection)
        seconds = max(min(ended, self.until) - self.measured_from, 1e-9)
        ordered = sorted(self.latencies)
        if order.latencies_path:
            with open(order.latencies_path, "wb") as target:
                self.latencies.tofile(target)
        return Result(
            count=self.count,
            acknowledged=self.acknowledged,
            sent=self.plan.sent,
            seconds=round(seconds, 3),
            per_second=round(self.count / seconds, 1),
            most_ms=round(ordered[-1] * 1000, 2) if ordered else 0.0,
            errors=dict(self.errors),
            client_cpu_share=round((_cpu_seconds() - cpu_from) / (ended - self.start), 3),
            **{name: round(percentile(ordered, share) * 1000, 2) for name, share in PERCENTILES.items()},
        )

    def _due_times(self) -> Iterator[float]:
        place = 0
        while True:
            yield self.start if self.order.rate is None else self.start + place / self.order.rate
            place += 1

    def _send(self, connection: _Connection, began: float) -> bool:
        made = self.plan.request(connection.place)
        if made is None:
            self._rest(connection)
            return False
        data, connection.number = made
        connection.began = began
        connection.is_busy = True
        try:
            if connection.socket is None:
                fresh = socket.create_connection(("127.0.0.1", connection.port), timeout=10)
                fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.selector.register(fresh, selectors.EVENT_READ, connection)
                connection.socket = fresh
                connection.used = 0
            connection.socket.sendall(data)
        except OSError as error:
            self._fail(connection, type(error).__name__)
        return True

    def _receive(self, connection: _Connection) -> None:
        assert connection.socket
        try:
            data = connection.socket.recv(65536)
        except OSError as error:
            data = b""
            if connection.is_busy:
                self._fail(connection, type(error).__name__)
                return
        if not data:
            if connection.is_busy:
                self._fail(connection, "closed without an answer")
            else:
                self._drop(connection)
            return
        connection.data += data
        head_end = connection.data.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = bytes(connection.data[:head_end])
        lower = head.lower()
        place = lower.find(b"content-length:")
        length = int(lower[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
        if len(connection.data) < head_end + 4 + length:
            return
        connection.data.clear()
        self._answered(connection, head, lower)

    def _answered(self, connection: _Connection, head: bytes, lower: bytes) -> None:
        now = time.perf_counter()
        connection.is_busy = False
        status = head[9:12]
        if status == self.plan.good_status and self.plan.good_place in lower:
            self.acknowledged += 1
            if self._acknowledged_file:
                self._acknowledged_file.write(b"%d\n" % connection.number)
            if self.measured_from <= now <= self.until:
                self.count += 1
            if self.measured_from <= connection.began <= self.until:
                self.latencies.append(now - connection.began)
        else:
            self.errors[status.decode("ascii", "replace")] += 1
            if status[:1] == b"5":
                self.plan.failed(connection.number)
        connection.used += 1
        if connection.used >= self.order.renew_after or b"connection: close" in lower:
            self._drop(connection)
        self.idle.append(connection)

    def _fail(self, connection: _Connection, reason: str) -> None:
        self.errors[reason] += 1
        connection.is_busy = False
        self.plan.failed(connection.number)
        self._drop(connection)
        self._rest(connection)

    def _rest(self, connection: _Connection) -> None:
        heapq.heappush(self.resting, (time.perf_counter() + self.RETRY_SECONDS, connection.place, connection))

    def _wake(self, now: float) -> None:
        while self.resting and self.resting[0][0] <= now:
            self.idle.append(heapq.heappop(self.resting)[2])

    def _drop(self, connection: _Connection) -> None:
        if connection.socket is not None:
            self.selector.unregister(connection.socket)
            connection.socket.close()
            connection.socket = None
        connection.data.clear()


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _main() -> None:
    import signal

    driver = _Driver(Order(**json.load(sys.stdin)))

    def stop(*_: object) -> None:
        driver.is_stopping = True

    signal.signal(signal.SIGTERM, stop)
    print(json.dumps(asdict(driver.drive())))


if __name__ == "__main__":
    _main()
