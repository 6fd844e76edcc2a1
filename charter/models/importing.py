"""Imports of paper sheets and training lists: a job, its rows, and how the columns of a layout were mapped."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from charter.models.base import Base, BigId

_WAITING = text("state = 'waiting'")


class ImportJob(Base):
    """One file that staff brought. The file's own name is not kept: it may name somebody. For staff."""

    __tablename__ = "import_job"
    __table_args__ = (
        CheckConstraint(
            "state IN ('reading', 'mapping', 'checking', 'checked', 'running', 'cancelled', 'done', 'failed')",
            name="state",
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), index=True)  # of the file, as it came
    source: Mapped[str] = mapped_column(String(120))  # what staff call it, such as a training room
    format: Mapped[str] = mapped_column(String(8))  # csv | xlsx
    encoding: Mapped[str | None] = mapped_column(String(16))
    sheet: Mapped[str | None] = mapped_column(String(120))
    layout: Mapped[str | None] = mapped_column(String(64))  # digest of the header
    mapping: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # column → field
    defaults: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # field → value of every row, such as the region
    state: Mapped[str] = mapped_column(String(16))
    version: Mapped[int] = mapped_column(default=1)
    rows: Mapped[int] = mapped_column(default=0)
    good: Mapped[int] = mapped_column(default=0)
    wrong: Mapped[int] = mapped_column(default=0)
    duplicates: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    cursor: Mapped[int] = mapped_column(default=0)  # the row up to which the present step is done
    error: Mapped[str | None] = mapped_column(String(40))  # why it failed: a code
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class ImportRow(Base):
    """One row of a file. `cells` holds what was written until it became a signature or the job ended; then nothing."""

    __tablename__ = "import_row"
    __table_args__ = (
        Index("ix_import_row_waiting", "job_id", "row", postgresql_where=_WAITING, sqlite_where=_WAITING),
    )

    job_id: Mapped[int] = mapped_column(ForeignKey("import_job.id"), primary_key=True)
    row: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # as the file counts, the header included
    state: Mapped[str] = mapped_column(String(16))  # header | waiting | wrong | duplicate | done | skipped
    code: Mapped[str | None] = mapped_column(String(200))  # what is wrong with which field: "email:syntax name:digit"
    identity: Mapped[str | None] = mapped_column(String(64), index=True)  # keyed digest of mailbox and name
    cells: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    signature_id: Mapped[int | None] = mapped_column(ForeignKey("signature.id"), index=True)


class ImportLayout(Base):
    """The mapping that was used last for files with these columns."""

    __tablename__ = "import_layout"

    layout: Mapped[str] = mapped_column(String(64), primary_key=True)
    mapping: Mapped[dict[str, Any]]
    used_at: Mapped[datetime]
