"""Files over real connections: the server waits for slow readers, and hears when they leave."""

from __future__ import annotations

import hashlib
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from charter import create_app
from charter.models.base import db
from tests.conftest import make_settings
from tests.service import Service
from tests.web.filed import enter, multiply

ENTRIES = 80_000
PATH = "/registry.csv"


@pytest.fixture(scope="module")
def service(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """More entries than fit between a server and a client who does not read; and one place."""
    instance = tmp_path_factory.mktemp("served") / "instance"
    shutil.copytree(sqlite_template, instance)
    app = create_app(make_settings(instance))
    enter(app, [{}])
    multiply(app, ENTRIES - 1)
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    with Service(instance, environ={"CHARTER_DOWNLOADS_AT_ONCE": "1"}) as started:
        yield started


def status(service: Service, method: str = "GET") -> int:
    """Of the file, which is read to its end."""
    request = urllib.request.Request(service.url + PATH, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def begin(service: Service) -> socket.socket:
    """Somebody who asks for the file and reads no more than its beginning."""
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=20)
    connection.sendall(f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert connection.recv(12) == b"HTTP/1.1 200"
    return connection


def until_free(service: Service) -> None:
    """Waits until the one place is free again."""
    give_up = time.monotonic() + 20
    while status(service) != 200:
        assert time.monotonic() < give_up, "the place was not given back"
        time.sleep(0.05)


def test_a_reader_that_leaves_frees_the_place_and_the_service_goes_on(service: Service) -> None:
    with begin(service):
        assert status(service) == 503
        assert status(service, "HEAD") == 200
        assert service.get("/ru/registry/")[0] == 200
    until_free(service)


def test_a_whole_file_comes_in_pieces_and_begins_at_once(service: Service) -> None:
    until_free(service)
    digests = set()
    for _ in range(2):
        began = time.monotonic()
        with urllib.request.urlopen(service.url + PATH, timeout=20) as answer:
            first = answer.read(7)
            first_after = time.monotonic() - began
            assert answer.headers["Transfer-Encoding"] == "chunked"
            body = first + answer.read()
        assert body.startswith(b"number,")
        assert body.count(b"\r\n") == ENTRIES + 1
        assert first_after < 2
        digests.add(hashlib.sha256(body).hexdigest())
    assert len(digests) == 1
