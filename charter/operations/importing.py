"""What staff do with a list of people: bring it, say what its columns are, let it be tried, start it, call it off.

Nobody becomes a signatory by it: each person is written to and gives the consents themselves (operations/entering.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, func, null, select, update

from charter.domain.duties import Right
from charter.domain.errors import DecidedMeanwhileError, DutyRefusedError, FieldRefusedError, NotFoundError
from charter.domain.sheet import READING, WAIT, layout_of, problem_of
from charter.models.base import db
from charter.models.importing import ImportJob, ImportLayout, ImportRow
from charter.operations.duties import require
from charter.operations.steps import add_audit
from charter.operations.unit import insert_on, lock, operation, unrecorded

#: Rows written in one transaction while a file is read.
READ_AT_ONCE = 1000
OPEN = ("reading", "mapping", "checking", "checked", "running")
#: From here on a list counts as imported: the same file again has to be wanted.
STARTED = ("running", "done")

_ROWS = cast("Table", ImportRow.__table__)


@dataclass(frozen=True)
class NewList:
    """A file as it was opened. sha256: of its bytes, in hexadecimal. source: what staff call it; people read it."""

    sha256: str
    source: str
    format: str
    encoding: str | None
    sheet: str | None
    header_row: int
    header: Sequence[str]


@operation
def begin(new: NewList, *, staff_id: int, now: datetime) -> int:
    """A job for a file that is about to be read; returns its id. Raises DutyRefusedError."""
    require(staff_id, Right.IMPORT)
    job = ImportJob(
        sha256=new.sha256,
        source=new.source,
        format=new.format,
        encoding=new.encoding,
        sheet=new.sheet,
        layout=layout_of(new.header),
        state="reading",
        version=1,
        rows=0,
        good=0,
        wrong=0,
        duplicates=0,
        done=0,
        cursor=0,
        staff_id=staff_id,
        created_at=now,
    )
    db.session.add(job)
    db.session.flush()
    db.session.add(ImportRow(job_id=job.id, row=new.header_row, state="header", cells={"cells": list(new.header)}))
    add_audit("import-begin", staff_id=staff_id, subject="import", subject_id=job.id, now=now)
    return job.id


@operation
@unrecorded
def add_rows(job_id: int, rows: Sequence[tuple[int, list[str]]], *, staff_id: int, is_last: bool) -> bool:
    """Rows of the file that is being read; False where it was called off meanwhile. is_last: the columns are next."""
    job = db.session.get(ImportJob, job_id, with_for_update=True)
    if job is None or job.state != "reading" or job.staff_id != staff_id:
        return False
    if rows:
        db.session.connection().execute(
            _ROWS.insert(),
            [
                {"job_id": job_id, "row": number, "state": "waiting", "cells": {"cells": cells}}
                for number, cells in rows
            ],
        )
    job.rows += len(rows)
    if is_last:
        job.state, job.version = "mapping", job.version + 1
    return True


@operation
@unrecorded
def break_off(job_id: int, code: str, *, staff_id: int, now: datetime) -> None:
    """The file turned out to be damaged or too large; what was read of it is emptied. code: of SheetError."""
    job = db.session.get(ImportJob, job_id, with_for_update=True)
    if job is not None and job.state == "reading" and job.staff_id == staff_id:
        _end(job, "failed", now=now, error=code)


@operation
def choose(
    job_id: int,
    *,
    version: int,
    mapping: Mapping[int, str],
    defaults: Mapping[str, str],
    again: bool,
    staff_id: int,
    now: datetime,
) -> None:
    """Says what the columns are; the worker then tries every row without importing any. Remembered for this layout.

    mapping: column, counted from 0 → field. defaults: field → what holds for every row that says nothing itself.
    again: a file that was imported before is wanted once more. Raises FieldRefusedError, DecidedMeanwhileError.
    """
    job = _open_job(job_id, version=version, states=("mapping", "checked"), staff_id=staff_id)
    problem = problem_of(mapping, defaults)
    if problem is not None:
        raise FieldRefusedError("mapping", problem)
    if not again and _earlier(job) is not None:
        raise FieldRefusedError("again", "required")
    kept = {str(place): field for place, field in mapping.items()}
    before = job.mapping
    job.mapping = kept
    job.defaults = {**{field: value for field, value in defaults.items() if value}, "again": again}
    job.state, job.version, job.cursor = "checking", job.version + 1, 0
    job.good = job.wrong = job.duplicates = job.done = 0
    _remember(job.layout or "", kept, now=now)
    add_audit(
        "import-map",
        staff_id=staff_id,
        subject="import",
        subject_id=job_id,
        now=now,
        before={"columns": before},
        after={"columns": kept},
    )


def _remember(layout: str, mapping: dict[str, str], *, now: datetime) -> None:
    engine = db.session.get_bind().dialect.name
    values = {"mapping": mapping, "used_at": now}
    added = insert_on(engine, ImportLayout).values(layout=layout, **values)
    db.session.execute(added.on_conflict_do_update(index_elements=["layout"], set_=values))


@operation
def start(job_id: int, *, version: int, staff_id: int, now: datetime) -> None:
    """From here on the worker enters the good rows and writes to the people. Of two who press at once one succeeds.

    The same file in another job, started meanwhile, counts as imported before. Raises DecidedMeanwhileError,
    FieldRefusedError.
    """
    row = db.session.get(ImportJob, job_id)
    # By the file, not by the job: two jobs of one file must not start past each other.
    lock("import", row.sha256 if row is not None else "")
    job = _open_job(job_id, version=version, states=("checked",), staff_id=staff_id)
    if not job.good:
        raise FieldRefusedError("rows", "none")
    if not (job.defaults or {}).get("again") and _earlier(job) is not None:
        raise FieldRefusedError("again", "required")
    job.state, job.version, job.cursor = "running", job.version + 1, 0
    add_audit(
        "import-start",
        staff_id=staff_id,
        subject="import",
        subject_id=job_id,
        now=now,
        detail={"rows": job.rows, "good": job.good},
        before={"state": "checked"},
        after={"state": job.state},
    )


@operation
def cancel(job_id: int, *, version: int | None = None, staff_id: int, now: datetime) -> None:
    """Calls it off: who was written to stays, the other rows are emptied. Raises DecidedMeanwhileError."""
    job = _open_job(job_id, version=version, states=OPEN, staff_id=staff_id)
    before = job.state
    _end(job, "cancelled", now=now)
    add_audit(
        "import-cancel",
        staff_id=staff_id,
        subject="import",
        subject_id=job_id,
        now=now,
        detail={"done": job.done},
        before={"state": before},
        after={"state": job.state},
    )


@operation
def lapse(*, now: datetime) -> int:
    """What nobody went on with is called off by the service; returns how many jobs it were."""
    jobs = db.session.scalars(
        select(ImportJob)
        .where(
            ImportJob.ended_at.is_(None),
            ((ImportJob.state == "reading") & (ImportJob.created_at < now - READING))
            | (ImportJob.state.in_(("mapping", "checked")) & (ImportJob.created_at < now - WAIT)),
        )
        .limit(20)
        .with_for_update(skip_locked=True)
    ).all()
    for job in jobs:
        before = job.state
        _end(job, "failed", now=now, error="lapsed")
        add_audit(
            "import-lapse",
            staff_id=None,
            subject="import",
            subject_id=job.id,
            now=now,
            before={"state": before},
            after={"state": job.state},
        )
    return len(jobs)


# ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _end(job: ImportJob, state: str, *, now: datetime, error: str | None = None) -> None:
    """Ends a job; its rows are emptied by the worker, from the first one on."""
    job.state, job.version, job.cursor, job.error, job.ended_at = state, job.version + 1, 0, error, now


def _open_job(job_id: int, *, version: int | None, states: Sequence[str], staff_id: int) -> ImportJob:
    """The job, locked, if it stands as the page showed it, and is this person's affair."""
    account = require(staff_id, Right.IMPORT)
    job = db.session.get(ImportJob, job_id, with_for_update=True, populate_existing=True)
    if job is None:
        raise NotFoundError
    if account.regions is not None and job.staff_id != staff_id:
        # What others brought may hold people of anywhere.
        raise DutyRefusedError
    if job.state not in states or (version is not None and job.version != version):
        raise DecidedMeanwhileError(state=job.state, by_staff_name=None)
    return job


