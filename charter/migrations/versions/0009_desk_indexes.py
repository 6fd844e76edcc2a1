"""indexes of the desk

By which the queue is filtered, and the audit and what was decided together are found.

Revision ID: 0009
Revises: 0008
Create Date: 2026-11-23 09:15:00.000000
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_affiliation_alias_open",
        "affiliation_alias",
        ["id"],
        unique=False,
        postgresql_where=sa.text("cursor IS NOT NULL"),
        sqlite_where=sa.text("cursor IS NOT NULL"),
    )
    op.create_index(
        "ix_signature_own_words",
        "signature",
        ["affiliation_text", "kind", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('confirmed', 'clarification') AND affiliation_text IS NOT NULL"),
        sqlite_where=sa.text("state IN ('confirmed', 'clarification') AND affiliation_text IS NOT NULL"),
    )
    op.create_index("ix_audit_action", "audit", ["action", "id"], unique=False)
    op.create_index("ix_audit_at", "audit", ["at", "id"], unique=False)
    op.create_index("ix_audit_staff", "audit", ["staff_id", "id"], unique=False)
    op.create_index("ix_audit_subject", "audit", ["subject", "subject_id", "id"], unique=False)
    op.create_index(
        "ix_decision_bulk",
        "decision",
        ["bulk", "id"],
        unique=False,
        postgresql_where=sa.text("bulk IS NOT NULL"),
        sqlite_where=sa.text("bulk IS NOT NULL"),
    )
    op.create_index(
        "ix_mailbox_tally_bounced",
        "mailbox_tally",
        ["bounced_at"],
        unique=False,
        postgresql_where=sa.text("bounced_at IS NOT NULL"),
        sqlite_where=sa.text("bounced_at IS NOT NULL"),
    )
    op.create_index("ix_proposal_subject", "proposal", ["subject", "subject_id", "id"], unique=False)
    op.create_index(
        "ix_signature_revoked",
        "signature",
        ["ended_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'revoked'"),
        sqlite_where=sa.text("state = 'revoked'"),
    )
    op.create_index(
        "ix_signature_queue_affiliation",
        "signature",
        ["state", "affiliation_id", "due_on", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('confirmed', 'clarification')"),
        sqlite_where=sa.text("state IN ('confirmed', 'clarification')"),
    )
    op.create_index(
        "ix_signature_queue_kind",
        "signature",
        ["state", "kind", "due_on", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('confirmed', 'clarification')"),
        sqlite_where=sa.text("state IN ('confirmed', 'clarification')"),
    )
    op.create_index(
        "ix_signature_queue_state",
        "signature",
        ["state", "due_on", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('confirmed', 'clarification')"),
        sqlite_where=sa.text("state IN ('confirmed', 'clarification')"),
    )
    op.create_index(
        "ix_signature_queue_region",
        "signature",
        ["state", "region_code", "due_on", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('confirmed', 'clarification')"),
        sqlite_where=sa.text("state IN ('confirmed', 'clarification')"),
    )


def downgrade() -> None:
    op.drop_index("ix_signature_queue_region", table_name="signature")
    op.drop_index("ix_signature_queue_state", table_name="signature")
    op.drop_index("ix_signature_queue_kind", table_name="signature")
    op.drop_index("ix_signature_queue_affiliation", table_name="signature")
    op.drop_index("ix_mailbox_tally_bounced", table_name="mailbox_tally")
    op.drop_index("ix_signature_revoked", table_name="signature")
    op.drop_index("ix_proposal_subject", table_name="proposal")
    op.drop_index("ix_decision_bulk", table_name="decision")
    op.drop_index("ix_audit_subject", table_name="audit")
    op.drop_index("ix_audit_staff", table_name="audit")
    op.drop_index("ix_audit_at", table_name="audit")
    op.drop_index("ix_audit_action", table_name="audit")
    op.drop_index("ix_signature_own_words", table_name="signature")
    op.drop_index("ix_affiliation_alias_open", table_name="affiliation_alias")
