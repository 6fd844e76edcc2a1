"""The spreadsheet: what stands in it, when a worker makes it, when it has to go, and how it is sent."""

from __future__ import annotations

import fcntl
import io
import threading
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from python_calamine import CalamineWorkbook
from time_machine import Traveller as Clock
from werkzeug.test import TestResponse

from charter import kept_spreadsheet, spreadsheet
from charter.kept_spreadsheet import KeptFile
from charter.queries import takeaway
from charter.queries.takeaway_lines import COLUMNS, ENDED
from charter.settings import Settings
from charter.web import takeaway as room
from tests.conftest import MakeApp
from tests.pages import Browser
from tests.people import Desk, Observer, work
from tests.web.filed import HOSTILE, enter, stored
from tests.web.test_takeaway import OTHERS, publish_something

ADDRESS = "/registry.xlsx"


def keep(app: Flask, **more: Any) -> KeptFile | None:
    """One look of a worker."""
    with app.app_context():
        return kept_spreadsheet.keep(settings(app), **more)


def settings(app: Flask) -> Settings:
    found: Settings = app.config["CHARTER"]
    return found


def folder(app: Flask) -> list[str]:
    """What lies beside the database, hidden names apart."""
    return sorted(
        path.name
        for path in (settings(app).instance_path / kept_spreadsheet.FOLDER).glob("*")
        if not path.name.startswith(".")
    )


def sheets(answer: TestResponse) -> dict[str, list[list[Any]]]:
    """Each sheet as another program reads it."""
    assert answer.status_code == 200, answer.text
    workbook = CalamineWorkbook.from_filelike(io.BytesIO(answer.data))
    return {name: workbook.get_sheet_by_name(name).to_python() for name in workbook.sheet_names}


def join(observer: Observer, desk: Desk, clock: Clock) -> None:
    """Amina stands in the registry."""
    observer.sign()
    observer.confirm()
    desk.decide(desk.open_first(), "approve")
    clock.shift(11)
    work(observer.app)


# ── what stands in it ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_workbook_holds_every_entry_and_no_formula(app: Flask, clock: Clock) -> None:
    enter(app, [*OTHERS, *({"name": name, "affiliation_name": name} for name in HOSTILE)])
    publish_something(app)
    found = sheets(app.test_client().get(ADDRESS))
    assert list(found) == ["Registry", "Regions", "About"]
    head, *rows = found["Registry"]
    assert tuple(head) == COLUMNS
    entries = stored(app)
    assert len(rows) == len(entries)
    for values, entry in zip(rows, entries, strict=True):
        row = dict(zip(COLUMNS, values, strict=True))
        assert (row["number"], row["entry"], row["signed"]) == (entry.number, entry.entry, entry.signed_on)
        if entry.ended_on is None:
            assert row["name"] == (entry.name or "")
            assert row["affiliation_name"] == (entry.affiliation_name or "")
            assert (row["region"], row["kind"], row["rev"]) == (entry.region_code, entry.kind, entry.rev)
        else:
            assert (row["ended"], row["ended_by"]) == (entry.ended_on, entry.ended_by)
            assert {value for name, value in row.items() if name not in ENDED} == {""}
    regions = {row[0]: row[1:] for row in found["Regions"]}
    assert regions["region"] == ["kk", "ru", "en"]
    assert regions["KZ-75"][2] == "Almaty"
    assert len(regions) == 22
    about = {row[0]: row[1] for row in found["About"]}
    assert about["public_revision"] == "2"
    assert about["as_of (UTC)"] == "2026-11-20T09:00:00Z"
    assert about["as_of (Asia/Almaty)"] == "2026-11-20T14:00:00+05:00"
    assert about["entries"] == str(len(entries))
    assert about["selection"] == "everything"
    words = " ".join(str(cell) for row in found["About"] for cell in row)
    for lang in ("kk", "ru", "en"):
        assert f"/{lang}/open-data/" in words
    assert "20 қараша 2026" in words.replace("\xa0", " ") and "20 ноября 2026" in words.replace("\xa0", " ")


