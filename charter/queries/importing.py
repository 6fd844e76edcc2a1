"""Lists of people as staff see them, what the worker has to do with them, and from which list somebody was entered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, or_, select

from charter.domain import token as tokens
from charter.domain.affiliation import INDEPENDENT, INTERNATIONAL, PARTY
from charter.domain.duties import Right, may
from charter.domain.sheet import READING, WAIT, AffiliationNames, Lists, RegionNames
from charter.domain.signature import State
from charter.models.affiliation import Affiliation, AffiliationAlias, Region
from charter.models.base import db
from charter.models.edition import Edition
from charter.models.importing import ImportJob, ImportLayout, ImportRow
from charter.models.signature import Link, Signature
from charter.models.staff import StaffAccount

JOBS_A_PAGE = 30
SAMPLE = 5
#: Rows with something to say that a page shows; the file has all of them.
SHOWN_ROWS = 50
_KIND_OF_TYPE = {"party": PARTY, "organisation": INDEPENDENT, "mission": INTERNATIONAL}
_ENDED = ("done", "cancelled", "failed")


@dataclass(frozen=True)
class JobView:
    """A list of people, for staff. mapping: column, from 0 → field. cursor: the row the present step has reached.

    good: rows that can be entered, or are left to enter while it runs. again: wanted though imported before.
    is_emptied: only numbers and codes are left of its rows.
    """

    job_id: int
    source: str
    format: str
    encoding: str | None
    sheet: str | None
    layout: str
    state: str
    version: int
    rows: int
    good: int
    wrong: int
    duplicates: int
    done: int
    looked_at: int
    error: str | None
    mapping: Mapping[int, str]
    defaults: Mapping[str, str]
    again: bool
    staff_id: int
    staff_name: str
    created_at: datetime
    ended_at: datetime | None

    @property
    def is_busy(self) -> bool:
        """Whether the worker is at it."""
        return self.state in {"checking", "running"}


@dataclass(frozen=True)
class RowView:
    """A row of a file. cells: None once it was emptied. codes: what is wrong, or a hint."""

    row: int
    state: str
    codes: tuple[str, ...]
    cells: tuple[str, ...] | None


@dataclass(frozen=True)
class Earlier:
    """A job that imported the same file before."""

    job_id: int
    source: str
    staff_name: str
    created_at: datetime


@dataclass(frozen=True)
class Provenance:
    """From where somebody was entered. sheet: of a workbook; row: as the file counts."""

    source: str
    sheet: str | None
    row: int
    entered_at: datetime
    job_id: int
    staff_name: str


# ── for staff ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _view(job: ImportJob, staff_name: str, looked_at: int = 0) -> JobView:
    defaults = dict(job.defaults or {})
    again = bool(defaults.pop("again", False))
    return JobView(
        job_id=job.id,
        source=job.source,
        format=job.format,
        encoding=job.encoding,
        sheet=job.sheet,
        layout=job.layout or "",
        state=job.state,
        version=job.version,
        rows=job.rows,
        good=job.good,
        wrong=job.wrong,
        duplicates=job.duplicates,
        done=job.done,
        looked_at=looked_at,
        error=job.error,
        mapping={int(place): field for place, field in (job.mapping or {}).items()},
        defaults=defaults,
        again=again,
        staff_id=job.staff_id,
        staff_name=staff_name,
        created_at=job.created_at,
        ended_at=job.ended_at,
    )


def jobs(*, own: int | None, before: int | None = None) -> tuple[list[JobView], int | None]:
    """The newest first, and where the next page begins. own: only what this person brought."""
    query = select(ImportJob, StaffAccount.name).join(StaffAccount, StaffAccount.id == ImportJob.staff_id)
    if own is not None:
        query = query.where(ImportJob.staff_id == own)
    if before is not None:
        query = query.where(ImportJob.id < before)
    rows = db.session.execute(query.order_by(ImportJob.id.desc()).limit(JOBS_A_PAGE + 1)).all()
    found = [_view(job, name) for job, name in rows[:JOBS_A_PAGE]]
    return found, found[-1].job_id if len(rows) > JOBS_A_PAGE else None


def find_job(job_id: int, *, own: int | None) -> JobView | None:
    """One job; None for an unknown one, or for another person's where `own` says who asks."""
    row = db.session.execute(
        select(ImportJob, StaffAccount.name)
        .join(StaffAccount, StaffAccount.id == ImportJob.staff_id)
        .where(ImportJob.id == job_id)
    ).first()
    if row is None or (own is not None and row[0].staff_id != own):
        return None
    return _view(row[0], row[1], _looked_at(row[0]))


