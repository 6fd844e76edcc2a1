"""A small witness as C2SP tlog-witness has it, for the tests: it keeps what it has seen, and misbehaves when told to.

It shares no code with the one who asks, apart from signed notes and the hashing of the tree.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from charter.log_key import verify
from charter.tlog import note, tree


class Witness:
    """A witness of one log. logs: the vkeys of its keys; without any, the first one that comes is believed.

    seen: (size, root) last cosigned. mood: how it behaves; see `Handler`. asked: the sizes and old sizes it was sent.
    """

    def __init__(self, name: str, logs: tuple[str, ...] = ()) -> None:
        self.name = name
        self.logs = [note.parse_key(one) for one in logs]
        self.seed = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
        self.key = note.Key(name, note.COSIGNATURE, self.seed.public_key().public_bytes_raw())
        self.seen: tuple[int, bytes] = (0, tree.EMPTY_ROOT)
        self.mood = "well"
        self.asked: list[tuple[int, int]] = []
        self.statuses: list[int] = []
        self.clock_offset_seconds = 0
        #: While set, a slow witness holds its answer back.
        self.hold = threading.Event()
        self.port = 0
        self._lock = threading.Lock()

    @property
    def setting(self) -> str:
        """As it stands in the settings."""
        return f"{self.key.text} http://127.0.0.1:{self.port}/sub"

    def forget(self) -> None:
        """As after a restored disk."""
        self.seen = (0, tree.EMPTY_ROOT)

    def answer(self, body: bytes) -> tuple[int, str, bytes]:
        """(status, content type, body) to an add-checkpoint."""
        head, _, text = body.decode().partition("\n\n")
        first, *lines = head.split("\n")
        word, _, digits = first.partition(" ")
        if word != "old" or len(lines) > 63:
            return 400, "text/plain", b"form\n"
        old, proof = int(digits), [base64.b64decode(line, validate=True) for line in lines]
        checkpoint, signatures = note.read(text)
        self.asked.append((old, checkpoint.size))
        if self.logs:
            if checkpoint.origin != self.logs[0].name:
                return 404, "text/plain", b"origin\n"
            message = checkpoint.body.encode()
            if not any(
                one.key_id == key.id and verify(key.public, one.value, message)
                for one in signatures
                for key in self.logs
            ):
                return 403, "text/plain", b"key\n"
        if old > checkpoint.size:
            return 400, "text/plain", b"old\n"
        with self._lock:
            size, root = self.seen
            if old != size:
                return 409, "text/x.tlog.size", f"{size}\n".encode()
            if old == checkpoint.size and checkpoint.root != root:
                return 409, "text/x.tlog.size", f"{size}\n".encode()
            try:
                tree.check_consistency(old, checkpoint.size, proof, root, checkpoint.root)
            except tree.ProofError:
                return 422, "text/plain", b"proof\n"
            self.seen = checkpoint.size, checkpoint.root
        return 200, "text/plain; charset=utf-8", self.cosigned(checkpoint).line.encode()

    def cosigned(self, checkpoint: note.Checkpoint) -> note.Signature:
        """Its signature over any checkpoint at all."""
        at = int(time.time()) + self.clock_offset_seconds
        signature = self.seed.sign(f"cosignature/v1\ntime {at}\n{checkpoint.body}".encode())
        return note.Signature(self.name, self.key.id, struct.pack(">Q", at) + signature)

    def lie(self, checkpoint: note.Checkpoint, lines: bytes) -> tuple[int, bytes]:
        """What a hostile one says instead of the truth: (status, body)."""
        stranger = Witness(self.name + "x")
        forged = note.Signature(self.name, self.key.id, struct.pack(">Q", int(time.time())) + bytes(64))
        other = note.Checkpoint(checkpoint.origin, checkpoint.size + 1, checkpoint.root)
        return {
            "refuses": (503, b"closed\n"),
            "unknown": (404, b""),
            "redirects": (307, b""),
            "foreign": (200, stranger.cosigned(checkpoint).line.encode()),
            "forged": (200, forged.line.encode()),
            "of another": (200, self.cosigned(other).line.encode()),
            "nonsense": (200, b"\xff\xfe\x00"),
            "empty": (200, b""),
            "two kinds": (200, note.Signature(self.name, b"mlds", bytes(8 + 2420)).line.encode() + lines),
            "huge": (200, lines + b"x" * 10_000_000),
            "wrong size": (409, b"many\n"),
            "no proof": (422, b""),
            "longer": (409, b"999999\n"),
            "undecided": (409, f"{len(self.asked) % 2}\n".encode()),
        }[self.mood]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    #: Or closing would wait for those that hang on purpose.
    block_on_close = False

    def handle_error(self, _request: Any, _client: Any) -> None:
        """Silent: who asks hangs up on a witness that is slow."""


@contextmanager
def running(*witnesses: Witness) -> Iterator[None]:
    """Each on a port of its own, as long as the context lasts."""
    servers = []
    for one in witnesses:
        server = _Server(("127.0.0.1", one.port), _handler(one))
        one.port = server.server_port
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
    try:
        yield
    finally:
        for one, server in zip(witnesses, servers, strict=True):
            one.hold.set()
            server.shutdown()
            server.server_close()


def _handler(one: Witness) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != "/sub/add-checkpoint":
                self.send_error(404)
                return
            if one.mood == "silent":
                one.hold.wait(30)
                return
            if one.mood == "slow":
                one.hold.wait(30)
            status, content_type, answer = one.answer(body)
            if one.mood == "breaks off":
                # It has signed and kept, and nobody hears of it.
                self.connection.close()
                return
            if one.mood not in {"well", "slow", "drips", "drips head"}:
                status, answer = one.lie(note.read(body.decode().partition("\n\n")[2])[0], answer)
                content_type = "text/x.tlog.size" if status == 409 else "text/plain"
            one.statuses.append(status)
            if one.mood == "drips head":
                self._drip(b"HTTP/1.0 200 OK\r\nX-A: " + b"a" * 5000)
                return
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            if one.mood == "redirects":
                self.send_header("Location", f"http://127.0.0.1:{one.port}/sub/add-checkpoint")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            if one.mood == "drips":
                self._drip(answer)
            else:
                self.wfile.write(answer)

        def _drip(self, data: bytes) -> None:
            for place in range(len(data)):
                self.wfile.write(data[place : place + 1])
                if one.hold.wait(0.2):
                    return

        def log_message(self, *_args: Any) -> None:
            """Silent."""

    return Handler
