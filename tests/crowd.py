"""People at real connections, all at once, who keep them open and remember exactly what they were told."""

from __future__ import annotations

import http.client
import re
import threading
import time
import urllib.request
from collections import Counter
from types import TracebackType
from urllib.parse import urlencode

from tests.people import ANSWERS

LETTERS = "абвгдежзик"


class Crowd:
    """`size` people, each on a connection of their own: they read a page, sign, read, sign … until told to leave.

    told: addresses of those who were told that their signature is stored. answers: how often which thing happened:
    `page`, `signed`, or what went wrong: `refused` (no connection), `closed` (before any byte of an answer), `broken`
    (in the middle of one), or a status.
    """

    def __init__(self, port: int, size: int = 8, *, run: str = "crowd", path: str = "/en/", pages: bool = True) -> None:
        self._port = port
        self._run = run
        self._path = path
        self._pages = pages
        self._leave = threading.Event()
        self._lock = threading.Lock()
        self.asked = 0
        self.told: list[str] = []
        self.answers: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._visit, args=(place,)) for place in range(size)]

    def __enter__(self) -> Crowd:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/ru/sign/", timeout=20) as answer:
            page = answer.read().decode()
            self._cookie = "; ".join(one.partition(";")[0] for one in answer.headers.get_all("Set-Cookie") or [])
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
        assert found
        self._token = found[1]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._leave.set()
        for thread in self._threads:
            thread.join(timeout=20)

    def wait_for(self, signed: int, *, seconds: float = 60) -> None:
        """Returns once so many more were told that they signed."""
        wanted, give_up = len(self.told) + signed, time.monotonic() + seconds
        while len(self.told) < wanted:
            assert time.monotonic() < give_up, self.answers
            time.sleep(0.01)

    @property
    def complaints(self) -> dict[str, int]:
        """Everything but pages and signatures."""
        return {what: count for what, count in self.answers.items() if what not in {"page", "signed"}}

    def _visit(self, place: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        number = 0
        while not self._leave.is_set():
            number += 1
            address = f"{self._run}{place}n{number}@example.org"
            reads = self._pages and number % 2
            self.asked += 1
            what = self._one(connection, None if reads else address, number * 100 + place)
            with self._lock:
                self.answers[what] += 1
                if what == "signed":
                    self.told.append(address)
            if what not in {"page", "signed"}:
                connection.close()
                time.sleep(0.02)
        connection.close()

    def _one(self, connection: http.client.HTTPConnection, address: str | None, number: int) -> str:
        try:
            if connection.sock is None:
                connection.connect()
        except OSError:
            return "refused"
        try:
            if address is None:
                connection.request("GET", self._path)
            else:
                word = "".join(LETTERS[int(digit)] for digit in str(number)).capitalize()
                answers = ANSWERS | {"full_name": f"{word} Көпшілік", "email": address, "csrf_token": self._token}
                headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": self._cookie}
                connection.request("POST", "/ru/sign/", urlencode(answers), headers)
            answer = connection.getresponse()
        except OSError:
            # Also RemoteDisconnected: not one byte came back.
            return "closed"
        except http.client.HTTPException:
            return "broken"
        try:
            answer.read()
        except (OSError, http.client.HTTPException):
            return "broken"
        if address is None:
            return "page" if answer.status == 200 else str(answer.status)
        is_stored = answer.status == 303 and (answer.headers["Location"] or "").endswith("/sign/check-mail/")
        return "signed" if is_stored else str(answer.status)
