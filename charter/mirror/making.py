"""One run: what has changed since the last one is asked for and put in its place, what is gone leaves."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextvars import Context
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from flask import Flask

from charter.domain.blocks import BLOCK, span_of, spans
from charter.domain.languages import LANGUAGES
from charter.domain.selection import Place, Selection
from charter.mirror.addresses import ALWAYS, file_of
from charter.mirror.asking import Asker
from charter.mirror.errors import MirrorError
from charter.mirror.folder import Folder, alone
from charter.mirror.listing import data_files, ever_published, find_world, listed, public_day, static_files
from charter.mirror.log_files import LogFiles
from charter.mirror.rendering import LACKING, UNCHANGED, WRITTEN, Crew, Done, Renderer, Task
from charter.mirror.state import BLOCK_PAGE, ENTRY, LISTED, Known, State
from charter.queries import affiliations, registry, schema, search
from charter.queries.registry import AsOf
from charter.settings import Settings

#: Pages that one process makes before it tells; entries that are looked up at once.
CHUNK = 60
WINDOW = 2000
#: So often what was done is kept, so that a run that is killed need not be done again from the start.
KEEP_SECONDS = 20.0
#: What the mirror says of itself, for people and programs; written in every run.
ABOUT = "mirror.json"
#: Changes with what this package makes of an answer, where the build does not.
_FORMAT = "1"


@dataclass(frozen=True)
class Made:
    """What a run did. revision: of the batch that the mirror is complete up to; as_of: its time."""

    written: int
    unchanged: int
    removed: int
    files: int
    revision: int
    as_of: datetime
    seconds: float

    @property
    def text(self) -> str:
        """One line for an operator."""
        return (
            f"{self.written} written, {self.unchanged} unchanged, {self.removed} removed in {self.seconds:.1f} s;"
            f" {self.files} files as of {self.as_of.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, revision {self.revision}."
        )


def make(app: Flask, path: Path, *, workers: int = 1, everything: bool = False, now: datetime) -> Made:
    """Brings the folder up to the newest batch.

    everything: looks at each file, and removes what nobody knows. Raises MirrorError; BusyError while another one runs.
    """
    # Outside of the context of whoever calls: it would lend its language and its database session to every page.
    return Context().run(_make, app, path, workers=workers, everything=everything, now=now)


def _make(app: Flask, path: Path, *, workers: int, everything: bool, now: datetime) -> Made:
    began = time.monotonic()
    settings: Settings = app.config["CHARTER"]
    with alone(path, service=settings.log_origin) as folder, State(folder.state_path) as state:
        run = _Run(app, folder, state, everything=everything)
        return run.go(workers=workers, now=now, began=began)


def design_of(app: Flask) -> str:
    """Changes when every page may: with the build, with settings that pages show, with names that many pages show."""
    names: list[object] = [_FORMAT, app.config["PAGES_DIGEST"], registry.editions()]
    day = public_day()
    for language in LANGUAGES:
        names += [
            (one.code, one.slug, one.name, one.short, one.abbr)
            for one in registry.regions_with_totals(language, on=day)[0]
        ]
        found = affiliations.affiliations(language, on=day)
        names += [(one.slug, one.name, one.abbr, one.merged_into) for one in found]
    return hashlib.sha256(repr(names).encode()).hexdigest()[:16]


class _Run:
    """What one run knows."""

    def __init__(self, app: Flask, folder: Folder, state: State, *, everything: bool) -> None:
        self._app, self._folder, self._state = app, folder, state
        self._service = app.config["CHARTER"].public_url
        with app.app_context():
            try:
                as_of = registry.find_as_of()
                if as_of is None:
                    raise MirrorError("Nothing has been published yet: there is nothing to mirror.")
                self._as_of: AsOf = as_of
                self._world = find_world()
                self._design = design_of(app)
                self._total = ever_published()
            finally:
                schema.let_go()
        self._number = int(state.fact("run") or 0) + 1
        self._since = int(state.fact("revision") or -1)
        self._is_design_new = state.fact("design") != self._design
        self._is_back = self._since > as_of.revision
        self._everything = everything
        #: Every entry is looked at: the first time, or because some may be gone without a trace (a restore).
        self._is_whole = everything or self._since < 0 or self._is_design_new or self._is_back or self._has_lost()
        self._has_news = self._is_whole or self._since < as_of.revision
        # A run that was killed may have left files that the state never heard of.
        self._must_sweep = everything or state.fact("open") == "1"
        state.set_facts({"open": 1})
        state.keep()
        self._counts = {WRITTEN: 0, UNCHANGED: 0, LACKING: 0}
        self._lacking: list[str] = []
        self._blocks: set[int] = set()
        self._kept_at = time.monotonic()

    def go(self, *, workers: int, now: datetime, began: float) -> Made:
        renderer = Renderer(
            self._app,
            self._folder,
            service=self._service,
            files=data_files(self._app),
            least=self._as_of.revision,
        )
        with Crew(self._app, renderer, workers=workers).at_work() as crew:
            # Entries first: what has to leave leaves soon, and lists never lead to pages that are not there yet.
            for tasks in (self._entries(), self._block_pages(), self._listed()):
                for done in crew.make(_chunks(tasks, CHUNK)):
                    self._note(done)
        for name, place in (("root", "index.html"), ("missing", "404.html")):
            self._note([self._own_file(place, renderer.own_page(name))])
        removed = self._remove()
        log_size, cleared = self._log_files().bring()
        removed += cleared
        self._state.set_facts(
            {
                "open": 0,
                "run": self._number,
                "revision": self._as_of.revision,
                "design": self._design,
                "total": self._total,
                "highest": self._world.highest,
            }
        )
        self._keep()
        files = self._state.count()
        self._folder.write(ABOUT, [self._about(now, files, log_size)])
        return Made(
            written=self._counts[WRITTEN],
            unchanged=self._counts[UNCHANGED],
            removed=removed,
            files=files,
            revision=self._as_of.revision,
            as_of=self._as_of.at,
            seconds=time.monotonic() - began,
        )

    def _log_files(self) -> LogFiles:
        return LogFiles(
            Asker(self._app, service=self._service),
            self._folder,
            self._state,
            least=self._as_of.revision,
            everything=self._everything,
            note=self._note,
            keep=self._keep,
        )

    # ── what is to be looked at ──────────────────────────────────────────────────────────────────────────────────────

    def _entries(self) -> Iterator[Task]:
        if not self._has_news:
            return
        for rows in self._changed_entries():
            self._blocks |= {span_of(number, BLOCK).first for number, _, _ in rows}
            places = [
                (f"/{language}/registry/entries/{entry}", f"{language}/registry/entries/{entry}.html", revision)
                for _, entry, revision in rows
                for language in LANGUAGES
            ]
            known = self._state.find(place for _, place, _ in places)
            current = []
            for address, place, revision in places:
                had = known.get(place)
                # Where a run was killed, the next one goes on.
                if had and had.design == self._design and had.revision >= revision and not self._everything:
                    current.append(place)
                else:
                    yield Task(address, place, ENTRY, had.digest if had else None)
            if self._is_whole:
                self._state.seen(current, run=self._number)

    def _changed_entries(self) -> Iterator[list[tuple[int, str, int]]]:
        """(number, entry, revision of its last change), in windows; no transaction outlives one."""
        after: tuple[int, int] | None = None
        place: Place | None = None
        while True:
            with self._app.app_context():
                if self._is_whole:
                    rows, _, has_more = search.find_rows(Selection(), place=place, size=WINDOW)
                else:
                    rows = search.find_changes(since=self._since, after=after, size=WINDOW)
                    has_more = len(rows) == WINDOW
                schema.let_go()
            if rows:
                yield [(row.number, row.entry, row.revision) for row in rows]
                place, after = Place(rows[-1].number), (rows[-1].revision, rows[-1].number)
            if not has_more:
                return

    def _block_pages(self) -> Iterator[Task]:
        if self._is_whole:
            firsts = [span.first for span in spans(BLOCK, first=1, last=self._world.highest)]
        else:
            # The block below one that is new leads to it from now on.
            firsts = sorted(self._blocks | {first - BLOCK for first in self._blocks if first > BLOCK})
        for first in firsts:
            for language in LANGUAGES:
                address = f"/{language}/registry/numbers/{first}-{first + BLOCK - 1}/"
                yield self._task(address, file_of(address), BLOCK_PAGE)

    def _listed(self) -> Iterator[Task]:
        for address, place, rule in listed(self._app, self._world):
            if self._has_news or rule.looked_at == ALWAYS:
                yield replace(self._task(address, place, LISTED), tells=rule.tells, may_lack=rule.may_lack)
        if self._has_news:
            for path in static_files(self._app):
                yield self._task(path, path.lstrip("/"), LISTED)

    def _task(self, address: str, place: str, kind: str) -> Task:
        had = self._state.find([place]).get(place)
        return Task(address, place, kind, had.digest if had else None)

    # ── what became of it ────────────────────────────────────────────────────────────────────────────────────────────

    def _note(self, done: Sequence[Done]) -> None:
        for one in done:
            self._counts[one.outcome] += 1
        self._lacking += [one.place for one in done if one.outcome == LACKING]
        self._state.put(
            [
                Known(one.place, one.kind, one.digest, self._as_of.revision, self._design)
                for one in done
                if one.outcome != LACKING
            ],
            run=self._number,
        )
        if time.monotonic() - self._kept_at > KEEP_SECONDS:
            self._keep()

    def _keep(self) -> None:
        # What the state says is there has to be there after a power failure too.
        os.sync()
        self._state.keep()
        self._kept_at = time.monotonic()

    def _own_file(self, place: str, content: bytes) -> Done:
        digest = hashlib.blake2b(content, digest_size=16).digest()
        had = self._state.find([place]).get(place)
        if had and had.digest == digest and self._folder.has(place):
            return Done(place, LISTED, UNCHANGED, digest)
        self._folder.write(place, [content])
        return Done(place, LISTED, WRITTEN, digest)

    def _remove(self) -> int:
        gone = set(self._lacking)
        if self._has_news:
            kinds = (LISTED, ENTRY, BLOCK_PAGE) if self._is_whole else (LISTED,)
            gone |= set(self._state.not_of(self._number, *kinds))
        removed = [place for place in sorted(gone) if self._folder.has(place)]
        for place in sorted(gone):
            self._folder.remove(place)
        self._state.forget(gone)
        count = len(removed)
        if self._must_sweep:
            for place in self._folder.strangers(lambda place: place == ABOUT or self._state.has(place)):
                self._folder.remove(place)
                count += 1
        return count

    def _has_lost(self) -> bool:
        """Whether entries have left the registry altogether: a restore may lose rows, and their numbers are not given
        again. Without a loss the numbers that nobody has are as many as before."""
        total, highest = int(self._state.fact("total") or 0), int(self._state.fact("highest") or 0)
        return self._total < total or self._world.highest - self._total != highest - total

    def _about(self, now: datetime, files: int, log_size: int | None) -> bytes:
        about: dict[str, object] = {
            "service": self._service,
            "public_revision": self._as_of.revision,
            "as_of": _iso(self._as_of.at),
            "checked_at": _iso(now),
            "files": files,
        }
        if log_size is not None:
            about["log_size"] = log_size
        return (json.dumps(about, indent=2) + "\n").encode()


def _chunks(tasks: Iterable[Task], size: int) -> Iterator[list[Task]]:
    tasks = iter(tasks)
    while chunk := list(islice(tasks, size)):
        yield chunk


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
