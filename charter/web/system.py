"""For machines: is the process alive, can it do its work, and what is wrong around it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from flask import Blueprint, Flask, Response, current_app, jsonify
from sqlalchemy.exc import SQLAlchemyError

from charter import clock, leaves_file, migrating, publishing
from charter.metrics import disk
from charter.queries import health, replica, schema
from charter.queries.health import Readiness
from charter.settings import Settings
from charter.witnessing import standing

blueprint = Blueprint("system", __name__)

OK = "ok"
UNKNOWN = "unknown"
#: What can be said only with a database.
PARTS = ("database", "schema", "registry", "mail", "worker", "clock", "leaves", "log", "witnesses")
#: A mail is late when it has been due for so long: failed tries put off when the next is due, so it is the worker that
#: is missing or stuck, not the mail server that refuses.
MAIL_LATE_AFTER = timedelta(minutes=5)
#: Publication is late when something has been due for so many intervals, and for so long in any case.
LATE_INTERVALS = 3
PUBLICATION_LATE_AFTER = timedelta(minutes=1)
#: With less, SQLite's log or a batch of mail files may not fit.
DISK_LOW_BYTES = 256 * 1024 * 1024
#: Decisions, links and sessions count on processes and database meaning the same moment.
CLOCK_OFF_AFTER = timedelta(seconds=60)


@blueprint.get("/healthz")
def healthz() -> Response:
    """The process answers; asks nothing of anything else."""
    return Response("ok\n", content_type="text/plain; charset=utf-8")


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """One word for each part. 503 only where requests should not be sent here: no database, or not our schema.

    Everything else is said with 200: a late worker or a full mail queue is no reason to take pages and forms away from
    people, and every web process would go at once.
    """
    settings: Settings = current_app.config["CHARTER"]
    now = clock.now()
    parts = dict.fromkeys(PARTS, UNKNOWN)
    parts["disk"] = _disk(disk.kept_on(settings))
    parts["replica"] = {True: OK, False: "rests", None: "none"}[replica.is_well()]
    is_ready = False
    try:
        parts["schema"] = migrating.standing()
        parts["database"] = OK
        is_ready = parts["schema"] in schema.CAN_WORK
        if is_ready:
            parts |= _what_waits(health.readiness(now=now), settings, now=now)
            parts["leaves"] = _leaves(settings)
            parts["log"] = publishing.look(settings)
            parts["witnesses"] = standing.state(settings, now=now)
    except SQLAlchemyError:
        is_ready = False
        parts["database"] = "unreachable"
    return jsonify(parts), 200 if is_ready else 503


def publication_late_after(settings: Settings) -> timedelta:
    """For how long something may be due for publication while all is well."""
    return max(PUBLICATION_LATE_AFTER, LATE_INTERVALS * timedelta(seconds=settings.publish_interval_seconds))


def _what_waits(found: Readiness, settings: Settings, *, now: datetime) -> dict[str, str]:
    longest = publication_late_after(settings)

    def is_late(due_at: datetime | None, after: timedelta) -> bool:
        return due_at is not None and now - due_at > after

    is_off = found.database_at is not None and abs(found.database_at - now) > CLOCK_OFF_AFTER
    return {
        "registry": OK if found.has_published else "nothing published yet",
        "mail": _mail(is_late=is_late(found.oldest_due_mail_at, MAIL_LATE_AFTER), is_resting=found.is_mail_resting),
        "worker": "late" if is_late(found.oldest_due_event_at, longest) else OK,
        "clock": "off" if is_off else OK,
    }


def _mail(*, is_late: bool, is_resting: bool) -> str:
    if is_resting:
        return "rests"
    return "late" if is_late else OK


def _disk(folder: Path) -> str:
    free = disk.free_bytes(folder)
    if free is None:
        return UNKNOWN
    return OK if free >= DISK_LOW_BYTES else "low"


def _leaves(settings: Settings) -> str:
    # Where web and worker have disks of their own, the file is the worker's: from here nothing can be said of it.
    return str(leaves_file.standing(settings).state) if leaves_file.path_of(settings).is_file() else UNKNOWN


def init_app(app: Flask) -> None:
    """Registers the room."""
    app.register_blueprint(blueprint)