def _looked_at(job: ImportJob) -> int:
    """How many rows the present step has behind it: bounded by the size of a file."""
    if job.state not in {"checking", "running"} or job.cursor <= 0:
        return 0
    query = select(func.count()).where(
        ImportRow.job_id == job.id, ImportRow.row <= job.cursor, ImportRow.state != "header"
    )
    return int(db.session.scalar(query) or 0)


def header_of(job_id: int) -> tuple[str, ...]:
    """The headings of a file; nothing once it was emptied."""
    cells = db.session.scalar(
        select(ImportRow.cells).where(ImportRow.job_id == job_id, ImportRow.state == "header").limit(1)
    )
    return _cells(cells) or ()


def sample_of(job_id: int) -> list[RowView]:
    """The first rows under the headings."""
    rows = db.session.scalars(
        select(ImportRow)
        .where(ImportRow.job_id == job_id, ImportRow.state != "header")
        .order_by(ImportRow.row)
        .limit(SAMPLE)
    )
    return [_row(row) for row in rows]


def told_rows(job_id: int, *, after: int = 0, most: int = SHOWN_ROWS) -> list[RowView]:
    """Rows that something is to be said of, in the order of the file: what is wrong, who is there already, hints."""
    rows = db.session.scalars(
        select(ImportRow)
        .where(ImportRow.job_id == job_id, ImportRow.row > after, ImportRow.code.is_not(None))
        .order_by(ImportRow.row)
        .limit(most)
    )
    return [_row(row) for row in rows]


def each_told_row(job_id: int, *, at_once: int = 500) -> Iterator[RowView]:
    """All of them, a window at a time."""
    after = 0
    while rows := told_rows(job_id, after=after, most=at_once):
        yield from rows
        db.session.expunge_all()
        after = rows[-1].row


def _row(row: ImportRow) -> RowView:
    return RowView(row.row, row.state, tuple((row.code or "").split()), _cells(row.cells))


def _cells(cells: Mapping[str, Any] | None) -> tuple[str, ...] | None:
    return None if not cells else tuple(cells["cells"])


def remembered(layout: str) -> dict[int, str]:
    """How the columns of this layout were mapped last; nothing for a new one."""
    row = db.session.get(ImportLayout, layout)
    return {} if row is None else {int(place): field for place, field in row.mapping.items()}


def find_earlier(job_id: int) -> Earlier | None:
    """The newest other job that imported the same file."""
    own = select(ImportJob.sha256).where(ImportJob.id == job_id).scalar_subquery()
    row = db.session.execute(
        select(ImportJob.id, ImportJob.source, StaffAccount.name, ImportJob.created_at)
        .join(StaffAccount, StaffAccount.id == ImportJob.staff_id)
        .where(ImportJob.sha256 == own, ImportJob.id != job_id, ImportJob.state.in_(("running", "done")))
        .order_by(ImportJob.id.desc())
        .limit(1)
    ).first()
    return None if row is None else Earlier(*row)


def source_of(signature_id: int) -> Provenance | None:
    """The list and the row from which somebody was entered: for staff and for themselves (without who of the staff)."""
    row = db.session.execute(
        select(
            ImportJob.source, ImportJob.sheet, ImportRow.row, Signature.submitted_at, ImportJob.id, StaffAccount.name
        )
        .join(ImportRow, ImportRow.job_id == ImportJob.id)
        .join(Signature, Signature.id == ImportRow.signature_id)
        .join(StaffAccount, StaffAccount.id == ImportJob.staff_id)
        .where(ImportRow.signature_id == signature_id)
        .limit(1)
    ).first()
    return None if row is None else Provenance(*row)


# ── for the person ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class EnteredView:
    """What a list says of somebody who holds the mailed link. Named as `MySignature` names them, for the same form."""

    source: str
    entered_at: datetime
    kind: str
    full_name: str
    short_name: str
    display: str
    affiliation_slug: str | None
    affiliation_name: str | None
    region_code: str
    email: str
    language: str
    tries: int
    expires_at: datetime | None


def find_entered(token: str, *, language: str, now: datetime) -> EnteredView | None:
    """What a confirmation link leads to, where the Centre entered the person and nothing is confirmed yet."""
    row = db.session.execute(
        select(Link, Signature, Affiliation, ImportJob.source)
        .join(Signature, Signature.id == Link.signature_id)
        .join(ImportRow, ImportRow.signature_id == Signature.id)
        .join(ImportJob, ImportJob.id == ImportRow.job_id)
        .outerjoin(Affiliation, Affiliation.id == Signature.affiliation_id)
        .where(Link.token_digest == tokens.token_digest(token), Link.purpose == "confirm")
    ).first()
    if row is None:
        return None
    link, signature, source = row[0], row[1], row[3]
    affiliation: Affiliation | None = row[2]
    if signature.state != State.SUBMITTED or (link.expires_at is not None and link.expires_at <= now):
        return None
    return EnteredView(
        source=source,
        entered_at=signature.submitted_at,
        kind=signature.kind,
        full_name=signature.full_name,
        short_name=signature.short_name,
        display=signature.display,
        affiliation_slug=None if affiliation is None else affiliation.slug,
        affiliation_name=signature.affiliation_text if affiliation is None else affiliation.name[language],
        region_code=signature.region_code,
        email=signature.email,
        language=signature.language,
        tries=link.tries,
        expires_at=link.expires_at,
    )


