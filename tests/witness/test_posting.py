"""One request: encrypted to whom it should be, led nowhere else, and over in time."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from charter.witnessing.posting import PostError, post


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1, signed by itself; with its key in one file."""
    seed = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "witness")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, seed.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(seed, SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "witness.pem"
    key = seed.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key)
    return path


@contextmanager
def listening(answer: bytes, certificate: Path | None = None, *, pause_seconds: float = 0.0) -> Iterator[int]:
    """A server that says this to the first who comes, a byte at a time if told to; the port."""
    server = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        try:
            opened, _ = server.accept()
            if certificate is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(certificate)
                opened = context.wrap_socket(opened, server_side=True)
            with opened:
                received = opened.recv(65536)
                if not pause_seconds:
                    # Whoever hangs up on what was not read yet takes their own answer back.
                    while b"old 0" not in received:
                        received += opened.recv(65536)
                    opened.sendall(answer)
                    return
                for place in range(len(answer)):
                    opened.sendall(answer[place : place + 1])
                    if over.wait(pause_seconds):
                        return
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        over.set()
        # Whoever still waits for somebody to come does not notice the closing.
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


HELLO = b"HTTP/1.1 200 OK\r\nContent-Type: Text/Plain; charset=utf-8\r\nContent-Length: 3\r\n\r\nyes"


def refused(url: str, *, seconds: float = 15.0) -> str:
    with pytest.raises(PostError) as caught:
        post(url, b"old 0\n", seconds=seconds)
    return caught.value.code


def test_an_answer_is_told_with_its_type(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    for cert, scheme in ((None, "http"), (certificate, "https")):
        with listening(HELLO, cert) as port:
            found = post(f"{scheme}://127.0.0.1:{port}/x", b"old 0\n", seconds=15.0)
        assert (found.status, found.content_type, found.body) == (200, "text/plain", b"yes")


def test_a_certificate_that_nobody_vouches_for_ends_it(certificate: Path) -> None:
    with listening(HELLO, certificate) as port:
        assert refused(f"https://127.0.0.1:{port}/") == "certificate"


def test_a_byte_at_a_time_ends_when_the_time_is_over_encrypted_or_not(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    endless = HELLO.replace(b": 3", b": 9999") + b"x" * 9999
    for cert, scheme in ((None, "http"), (certificate, "https")):
        with listening(endless, cert, pause_seconds=0.01) as port:
            began = time.monotonic()
            assert refused(f"{scheme}://127.0.0.1:{port}/", seconds=0.5) == "time"
            assert time.monotonic() - began < 8


def test_a_server_that_never_shakes_hands_ends_as_well() -> None:
    with listening(b"\x16" * 9999, pause_seconds=0.01) as port:
        began = time.monotonic()
        assert refused(f"https://127.0.0.1:{port}/", seconds=0.5) in {"time", "connection"}
        assert time.monotonic() - began < 8


def test_nobody_there_and_words_that_are_no_http_are_a_failed_connection() -> None:
    with listening(b"") as port:
        pass
    assert refused(f"http://127.0.0.1:{port}/") == "connection"
    for words in (
        b"",
        b"what?\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 2000,
        b"HTTP/1.1 200 " + b"k" * 100_000,
    ):
        with listening(words) as port:
            assert refused(f"http://127.0.0.1:{port}/") == "connection"


def test_no_proxy_stands_between_us_and_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with listening(HELLO) as port:
        assert post(f"http://127.0.0.1:{port}/", b"old 0\n", seconds=15.0).status == 200
