"""terms of signatures

By which what has a term is found without looking at all signatures, and names that are alike.

Revision ID: 0007
Revises: 0006
Create Date: 2026-11-23 05:05:00.000000
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ANSWERS = "done_at IS NULL AND NOT on_hold AND kind NOT IN ('signing', 'reminder', 'address-new')"


def upgrade() -> None:
    op.create_index(
        "ix_signature_declined",
        "signature",
        ["ended_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'declined'"),
        sqlite_where=sa.text("state = 'declined'"),
    )
    op.create_index("ix_signature_name_fold", "signature", ["name_fold"], unique=False)
    op.create_index(
        "ix_signature_unconfirmed",
        "signature",
        ["submitted_at", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('submitted', 'expired')"),
        sqlite_where=sa.text("state IN ('submitted', 'expired')"),
    )
    op.create_index(
        "ix_signature_to_remind",
        "signature",
        ["submitted_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'submitted' AND NOT held AND reminded_at IS NULL"),
        sqlite_where=sa.text("state = 'submitted' AND NOT held AND reminded_at IS NULL"),
    )
    op.create_index(
        "ix_message_answers",
        "message",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text(ANSWERS),
        sqlite_where=sa.text(ANSWERS),
    )
    op.create_index("ix_mailbox_tally_last_mail_at", "mailbox_tally", ["last_mail_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_message_answers", table_name="message")
    op.drop_index("ix_mailbox_tally_last_mail_at", table_name="mailbox_tally")
    op.drop_index("ix_signature_to_remind", table_name="signature")
    op.drop_index(
        "ix_signature_unconfirmed",
        table_name="signature",
        postgresql_where=sa.text("state IN ('submitted', 'expired')"),
        sqlite_where=sa.text("state IN ('submitted', 'expired')"),
    )
    op.drop_index("ix_signature_name_fold", table_name="signature")
    op.drop_index(
        "ix_signature_declined",
        table_name="signature",
        postgresql_where=sa.text("state = 'declined'"),
        sqlite_where=sa.text("state = 'declined'"),
    )
