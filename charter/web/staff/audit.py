"""The audit: what staff did and read, searched by auditors, and taken away as a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import structlog
from flask import Flask, Response, abort, current_app, redirect, render_template, request, url_for
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain.calendar import TIME_ZONE, local_date
from charter.domain.duties import Right
from charter.i18n import _
from charter.queries import audit as queries
from charter.queries.audit import AuditLine, Wanted
from charter.web import sending
from charter.web.gates import current_staff, duty
from charter.web.sending import Place
from charter.web.staff import trail_words
from charter.web.staff.desk import blueprint
from charter.web.staff.reads import note_read

logger = structlog.get_logger()

FORMATS = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl; charset=utf-8"}
COLUMNS = ("id", "at", "staff_id", "staff_name", "action", "subject", "subject_id", "reason", "before", "after")
#: An entry is asked for by the number that the registry shows.
NUMBER = "number"
#: What a line's subject leads to: subject → (endpoint, argument, right).
_PAGES = {
    "signature": ("staff.dossier", "signature_id", Right.READ),
    "mailbox": ("staff.dossier", "signature_id", Right.READ),
    "correction": ("staff.correction", "correction_id", Right.READ),
    "objection": ("staff.objection", "objection_id", Right.READ),
    "proposal": ("staff.proposal", "proposal_id", Right.PROPOSALS),
    "staff": ("staff.colleague", "staff_id", Right.TEAM),
    "invalidation": ("staff.invalidation", "invalidation_id", Right.READ),
    "import": ("staff.import_job", "job_id", Right.IMPORT),
}
#: No database of ours keeps a greater number.
_MOST_ID = 2**63 - 1
#: What a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass
class Asked:
    """The search as it was typed. wanted: what it means; None where something could not be understood."""

    typed: dict[str, str]
    wanted: Wanted | None = None
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def query(self) -> dict[str, Any]:
        """For addresses: what was filled in."""
        return {name: value for name, value in self.typed.items() if value}


def _number(raw: str) -> int | None:
    return int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 20 and int(raw) <= _MOST_ID else None


def _day(asked: Asked, name: str) -> date | None:
    try:
        return date.fromisoformat(asked.typed[name]) if asked.typed[name] else None
    except ValueError:
        asked.errors[name] = _("Give the day as year, month and day, such as 2026-11-23")
        return None


def _instant(day: date | None, *, days: int = 0) -> datetime | None:
    """The beginning of a day in Kazakhstan."""
    if day is None or not date(1970, 1, 2) <= day <= date(9990, 1, 1):
        return None
    return datetime.combine(day + timedelta(days=days), time(), TIME_ZONE).astimezone(UTC)


def _read_search() -> Asked:
    names = ("person", "action", "subject", "id", "since", "until")
    asked = Asked({name: request.args.get(name, "").strip()[:40] for name in names})
    typed = asked.typed
    known = {"": None, "console": queries.CONSOLE}
    person = known[typed["person"]] if typed["person"] in known else _number(typed["person"])
    if (
        (typed["person"] not in known and person is None)
        or (typed["action"] and typed["action"] not in trail_words.ACTIONS)
        or (typed["subject"] and typed["subject"] not in {*trail_words.SUBJECTS, NUMBER})
    ):
        # No form of ours says such a thing.
        abort(404)
    subject, subject_id = typed["subject"] or None, _number(typed["id"])
    if typed["id"] and (subject is None or subject_id is None):
        asked.errors["id"] = _("Give a number, and choose what it is the number of")
    if subject == NUMBER:
        found = None if subject_id is None else queries.find_signature_by_number(subject_id)
        if subject_id is None:
            asked.errors.setdefault("id", _("Give a number, and choose what it is the number of"))
        elif found is None:
            asked.errors["id"] = _("The registry has no entry with this number")
        subject, subject_id = queries.SIGNATURE, found
    since, until = _day(asked, "since"), _day(asked, "until")
    if not asked.errors:
        asked.wanted = Wanted(
            staff_id=person,
            action=typed["action"] or None,
            subject=subject,
            subject_id=subject_id,
            since=_instant(since),
            until=_instant(until, days=1),
        )
    return asked


@blueprint.get("/audit/")
@duty(Right.AUDIT)
def audit() -> str | tuple[str, int]:
    """What was done and read, newest first."""
    asked = _read_search()
    raw = request.args.get("before", "")
    before = _number(raw)
    if raw and before is None:
        abort(404)
    page = None if asked.wanted is None else queries.page(asked.wanted, before=before)
    body = render_template(
        "staff/audit.html",
        section="audit",
        asked=asked,
        page=page,
        people=queries.people(),
        words=trail_words,
        number=NUMBER,
        console="console",
        link_to=_link_to,
        today=local_date(clock.now()),
        next_url=(
            url_for("staff.audit", **asked.query, before=page.next_before)
            if page is not None and page.next_before is not None
            else None
        ),
        first_url=url_for("staff.audit", **asked.query) if before is not None else None,
    )
    return body if not asked.errors else (body, 422)


def _link_to(line: AuditLine) -> str | None:
    """Where the subject of a line is shown, if this person may go there."""
    found = _PAGES.get(line.subject)
    if found is None or line.subject_id is None:
        return None
    endpoint, argument, right = found
    if endpoint not in current_app.view_functions or not current_staff().may(right):
        return None
    values: dict[str, Any] = {argument: line.subject_id}
    return url_for(endpoint, **values)


@blueprint.get("/audit/file/")
@duty(Right.AUDIT)
def audit_file() -> BaseResponse:
    """The same search as a file, streamed; that it was taken is recorded first."""
    ending = request.args.get("format", "csv")
    asked = _read_search()
    if ending not in FORMATS:
        abort(404)
    if asked.wanted is None:
        return redirect(url_for("staff.audit", **asked.query), code=303)
    stamp = clock.now().astimezone(TIME_ZONE).strftime("%Y-%m-%d-%H%M")
    headers = {"Content-Disposition": f'attachment; filename="audit-{stamp}.{ending}"'}
    if request.method == "HEAD":
        return Response(content_type=FORMATS[ending], headers=headers)
    place = sending.find_place()
    if place is None:
        abort(503)
    try:
        note_read("audit", subject="audit", is_each=True, format=ending, search=asked.query)
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
        body = _whole(app, asked.wanted, ending, place)
        response = Response(body, content_type=FORMATS[ending], headers=headers)
    except BaseException:
        place.give_back()
        raise
    # Also where nothing of it was ever asked for.
    response.call_on_close(place.give_back)
    return response


def _whole(app: Flask, wanted: Wanted, ending: str, place: Place) -> Iterator[bytes]:
    """The file in pieces, newest first, one window in memory at a time.

    Each window is a transaction of its own: lines are only ever added, so what was read stays true. A file that breaks
    off says so itself, because the server ends it like one that is whole.
    """
    yield _HEADS[ending].encode()
    try:
        with app.app_context():
            before: int | None = (queries.newest() or 0) + 1
        while before is not None:
            # No context is left open while a slow client takes its piece.
            with app.app_context():
                found = queries.page(wanted, before=before, size=queries.WINDOW)
            yield _WRITERS[ending](found.lines).encode()
            before = found.next_before
    except SQLAlchemyError:
        logger.warning("file broken off", kind="audit")
        yield b"# broken off: not all lines are here\n"
    finally:
        place.give_back()


def _values(line: AuditLine) -> dict[str, Any]:
    at = line.at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {name: getattr(line, name) for name in (*COLUMNS, "detail")} | {"at": at}


def _jsonl(lines: list[AuditLine]) -> str:
    return "".join(json.dumps(_values(line), ensure_ascii=False, sort_keys=True) + "\n" for line in lines)


def _csv(lines: list[AuditLine]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([_cell(value) for value in _values(line).values()] for line in lines)
    return text.getvalue()


_WRITERS = {"csv": _csv, "jsonl": _jsonl}
#: What stands first. Spreadsheets take a file for UTF-8 by its mark.
_HEADS = {"csv": "\ufeff" + ",".join((*COLUMNS, "detail")) + "\r\n", "jsonl": ""}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
