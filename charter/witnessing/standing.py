"""How we stand with the witnesses, in a word, out of the database alone: for whoever does not ask them."""

from __future__ import annotations

from datetime import datetime, timedelta

from charter.domain.moments import is_recent
from charter.queries import witnesses as queries
from charter.settings import Settings, read_witnesses

#: A cosignature older than this is asked for anew, so that readers see that the log is not held back (LOG §7).
FRESH_FOR = timedelta(hours=24)
#: A quorum that is missing for so long is written to the log, and said in `/readyz`.
QUORUM_LATE_AFTER = timedelta(minutes=2)

NONE = "none"
OK = "ok"
QUORUM_MISSED = "quorum missed"
WITHOUT_QUORUM = "without quorum"
SILENT = "silent"


def state(settings: Settings, *, now: datetime) -> str:
    """The word for `/readyz`. Raises SQLAlchemyError."""
    if not settings.witnesses:
        return NONE
    found = queries.find_standing()
    if found is None:
        return OK
    if settings.witness_quorum:
        if found.unshown_at is not None and now - found.unshown_at > QUORUM_LATE_AFTER:
            return QUORUM_MISSED
        names = {one.name for one in read_witnesses(settings.witnesses)}
        return OK if len(found.cosigned & names) >= settings.witness_quorum else WITHOUT_QUORUM
    is_fresh = found.newest_at is not None and is_recent(found.newest_at, now=now, within=2 * FRESH_FOR)
    return OK if is_fresh else SILENT
