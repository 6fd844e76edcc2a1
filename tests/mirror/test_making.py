"""Runs of the mirror: whole, only what changed, nothing of who left, and whole again after whatever happened."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from charter.mirror import rendering
from charter.mirror.errors import BusyError, MirrorError
from charter.mirror.folder import OWN, Folder, alone
from charter.models.base import db, writing
from charter.models.registry import PublicEntry, RegionCount
from charter.queries import registry
from tests.house.world import World
from tests.mirror.reading import broken, changed, different, every_byte, files, links, mirror

#: Of her names the one that stands in no example.
AMINA = "Серікқызы"
on_sqlite = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


def entry_of(world: World, key: str) -> str:
    """The permanent address of somebody's entry."""
    found = world.people[key].browser.get("/ru/my/").href("/registry/entries/")
    return str(found).rpartition("/")[2]


def service_of(world: World) -> str:
    return str(world.app.config["CHARTER"].public_url)


def test_every_link_of_a_mirror_leads_somewhere(world: World, folder: Path) -> None:
    made = mirror(world.app, folder)
    found = files(folder)
    assert made.written == made.files == len(found) - 1, "and mirror.json"
    assert broken(found, service=service_of(world)) == []
    assert len(links(found)) > 1000


@on_sqlite
def test_no_page_of_a_mirror_has_a_form_and_each_says_what_it_is(world: World, made: Path) -> None:
    pages = {place: content.decode() for place, content in files(made).items() if place.endswith(".html")}
    assert len(pages) > 60
    for place, page in pages.items():
        # The page for checking takes files, in the browser alone.
        rest = page.replace('<input id="files"', "")
        assert not re.search(r"<(form|input|select)\b", rest), place
        assert service_of(world) in page, place
        if place not in {"index.html", "404.html"}:
            assert page.count('href="/mirror.json"') == 1, place
            assert page.count("<h1") == 1, place
    for link in links(files(made)):
        if any(f"/{room}/" in link.address for room in ("sign", "my", "staff")):
            assert link.address.startswith(service_of(world)), link
    registry = pages["en/registry/index.html"]
    assert "This copy cannot search" in registry
    assert f'href="{service_of(world)}/en/registry/"' in registry


@on_sqlite
def test_pages_speak_their_language_whoever_asks_for_the_mirror(world: World, folder: Path) -> None:
    # The context of a command lends its `g`, and with it the first page's language, to all others.
    with world.app.app_context():
        mirror(world.app, folder)
    for language, word in {"kk": "Тізілім", "ru": "Реестр", "en": "Registry"}.items():
        assert f"<h1>{word}</h1>" in (folder / language / "registry" / "index.html").read_text(encoding="utf-8")


@on_sqlite
def test_names_are_kept_from_search_engines_without_a_header(world: World, made: Path) -> None:
    marked = '<meta name="robots" content="noindex">'
    for place, content in files(made).items():
        if place.endswith(".html") and AMINA in content.decode():
            assert marked in content.decode(), place
    assert marked not in (made / "en" / "help" / "index.html").read_text(encoding="utf-8")


