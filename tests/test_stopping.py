"""Stopping and replacing real processes under load: what was begun is finished, nothing acknowledged is lost."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from tests.crowd import Crowd
from tests.service import ROOT, STOP_SECONDS, Service, clean_environment, free_port, parent_of, processes_of

pytestmark = pytest.mark.xdist_group("launch")

NO_LIMITS = (
    "CHARTER_SIGNINGS_PER_MAILBOX_HOUR",
    "CHARTER_SIGNINGS_PER_NETWORK_HOUR",
    "CHARTER_SIGNINGS_PER_DOMAIN_HOUR",
    "CHARTER_SIGNINGS_PER_MINUTE",
    "CHARTER_PROOF_OF_WORK_FROM",
)


class Database:
    """The database of a running service, looked at and held up from outside."""

    def __init__(self, instance: Path, url: str | None) -> None:
        # One machine that signs as fast as it can is what limits are for.
        self.environ = dict.fromkeys(NO_LIMITS, "0") | ({"CHARTER_DATABASE_URL": url} if url else {})
        self._file = instance / "charter.db"
        self._url = url and make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)

    def column(self, statement: str) -> list[object]:
        """The first value of each row."""
        if self._url:
            with psycopg.connect(self._url) as remote:
                return [row[0] for row in remote.execute(statement).fetchall()]
        with closing(sqlite3.connect(self._file)) as local:
            return [row[0] for row in local.execute(statement).fetchall()]

    def stop_between_changes(self, process_id: int) -> None:
        """The process stands still from now on, and holds no lock of SQLite's that others would wait for as long."""
        give_up = time.monotonic() + 60
        while True:
            os.kill(process_id, signal.SIGSTOP)
            with closing(sqlite3.connect(self._file, isolation_level=None, timeout=1)) as local:
                try:
                    local.execute("BEGIN IMMEDIATE")
                    local.execute("ROLLBACK")
                except sqlite3.OperationalError:
                    assert time.monotonic() < give_up
                else:
                    return
            os.kill(process_id, signal.SIGCONT)
            time.sleep(0.1)

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Nobody else can write a signature meanwhile."""
        if self._url:
            with psycopg.connect(self._url) as remote:
                remote.execute("LOCK TABLE signature IN EXCLUSIVE MODE")
                yield
        else:
            with closing(sqlite3.connect(self._file, isolation_level=None)) as local:
                local.execute("BEGIN IMMEDIATE")
                yield
                local.execute("ROLLBACK")


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    return tmp_path / "instance"


@pytest.fixture
def database(engine_name: str, instance: Path, request: pytest.FixtureRequest) -> Database:
    """Of either engine."""
    url = request.getfixturevalue("postgres_database") if engine_name == "postgresql" else None
    return Database(instance, url)


@pytest.fixture
def without_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under systemd: there, SIGHUP does not mean that somebody closed a window."""
    start = subprocess.Popen

    def started(*arguments: object, **options: object) -> subprocess.Popen[str]:
        return start(*arguments, **(options | {"start_new_session": True}))  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(subprocess, "Popen", started)


def web_processes(service: Service) -> list[int]:
    """Those that answer: children of the web server."""
    server = service.children()["web server"]
    return [process_id for process_id in processes_of(service.instance) if parent_of(process_id) == server]


def has_loaded(process_id: int) -> bool:
    """Whether it got as far as beginning threads, which comes last."""
    return len(list(Path(f"/proc/{process_id}/task").iterdir())) > 1


def wait_until(what: Callable[[], object], seconds: float = 60) -> None:
    """Returns when it is so."""
    give_up = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def assert_stored(database: Database, crowd: Crowd) -> None:
    """Everybody who was told so stands in the database once, with a mail to come or sent, and with a history."""
    assert len(crowd.told) > 20
    assert set(crowd.told) <= set(database.column("SELECT mailbox FROM signature"))
    mailed = "SELECT s.mailbox FROM signature s JOIN message m ON m.signature_id = s.id"
    assert set(crowd.told) <= set(database.column(mailed))
    assert database.column("SELECT signature_id FROM signature_event GROUP BY 1 HAVING count(*) > 1") == []


# ── stopping ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_being_stored_when_the_signal_comes_is_stored_and_answered(instance: Path, database: Database) -> None:
    with Service(instance, environ=database.environ) as service:
        with database.held_up():
            crowd = Crowd(service.port, size=1, pages=False)
            crowd.__enter__()
            wait_until(lambda: crowd.asked)
            time.sleep(0.3)  # the request is on its way to the lock: nothing can be seen of that from outside
            stopping = threading.Thread(target=service.stop, args=(signal.SIGTERM,))
            stopping.start()
            time.sleep(1.5)
        stopping.join()
        crowd.__exit__(None, None, None)
        assert service.process.returncode == 0
    assert crowd.answers["signed"] == 1
    assert crowd.told[0] in database.column("SELECT mailbox FROM signature")


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_second_signal_ends_it_at_once(instance: Path, database: Database) -> None:
    with Service(instance) as service, database.held_up(), Crowd(service.port, size=1, pages=False) as crowd:
        wait_until(lambda: crowd.asked)
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        _, seconds = service.stop(signal.SIGTERM)
        assert seconds < 2
        wait_until(lambda: not processes_of(instance), 5)
    assert not crowd.told


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_mail_server_that_hangs_holds_up_neither_the_end_nor_the_mails_behind(
    instance: Path, database: Database
) -> None:
    with Service(instance) as service, Crowd(service.port, size=2) as crowd:
        database.stop_between_changes(service.children()["worker"])
        crowd.wait_for(5)
        os.kill(service.process.pid, signal.SIGKILL)
    wait_until(lambda: not processes_of(instance) or _continue(instance))
    with socket.create_server(("127.0.0.1", 0)) as server:
        environ = clean_environment(instance) | {
            "CHARTER_SMTP_HOST": "127.0.0.1",
            "CHARTER_SMTP_PORT": str(server.getsockname()[1]),
            "CHARTER_SMTP_SECURITY": "none",
        }
        worker = subprocess.Popen([sys.executable, "-m", "charter", "worker"], cwd=ROOT, env=environ)
        try:
            connection, _ = server.accept()
            waiting = "SELECT count(*) FROM message WHERE done_at IS NULL AND leased_until IS NOT NULL"
            wait_until(lambda: database.column(waiting)[0])
            begun = time.monotonic()
            worker.terminate()
            assert worker.wait(timeout=STOP_SECONDS) == 0
            assert time.monotonic() - begun < STOP_SECONDS
            connection.close()
        finally:
            worker.kill()
            worker.wait()
    # At most the one that was being offered is still held, by a lease that ends by itself.
    assert database.column(waiting)[0] in {0, 1}
    assert database.column("SELECT count(*) FROM message WHERE done_at IS NULL")[0] >= 5  # type: ignore[operator]


