"""figures of the log

Counters that follow the leaves of the log, one by one, and signatures by month. Those of the log begin empty: what is in the log already is counted by the
worker in bounded steps, and until then pages say so.

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-22 22:50:00.000000
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


_MONTH = {"sqlite": "strftime('%Y-%m-01', signed_on)", "postgresql": "date_trunc('month', signed_on)::date"}


def upgrade() -> None:
    op.create_table(
        "log_total",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("leaf_count", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("applications", sa.Integer(), nullable=False),
        sa.Column("withdrawn_waiting", sa.Integer(), nullable=False),
        sa.Column("withdrawn_published", sa.Integer(), nullable=False),
        sa.Column("revoked", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("overdue", sa.Integer(), nullable=False),
        sa.Column("counted_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_total")),
    )
    op.create_table(
        "waiting_application",
        sa.Column("entry", sa.String(length=32), nullable=False),
        sa.Column("confirmed_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_waiting_application")),
    )
    op.create_table(
        "due_count",
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("due_on", name=op.f("pk_due_count")),
    )
    op.create_table(
        "answer_count",
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("days", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("answered", sa.Integer(), nullable=False),
        sa.Column("late", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("outcome", "reason", "days", name=op.f("pk_answer_count")),
    )
    op.create_table(
        "month_count",
        sa.Column("region_code", sa.String(length=8), nullable=False),
        sa.Column("month_on", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("signed", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_month_count_region_code")),
        sa.PrimaryKeyConstraint("region_code", "month_on", "kind", name=op.f("pk_month_count")),
    )
    # Empty where this step and the one before are made at once. No batch comes between: it would move days unseen.
    if op.get_bind().dialect.name == "postgresql":
        op.execute("LOCK TABLE day_count IN SHARE ROW EXCLUSIVE MODE")
    op.execute(
        f"""INSERT INTO month_count (region_code, month_on, kind, signed)
            SELECT region_code, {_MONTH[op.get_bind().dialect.name]} AS month_on, kind, sum(signed) FROM day_count
            GROUP BY region_code, month_on, kind"""  # noqa: S608
    )
    # The weeks of one region, read without the others.
    op.create_index("ix_day_count_region", "day_count", ["region_code", "signed_on"])


def downgrade() -> None:
    op.drop_index("ix_day_count_region", "day_count")
    op.drop_table("month_count")
    op.drop_table("answer_count")
    op.drop_table("due_count")
    op.drop_table("waiting_application")
    op.drop_table("log_total")
