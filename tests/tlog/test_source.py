"""Reading a log over http: as from a folder, and whatever the other side does ends in a sentence."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from charter.tlog import source, verify
from tests.tlog.history import VKEY, History


class _Handler(SimpleHTTPRequestHandler):
    """Files of a folder; `moods` says what goes wrong with a path, and how many times."""

    moods: dict[str, tuple[str, int]] = {}  # noqa: RUF012
    asked: Counter[str] = Counter()  # noqa: RUF012
    agents: set[str] = set()  # noqa: RUF012

    def log_message(self, *_args: Any) -> None:
        """Silent."""

    def do_GET(self) -> None:
        _Handler.asked[self.path] += 1
        _Handler.agents.add(self.headers["User-Agent"])
        mood, times = _Handler.moods.get(self.path, ("", 0))
        if _Handler.asked[self.path] > times:
            super().do_GET()
        elif mood == "endless":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x" * 1_000_000)
            except OSError:
                return
        elif mood == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(b"x")
        elif mood == "elsewhere":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
        elif mood == "gone":
            self.connection.close()
        else:
            self.send_error(int(mood))


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a folder with some 640 leaves."""
    history = History()
    history.sign_up(320)
    history.write(tmp_path)
    monkeypatch.setattr(source, "PAUSES_SECONDS", (0.0, 0.0))
    _Handler.moods, _Handler.asked, _Handler.agents = {}, Counter(), set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def run(base: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = verify.main(["--vkey", VKEY, "--base", base])
    said = capsys.readouterr()
    assert said.err == ""
    return code, said.out


def test_a_log_is_proved_over_http(served: str, capsys: pytest.CaptureFixture[str]) -> None:
    for base in (served, served + "/", served + "/log", served + "/log/"):
        assert run(base, capsys)[0] == 0
    assert _Handler.agents == {"charter-verify/1"}
    assert max(_Handler.asked.values()) == 4, "each file is asked for once"


@pytest.mark.parametrize(
    ("path", "mood", "times", "code", "words"),
    [
        ("/log/tile/entries/001", "503", 2, 0, "as it has to be"),
        ("/log/tile/entries/001", "cut", 2, 0, "as it has to be"),
        ("/log/registry.ndjson", "cut", 1, 0, "as it has to be"),
        ("/log/checkpoint", "gone", 1, 0, "as it has to be"),
        ("/log/checkpoint", "503", 9, 2, "log/checkpoint: status 503"),
        ("/log/checkpoint", "404", 9, 2, "There is no log/checkpoint"),
        ("/log/checkpoint", "403", 9, 2, "log/checkpoint: status 403"),
        ("/log/checkpoint", "elsewhere", 9, 2, "log/checkpoint: status 302"),
        ("/log/checkpoint", "endless", 9, 1, "log/checkpoint is larger"),
        ("/log/tile/0/001", "endless", 9, 1, "log/tile/0/001 is larger"),
        ("/log/registry.ndjson", "endless", 9, 1, "log/registry.ndjson is larger"),
        ("/log/registry.ndjson", "410", 9, 2, "There is no log/registry.ndjson"),
        ("/log/tile/entries/002.p/129", "410", 9, 2, "there is no log/tile/entries/002.p/129"),
        ("/charter/specimen-1/kk.txt", "cut", 9, 2, "charter/specimen-1/kk.txt"),
    ],
)
def test_whatever_the_other_side_does_is_said(
    served: str, capsys: pytest.CaptureFixture[str], path: str, mood: str, times: int, code: int, words: str
) -> None:
    _Handler.moods[path] = mood, times
    found, said = run(served, capsys)
    assert found == code, said
    assert words in said


def test_where_nobody_answers_it_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PAUSES_SECONDS", ())
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        port = server.server_port
    code, said = run(f"http://127.0.0.1:{port}", capsys)
    assert code == 2
    assert "Could not be read" in said
    assert run("http://[", capsys)[0] == 2