def test_a_selection_says_that_it_is_one(app: Flask) -> None:
    enter(app, OTHERS)
    found = sheets(app.test_client().get(f"{ADDRESS}?region=almaty&kind=independent"))
    about = {row[0]: row[1] for row in found["About"]}
    assert about["selection"] == "region=almaty&kind=independent"
    assert len(found["Registry"]) == 1 + int(about["entries"])


def test_a_sheet_that_is_full_goes_on_in_another(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(app, [{} for _ in range(25)])
    monkeypatch.setattr(spreadsheet, "ROWS_OF_A_SHEET", 10)
    found = sheets(app.test_client().get(ADDRESS))
    assert list(found) == ["Registry", "Registry 2", "Registry 3", "Regions", "About"]
    assert [len(found[name]) for name in list(found)[:3]] == [11, 11, 6]
    assert [row[0] for name in list(found)[:3] for row in found[name][1:]] == list(range(1, 26))


def test_a_selection_with_too_many_rows_is_offered_as_csv(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(app, [{"kind": "party"} for _ in range(12)])
    monkeypatch.setattr(room, "MOST_ROWS", 10)
    for lang in ("kk", "ru", "en"):
        page = Browser(app).get(f"{ADDRESS}?kind=party", headers={"Accept-Language": lang})
        assert page.status == 422
        assert page.tree.query("html")[0].attrs["lang"] == lang
        assert page.response.headers["Cache-Control"] == "no-store"
        assert page.href("/registry.csv") == "/registry.csv?kind=party"
        assert not [link for link in page.tree.query("main a") if "xlsx" in link.attrs["href"]]
    assert app.test_client().get(ADDRESS).status_code == 503, "the whole one is made by a worker"
    assert app.test_client().get(f"{ADDRESS}?kind=independent").status_code == 200


# ── when it is made ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_worker_makes_it_once_an_hour_and_only_after_a_publication(app: Flask, clock: Clock) -> None:
    enter(app, OTHERS)
    made = keep(app)
    assert made is not None
    assert folder(app) == ["charter-registry-r1-2026-11-16.xlsx"]
    assert keep(app) is None, "nothing has changed"
    clock.shift(7200)
    assert keep(app) is None, "nor has it after two hours"
    publish_something(app)
    again = keep(app)
    assert again is not None and again.revision == 2
    assert folder(app) == ["charter-registry-r2-2026-11-20.xlsx"]
    publish_something(app)
    for _ in range(11):
        clock.shift(300)
        assert keep(app) is None, "not twice in an hour"
    clock.shift(301)
    third = keep(app)
    assert third is not None and third.revision == 3
    assert [path.name for path in third.path.parent.iterdir() if path.name.startswith(".w")] == []


def test_of_several_workers_one_makes_it(app: Flask, clock: Clock) -> None:
    enter(app, OTHERS)
    begun, go_on = threading.Event(), threading.Event()
    made: list[KeptFile | None] = []

    def slowly() -> bool:
        begun.set()
        go_on.wait(20)
        return True

    one = threading.Thread(target=lambda: made.append(keep(app, is_wanted=slowly)))
    one.start()
    assert begun.wait(20)
    assert keep(app) is None, "another one is at it"
    assert folder(app) == [], "nothing half made is shown"
    go_on.set()
    one.join(20)
    assert made[0] is not None
    assert keep(app) is None


def test_a_worker_that_stops_leaves_off_and_nothing_behind(app: Flask, clock: Clock) -> None:
    enter(app, OTHERS)
    with pytest.raises(spreadsheet.LeftOffError):
        keep(app, is_wanted=lambda: False)
    path = settings(app).instance_path / kept_spreadsheet.FOLDER
    assert folder(app) == []
    assert [one.name for one in path.iterdir() if one.is_dir()] == []
    (path / ".working-killed").mkdir()
    clock.shift(3601)
    assert keep(app) is not None
    assert [one.name for one in path.iterdir() if one.is_dir()] == [], "what a killed worker left is swept up"


def test_whoever_has_left_is_in_no_file_from_the_next_look_on(
    app: Flask, observer: Observer, desk: Desk, clock: Clock
) -> None:
    join(observer, desk, clock)
    name = stored(app)[0].name
    assert keep(app) is not None
    assert name in {cell for row in sheets(app.test_client().get(ADDRESS))["Registry"] for cell in row}
    clock.shift(60)
    observer.browser.get("/ru/my/withdraw/").submit("withdraw-form")
    work(app)
    assert keep(app) is None, "its hour has not come"
    assert folder(app) == [], "but the old one is gone"
    rows = sheets(app.test_client().get(ADDRESS))["Registry"]
    assert name not in {cell for row in rows for cell in row}
    assert len(rows) == 2


def test_a_file_of_another_database_goes(app: Flask, clock: Clock) -> None:
    made = keep(app)
    assert made is not None
    made.path.rename(made.path.with_name("charter-registry-r99-2026-11-16.xlsx"))
    keep(app)
    assert folder(app) == []


# ── how it is sent ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_kept_file_is_sent_whole_in_part_or_not_at_all(app: Flask, clock: Clock) -> None:
    enter(app, OTHERS)
    made = keep(app)
    assert made is not None
    publish_something(app)
    client = app.test_client()
    body = made.path.read_bytes()
    whole = client.get(ADDRESS)
    assert whole.data == body
    assert whole.headers["Content-Disposition"] == 'attachment; filename="charter-registry-r1-2026-11-16.xlsx"'
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert whole.last_modified == made.as_of
    tag = whole.headers["ETag"]
    assert tag.startswith('"1-xlsx-'), "of the publication that it shows, not of the newest"
    part = client.get(ADDRESS, headers={"Range": "bytes=10-19", "If-Range": tag})
    assert (part.status_code, part.data) == (206, body[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(body)}"
    assert client.get(ADDRESS, headers={"Range": "bytes=10-19", "If-Range": '"other"'}).data == body
    assert client.get(ADDRESS, headers={"Range": f"bytes={len(body)}-"}).status_code == 416
    same = client.get(ADDRESS, headers={"If-None-Match": tag})
    assert (same.status_code, same.data) == (304, b"")
    head = client.head(ADDRESS)
    assert head.headers["Content-Length"] == str(len(body))
    assert head.headers["ETag"] == tag


def test_a_file_that_is_replaced_while_it_leaves_is_sent_to_its_end(app: Flask, clock: Clock) -> None:
    enter(app, OTHERS)
    made = keep(app)
    assert made is not None
    body = made.path.read_bytes()
    with app.test_client().get(ADDRESS, buffered=False) as answer:
        pieces = iter(answer.response)
        begun = next(pieces)
        made.path.unlink()
        assert begun + b"".join(pieces) == body


def test_it_takes_little_memory_to_look_for_the_file(tmp_path: Path, make_app: MakeApp) -> None:
    app = make_app()
    assert kept_spreadsheet.find(settings(app)) is None, "no folder yet"
    path = settings(app).instance_path / kept_spreadsheet.FOLDER
    path.mkdir()
    for name in ("notes.txt", "charter-registry-r12-2026-11-16.xlsx.part", "charter-registry-r5-2026-11-16.xlsx"):
        (path / name).write_bytes(b"x")
    found = kept_spreadsheet.find(settings(app))
    assert found is not None and found.revision == 5


def test_a_lock_that_is_held_elsewhere_is_waited_for_by_nobody(app: Flask, clock: Clock) -> None:
    path = settings(app).instance_path / kept_spreadsheet.FOLDER
    path.mkdir()
    with (path / ".made").open("a+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert keep(app) is None
    assert keep(app) is not None


def test_file_names_say_publication_and_day() -> None:
    assert takeaway.file_name(None, "csv") == "charter-registry-r0.csv"
    from datetime import UTC, datetime

    from charter.queries.registry import AsOf

    late = AsOf(123, datetime(2026, 11, 21, 20, 0, tzinfo=UTC))
    assert takeaway.file_name(late, "csv", "almaty") == "charter-registry-almaty-r123-2026-11-22.csv"
    assert date(2026, 11, 22).isoformat() in takeaway.file_name(late, "xlsx")
