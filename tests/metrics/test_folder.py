"""Where several processes put their meters together: no count is lost with a process, none outlives them all."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from charter import meters
from charter.metrics.folder import MeetingPlace, make_folder
from tests.metrics.reading import value, values_of


def join(folder: Path, process: str = "web") -> tuple[MeetingPlace, meters._Meters]:
    """One process, as far as the folder can tell: locks belong to whoever opened the file."""
    place = MeetingPlace(folder, process)
    return place, meters._Meters(folder, place.identifier)


def read(folder: Path) -> dict[str, float]:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))
    values = values_of(generate_latest(registry).decode())
    found = {name: value(values, name) for name in ("sign_ups_total", "requests_in_progress")}
    requests = [amount for (name, _), amount in values.items() if name == "charter_request_seconds_count"]
    found["requests"] = sum(requests)
    return found


def test_all_processes_are_added_up_and_a_dead_one_leaves_its_counts_but_not_its_gauges(tmp_path: Path) -> None:
    first, counted_first = join(tmp_path)
    second, counted_second = join(tmp_path, "worker")
    for counted, times in ((counted_first, 3), (counted_second, 4)):
        for _ in range(times):
            counted.sign_ups.inc()
            counted.in_progress.inc()
            counted.requests.labels("public.home", "GET", "2xx").observe(0.02)
    assert [(one.process, one.pid) for one in first.members()] == [("web", os.getpid()), ("worker", os.getpid())]
    everything = {"sign_ups_total": 7, "requests_in_progress": 7, "requests": 7}
    assert read(tmp_path) == everything
    second.leave()
    assert [one.identifier for one in first.members()] == [first.identifier]
    assert read(tmp_path) == everything | {"requests_in_progress": 3}
    # Looking again buries nobody twice, and the files of the dead do not pile up.
    assert len(first.members()) == 1
    assert read(tmp_path)["sign_ups_total"] == 7
    assert not list(tmp_path.glob(f"*{second.identifier}*"))
    first.leave()


def test_whoever_comes_while_somebody_lives_wipes_nothing_and_the_first_of_all_begins_anew(tmp_path: Path) -> None:
    first, counted = join(tmp_path)
    counted.sign_ups.inc(5)
    second, _ = join(tmp_path)
    assert read(tmp_path)["sign_ups_total"] == 5
    first.leave()
    second.members()
    assert read(tmp_path)["sign_ups_total"] == 5
    second.leave()
    third, _ = join(tmp_path)
    assert read(tmp_path) == {"sign_ups_total": 0, "requests_in_progress": 0, "requests": 0}
    third.leave()


def test_one_answers_for_all_and_the_next_only_when_it_has_gone(tmp_path: Path) -> None:
    first, second = MeetingPlace(tmp_path, "web"), MeetingPlace(tmp_path, "worker")
    assert first.may_serve()
    assert first.may_serve()
    assert not second.may_serve()
    first.leave()
    assert second.may_serve()
    second.leave()


def test_the_folder_is_in_the_instance_and_what_ended_containers_left_there_goes(tmp_path: Path) -> None:
    ended = tmp_path / "metrics" / "0123456789ab"
    ended.mkdir(parents=True)
    (ended / "7-aa.alive").write_text("web 7 pid:[1]")
    (ended / "counter_7-aa.db").write_bytes(b"")
    lives = tmp_path / "metrics" / "cdef01234567"
    lives.mkdir()
    other = MeetingPlace(lives, "web")
    folder = make_folder(tmp_path)
    assert folder == tmp_path / "metrics" / socket.gethostname()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not ended.exists()
    assert [path.name for path in lives.glob("*.alive")] == [f"{other.identifier}.alive"]
    other.leave()


def test_an_instance_that_cannot_be_written_sends_it_among_the_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary, instance = tmp_path / "tmp", tmp_path / "instance"
    temporary.mkdir()
    instance.mkdir()
    # A file in its place, because root may write everywhere.
    (instance / "metrics").write_text("")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    folder = make_folder(instance)
    assert folder.parent == temporary
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert make_folder(instance) == folder
    # Others may have been quicker to make one of that name, and could read or forge what lies in it.
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(OSError, match="belongs to somebody else"):
        make_folder(instance)
    folder.unlink()
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(OSError, match="belongs to somebody else"):
        make_folder(instance)