# ── for the worker ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Work:
    """What is to be done next. state: checking | running, or ended for rows that are to be emptied."""

    job_id: int
    state: str
    version: int
    cursor: int
    mapping: Mapping[int, str]
    defaults: Mapping[str, str]
    regions: frozenset[str] | None


def find_work(*, skip: Sequence[int] = (), is_open: bool = True) -> Work | None:
    """The oldest job that waits for the worker. is_open: whether the Charter can be signed; until then nobody is
    entered, and a list that was started waits.
    """
    row = db.session.execute(
        select(ImportJob, StaffAccount.regions, StaffAccount.role)
        .join(StaffAccount, StaffAccount.id == ImportJob.staff_id)
        .where(
            or_(
                ImportJob.state.in_(("checking", "running") if is_open else ("checking",)),
                ImportJob.state.in_(_ENDED) & (ImportJob.cursor >= 0),
            ),
            ImportJob.id.not_in(skip),
        )
        .order_by(ImportJob.id)
        .limit(1)
    ).first()
    if row is None:
        return None
    job, regions, role = row
    if not may(role, Right.IMPORT):
        regions = []
    defaults = {field: str(value) for field, value in (job.defaults or {}).items() if field != "again"}
    return Work(
        job_id=job.id,
        state="ended" if job.state in _ENDED else job.state,
        version=job.version,
        cursor=job.cursor,
        mapping={int(place): field for place, field in (job.mapping or {}).items()},
        defaults=defaults,
        regions=None if regions is None else frozenset(regions),
    )


def has_lapsed(*, now: datetime) -> bool:
    """Whether there is a job that nobody went on with for too long: asked each second, so without a transaction."""
    oldest = select(ImportJob.id).where(
        ImportJob.ended_at.is_(None),
        or_(
            (ImportJob.state == "reading") & (ImportJob.created_at < now - READING),
            ImportJob.state.in_(("mapping", "checked")) & (ImportJob.created_at < now - WAIT),
        ),
    )
    return db.session.scalar(oldest.limit(1)) is not None


def rows_after(work: Work, *, most: int) -> list[tuple[int, tuple[str, ...]]]:
    """The next rows of a job: all of them while it is tried, the good ones while it runs."""
    query = select(ImportRow.row, ImportRow.cells).where(ImportRow.job_id == work.job_id, ImportRow.row > work.cursor)
    query = query.where(ImportRow.state == "waiting" if work.state == "running" else ImportRow.state != "header")
    rows = db.session.execute(query.order_by(ImportRow.row).limit(most)).all()
    return [(number, _cells(cells) or ()) for number, cells in rows]


def lists(*, on: date, allowed: frozenset[str] | None) -> Lists:
    """What the words of rows are matched with: what can be chosen on that day. Three queries.

    allowed: codes of regions that may be filled, None for all.
    """
    regions = db.session.scalars(
        select(Region).where(
            or_(Region.valid_from.is_(None), Region.valid_from <= on),
            or_(Region.valid_to.is_(None), Region.valid_to >= on),
        )
    )
    rows = db.session.scalars(
        select(Affiliation).where(
            Affiliation.is_selectable,
            or_(Affiliation.valid_from.is_(None), Affiliation.valid_from <= on),
            or_(Affiliation.valid_to.is_(None), Affiliation.valid_to >= on),
        )
    )
    aliases: dict[int, list[str]] = {}
    for affiliation_id, name in db.session.execute(select(AffiliationAlias.affiliation_id, AffiliationAlias.name)):
        aliases.setdefault(affiliation_id, []).append(name)
    return Lists(
        regions=tuple(
            RegionNames(row.code, tuple(row.name.values()), (*row.short.values(), *row.abbr.values()))
            for row in regions
        ),
        affiliations=tuple(
            AffiliationNames(
                row.slug,
                _KIND_OF_TYPE[row.type],
                (*row.name.values(), *(row.abbr or {}).values(), *aliases.get(row.id, ())),
            )
            for row in rows
        ),
        allowed=allowed,
    )


def current_edition() -> str | None:
    """The name of the edition that is being signed."""
    return db.session.scalar(select(Edition.slug).where(Edition.is_current))
