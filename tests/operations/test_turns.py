"""Writers on one SQLite file take turns: in order, not for ever, and a killed one holds nobody up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from charter.models import turns

PATIENCE = 20.0


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return create_engine(f"sqlite:///{tmp_path}/some.db")


@contextmanager
def somebody_elses_turn(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the turn until it is killed."""
    program = (
        "import sys, time\n"
        "from sqlalchemy import create_engine\n"
        "from charter.models import turns\n"
        f"with turns.taken(create_engine('sqlite:///{tmp_path}/some.db'), seconds=1):\n"
        "    print('mine', flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "mine\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def wait_for(condition: object, *, seconds: float = PATIENCE) -> None:
    give_up = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < give_up
        time.sleep(0.005)


def test_threads_go_on_in_the_order_in_which_they_came(engine: Engine) -> None:
    went: list[int] = []
    threads = []

    def write(place: int) -> None:
        with turns.taken(engine, seconds=PATIENCE):
            went.append(place)

    line = turns._line_of(str(engine.url.database))
    with turns.taken(engine, seconds=1):
        for place in range(12):
            threads.append(threading.Thread(target=write, args=(place,)))
            threads[-1].start()
            wait_for(lambda place=place: len(line._waiting) == place + 1)
        assert went == []
    for thread in threads:
        thread.join(PATIENCE)
    assert went == list(range(12))


def test_whoever_has_waited_long_enough_goes_on_without_a_turn_and_loses_nobody_elses(engine: Engine) -> None:
    with turns.taken(engine, seconds=1):
        begun = time.monotonic()
        with turns.taken(engine, seconds=0.05):
            assert 0.05 <= time.monotonic() - begun < PATIENCE
    # The turn is free again: nobody who left the line took it along.
    assert turns._line_of(str(engine.url.database)).take(0.0)
    turns._line_of(str(engine.url.database)).give_back()


def test_an_error_gives_the_turn_back(engine: Engine) -> None:
    for _ in range(3):
        with pytest.raises(RuntimeError), turns.taken(engine, seconds=0.1):
            raise RuntimeError
    line = turns._line_of(str(engine.url.database))
    assert line.take(0.0)
    line.give_back()


def test_another_process_waits_and_a_killed_one_holds_nobody_up(engine: Engine, tmp_path: Path) -> None:
    got_it = threading.Event()

    def write() -> None:
        with turns.taken(engine, seconds=PATIENCE):
            got_it.set()

    with somebody_elses_turn(tmp_path) as process:
        thread = threading.Thread(target=write)
        thread.start()
        assert not got_it.wait(0.2)
        os.kill(process.pid, signal.SIGKILL)
        assert got_it.wait(PATIENCE)
        thread.join(PATIENCE)


def test_a_folder_that_cannot_be_written_disturbs_nobody(tmp_path: Path) -> None:
    with turns.taken(create_engine(f"sqlite:///{tmp_path}/gone/some.db"), seconds=0.1):
        pass


def test_other_databases_order_their_writers_themselves(tmp_path: Path) -> None:
    with turns.taken(create_engine("postgresql+psycopg://nobody@127.0.0.1/none"), seconds=0.1):
        pass
    assert not list(tmp_path.iterdir())


def test_a_process_that_was_stopped_inside_makes_nobody_wait_longer_than_asked(engine: Engine, tmp_path: Path) -> None:
    with somebody_elses_turn(tmp_path) as process:
        os.kill(process.pid, signal.SIGSTOP)
        begun = time.monotonic()
        with turns.taken(engine, seconds=0.1):
            assert 0.1 <= time.monotonic() - begun < PATIENCE
        os.kill(process.pid, signal.SIGCONT)


def test_two_busy_processes_let_each_other_in(engine: Engine, tmp_path: Path) -> None:
    """Neither of two that always want to write may write a hundred times while the other waits."""
    program = (
        "import sys, threading, time\n"
        "from sqlalchemy import create_engine\n"
        "from charter.models import turns\n"
        f"engine = create_engine('sqlite:///{tmp_path}/some.db')\n"
        "sys.stdin.readline()\n"
        "until, most = time.monotonic() + 1.5, []\n"
        "def write():\n"
        "    while time.monotonic() < until:\n"
        "        begun = time.monotonic()\n"
        "        with turns.taken(engine, seconds=20):\n"
        "            most.append(time.monotonic() - begun)\n"
        "            time.sleep(0.001)\n"
        "threads = [threading.Thread(target=write) for _ in range(4)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
        "print(len(most), max(most))\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    counts, longest = zip(*(process.communicate(timeout=60)[0].split() for process in processes), strict=True)
    # 1.5 seconds for the two: were one to starve, it would write a few times and wait for more than a second.
    assert min(map(int, counts)) * 4 > max(map(int, counts)), counts
    assert max(map(float, longest)) < 1.0, longest
