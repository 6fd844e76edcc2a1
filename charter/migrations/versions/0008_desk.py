"""desk

What the Centre's desk is made of: roles, claims and saved views, proposals for a second person, sweeps, imports,
affiliations that staff keep, drafts of editions, settings, figures. Of the accounts that are there, the oldest active
one becomes the administrator; the others go on reviewing.

Revision ID: 0008
Revises: 0007
Create Date: 2026-11-23 09:10:00.000000
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "import_layout",
        sa.Column("layout", sa.String(length=64), nullable=False),
        sa.Column("mapping", sa.JSON(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("layout", name=op.f("pk_import_layout")),
    )
    op.create_table(
        "weekly_summary",
        sa.Column("week_on", sa.Date(), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("week_on", name=op.f("pk_weekly_summary")),
    )
    op.create_table(
        "affiliation_alias",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("affiliation_id", _BIG, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("name_fold", sa.String(length=400), nullable=False),
        sa.Column("origin", sa.String(length=8), nullable=False),
        sa.Column("cursor", _BIG, nullable=True),
        sa.Column("staff_id", _BIG, nullable=True),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("origin IN ('own', 'alias')", name=op.f("ck_affiliation_alias_origin")),
        sa.ForeignKeyConstraint(
            ["affiliation_id"], ["affiliation.id"], name=op.f("fk_affiliation_alias_affiliation_id")
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_affiliation_alias_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_affiliation_alias")),
        sa.UniqueConstraint("name_fold", name=op.f("uq_affiliation_alias_name_fold")),
    )
    op.create_index(op.f("ix_affiliation_alias_affiliation_id"), "affiliation_alias", ["affiliation_id"], unique=False)

    op.create_table(
        "affiliation_merge",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("from_id", _BIG, nullable=False),
        sa.Column("into_id", _BIG, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("moved", sa.Integer(), nullable=False),
        sa.Column("cursor", _BIG, nullable=False),
        sa.Column("was_selectable", sa.Boolean(), nullable=False),
        sa.Column("staff_id", _BIG, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('moving', 'done', 'undoing', 'undone')", name=op.f("ck_affiliation_merge_state")),
        sa.ForeignKeyConstraint(["from_id"], ["affiliation.id"], name=op.f("fk_affiliation_merge_from_id")),
        sa.ForeignKeyConstraint(["into_id"], ["affiliation.id"], name=op.f("fk_affiliation_merge_into_id")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_affiliation_merge_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_affiliation_merge")),
    )
    op.create_index(op.f("ix_affiliation_merge_from_id"), "affiliation_merge", ["from_id"], unique=False)

    op.create_table(
        "affirmation_round",
        sa.Column("edition_slug", sa.String(length=64), nullable=False),
        sa.Column("cursor", _BIG, nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["edition_slug"], ["edition.slug"], name=op.f("fk_affirmation_round_edition_slug")),
        sa.PrimaryKeyConstraint("edition_slug", name=op.f("pk_affirmation_round")),
    )
    op.create_table(
        "centre_setting",
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("value", sa.JSON(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("staff_id", _BIG, nullable=True),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_centre_setting_staff_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_centre_setting")),
    )
    op.create_table(
        "desk_count",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("region_code", sa.String(length=8), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("waited_days", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_desk_count_region_code")),
        sa.PrimaryKeyConstraint("day", "region_code", "action", "waited_days", name=op.f("pk_desk_count")),
    )
    op.create_table(
        "edition_count",
        sa.Column("edition_slug", sa.String(length=64), nullable=False),
        sa.Column("shown", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["edition_slug"], ["edition.slug"], name=op.f("fk_edition_count_edition_slug")),
        sa.PrimaryKeyConstraint("edition_slug", name=op.f("pk_edition_count")),
    )
    op.create_table(
        "edition_draft",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("follows", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("is_material", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("staff_id", _BIG, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('draft', 'proposed', 'published', 'dropped')", name=op.f("ck_edition_draft_state")
        ),
        sa.ForeignKeyConstraint(["follows"], ["edition.slug"], name=op.f("fk_edition_draft_follows")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_edition_draft_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_edition_draft")),
    )
    op.create_table(
        "import_job",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=120), nullable=False),
        sa.Column("format", sa.String(length=8), nullable=False),
        sa.Column("encoding", sa.String(length=16), nullable=True),
        sa.Column("sheet", sa.String(length=120), nullable=True),
        sa.Column("layout", sa.String(length=64), nullable=True),
        sa.Column("mapping", sa.JSON(), nullable=True),
        sa.Column("defaults", sa.JSON(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("good", sa.Integer(), nullable=False),
        sa.Column("wrong", sa.Integer(), nullable=False),
        sa.Column("duplicates", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(length=40), nullable=True),
        sa.Column("staff_id", _BIG, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('reading', 'mapping', 'checking', 'checked', 'running', 'cancelled', 'done', 'failed')",
            name=op.f("ck_import_job_state"),
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_import_job_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_job")),
    )
    op.create_index(op.f("ix_import_job_sha256"), "import_job", ["sha256"], unique=False)

    op.create_table(
        "invalidation",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("note", sa.String(length=400), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("undone", sa.Integer(), nullable=False),
        sa.Column("cursor", _BIG, nullable=False),
        sa.Column("limit_id", _BIG, nullable=False),
        sa.Column("staff_id", _BIG, nullable=False),
        sa.Column("approved_by", _BIG, nullable=True),
        sa.Column("undone_by", _BIG, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('draft', 'proposed', 'running', 'cancelled', 'done', 'undoing', 'undone')",
            name=op.f("ck_invalidation_state"),
        ),
        sa.ForeignKeyConstraint(["approved_by"], ["staff.id"], name=op.f("fk_invalidation_approved_by")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_invalidation_staff_id")),
        sa.ForeignKeyConstraint(["undone_by"], ["staff.id"], name=op.f("fk_invalidation_undone_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invalidation")),
    )
    op.create_table(
        "proposal",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("subject_id", _BIG, nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(length=400), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("proposed_by", _BIG, nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", _BIG, nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('open', 'approved', 'rejected', 'cancelled', 'expired')", name=op.f("ck_proposal_state")
        ),
        sa.CheckConstraint(
            "state NOT IN ('approved', 'rejected') OR decided_by <> proposed_by", name=op.f("ck_proposal_two_people")
        ),
        sa.ForeignKeyConstraint(["decided_by"], ["staff.id"], name=op.f("fk_proposal_decided_by")),
        sa.ForeignKeyConstraint(["proposed_by"], ["staff.id"], name=op.f("fk_proposal_proposed_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proposal")),
    )
    op.create_index(
        "ix_proposal_open",
        "proposal",
        ["expires_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'open'"),
        sqlite_where=sa.text("state = 'open'"),
    )
    op.create_index(
        "uq_proposal_one_open",
        "proposal",
        ["kind", "subject", "subject_id"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
        sqlite_where=sa.text("state = 'open'"),
    )

    op.create_table(
        "saved_view",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("staff_id", _BIG, nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("query", sa.String(length=1000), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_saved_view_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_view")),
    )
    op.create_index(op.f("ix_saved_view_staff_id"), "saved_view", ["staff_id"], unique=False)

    op.create_table(
        "queue_mark",
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("signature_id", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_queue_mark")),
    )
    op.create_table(
        "staff_device",
        sa.Column("staff_id", _BIG, nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_staff_device_staff_id")),
        sa.PrimaryKeyConstraint("staff_id", "digest", name=op.f("pk_staff_device")),
    )
    op.create_table(
        "affiliation_move",
        sa.Column("merge_id", _BIG, nullable=False),
        sa.Column("signature_id", _BIG, nullable=False),
        sa.Column("correction_id", _BIG, nullable=True),
        sa.ForeignKeyConstraint(["correction_id"], ["correction.id"], name=op.f("fk_affiliation_move_correction_id")),
        sa.ForeignKeyConstraint(["merge_id"], ["affiliation_merge.id"], name=op.f("fk_affiliation_move_merge_id")),
        sa.ForeignKeyConstraint(["signature_id"], ["signature.id"], name=op.f("fk_affiliation_move_signature_id")),
        sa.PrimaryKeyConstraint("merge_id", "signature_id", name=op.f("pk_affiliation_move")),
    )
    op.create_index(op.f("ix_affiliation_move_signature_id"), "affiliation_move", ["signature_id"], unique=False)

    op.create_table(
        "affirmation",
        sa.Column("signature_id", _BIG, nullable=False),
        sa.Column("edition_slug", sa.String(length=64), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("affirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("language", sa.String(length=2), nullable=True),
        sa.ForeignKeyConstraint(["edition_slug"], ["edition.slug"], name=op.f("fk_affirmation_edition_slug")),
        sa.ForeignKeyConstraint(["signature_id"], ["signature.id"], name=op.f("fk_affirmation_signature_id")),
        sa.PrimaryKeyConstraint("signature_id", "edition_slug", name=op.f("pk_affirmation")),
    )
    op.create_table(
        "claim",
        sa.Column("signature_id", _BIG, autoincrement=False, nullable=False),
        sa.Column("staff_id", _BIG, nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["signature_id"], ["signature.id"], name=op.f("fk_claim_signature_id")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_claim_staff_id")),
        sa.PrimaryKeyConstraint("signature_id", name=op.f("pk_claim")),
    )
    op.create_index(op.f("ix_claim_staff_id"), "claim", ["staff_id"], unique=False)

    op.create_table(
        "signature_word",
        sa.Column("signature_id", _BIG, autoincrement=False, nullable=False),
        sa.Column(
            "word",
            sa.String(length=400).with_variant(sa.String(length=400, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["signature_id"], ["signature.id"], name=op.f("fk_signature_word_signature_id")),
        sa.PrimaryKeyConstraint("signature_id", "word", name=op.f("pk_signature_word")),
    )
    op.create_index("ix_signature_word_word", "signature_word", ["word", "signature_id"], unique=False)
    op.create_table(
        "edition_draft_text",
        sa.Column("draft_id", _BIG, nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["draft_id"], ["edition_draft.id"], name=op.f("fk_edition_draft_text_draft_id")),
        sa.PrimaryKeyConstraint("draft_id", "language", name=op.f("pk_edition_draft_text")),
    )
    op.create_table(
        "import_row",
        sa.Column("job_id", _BIG, nullable=False),
        sa.Column("row", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=200), nullable=True),
        sa.Column("identity", sa.String(length=64), nullable=True),
        sa.Column("cells", sa.JSON(), nullable=True),
        sa.Column("signature_id", _BIG, nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["import_job.id"], name=op.f("fk_import_row_job_id")),
        sa.ForeignKeyConstraint(["signature_id"], ["signature.id"], name=op.f("fk_import_row_signature_id")),
        sa.PrimaryKeyConstraint("job_id", "row", name=op.f("pk_import_row")),
    )
    op.create_index(op.f("ix_import_row_identity"), "import_row", ["identity"], unique=False)
    op.create_index(op.f("ix_import_row_signature_id"), "import_row", ["signature_id"], unique=False)
    op.create_index(
        "ix_import_row_waiting",
        "import_row",
        ["job_id", "row"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
        sqlite_where=sa.text("state = 'waiting'"),
    )

    op.create_table(
        "invalidation_item",
        sa.Column("invalidation_id", _BIG, nullable=False),
        sa.Column("signature_id", _BIG, nullable=False),
        sa.Column("state_before", sa.String(length=16), nullable=False),
        sa.Column("decision_id", _BIG, nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["decision_id"], ["decision.id"], name=op.f("fk_invalidation_item_decision_id")),
        sa.ForeignKeyConstraint(
            ["invalidation_id"], ["invalidation.id"], name=op.f("fk_invalidation_item_invalidation_id")
        ),
        sa.ForeignKeyConstraint(["signature_id"], ["signature.id"], name=op.f("fk_invalidation_item_signature_id")),
        sa.PrimaryKeyConstraint("invalidation_id", "signature_id", name=op.f("pk_invalidation_item")),
    )
    op.create_index(op.f("ix_invalidation_item_signature_id"), "invalidation_item", ["signature_id"], unique=False)

    op.add_column("affiliation", sa.Column("valid_from", sa.Date(), nullable=True))
    op.add_column("affiliation", sa.Column("valid_to", sa.Date(), nullable=True))
    op.add_column("affiliation", sa.Column("version", sa.Integer(), server_default="1", nullable=False))
    op.add_column("affiliation", sa.Column("shown", sa.JSON(), nullable=True))

    op.add_column("audit", sa.Column("reason", sa.String(length=400), nullable=True))
    op.add_column("audit", sa.Column("before", sa.JSON(), nullable=True))
    op.add_column("audit", sa.Column("after", sa.JSON(), nullable=True))

    op.add_column("decision", sa.Column("bulk", sa.String(length=32), nullable=True))

    op.add_column("edition", sa.Column("is_material", sa.Boolean(), nullable=True))
    op.add_column("edition", sa.Column("follows", sa.String(length=64), nullable=True))

    op.add_column("region", sa.Column("version", sa.Integer(), server_default="1", nullable=False))
    op.add_column("region", sa.Column("shown", sa.JSON(), nullable=True))

    op.add_column("staff", sa.Column("role", sa.String(length=16), server_default="reviewer", nullable=False))
    op.add_column("staff", sa.Column("regions", sa.JSON(), nullable=True))
    op.add_column("staff", sa.Column("invite_uid", sa.LargeBinary(length=16), nullable=True))
    op.add_column("staff_session", sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True))

    op.execute(
        "UPDATE staff SET role = 'administrator' WHERE id = "
        "(SELECT min(id) FROM staff WHERE is_active AND password_hash IS NOT NULL)"
    )


def downgrade() -> None:
    op.drop_column("staff_session", "verified_at")
    op.drop_column("staff", "invite_uid")
    op.drop_column("staff", "regions")
    op.drop_column("staff", "role")

    op.drop_column("region", "shown")
    op.drop_column("region", "version")

    op.drop_column("edition", "follows")
    op.drop_column("edition", "is_material")

    op.drop_column("decision", "bulk")

    op.drop_column("audit", "after")
    op.drop_column("audit", "before")
    op.drop_column("audit", "reason")

    op.drop_column("affiliation", "shown")
    op.drop_column("affiliation", "version")
    op.drop_column("affiliation", "valid_to")
    op.drop_column("affiliation", "valid_from")

    op.drop_table("invalidation_item")

    op.drop_table("import_row")
    op.drop_table("edition_draft_text")

    op.drop_table("signature_word")

    op.drop_table("claim")
    op.drop_table("affirmation")

    op.drop_table("affiliation_move")
    op.drop_table("staff_device")

    op.drop_table("queue_mark")
    op.drop_table("saved_view")

    op.drop_table("proposal")
    op.drop_table("invalidation")

    op.drop_table("import_job")
    op.drop_table("edition_draft")
    op.drop_table("edition_count")
    op.drop_table("desk_count")
    op.drop_table("centre_setting")
    op.drop_table("affirmation_round")

    op.drop_table("affiliation_merge")

    op.drop_table("affiliation_alias")
    op.drop_table("weekly_summary")
    op.drop_table("import_layout")
