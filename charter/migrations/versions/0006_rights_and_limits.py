"""rights and limits

What a signatory may ask for (corrections after publication, another address, objections, requests on paper), and what
keeps signing from being abused (traces that last two weeks, what a mailbox was sent, names that many would borrow).

Revision ID: 0006
Revises: 0005
Create Date: 2026-11-23 05:00:00.000000
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BY_BYTES = sa.String(400).with_variant(sa.String(400, collation="C"), "postgresql")
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "day_key",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("key", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_day_key")),
    )
    op.create_table(
        "mail_hour",
        sa.Column("hour_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_count", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("hour_at", name=op.f("pk_mail_hour")),
    )
    op.create_table(
        "mailbox_tally",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("unconfirmed_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_mail_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("bounced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("bounce_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stopped_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_mailbox_tally")),
    )
    op.create_table(
        "retention_pass",
        sa.Column("rule", sa.String(length=32), nullable=False),
        sa.Column("cutoff_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("rule", name=op.f("pk_retention_pass")),
    )
    op.create_table(
        "spent_challenge",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_spent_challenge")),
    )
    op.create_index(op.f("ix_spent_challenge_expires_at"), "spent_challenge", ["expires_at"], unique=False)
    op.create_table(
        "notable_name",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("name_fold", sa.String(length=400), nullable=False),
        sa.Column("staff_id", _BIG, nullable=True),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_notable_name_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notable_name")),
        sa.UniqueConstraint("name_fold", name=op.f("uq_notable_name_name_fold")),
    )
    op.create_table(
        "address_change",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("signature_id", _BIG, nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("mailbox", sa.String(length=320), nullable=False),
        sa.Column("old_uid", sa.LargeBinary(length=16), nullable=False),
        sa.Column("old_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("old_tries", sa.Integer(), nullable=False),
        sa.Column("old_confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("new_uid", sa.LargeBinary(length=16), nullable=False),
        sa.Column("new_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("new_tries", sa.Integer(), nullable=False),
        sa.Column("new_confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["signature_id"], ["signature.id"], name=op.f("fk_address_change_signature_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address_change")),
        sa.UniqueConstraint("new_digest", name=op.f("uq_address_change_new_digest")),
        sa.UniqueConstraint("old_digest", name=op.f("uq_address_change_old_digest")),
    )
    op.create_index(op.f("ix_address_change_signature_id"), "address_change", ["signature_id"], unique=False)
    op.create_table(
        "correction",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("signature_id", _BIG, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("full_name", sa.String(length=120), nullable=False),
        sa.Column("short_name", sa.String(length=120), nullable=False),
        sa.Column("display", sa.String(length=8), nullable=False),
        sa.Column("affiliation_id", _BIG, nullable=True),
        sa.Column("affiliation_text", sa.String(length=200), nullable=True),
        sa.Column("region_code", sa.String(length=8), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("staff_id", _BIG, nullable=True),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'approved', 'declined', 'cancelled')", name=op.f("ck_correction_state")
        ),
        sa.ForeignKeyConstraint(["affiliation_id"], ["affiliation.id"], name=op.f("fk_correction_affiliation_id")),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_correction_region_code")),
        sa.ForeignKeyConstraint(["signature_id"], ["signature.id"], name=op.f("fk_correction_signature_id")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_correction_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction")),
    )
    op.create_index(
        "ix_correction_pending",
        "correction",
        ["due_on", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
        sqlite_where=sa.text("state = 'pending'"),
    )
    op.create_index(op.f("ix_correction_signature_id"), "correction", ["signature_id"], unique=False)
    op.create_index(
        "uq_correction_one_pending",
        "correction",
        ["signature_id"],
        unique=True,
        postgresql_where=sa.text("state = 'pending'"),
        sqlite_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "signing_trace",
        sa.Column("signature_id", _BIG, autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("network", sa.LargeBinary(length=32), nullable=True),
        sa.Column("domain", sa.String(length=255), nullable=True),
        sa.Column("seconds", sa.Integer(), nullable=True),
        sa.Column("proof", sa.String(length=16), nullable=True),
        sa.ForeignKeyConstraint(["signature_id"], ["signature.id"], name=op.f("fk_signing_trace_signature_id")),
        sa.PrimaryKeyConstraint("signature_id", name=op.f("pk_signing_trace")),
    )
    op.create_index("ix_signing_trace_at", "signing_trace", ["at"], unique=False)
    op.create_index("ix_signing_trace_domain", "signing_trace", ["domain", "at"], unique=False)
    op.create_index("ix_signing_trace_network", "signing_trace", ["network", "at"], unique=False)
    op.create_table(
        "written_request",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("signature_id", _BIG, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("reference", sa.String(length=80), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("staff_id", _BIG, nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('data', 'correct', 'withdraw', 'erase', 'object')", name=op.f("ck_written_request_kind")
        ),
        sa.ForeignKeyConstraint(["signature_id"], ["signature.id"], name=op.f("fk_written_request_signature_id")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_written_request_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_written_request")),
    )
    op.create_index(op.f("ix_written_request_signature_id"), "written_request", ["signature_id"], unique=False)
    op.create_table(
        "objection",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("signature_id", _BIG, nullable=False),
        sa.Column("decision_id", _BIG, nullable=True),
        sa.Column("correction_id", _BIG, nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("words", sa.Text(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("first_staff_id", _BIG, nullable=True),
        sa.Column("staff_id", _BIG, nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("new_signature_id", _BIG, nullable=True),
        sa.CheckConstraint("state IN ('pending', 'upheld', 'rejected', 'cancelled')", name=op.f("ck_objection_state")),
        sa.CheckConstraint("decision_id IS NULL OR correction_id IS NULL", name=op.f("ck_objection_one_decision")),
        sa.ForeignKeyConstraint(["correction_id"], ["correction.id"], name=op.f("fk_objection_correction_id")),
        sa.ForeignKeyConstraint(["decision_id"], ["decision.id"], name=op.f("fk_objection_decision_id")),
        sa.ForeignKeyConstraint(["first_staff_id"], ["staff.id"], name=op.f("fk_objection_first_staff_id")),
        sa.ForeignKeyConstraint(["new_signature_id"], ["signature.id"], name=op.f("fk_objection_new_signature_id")),
        sa.ForeignKeyConstraint(["signature_id"], ["signature.id"], name=op.f("fk_objection_signature_id")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_objection_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_objection")),
        sa.UniqueConstraint("correction_id", name=op.f("uq_objection_correction_id")),
        sa.UniqueConstraint("decision_id", name=op.f("uq_objection_decision_id")),
    )
    op.create_index(
        "ix_objection_pending",
        "objection",
        ["due_on", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
        sqlite_where=sa.text("state = 'pending'"),
    )
    op.create_index(op.f("ix_objection_signature_id"), "objection", ["signature_id"], unique=False)
    op.add_column("registry_entry", sa.Column("is_indexable", sa.Boolean(), nullable=True))
    op.add_column("signature", sa.Column("held_because", sa.String(length=16), nullable=True))
    op.add_column("signature", sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("signature", sa.Column("name_fold", BY_BYTES, nullable=True))
    op.add_column("signature", sa.Column("is_indexable", sa.Boolean(), nullable=True))


def downgrade() -> None:
    op.drop_column("signature", "is_indexable")
    op.drop_column("signature", "name_fold")
    op.drop_column("signature", "reminded_at")
    op.drop_column("signature", "held_because")
    op.drop_column("registry_entry", "is_indexable")
    op.drop_index(op.f("ix_objection_signature_id"), table_name="objection")
    op.drop_index(
        "ix_objection_pending",
        table_name="objection",
        postgresql_where=sa.text("state = 'pending'"),
        sqlite_where=sa.text("state = 'pending'"),
    )
    op.drop_table("objection")
    op.drop_index(op.f("ix_written_request_signature_id"), table_name="written_request")
    op.drop_table("written_request")
    op.drop_index("ix_signing_trace_network", table_name="signing_trace")
    op.drop_index("ix_signing_trace_domain", table_name="signing_trace")
    op.drop_index("ix_signing_trace_at", table_name="signing_trace")
    op.drop_table("signing_trace")
    op.drop_index(
        "uq_correction_one_pending",
        table_name="correction",
        postgresql_where=sa.text("state = 'pending'"),
        sqlite_where=sa.text("state = 'pending'"),
    )
    op.drop_index(op.f("ix_correction_signature_id"), table_name="correction")
    op.drop_index(
        "ix_correction_pending",
        table_name="correction",
        postgresql_where=sa.text("state = 'pending'"),
        sqlite_where=sa.text("state = 'pending'"),
    )
    op.drop_table("correction")
    op.drop_index(op.f("ix_address_change_signature_id"), table_name="address_change")
    op.drop_table("address_change")
    op.drop_table("notable_name")
    op.drop_index(op.f("ix_spent_challenge_expires_at"), table_name="spent_challenge")
    op.drop_table("spent_challenge")
    op.drop_table("retention_pass")
    op.drop_table("mailbox_tally")
    op.drop_table("mail_hour")
    op.drop_table("day_key")
