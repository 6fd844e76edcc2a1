"""registry search

What an entry is found and ordered by, the counters of affiliations and days, and the search index that each engine
keeps by a trigger on `registry_entry.words`: an FTS5 table on SQLite; on PostgreSQL a list of numbers for each word
(newest first without sorting) and an index of all words of an entry (several words at once).

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-22 22:40:00.000000
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

UNINDEXED = "words IS NULL OR (ended_on IS NOT NULL AND words <> '')"
BY_BYTES = sa.String().with_variant(sa.String(collation="C"), "postgresql")
INDEXES = {
    "ix_registry_entry_affiliation": ["affiliation_slug", "number"],
    "ix_registry_entry_edition": ["edition_slug", "number"],
    "ix_registry_entry_sort": ["sort_key", "number"],
    "ix_registry_entry_region_sort": ["region_code", "sort_key", "number"],
    "ix_registry_entry_affiliation_sort": ["affiliation_slug", "sort_key", "number"],
    "ix_registry_entry_changed": ["changed_revision", "number"],
}

# `_` begins a filter, `-` stands in slugs: with them a word of ours is one token.
SQLITE_UP = (
    """CREATE VIRTUAL TABLE registry_search USING fts5(
         words, content='registry_entry', content_rowid='number', detail='none', columnsize=0, prefix='1 2 3 4 5',
         tokenize="ascii tokenchars '_-'")""",
    """CREATE TRIGGER registry_entry_search_insert AFTER INSERT ON registry_entry WHEN new.words <> '' BEGIN
         INSERT INTO registry_search (rowid, words) VALUES (new.number, new.words);
       END""",
    """CREATE TRIGGER registry_entry_search_delete AFTER DELETE ON registry_entry WHEN old.words <> '' BEGIN
         INSERT INTO registry_search (registry_search, rowid, words) VALUES ('delete', old.number, old.words);
       END""",
    # One trigger, the old words first: of two, SQLite fires the newer one first, and taking the old words away would
    # take along those that the new ones share with them.
    """CREATE TRIGGER registry_entry_search_update AFTER UPDATE OF words ON registry_entry
       WHEN old.words IS NOT new.words BEGIN
         INSERT INTO registry_search (registry_search, rowid, words)
         SELECT 'delete', old.number, old.words WHERE old.words <> '';
         INSERT INTO registry_search (rowid, words) SELECT new.number, new.words WHERE new.words <> '';
       END""",
)
SQLITE_DOWN = (
    "DROP TRIGGER registry_entry_search_insert",
    "DROP TRIGGER registry_entry_search_delete",
    "DROP TRIGGER registry_entry_search_update",
    "DROP TABLE registry_search",
)

# The first two and three letters of each word are terms of their own, behind `^`: what begins with them is one list.
POSTGRESQL_UP = (
    """CREATE FUNCTION registry_search_terms(words text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
         SELECT coalesce(array_agg(DISTINCT term), '{}') FROM (
           SELECT word AS term FROM unnest(string_to_array(words, ' ')) AS word WHERE word <> ''
           UNION ALL
           SELECT '^' || left(word, size) FROM unnest(string_to_array(words, ' ')) AS word, (VALUES (2), (3)) AS s(size)
           WHERE left(word, 1) <> '_' AND length(word) >= size
         ) AS found $$""",
    """CREATE TABLE registry_search_term (
         term text COLLATE "C" NOT NULL, number bigint NOT NULL, CONSTRAINT pk_registry_search_term
         PRIMARY KEY (term, number))""",
    """CREATE FUNCTION registry_search_follow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         IF TG_OP <> 'INSERT' AND OLD.words <> '' THEN
           DELETE FROM registry_search_term
           WHERE term = ANY (registry_search_terms(OLD.words)) AND number = OLD.number;
         END IF;
         IF TG_OP <> 'DELETE' AND NEW.words <> '' THEN
           INSERT INTO registry_search_term (term, number)
           SELECT term, NEW.number FROM unnest(registry_search_terms(NEW.words)) AS term;
         END IF;
         RETURN NULL;
       END $$""",
    """CREATE TRIGGER registry_entry_search_insert AFTER INSERT OR DELETE ON registry_entry
       FOR EACH ROW EXECUTE FUNCTION registry_search_follow()""",
    """CREATE TRIGGER registry_entry_search_update AFTER UPDATE OF words ON registry_entry
       FOR EACH ROW WHEN (OLD.words IS DISTINCT FROM NEW.words) EXECUTE FUNCTION registry_search_follow()""",
    """CREATE INDEX ix_registry_search_words ON registry_entry
       USING gin (array_to_tsvector(registry_search_terms(words))) WITH (fastupdate = off)""",
)
POSTGRESQL_DOWN = (
    "DROP INDEX ix_registry_search_words",
    "DROP TRIGGER registry_entry_search_insert ON registry_entry",
    "DROP TRIGGER registry_entry_search_update ON registry_entry",
    "DROP FUNCTION registry_search_follow()",
    "DROP TABLE registry_search_term",
    "DROP FUNCTION registry_search_terms(text)",
)


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def upgrade() -> None:
    op.add_column("registry_entry", sa.Column("words", sa.Text(), nullable=True))
    op.add_column("registry_entry", sa.Column("sort_key", BY_BYTES, nullable=True))
    op.add_column("registry_entry", sa.Column("changed_revision", sa.BigInteger(), nullable=True))
    for name, columns in INDEXES.items():
        op.create_index(name, "registry_entry", columns)
    op.create_index(
        "ix_registry_entry_unindexed",
        "registry_entry",
        ["number"],
        sqlite_where=sa.text(UNINDEXED),
        postgresql_where=sa.text(UNINDEXED),
    )
    op.create_table(
        "affiliation_count",
        sa.Column("affiliation_slug", sa.String(length=64), nullable=False),
        sa.Column("region_code", sa.String(length=8), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("listed", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_affiliation_count_region_code")),
        sa.PrimaryKeyConstraint("affiliation_slug", "region_code", "kind", name=op.f("pk_affiliation_count")),
    )
    op.create_table(
        "day_count",
        sa.Column("signed_on", sa.Date(), nullable=False),
        sa.Column("region_code", sa.String(length=8), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("signed", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_day_count_region_code")),
        sa.PrimaryKeyConstraint("signed_on", "region_code", "kind", name=op.f("pk_day_count")),
    )
    op.create_table(
        "day_span",
        sa.Column("signed_on", sa.Date(), nullable=False),
        sa.Column("first_number", sa.BigInteger(), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("signed_on", name=op.f("pk_day_span")),
    )
    op.create_table(
        "registry_word",
        sa.Column("word", BY_BYTES, nullable=False),
        sa.Column("skeleton", sa.String(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("word", name=op.f("pk_registry_word")),
    )
    op.create_index(op.f("ix_registry_word_skeleton"), "registry_word", ["skeleton"])
    op.add_column("affiliation", sa.Column("former_names", sa.JSON(), nullable=True))
    for statement in SQLITE_UP if _is_sqlite() else POSTGRESQL_UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in SQLITE_DOWN if _is_sqlite() else POSTGRESQL_DOWN:
        op.execute(statement)
    op.drop_column("affiliation", "former_names")
    op.drop_table("registry_word")
    op.drop_table("day_span")
    op.drop_table("day_count")
    op.drop_table("affiliation_count")
    op.drop_index("ix_registry_entry_unindexed", "registry_entry")
    for name in INDEXES:
        op.drop_index(name, "registry_entry")
    for column in ("changed_revision", "sort_key", "words"):
        op.drop_column("registry_entry", column)