def _earlier(job: ImportJob) -> int | None:
    return db.session.scalar(
        select(func.max(ImportJob.id)).where(
            ImportJob.sha256 == job.sha256, ImportJob.id != job.id, ImportJob.state.in_(STARTED)
        )
    )


def finish(job: ImportJob, *, now: datetime) -> None:
    """Every row was looked at: the job is done, and the audit says what became of it."""
    _end(job, "done", now=now)
    add_audit(
        "import-done",
        staff_id=job.staff_id,
        subject="import",
        subject_id=job.id,
        now=now,
        detail={"rows": job.rows, "done": job.done, "wrong": job.wrong, "duplicates": job.duplicates},
        before={"state": "running"},
        after={"state": job.state},
    )


def fail(job: ImportJob, code: str, *, now: datetime) -> None:
    """It cannot go on. code: why."""
    before = job.state
    _end(job, "failed", now=now, error=code)
    add_audit(
        "import-fail",
        staff_id=job.staff_id,
        subject="import",
        subject_id=job.id,
        now=now,
        detail={"done": job.done, "error": code},
        before={"state": before},
        after={"state": job.state},
    )


@operation
def empty(job_id: int, *, most: int) -> bool:
    """Empties some rows of a job that ended: nothing that was written stays. False when there are no more."""
    job = db.session.get(ImportJob, job_id, with_for_update=True)
    if job is None or job.ended_at is None or job.cursor < 0:
        return False
    numbers = db.session.scalars(
        select(ImportRow.row)
        .where(ImportRow.job_id == job_id, ImportRow.row > job.cursor)
        .order_by(ImportRow.row)
        .limit(most)
    ).all()
    if not numbers:
        job.cursor = EMPTIED
        return False
    chunk = (_ROWS.c.job_id == job_id, _ROWS.c.row.between(numbers[0], numbers[-1]))
    values: dict[str, Any] = {"cells": null(), "identity": None}
    db.session.connection().execute(update(_ROWS).where(*chunk).values(**values))
    unfinished = {"state": "skipped", "code": "row:called-off" if job.state == "cancelled" else "row:not-done"}
    db.session.connection().execute(update(_ROWS).where(*chunk, _ROWS.c.state == "waiting").values(**unfinished))
    job.cursor = numbers[-1]
    return True


#: The cursor of a job that ended and of whose rows nothing is left but numbers and codes.
EMPTIED = -1
