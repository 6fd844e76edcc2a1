"""`charter run` starts web server and worker together, stops both, keeps what it had, and says why it cannot."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from charter import launch
from tests.service import ROOT, STOP_SECONDS, Service, clean_environment, free_port, processes_of

pytestmark = pytest.mark.xdist_group("launch")


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    return tmp_path / "instance"


def refused(instance: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A start that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "charter", "run", *arguments],
        cwd=ROOT,
        env=clean_environment(instance) | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def assert_gone(instance: Path, port: int) -> None:
    """Nothing runs for this instance any more, and the port can be taken."""
    give_up = time.monotonic() + STOP_SECONDS
    while processes_of(instance) and time.monotonic() < give_up:
        time.sleep(0.1)
    assert processes_of(instance) == {}
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def test_one_command_serves_says_where_and_stops_on_ctrl_c(instance: Path) -> None:
    with Service(instance) as service:
        assert service.get("/healthz")[0] == 200
        assert f"{service.url}/\n" in service.output
        assert f"{service.url}/dev/mail/\n" in service.output
        link = re.search(rf"{re.escape(service.url)}(/staff/\S+)", service.output)
        assert link
        assert service.get(link[1])[0] == 200
        assert service.get("/dev/mail/")[0] == 200
        assert set(service.children()) == {"web server", "worker"}
        # An open connection must not hold up the end.
        with socket.create_connection(("127.0.0.1", service.port)):
            code, seconds = service.stop(signal.SIGINT)
        assert code == 0
        assert seconds < STOP_SECONDS
        assert service.output.endswith("Stopped.\n")
        assert "Traceback" not in service.output
        assert_gone(instance, service.port)
    assert (instance / "secret_key").stat().st_mode & 0o777 == 0o400
    assert (instance / "charter.db").stat().st_mode & 0o777 == 0o600


def test_a_second_start_keeps_everything(instance: Path) -> None:
    with Service(instance) as service:
        assert service.stop(signal.SIGTERM)[0] == 0
    key = (instance / "secret_key").read_bytes()
    with sqlite3.connect(instance / "charter.db") as connection:
        connection.execute("CREATE TABLE keepsake (word TEXT)")
        connection.execute("INSERT INTO keepsake VALUES ('kept')")
    connection.close()
    with Service(instance) as service:
        assert service.get("/healthz")[0] == 200
        assert service.stop(signal.SIGTERM)[0] == 0
    assert (instance / "secret_key").read_bytes() == key
    connection = sqlite3.connect(instance / "charter.db")
    assert connection.execute("SELECT word FROM keepsake").fetchall() == [("kept",)]
    connection.close()


@pytest.mark.parametrize("name", ["worker", "web server"])
def test_when_one_half_dies_the_other_is_stopped_and_it_is_said(instance: Path, name: str) -> None:
    with Service(instance) as service:
        os.kill(service.children()[name], signal.SIGKILL)
        assert service.wait() == 1
        assert f"The {name} ended by itself (signal 9); everything was stopped.\n" in service.output
        assert "Traceback" not in service.output
        assert_gone(instance, service.port)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's end")
def test_a_killed_launcher_leaves_nothing_behind(instance: Path) -> None:
    with Service(instance) as service:
        service.stop(signal.SIGKILL)
        assert_gone(instance, service.port)


# ── demonstrations ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_demonstration_lives_apart_and_never_reaches_real_data(instance: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.db"
    environ = {"CHARTER_DATABASE_URL": f"sqlite:///{real}", "CHARTER_SECRET_KEY": "k3y-" * 10}
    with Service(instance, "--demo", "0", environ=environ) as service:
        assert service.get("/healthz")[0] == 200
        assert service.stop()[0] == 0
    assert not real.exists()
    assert [path.name for path in instance.iterdir()] == ["demo"]
    assert (instance / "demo" / "secret_key").read_text().strip() != environ["CHARTER_SECRET_KEY"]
    assert (instance / "demo" / "charter.db").exists()


def test_a_demonstration_of_the_same_size_is_kept_and_of_another_made_anew(instance: Path) -> None:
    database = instance / "demo" / "charter.db"

    def run(count: int) -> int:
        with Service(instance, "--demo", str(count)) as service:
            _, page = service.get("/en/")
            assert service.stop()[0] == 0
        assert "<h1" in page
        return database.stat().st_ino

    first = run(12)
    assert run(12) == first
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE keepsake (word TEXT)")
    connection.close()
    run(5)
    connection = sqlite3.connect(database)
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'keepsake'").fetchone() == (0,)
    connection.close()


def test_a_demonstration_does_not_run_in_production(instance: Path) -> None:
    done = refused(instance, "--demo", "5", CHARTER_ENVIRONMENT="production")
    assert done.returncode == 1
    assert done.stderr.startswith("--demo is for trying out")
    assert not instance.exists()


def test_a_demonstration_with_a_database_elsewhere_is_refused(instance: Path, tmp_path: Path) -> None:
    (instance / "demo").mkdir(parents=True)
    (instance / "demo" / "charter.toml").write_text(f'database_url = "sqlite:///{tmp_path}/real.db"\n')
    done = refused(instance, "--demo", "5")
    assert done.returncode == 1
    assert "A demonstration has a database of its own" in done.stderr
    assert not (tmp_path / "real.db").exists()


# ── one clear sentence ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_taken_port_gets_one_sentence(instance: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = refused(instance, "--port", str(port))
    assert done.returncode == 1
    assert done.stderr == f"Port {port} is taken by another program; choose another with --port.\n"
    assert not (instance / "charter.db").exists()


def test_a_folder_that_cannot_be_written_gets_one_sentence(instance: Path) -> None:
    instance.write_text("not a folder")
    done = refused(instance, "--port", str(free_port()))
    assert done.returncode == 2
    assert done.stderr.splitlines()[1:] == [f"  {instance} is not a folder."]


def test_a_read_only_folder_gets_one_sentence(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    # Pretended, because root may write everywhere.
    monkeypatch.setattr(launch.tempfile, "TemporaryFile", refuse)
    with pytest.raises(launch.LaunchError, match=r"instance cannot be written: Permission denied\.$"):
        launch._check_instance(instance)


def test_bad_settings_are_listed_all_at_once(instance: Path) -> None:
    done = refused(instance, CHARTER_WEB_THREADS="many", CHARTER_SMTP_HOTS="x")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "The settings need mending:",
        "  CHARTER_SMTP_HOTS is not a setting (did you mean CHARTER_SMTP_HOST?).",
        "  CHARTER_WEB_THREADS must be a whole number, not 'many'.",
    ]


def test_production_says_which_settings_are_missing(instance: Path) -> None:
    done = refused(instance, CHARTER_ENVIRONMENT="production")
    assert done.returncode == 2
    assert [line.split()[0] for line in done.stderr.splitlines()[1:]] == [
        "CHARTER_SECRET_KEY",
        "CHARTER_PUBLIC_URL",
        "CHARTER_SMTP_HOST",
    ]


def test_an_edition_that_is_not_there_is_named(instance: Path) -> None:
    done = refused(instance, "--port", str(free_port()), CHARTER_CHARTER_EDITION="second-9")
    assert done.returncode == 2
    assert done.stderr.splitlines()[1:] == ["  CHARTER_CHARTER_EDITION is 'second-9', and no such edition is there."]


def test_a_database_that_does_not_answer_gets_one_sentence(instance: Path) -> None:
    url = f"postgresql://charter:do-not-print-me@127.0.0.1:{free_port()}/charter"
    done = refused(instance, "--port", str(free_port()), CHARTER_DATABASE_URL=url)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("The database cannot be used: ")
    assert "Traceback" not in done.stderr
    assert "do-not-print-me" not in done.stderr


@pytest.mark.parametrize("arguments", [("--port", "0"), ("--port", "65536"), ("--demo", "-1"), ("--demo", "many")])
def test_wrong_arguments_are_refused(instance: Path, arguments: tuple[str, ...]) -> None:
    done = refused(instance, *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not instance.exists()


#: Threads that allocate at the same time; malloc_info(3) tells how many arenas that took.
ARENAS = """
import ctypes, sys, threading
from charter import launch

if sys.argv[1] == "few":
    launch._keep_few_arenas()
together, kept = threading.Barrier(8, timeout=60), []


def work():
    together.wait()
    kept.append(bytearray(50_000))
    together.wait()


threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
output = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, output)
libc.fflush(output)
"""


def test_the_threads_of_a_process_share_two_arenas(instance: Path) -> None:
    environment = {name: value for name, value in clean_environment(instance).items() if name != "MALLOC_ARENA_MAX"}
    counts = {
        how: subprocess.run(
            [sys.executable, "-c", ARENAS, how],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.count("<heap nr=")
        for how in ("few", "many")
    }
    # Where there is no glibc there is nothing to share.
    assert counts["few"] <= 2
    assert counts["many"] >= counts["few"]
