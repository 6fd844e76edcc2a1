"""The spreadsheet of the whole registry as a file in the instance folder: made by a worker, sent by the web server.

At most one an hour, whatever is published, and by one worker of a machine alone; a file that shows somebody who has
left, or a line that was corrected, is taken away at once and made anew when its hour comes.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import structlog
from flask import Flask

from charter import clock, spreadsheet
from charter.domain.languages import LANGUAGES, Texts
from charter.domain.selection import Selection
from charter.queries import open_data, registry, schema, takeaway
from charter.settings import Settings

logger = structlog.get_logger()

FOLDER = "open-data"
EVERY = timedelta(hours=1)
#: How often a worker looks whether there is something to do.
LOOK_SECONDS = 5.0
_LOCK = ".made"
_WORKING = ".working-"
_NAME = re.compile(r"charter-registry-r(?P<revision>\d{1,15})-\d{4}-\d{2}-\d{2}\.xlsx")


@dataclass(frozen=True)
class KeptFile:
    """revision: the `public_revision` that it stands at. as_of: that batch's instant, UTC."""

    path: Path
    revision: int
    as_of: datetime


def find(settings: Settings) -> KeptFile | None:
    """The newest file that is there: one look into a folder, none into the database."""
    newest: KeptFile | None = None
    with suppress(OSError):
        for path in _folder(settings).iterdir():
            found = _NAME.fullmatch(path.name)
            if found is not None and (newest is None or int(found["revision"]) > newest.revision):
                at = datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)
                newest = KeptFile(path, int(found["revision"]), at)
    return newest


def keep(settings: Settings, *, is_wanted: Callable[[], bool] = lambda: True) -> KeptFile | None:
    """Does what is to be done just now: takes a file away, makes one. Returns the file that was made, if one was.

    is_wanted: asked again and again while it is made. Needs an application context.
    Raises SQLAlchemyError, BrokenOffError, LeftOffError, OSError.
    """
    as_of = registry.find_as_of()
    kept = find(settings)
    if as_of is None or (kept is not None and kept.revision == as_of.revision):
        return None
    if kept is not None and (kept.revision > as_of.revision or takeaway.has_left_since(kept.revision)):
        kept.path.unlink(missing_ok=True)
    with _alone(_folder(settings)) as mark:
        # Another worker may have made it while this one looked.
        kept = find(settings)
        if mark is None or (kept is not None and kept.revision >= as_of.revision) or not _is_time(mark):
            return None
        mark.write_text(f"{clock.now().timestamp():.0f}\n", encoding="ascii")
        return _make(settings, is_wanted)


def _make(settings: Settings, is_wanted: Callable[[], bool]) -> KeptFile | None:
    began = time.perf_counter()
    folder = _folder(settings)
    for left in folder.glob(f"{_WORKING}*"):
        shutil.rmtree(left, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=_WORKING) as working,
        takeaway.open_reading(Selection()) as reading,
    ):
        if reading.as_of is None:
            return None
        draft = Path(working) / "registry.xlsx"
        spreadsheet.write(draft, reading, about(settings), region_names(), is_wanted=is_wanted)
        at = reading.as_of.at
        os.utime(draft, (at.timestamp(), at.timestamp()))
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        path = folder / takeaway.file_name(reading.as_of, "xlsx")
        draft.replace(path)
    for older in folder.glob("charter-registry-*.xlsx"):
        # Whoever is reading one of them keeps it until they have done.
        if older != path:
            older.unlink(missing_ok=True)
    logger.info("spreadsheet made", rows=reading.count, seconds=round(time.perf_counter() - began, 1))
    return find(settings)


def about(settings: Settings, selected: str = "") -> spreadsheet.About:
    """What workbooks of this installation say about themselves."""
    urls: Texts = {language: f"{settings.public_url}/{language}/open-data/" for language in LANGUAGES}
    return spreadsheet.About(urls, selected, settings.open_data_licence)


def region_names() -> list[tuple[str, Texts]]:
    """Codes of regions and their names."""
    return [(one.code, one.name) for one in open_data.regions()]


def _folder(settings: Settings) -> Path:
    return settings.instance_path / FOLDER


def _is_time(mark: Path) -> bool:
    try:
        made_at = float(mark.read_text(encoding="ascii") or 0)
    except ValueError:
        return True
    # A clock that was set back must not stop it for good.
    return not 0 <= clock.now().timestamp() - made_at < EVERY.total_seconds()


@contextmanager
def _alone(folder: Path) -> Iterator[Path | None]:
    """The file that tells when the last one was made, for one worker at a time; None while another has it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark = folder / _LOCK
    descriptor = os.open(mark, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        yield None
        return
    try:
        yield mark
    finally:
        os.close(descriptor)


class Keeper:
    """Keeps the file in a thread of its own: a million rows take a minute, for which nothing else waits."""

    def __init__(self, app: Flask, stop: threading.Event, guarded: Callable[..., object]) -> None:
        """guarded: calls what it is given and lets no error out; its second argument is `stop`."""
        self._app, self._stop, self._guarded = app, stop, guarded
        # A daemon: what is half made is swept up by the next one.
        self._thread = threading.Thread(target=self._run, name="spreadsheet", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def _run(self) -> None:
        settings: Settings = self._app.config["CHARTER"]
        work = partial(self._keep, settings)
        with schema.serving():
            while not self._stop.wait(LOOK_SECONDS):
                with self._app.app_context():
                    self._guarded(work, self._stop)

    def _keep(self, settings: Settings) -> None:
        try:
            keep(settings, is_wanted=lambda: not self._stop.is_set())
        except spreadsheet.LeftOffError:
            logger.info("spreadsheet left off")
        except takeaway.BrokenOffError as error:
            logger.warning("spreadsheet broken off", kind=str(error))
        except OSError as error:
            logger.warning("spreadsheet not written", code=error.errno)
