"""Figures for everybody: what the leaves of the log say, and months; in tables that an older database does not have."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Connection, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from charter.models.base import Base, BigId, has_table

#: The one row of `log_total`.
THE_TOTAL = 1


class LogTotal(Base):
    """One row: how far the leaves are counted, and the sums of what they say. Public."""

    __tablename__ = "log_total"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    leaf_count: Mapped[int] = mapped_column(BigId, default=0)  # leaves counted so far, from the first on
    applications: Mapped[int] = mapped_column(default=0)
    withdrawn_waiting: Mapped[int] = mapped_column(default=0)  # before an answer
    withdrawn_published: Mapped[int] = mapped_column(default=0)
    revoked: Mapped[int] = mapped_column(default=0)
    waiting: Mapped[int] = mapped_column(default=0)  # now without an answer
    overdue: Mapped[int] = mapped_column(default=0)  # of these, due before `counted_on`
    counted_on: Mapped[date | None]  # the day, in Kazakhstan, of the batch that looked at the clock; None: not yet


class MonthCount(Base):
    """`day_count` gathered by month: a plot of many years reads these few rows. Public."""

    __tablename__ = "month_count"

    region_code: Mapped[str] = mapped_column(ForeignKey("region.code"), primary_key=True)
    month_on: Mapped[date] = mapped_column(primary_key=True)  # its first day
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    signed: Mapped[int] = mapped_column(default=0)


class WaitingApplication(Base):
    """An application that the log has no answer to yet; its row goes with the answer. Public: the log says it."""

    __tablename__ = "waiting_application"

    entry: Mapped[str] = mapped_column(String(32), primary_key=True)
    confirmed_on: Mapped[date]
    due_on: Mapped[date]


class DueCount(Base):
    """How many applications without an answer are due on this day."""

    __tablename__ = "due_count"

    due_on: Mapped[date] = mapped_column(primary_key=True)
    waiting: Mapped[int] = mapped_column(default=0)


class AnswerCount(Base):
    """How many applications were answered so, after so many days."""

    __tablename__ = "answer_count"

    outcome: Mapped[str] = mapped_column(String(8), primary_key=True)  # publish | refuse
    reason: Mapped[str] = mapped_column(String(16), primary_key=True)  # of the log; empty for `publish`
    days: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # from local day to local day
    answered: Mapped[int] = mapped_column(default=0)
    late: Mapped[int] = mapped_column(default=0)  # of these, after the day they were due


def is_migrated(connection: Connection) -> bool:
    """Whether the tables are there: while processes are replaced one by one, the code may be ahead of the database."""
    return has_table(connection, LogTotal.__tablename__)
