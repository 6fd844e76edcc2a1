"""What has left the registry leaves the search index too, down to the bytes of its file."""

from __future__ import annotations

from charter.models.base import db
from charter.operations.unit import operation

#: Pages of 4 KiB that one step rewrites: some milliseconds, so that nobody who signs waits for it.
PAGES_A_STEP = 64


@operation
def forget_step(*, is_first: bool) -> bool:
    """Merges a part of SQLite's search index, so that words taken out of it are no longer in its pages.

    FTS5 only marks what is deleted, until the parts that hold word and mark are merged; the pages that are freed are
    overwritten (`secure_delete`). is_first: begins a new round over the whole index. Returns whether there is more to
    do. PostgreSQL's lists lose their rows with the next vacuum: nothing to do here.
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
