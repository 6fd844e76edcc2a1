"""What a view of the desk says before it shows something private: the read is recorded, or nothing is shown."""

from __future__ import annotations

from typing import Any

from flask import request

from charter import clock
from charter.operations import reading
from charter.web.gates import current_staff


def note_read(what: str, *, subject: str, subject_id: int | None = None, is_each: bool = False, **detail: Any) -> None:
    """Records that the person at the desk reads this; called once it was found and before it is answered.

    what: dossier, hand-over, find, … (web/staff/trail_words.py has words for each). detail: codes and counts. is_each:
    not only the first time in ten minutes, as for files. A HEAD shows nothing, so it records nothing. A page that the
    browser fetched ahead counts: it lies in its memory.
    """
    if request.method == "HEAD":
        return
    known: dict[str, Any] = {"subject": subject, "subject_id": subject_id, "detail": detail or None}
    known |= {"staff_id": current_staff().id, "now": clock.now()}
    if not is_each and reading.is_recorded(what, **known):
        # Most pages of a morning: no write transaction is begun for them.
        return
    reading.record(what, **known, is_each=is_each)
