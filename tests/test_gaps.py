"""What SQLite leaves behind in the gaps of its pages is overwritten, and nothing that anybody reads is."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from charter import gaps


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=20, check_same_thread=False)
    for pragma in ("journal_mode = WAL", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def clean(path: Path) -> int:
    """As the worker calls it: in a process of its own."""
    return subprocess.run([sys.executable, "-I", gaps.__file__, path], check=False, stderr=subprocess.PIPE).returncode


def bytes_of(path: Path) -> bytes:
    """The file and its log; by another process, so that SQLite keeps its locks."""
    return subprocess.run(["cat", path, f"{path}-wal"], capture_output=True, check=False).stdout


def fill(connection: sqlite3.Connection, count: int, chance: random.Random) -> list[str]:
    """So many people with an index by name, whose rows grow now and then: pages are split. Their names."""
    connection.execute("CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, box TEXT, line TEXT)")
    connection.execute("CREATE INDEX person_box ON person (box, name)")
    names = [f"{chance.getrandbits(64):016x}" for _ in range(count)]
    connection.execute("BEGIN")
    for place, name in enumerate(names):
        connection.execute("INSERT INTO person (name, box) VALUES (?, ?)", (name, f"{name}@example.org"))
        if place % 3 == 2:
            grown = chance.randrange(place)
            connection.execute(
                "UPDATE person SET line = ? WHERE id = ?", (names[grown] * chance.randint(1, 30), grown + 1)
            )
    connection.execute("COMMIT")
    return names


def forget(connection: sqlite3.Connection, names: list[str]) -> None:
    connection.executemany(
        "UPDATE person SET name = '', box = '', line = NULL WHERE name = ?", [(one,) for one in names]
    )


def test_deleted_rows_are_left_in_gaps_until_these_are_overwritten(tmp_path: Path) -> None:
    path, chance = tmp_path / "people.db", random.Random(5)
    with closing(connect(path)) as connection:
        names = fill(connection, 6000, chance)
        gone = sorted(chance.sample(names, 1500))
        forget(connection, gone)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        data = bytes_of(path)
        assert [name for name in gone if name.encode() in data], "else this program is no longer needed"
        assert clean(path) == 0
        data = bytes_of(path)
        assert [name for name in gone if name.encode() in data] == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        stay = sorted(set(names) - set(gone))
        assert [row[0] for row in connection.execute("SELECT name FROM person WHERE name <> '' ORDER BY 1")] == stay
        assert clean(path) == 0, "and once more where nothing is to be done"


def test_a_reader_of_what_was_puts_it_off(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    with closing(connect(path)) as connection, closing(connect(path)) as reader:
        names = fill(connection, 10, random.Random(1))
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM person").fetchone() == (10,)
        forget(connection, names[:1])
        assert clean(path) == gaps.BUSY
        assert names[0].encode() in bytes_of(path)
        reader.execute("COMMIT")
        assert clean(path) == 0
        assert names[0].encode() not in bytes_of(path)


def test_a_writer_puts_it_off_and_is_not_disturbed(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    with closing(connect(path)) as connection:
        names = fill(connection, 10, random.Random(1))
        connection.execute("BEGIN IMMEDIATE")
        forget(connection, names[:1])
        assert clean(path) == gaps.BUSY
        connection.execute("COMMIT")
        assert clean(path) == 0
        assert connection.execute("SELECT count(*) FROM person WHERE name = ''").fetchone() == (1,)


def test_whoever_reads_and_writes_meanwhile_finds_a_whole_database(tmp_path: Path) -> None:
    path, chance = tmp_path / "people.db", random.Random(9)
    stop = threading.Event()
    failed: list[Exception] = []
    with closing(connect(path)) as connection:
        names = fill(connection, 1500, chance)

        def work(seed: int) -> None:
            own = random.Random(seed)
            try:
                with closing(connect(path)) as mine:
                    while not stop.is_set():
                        mine.execute("BEGIN IMMEDIATE")
                        for _ in range(5):
                            name = f"{own.getrandbits(64):016x}"
                            mine.execute("INSERT INTO person (name, box) VALUES (?, ?)", (name, name))
                            forget(mine, [own.choice(names)])
                        mine.execute("COMMIT")
                        mine.execute("SELECT count(*), total(length(line)) FROM person").fetchone()
                        stop.wait(own.random() / 50)
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(2)]
        for thread in threads:
            thread.start()
        codes = [clean(path) for _ in range(12)]
        stop.set()
        for thread in threads:
            thread.join()
        assert failed == []
        assert codes.count(0) >= 1, codes
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("setting", ["auto_vacuum = FULL", "page_size = 512", "page_size = 65536"])
def test_files_of_another_layout_are_left_alone_or_understood(tmp_path: Path, setting: str) -> None:
    path = tmp_path / "people.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA {setting}")
        connection.execute("PRAGMA journal_mode = WAL")
        names = fill(connection, 800, random.Random(2))
        forget(connection, names[::2])
        assert clean(path) == 0
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM person WHERE name <> ''").fetchone() == (400,)