def _continue(instance: Path) -> bool:
    for process_id in processes_of(instance):
        os.kill(process_id, signal.SIGCONT)
    return False


# ── replacing ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("without_terminal")
def test_replaced_under_load_no_request_is_lost_and_stopped_none_that_was_acknowledged(
    instance: Path, database: Database
) -> None:
    with Service(instance, environ=database.environ) as service:
        before = service.children()
        with Crowd(service.port) as crowd:
            crowd.wait_for(10)
            service.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "Web server and worker were replaced.\n" in service.output)
            crowd.wait_for(10)
            # The processes of one web server also follow each other.
            answering = web_processes(service)
            os.kill(service.children()["web server"], signal.SIGHUP)
            wait_until(lambda: web_processes(service) and not set(answering) & set(web_processes(service)))
            crowd.wait_for(10)
            assert crowd.complaints == {}
            assert not set(before.values()) & set(service.children().values())
            code, seconds = service.stop(signal.SIGTERM)
        assert code == 0, service.output[-2000:]
        assert seconds < STOP_SECONDS
        # After it had stopped nobody was there; before, everybody who was answered was answered well.
        assert set(crowd.complaints) <= {"refused", "closed"}, crowd.answers
        assert "Traceback" not in service.output
    assert_stored(database, crowd)


@pytest.mark.usefixtures("without_terminal")
def test_a_web_process_that_is_killed_is_followed_by_another(instance: Path) -> None:
    with Service(instance, environ={"CHARTER_WEB_WORKERS": "2"}) as service:
        with Crowd(service.port, size=4) as crowd:
            crowd.wait_for(10)
            first, second = web_processes(service)
            os.kill(first, signal.SIGKILL)
            crowd.wait_for(10)
            wait_until(lambda: len(set(web_processes(service)) - {first, second}) == 1)
            crowd.wait_for(10)
        assert set(crowd.complaints) <= {"closed", "broken"}
        assert sum(crowd.complaints.values()) <= 4
        # The new one has its settings before they are spoilt: what dies as soon as it begins ends the whole service.
        wait_until(lambda: all(map(has_loaded, web_processes(service))))
        # What cannot start anew is not put in the place of what runs …
        (instance / "charter.toml").write_text("web_threads = 0\n")
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "Nothing was replaced" in service.output)
        assert service.get("/healthz")[0] == 200
        # … and when nothing is left that could run, whoever supervises us gets to know.
        for process_id in web_processes(service):
            os.kill(process_id, signal.SIGKILL)
        assert service.wait() == 1
        assert "The web server ended by itself (exit code 1); everything was stopped.\n" in service.output


#: What systemd does between fork and exec.
HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_a_socket_that_somebody_else_holds_open_waits_through_a_restart(instance: Path) -> None:
    environ = clean_environment(instance)
    subprocess.run(
        [sys.executable, "-m", "flask", "--app", "charter", "prepare"], cwd=ROOT, env=environ, check=True, timeout=60
    )
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
    ):
        systemd.bind("\0" + f"charter-{os.getpid()}")
        systemd.settimeout(30)
        port = listener.getsockname()[1]
        environ |= {
            "CHARTER_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "LISTEN_FDS": "1",
            "NOTIFY_SOCKET": f"@charter-{os.getpid()}",
        }

        def start() -> subprocess.Popen[bytes]:
            command = [sys.executable, "-c", HAND_OVER, str(listener.fileno()), sys.executable, "-m", "charter", "web"]
            return subprocess.Popen(command, cwd=ROOT, env=environ, pass_fds=[listener.fileno()])

        for _ in range(2):
            # Asked before anybody is there to answer.
            with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                server = start()
                try:
                    assert client.recv(1000).startswith(b"HTTP/1.1 200")
                    assert systemd.recv(100) == b"READY=1"
                    server.terminate()
                    assert systemd.recv(100) == b"STOPPING=1"
                    assert server.wait(timeout=STOP_SECONDS) == 0
                finally:
                    server.kill()
                    server.wait()


def test_a_number_that_is_no_listening_socket_is_refused_in_one_sentence(instance: Path) -> None:
    with socket.socket() as other:
        done = subprocess.run(
            [sys.executable, "-m", "charter", "web", "--fd", str(other.fileno())],
            cwd=ROOT,
            env=clean_environment(instance) | {"CHARTER_BIND_PORT": str(free_port())},
            pass_fds=[other.fileno()],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("The socket with the number")
    assert "Traceback" not in done.stderr
