"""first release

Revision ID: 0001
Revises:
Create Date: 2026-11-22 16:36:06.260128
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


#: Nothing may change or delete what stands in these, whoever asks: insider, bug or operator.
APPEND_ONLY = ("audit", "consent_text", "edition_text", "log_batch", "log_leaf", "signature_consent", "signature_event")


def _forbid_changes() -> None:
    """Triggers that refuse UPDATE and DELETE, and on PostgreSQL TRUNCATE."""
    if op.get_bind().dialect.name == "sqlite":
        for table in APPEND_ONLY:
            for verb in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )
        return
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$"
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def _allow_changes() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table in APPEND_ONLY:
            for verb in ("update", "delete"):
                op.execute(f"DROP TRIGGER {table}_no_{verb}")
        return
    for table in APPEND_ONLY:
        op.execute(f"DROP TRIGGER {table}_no_change ON {table}")
    op.execute("DROP FUNCTION refuse_change()")


def upgrade() -> None:
    op.create_table(
        "affiliation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("name", sa.JSON(), nullable=False),
        sa.Column("abbr", sa.JSON(), nullable=True),
        sa.Column("is_selectable", sa.Boolean(), nullable=False),
        sa.Column("merged_into", sa.String(length=64), nullable=True),
        sa.CheckConstraint("type IN ('party', 'organisation', 'mission')", name=op.f("ck_affiliation_type")),
        sa.ForeignKeyConstraint(["merged_into"], ["affiliation.slug"], name=op.f("fk_affiliation_merged_into")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_affiliation")),
        sa.UniqueConstraint("slug", name=op.f("uq_affiliation_slug")),
    )
    with op.batch_alter_table("affiliation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_affiliation_type"), ["type"], unique=False)

    op.create_table(
        "consent_text",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("first_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_consent_text")),
    )
    op.create_table(
        "edition",
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("is_specimen", sa.Boolean(), nullable=False),
        sa.Column("published_on", sa.Date(), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("slug", name=op.f("pk_edition")),
    )
    op.create_table(
        "log_batch",
        sa.Column(
            "revision", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tree_size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("revision", name=op.f("pk_log_batch")),
    )
    op.create_table(
        "rate_limit",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_rate_limit")),
    )
    with op.batch_alter_table("rate_limit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rate_limit_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "region",
        sa.Column("code", sa.String(length=8), nullable=False),
        sa.Column("slug", sa.String(length=40), nullable=False),
        sa.Column("name", sa.JSON(), nullable=False),
        sa.Column("short", sa.JSON(), nullable=False),
        sa.Column("abbr", sa.JSON(), nullable=False),
        sa.Column("order", sa.JSON(), nullable=False),
        sa.Column("tile_col", sa.Integer(), nullable=False),
        sa.Column("tile_row", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_region")),
        sa.UniqueConstraint("slug", name=op.f("uq_region_slug")),
    )
    op.create_table(
        "staff",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.Column("fs_uniquifier", sa.String(length=64), nullable=False),
        sa.Column("tf_primary_method", sa.String(length=16), nullable=True),
        sa.Column("tf_totp_secret", sa.Text(), nullable=True),
        sa.Column("totp_last_counter", sa.BigInteger(), nullable=True),
        sa.Column("mf_recovery_codes", sa.JSON(), nullable=True),
        sa.Column("recovery_kept_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("invite_digest", sa.LargeBinary(length=32), nullable=True),
        sa.Column("invite_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deactivated_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("language IN ('kk', 'ru', 'en')", name=op.f("ck_staff_language")),
        sa.CheckConstraint("(invite_digest IS NULL) = (invite_expires_at IS NULL)", name=op.f("ck_staff_invite")),
        sa.CheckConstraint(
            "(tf_totp_secret IS NULL) = (tf_primary_method IS NULL)", name=op.f("ck_staff_second_factor")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff")),
        sa.UniqueConstraint("email", name=op.f("uq_staff_email")),
        sa.UniqueConstraint("fs_uniquifier", name=op.f("uq_staff_fs_uniquifier")),
        sa.UniqueConstraint("invite_digest", name=op.f("uq_staff_invite_digest")),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_audit_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_staff_id"), ["staff_id"], unique=False)

    op.create_table(
        "edition_text",
        sa.Column("edition_slug", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["edition_slug"], ["edition.slug"], name=op.f("fk_edition_text_edition_slug")),
        sa.PrimaryKeyConstraint("edition_slug", "language", name=op.f("pk_edition_text")),
    )
    op.create_table(
        "log_leaf",
        sa.Column("index", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("revision", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["revision"], ["log_batch.revision"], name=op.f("fk_log_leaf_revision")),
        sa.PrimaryKeyConstraint("index", name=op.f("pk_log_leaf")),
    )
    op.create_table(
        "region_count",
        sa.Column("region_code", sa.String(length=8), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("listed", sa.Integer(), nullable=False),
        sa.Column("unlisted", sa.Integer(), nullable=False),
        sa.Column("withdrawn", sa.Integer(), nullable=False),
        sa.Column("revoked", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_region_count_region_code")),
        sa.PrimaryKeyConstraint("region_code", "kind", name=op.f("pk_region_count")),
    )
    op.create_table(
        "registry_entry",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("entry", sa.String(length=32), nullable=False),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.Column("line", sa.LargeBinary(), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("display", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=True),
        sa.Column("region_code", sa.String(length=8), nullable=False),
        sa.Column("affiliation_slug", sa.String(length=64), nullable=True),
        sa.Column("affiliation_name", sa.String(length=200), nullable=True),
        sa.Column("edition_slug", sa.String(length=64), nullable=False),
        sa.Column("signed_on", sa.Date(), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("ended_by", sa.String(length=16), nullable=True),
        sa.CheckConstraint(
            "display <> 'unlisted' OR (name IS NULL AND affiliation_name IS NULL)",
            name=op.f("ck_registry_entry_unlisted"),
        ),
        sa.CheckConstraint("(ended_on IS NULL) = (line IS NOT NULL)", name=op.f("ck_registry_entry_line_while_live")),
        sa.CheckConstraint(
            "ended_on IS NULL OR (name IS NULL AND affiliation_name IS NULL)",
            name=op.f("ck_registry_entry_nameless_when_ended"),
        ),
        sa.ForeignKeyConstraint(["edition_slug"], ["edition.slug"], name=op.f("fk_registry_entry_edition_slug")),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_registry_entry_region_code")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_registry_entry")),
        sa.UniqueConstraint("entry", name=op.f("uq_registry_entry_entry")),
    )
    with op.batch_alter_table("registry_entry", schema=None) as batch_op:
        batch_op.create_index("ix_registry_entry_kind", ["kind", "number"], unique=False)
        batch_op.create_index("ix_registry_entry_region", ["region_code", "number"], unique=False)
        batch_op.create_index("ix_registry_entry_region_kind", ["region_code", "kind", "number"], unique=False)

    op.create_table(
        "signature",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("entry", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("full_name", sa.String(length=120), nullable=False),
        sa.Column("short_name", sa.String(length=120), nullable=False),
        sa.Column("display", sa.String(length=8), nullable=False),
        sa.Column("name_key", sa.String(length=400), nullable=False),
        sa.Column("affiliation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("affiliation_text", sa.String(length=200), nullable=True),
        sa.Column("region_code", sa.String(length=8), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("mailbox", sa.String(length=320), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("signed_language", sa.String(length=2), nullable=False),
        sa.Column("edition_slug", sa.String(length=64), nullable=False),
        sa.Column("browser_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("application_line", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("display IN ('full', 'short', 'unlisted')", name=op.f("ck_signature_display")),
        sa.CheckConstraint("kind IN ('party', 'independent', 'international')", name=op.f("ck_signature_kind")),
        sa.CheckConstraint(
            "language IN ('kk', 'ru', 'en') AND signed_language IN ('kk', 'ru', 'en')",
            name=op.f("ck_signature_language"),
        ),
        sa.CheckConstraint(
            "state IN ('submitted', 'confirmed', 'clarification', 'approved', 'published', 'expired', 'declined', 'withdrawn', 'revoked', 'erased')",
            name=op.f("ck_signature_state"),
        ),
        sa.CheckConstraint(
            "affiliation_id IS NULL OR affiliation_text IS NULL", name=op.f("ck_signature_one_affiliation")
        ),
        sa.ForeignKeyConstraint(["affiliation_id"], ["affiliation.id"], name=op.f("fk_signature_affiliation_id")),
        sa.ForeignKeyConstraint(["edition_slug"], ["edition.slug"], name=op.f("fk_signature_edition_slug")),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_signature_region_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signature")),
        sa.UniqueConstraint("entry", name=op.f("uq_signature_entry")),
        sa.UniqueConstraint("number", name=op.f("uq_signature_number")),
    )
    with op.batch_alter_table("signature", schema=None) as batch_op:
        batch_op.create_index(
            "ix_signature_held",
            ["id"],
            unique=False,
            postgresql_where=sa.text("held AND state = 'submitted'"),
            sqlite_where=sa.text("held AND state = 'submitted'"),
        )
        batch_op.create_index("ix_signature_mailbox", ["mailbox", "name_key"], unique=False)
        batch_op.create_index(
            "ix_signature_queue",
            ["due_on", "id"],
            unique=False,
            postgresql_where=sa.text("state IN ('confirmed', 'clarification')"),
            sqlite_where=sa.text("state IN ('confirmed', 'clarification')"),
        )

    op.create_table(
        "staff_session",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_staff_session_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_session")),
        sa.UniqueConstraint("digest", name=op.f("uq_staff_session_digest")),
    )
    with op.batch_alter_table("staff_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_staff_session_staff_id"), ["staff_id"], unique=False)

    op.create_table(
        "decision",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("signature_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("state_before", sa.String(length=16), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("action IN ('approve', 'decline', 'ask')", name=op.f("ck_decision_action")),
        sa.ForeignKeyConstraint(["signature_id"], ["signature.id"], name=op.f("fk_decision_signature_id")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_decision_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
    )
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_decision_signature_id"), ["signature_id"], unique=False)

    op.create_table(
        "link",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("uid", sa.LargeBinary(length=16), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("signature_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("purpose IN ('confirm', 'personal', 'act')", name=op.f("ck_link_purpose")),
        sa.ForeignKeyConstraint(["signature_id"], ["signature.id"], name=op.f("fk_link_signature_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_link_token_digest")),
    )
    with op.batch_alter_table("link", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_link_signature_id"), ["signature_id"], unique=False)

    op.create_table(
        "signature_consent",
        sa.Column("signature_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("text_sha256", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["signature_id"], ["signature.id"], name=op.f("fk_signature_consent_signature_id")),
        sa.ForeignKeyConstraint(
            ["text_sha256"], ["consent_text.sha256"], name=op.f("fk_signature_consent_text_sha256")
        ),
        sa.PrimaryKeyConstraint("signature_id", "kind", name=op.f("pk_signature_consent")),
    )
    op.create_table(
        "signature_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("signature_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("move", sa.String(length=16), nullable=False),
        sa.Column("state_before", sa.String(length=16), nullable=True),
        sa.Column("state_after", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=16), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["signature_id"], ["signature.id"], name=op.f("fk_signature_event_signature_id")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_signature_event_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signature_event")),
    )
    with op.batch_alter_table("signature_event", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_signature_event_signature_id"), ["signature_id"], unique=False)

    op.create_table(
        "clarification",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("signature_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("decision_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["decision_id"], ["decision.id"], name=op.f("fk_clarification_decision_id")),
        sa.ForeignKeyConstraint(["signature_id"], ["signature.id"], name=op.f("fk_clarification_signature_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clarification")),
        sa.UniqueConstraint("decision_id", name=op.f("uq_clarification_decision_id")),
    )
    with op.batch_alter_table("clarification", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_clarification_signature_id"), ["signature_id"], unique=False)

    op.create_table(
        "log_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("signature_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("decision_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["decision_id"], ["decision.id"], name=op.f("fk_log_event_decision_id")),
        sa.ForeignKeyConstraint(["signature_id"], ["signature.id"], name=op.f("fk_log_event_signature_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_event")),
    )
    with op.batch_alter_table("log_event", schema=None) as batch_op:
        batch_op.create_index("ix_log_event_effective_at", ["effective_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_log_event_signature_id"), ["signature_id"], unique=False)

    op.create_table(
        "message",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("recipient", sa.String(length=320), nullable=True),
        sa.Column("signature_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("link_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("decision_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("on_hold", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(length=80), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["decision_id"], ["decision.id"], name=op.f("fk_message_decision_id")),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"], name=op.f("fk_message_link_id")),
        sa.ForeignKeyConstraint(["signature_id"], ["signature.id"], name=op.f("fk_message_signature_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        sa.UniqueConstraint("uid", name=op.f("uq_message_uid")),
    )
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.create_index(
            "ix_message_failed",
            ["id"],
            unique=False,
            postgresql_where=sa.text("failed_at IS NOT NULL"),
            sqlite_where=sa.text("failed_at IS NOT NULL"),
        )
        batch_op.create_index(batch_op.f("ix_message_signature_id"), ["signature_id"], unique=False)
        batch_op.create_index(
            "ix_message_waiting",
            ["due_at"],
            unique=False,
            postgresql_where=sa.text("done_at IS NULL AND NOT on_hold"),
            sqlite_where=sa.text("done_at IS NULL AND NOT on_hold"),
        )

    _forbid_changes()


def downgrade() -> None:
    _allow_changes()
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_message_waiting",
            postgresql_where=sa.text("done_at IS NULL AND NOT on_hold"),
            sqlite_where=sa.text("done_at IS NULL AND NOT on_hold"),
        )
        batch_op.drop_index(batch_op.f("ix_message_signature_id"))
        batch_op.drop_index(
            "ix_message_failed",
            postgresql_where=sa.text("failed_at IS NOT NULL"),
            sqlite_where=sa.text("failed_at IS NOT NULL"),
        )

    op.drop_table("message")
    with op.batch_alter_table("log_event", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_log_event_signature_id"))
        batch_op.drop_index("ix_log_event_effective_at")

    op.drop_table("log_event")
    with op.batch_alter_table("clarification", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_clarification_signature_id"))

    op.drop_table("clarification")
    with op.batch_alter_table("signature_event", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_signature_event_signature_id"))

    op.drop_table("signature_event")
    op.drop_table("signature_consent")
    with op.batch_alter_table("link", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_link_signature_id"))

    op.drop_table("link")
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_decision_signature_id"))

    op.drop_table("decision")
    with op.batch_alter_table("staff_session", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_staff_session_staff_id"))

    op.drop_table("staff_session")
    with op.batch_alter_table("signature", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_signature_queue",
            postgresql_where=sa.text("state IN ('confirmed', 'clarification')"),
            sqlite_where=sa.text("state IN ('confirmed', 'clarification')"),
        )
        batch_op.drop_index("ix_signature_mailbox")
        batch_op.drop_index(
            "ix_signature_held",
            postgresql_where=sa.text("held AND state = 'submitted'"),
            sqlite_where=sa.text("held AND state = 'submitted'"),
        )

    op.drop_table("signature")
    with op.batch_alter_table("registry_entry", schema=None) as batch_op:
        batch_op.drop_index("ix_registry_entry_region_kind")
        batch_op.drop_index("ix_registry_entry_region")
        batch_op.drop_index("ix_registry_entry_kind")

    op.drop_table("registry_entry")
    op.drop_table("region_count")
    op.drop_table("log_leaf")
    op.drop_table("edition_text")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_staff_id"))

    op.drop_table("audit")
    op.drop_table("staff")
    op.drop_table("region")
    with op.batch_alter_table("rate_limit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rate_limit_expires_at"))

    op.drop_table("rate_limit")
    op.drop_table("log_batch")
    op.drop_table("edition")
    op.drop_table("consent_text")
    with op.batch_alter_table("affiliation", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_affiliation_type"))

    op.drop_table("affiliation")
