"""What was deleted leaves the search index too, and is no longer kept by the database for those who might still ask."""

from __future__ import annotations

from sqlalchemy import text

from charter.models.base import db, writing
from charter.operations.unit import operation

#: Pages of 4 KiB that one step rewrites: some milliseconds, so that nobody who signs waits for it.
PAGES_A_STEP = 64
#: Tables of PostgreSQL whose rows name people, or are found by their names.
PERSONAL = (
    "signature",
    "registry_entry",
    "registry_search_term",
    "registry_word",
    "message",
    "link",
    "decision",
    "clarification",
    "correction",
    "address_change",
    "objection",
    "signing_trace",
    "log_event",
    "signature_word",
    "import_row",
)


@operation
def forget_step(*, is_first: bool) -> bool:
    """Merges a part of SQLite's search index, so that words taken out of it are no longer in its pages.

    FTS5 only marks what is deleted, until the parts that hold word and mark are merged; the pages that are freed are
    overwritten (`secure_delete`). is_first: begins a new round over the whole index. Returns whether there is more to
    do. PostgreSQL's lists are tables: see `vacuum`.
    """
    connection = db.session.connection()
    if connection.dialect.name != "sqlite":
        return False
    before = connection.exec_driver_sql("SELECT total_changes()").scalar_one()
    connection.exec_driver_sql(
        "INSERT INTO registry_search (registry_search, rank) VALUES ('merge', ?)",
        (-PAGES_A_STEP if is_first else PAGES_A_STEP,),
    )
    # Two changes at least where something was merged (SQLite's documentation of FTS5, "merge").
    after = connection.exec_driver_sql("SELECT total_changes()").scalar_one()
    return bool(after - before >= 2)


def vacuum(table: str) -> None:
    """Removes dead rows of one of PERSONAL, with what its indexes and statistics say of them. PostgreSQL only.

    No operation: VACUUM runs outside of any transaction, and changes nothing that anybody could ask for.
    """
    assert table in PERSONAL
    with writing(), db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"VACUUM (ANALYZE, INDEX_CLEANUP ON) {table}")


def transaction_now() -> int:
    """The number that the next transaction will have: everything committed by now has a lower one. PostgreSQL only."""
    return int(db.session.scalar(text("SELECT txid_snapshot_xmax(txid_current_snapshot()) % 4294967296")) or 0)


def is_seen_still(number: int) -> bool:
    """Whether another connection still reads what transactions below this number deleted. PostgreSQL only."""
    query = text(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND age(backend_xmin) > age(CAST(CAST(:number AS text) AS xid)))"
    )
    return bool(db.session.scalar(query, {"number": number}))
