"""A mail server that keeps nothing but the fact: who got which Message-ID. `python -m benchmarks.sink PORT FILE MODE`.

It accepts as fast as it can, so that what is measured is the worker. A line of the file is written before the mail is
acknowledged: recipient, Message-ID, seconds since 1970.
"""

from __future__ import annotations

import asyncio
import os
import re
import smtplib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.installation import ROOT
from benchmarks.processes import Running, free_port, start, wait_for_port

#: accept: takes every mail · later: "451" to every recipient · hang: accepts the connection and never says a word.
MODES = ("accept", "later", "hang")
_MESSAGE_ID = re.compile(rb"^Message-ID:\s*<([^>]+)>", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Received:
    """One mail as it arrived."""

    recipient: str
    message_id: str
    at: float

    @property
    def uid(self) -> str:
        """The left part of the Message-ID: `message.uid`."""
        return self.message_id.partition("@")[0]


def received(path: Path) -> list[Received]:
    """Everything the sink has written so far."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
    return [Received(to, uid, float(at)) for to, uid, at in (line.split(" ") for line in lines)]


@contextmanager
def sinking(folder: Path, *, mode: str = "accept") -> Iterator[tuple[Running, Path]]:
    """A sink in a process of its own; yields it (with its port) and the file it writes."""
    port = free_port()
    path = folder / f"received-{port}"
    command = [sys.executable, "-m", "benchmarks.sink", str(port), str(path), mode]
    running = start("other", command, os.environ | {"PYTHONPATH": str(ROOT)}, folder / "sink.log", port)
    try:
        wait_for_port(running)
        yield running, path
    finally:
        running.stop()


def settings_for(port: int) -> dict[str, object]:
    """Of a worker that sends there."""
    return {
        "mail_transport": "smtp",
        "smtp_host": "127.0.0.1",
        "smtp_port": port,
        "smtp_security": "none",
    }


def ceiling(port: int, seconds: float) -> float:
    """Mails a second that one connection of smtplib gets rid of here when it does nothing else."""
    text = "From: a@example.org\r\nTo: b@example.org\r\nSubject: x\r\nMessage-ID: <x@example.org>\r\n\r\n"
    mail = (text + "A line of some length, as mails have them.\r\n" * 100).encode()
    count = 0
    with smtplib.SMTP("127.0.0.1", port) as connection:
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            connection.sendmail("a@example.org", ["b@example.org"], mail)
            count += 1
        return round(count / (time.perf_counter() - began), 1)


class _Server(asyncio.Protocol):
    """RFC 5321, as much of it as smtplib needs."""

    def __init__(self, descriptor: int, mode: str) -> None:
        self.descriptor = descriptor
        self.mode = mode
        self.buffer = bytearray()
        self.recipient = b""
        self.is_data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.mode != "hang":
            transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        if self.mode == "hang":
            return
        self.buffer += data
        while True:
            end = self.buffer.find(b"\r\n.\r\n" if self.is_data else b"\r\n")
            if end < 0:
                return
            if self.is_data:
                self._take(bytes(self.buffer[:end]))
                del self.buffer[: end + 5]
            else:
                line = bytes(self.buffer[:end])
                del self.buffer[: end + 2]
                self._command(line)

    def _command(self, line: bytes) -> None:
        verb = line[:4].upper()
        answer = b"250 ok\r\n"
        if verb == b"EHLO":
            answer = b"250-sink\r\n250 8BITMIME\r\n"
        elif verb == b"RCPT":
            self.recipient = line.partition(b"<")[2].partition(b">")[0]
            if self.mode == "later":
                answer = b"451 later\r\n"
        elif verb == b"DATA":
            self.is_data = True
            answer = b"354 go on\r\n"
        elif verb == b"QUIT":
            self.transport.write(b"221 bye\r\n")
            self.transport.close()
            return
        self.transport.write(answer)

    def _take(self, mail: bytes) -> None:
        self.is_data = False
        found = _MESSAGE_ID.search(mail)
        message_id = found[1] if found else b"-"
        os.write(self.descriptor, b"%b %b %.6f\n" % (self.recipient, message_id, time.time()))
        self.transport.write(b"250 ok\r\n")


async def _serve(port: int, path: str, mode: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Server(descriptor, mode), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