@on_sqlite
def test_a_second_run_writes_nothing(world: World, made: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*") if OWN not in path.parts}
    world.clock.shift(3600)
    run = mirror(world.app, made)
    assert (run.written, run.removed) == (0, 0)
    after = {path: path.stat().st_mtime_ns for path in made.rglob("*") if OWN not in path.parts}
    assert {path for path in after if before.get(path) != after[path]} - {made} == {made / "mirror.json"}
    run = mirror(world.app, made, everything=True)
    assert (run.written, run.removed) == (0, 0)
    assert run.unchanged == run.files


def test_nothing_of_who_withdrew_is_left_in_any_byte(world: World, made: Path) -> None:
    entry = entry_of(world, "amina")
    everything = every_byte(made)
    assert AMINA.encode() in everything
    number = world.scalar(select(PublicEntry.number).where(PublicEntry.entry == entry))
    world.people["amina"].browser.get("/ru/my/withdraw/").submit("withdraw-form")
    world.work()
    run = mirror(world.app, made)
    everything = every_byte(made)
    assert AMINA.encode() not in everything
    page = (made / "en" / "registry" / "entries" / f"{entry}.html").read_text(encoding="utf-8")
    assert f"no. {number}" in page
    assert "withdrawn by the signatory" in page
    assert run.written < run.files / 2
    assert broken(files(made), service=service_of(world)) == []


def test_a_later_publication_touches_only_what_it_changed(world: World, made: Path) -> None:
    world.pass_seconds(11)
    mirror(world.app, made)
    before = files(made)
    others = {f"en/registry/entries/{entry_of(world, 'amina')}.html", "en/privacy/index.html", "en/charter/index.html"}
    assert others <= before.keys()
    world.decide("approve")  # Timur, of the same day and region as Amina
    world.pass_seconds(11)
    run = mirror(world.app, made)
    after = files(made)
    touched = changed(before, after)
    assert run.written + run.removed == len(touched)
    assert others.isdisjoint(touched)
    assert {"en/index.html", "en/registry/index.html", "en/registry/almaty/index.html"} <= touched
    assert len([place for place in touched if "/registry/entries/" in place]) == 3
    assert not [place for place in touched if place.startswith("static/")]
    # A page that stayed as it was says so truthfully, and the home page says how far the whole is.
    about = json.loads((made / "mirror.json").read_text())
    assert about["public_revision"] == run.revision
    assert f"publication {run.revision} " in after["en/index.html"].decode()
    assert f"publication {run.revision} " not in after[min(others)].decode()


@on_sqlite
def test_a_publication_that_changes_nothing_on_a_page_leaves_it_alone(world: World, made: Path) -> None:
    before = files(made)
    # A confirmation adds a leaf to the log and nobody to the registry.
    world.people["unconfirmed"].confirm()
    world.work()
    run = mirror(world.app, made)
    touched = {place for place in changed(before, files(made)) if not place.startswith("api/")}
    assert {f"{language}/index.html" for language in ("kk", "ru", "en")} <= touched, "the home page is always newest"
    assert not [place for place in touched if "/registry/" in place], touched
    assert run.removed == 0


@on_sqlite
def test_several_processes_make_the_same_mirror(world: World, made: Path, tmp_path: Path) -> None:
    run = mirror(world.app, tmp_path / "other", workers=3)
    found = files(tmp_path / "other")
    assert run.written == len(found) - 1
    assert different(files(made), found) == set()


@pytest.mark.parametrize("place", [40, 200])
@on_sqlite
def test_a_run_that_was_cut_off_anywhere_is_made_whole_by_the_next(
    world: World, made: Path, tmp_path: Path, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CutOff(BaseException):
        pass

    put = Folder.put
    count = 0

    def put_some(self: Folder, new: Path, target: str) -> None:
        nonlocal count
        count += 1
        if count == place:
            raise CutOff
        put(self, new, target)

    cut = tmp_path / "cut"
    with monkeypatch.context() as patched:
        patched.setattr(Folder, "put", put_some)
        with pytest.raises(CutOff):
            mirror(world.app, cut)
    (cut / "left-behind.html").write_text(AMINA)
    world.people["amina"].browser.get("/ru/my/withdraw/").submit("withdraw-form")
    world.work()
    mirror(world.app, cut)
    for _ in range(2):
        # What the log's former checkpoint needed stays for one more run.
        mirror(world.app, made)
    before, after = files(made), files(cut)
    assert before.keys() == after.keys()
    # One came in two steps, so some of its pages are as of the first; else they are the same.
    assert {place for place in different(before, after) if _words(before[place]) != _words(after[place])} == set()
    assert AMINA.encode() not in every_byte(cut)


def _words(page: bytes) -> bytes:
    """Without the moments that a page tells, and how the log stood then."""
    page = re.sub(rb'<summary class="num">[^<]*|<dd class="num">[\d\s\xc2\xa0]+<|<code class="digest"[^<]*', b"", page)
    return re.sub(rb'[^<>]*\(UTC\+5\)[^<>]*|<updated>[^<]*|"(public_revision|as_of\w*|at)": ?[^{,}]+', b"", page)


def test_entries_that_a_restore_lost_leave_the_mirror(world: World, made: Path) -> None:
    entry = entry_of(world, "amina")
    page = made / "en" / "registry" / "entries" / f"{entry}.html"
    assert page.is_file()
    with world.app.app_context(), writing():
        row = db.session.scalars(select(PublicEntry).where(PublicEntry.entry == entry)).one()
        place = (RegionCount.region_code == row.region_code, RegionCount.kind == row.kind)
        db.session.execute(update(RegionCount).where(*place).values(listed=RegionCount.listed - 1))
        db.session.execute(delete(PublicEntry).where(PublicEntry.entry == entry))
        db.session.commit()
    world.people["unconfirmed"].confirm()
    world.work()  # a restore ends with a batch of its own
    mirror(world.app, made)
    assert not page.exists()
    assert AMINA.encode() not in every_byte(made)


@on_sqlite
def test_a_folder_that_is_not_a_mirror_of_this_service_is_refused(world: World, made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "university"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(MirrorError, match="not empty"):
        mirror(world.app, folder)
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]
    before = files(made)
    world.app.config["CHARTER"] = replace(world.app.config["CHARTER"], log_origin="elsewhere.example.org/log")
    with pytest.raises(MirrorError, match="another service"):
        mirror(world.app, made)
    assert files(made) == before


@on_sqlite
def test_two_runs_do_not_meet_in_one_folder(world: World, made: Path) -> None:
    with alone(made, service=world.app.config["CHARTER"].log_origin), pytest.raises(BusyError):
        mirror(world.app, made)
    mirror(world.app, made)


@on_sqlite
def test_before_the_first_publication_there_is_no_mirror(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "find_as_of", lambda: None)
    with pytest.raises(MirrorError, match="Nothing has been published"):
        mirror(world.app, folder)
    assert files(folder) == {}


@on_sqlite
def test_a_page_that_fails_ends_the_run_and_leaves_what_was_there(
    world: World, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(made)
    world.decide("approve")
    world.pass_seconds(11)

    def fail() -> None:
        raise RuntimeError(AMINA)

    monkeypatch.setitem(world.app.view_functions, "public.home", fail)
    with pytest.raises(MirrorError, match="500") as caught:
        mirror(world.app, made)
    assert AMINA not in str(caught.value)
    assert files(made)["en/index.html"] == before["en/index.html"]
    monkeypatch.undo()
    assert mirror(world.app, made).written > 0


@on_sqlite
def test_the_command_says_what_it_did_and_its_exit_code_tells_the_cases_apart(world: World, made: Path) -> None:
    runner = world.app.test_cli_runner()
    done = runner.invoke(args=["mirror", str(made)])
    assert done.exit_code == 0, done.output
    assert re.fullmatch(
        r"0 written, \d+ unchanged, 0 removed in \d+\.\d s; \d+ files as of \S+ \S+ UTC, revision \d+\.\n", done.output
    )
    again = runner.invoke(args=["mirror", str(made), "--workers", "2"])
    assert again.output.startswith("0 written, "), again.output
    with alone(made, service=world.app.config["CHARTER"].log_origin):
        busy = runner.invoke(args=["mirror", str(made)])
    assert (busy.exit_code, "Another run" in busy.output) == (3, True)
    (made / OWN / "mirror").write_text("{}")
    refused = runner.invoke(args=["mirror", str(made)])
    assert (refused.exit_code, "another format" in refused.output) == (1, True)


@on_sqlite
def test_what_was_deleted_or_put_there_by_hand_is_mended_when_asked(world: World, made: Path) -> None:
    before = files(made)
    shutil.rmtree(made / "ru" / "registry" / "entries")
    (made / "kk" / "extra").mkdir()
    (made / "kk" / "extra" / "index.html").write_text("?")
    run = mirror(world.app, made, everything=True)
    assert different(before, files(made)) == set()
    assert (run.written, run.removed) == (
        len([place for place in before if place.startswith("ru/registry/entries/")]),
        1,
    )


@on_sqlite
def test_a_batch_in_the_middle_of_a_run_is_not_missed(
    world: World, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert AMINA.encode() in every_byte(made)
    world.decide("approve")
    world.pass_seconds(11)
    world.people["amina"].browser.get("/ru/my/withdraw/").submit("withdraw-form")
    make = rendering.Renderer.make
    calls: list[Any] = []

    def make_after_a_batch(self: rendering.Renderer, tasks: Any) -> Any:
        done = make(self, tasks)
        if not calls:
            world.work()
        calls.append(tasks)
        return done

    with monkeypatch.context() as patched:
        patched.setattr(rendering.Renderer, "make", make_after_a_batch)
        first = mirror(world.app, made)
    assert calls
    second = mirror(world.app, made)
    assert second.revision > first.revision
    assert AMINA.encode() not in every_byte(made)
