"""The Centre's own settings: staff change them here, a batch makes public what everybody sees of them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select

from charter.domain.centre import (
    DaysOff,
    Identity,
    Opening,
    Signing,
    signing_of,
    value_of_days_off,
    value_of_signing,
)
from charter.domain.duties import Right
from charter.domain.errors import DecidedMeanwhileError
from charter.models.base import db
from charter.models.desk import CentreSetting
from charter.models.log import LogEvent
from charter.models.staff import StaffAccount
from charter.operations.duties import require
from charter.operations.steps import add_audit
from charter.operations.unit import lock, operation


class Key(StrEnum):
    """The rows. PUBLIC is what pages show: written by batches only, so that it changes with `public_revision`."""

    IDENTITY = "identity"
    SIGNING = "signing"
    HOLIDAYS = "holidays"
    PUBLIC = "public"


@operation
def set_identity(identity: Identity, *, expected_version: int, staff_id: int, now: datetime) -> bool:
    """Name, BIN, address and contact, over those of the settings file; False where nothing was different.

    The next batch shows them; consents that are given from then on name them. Raises DecidedMeanwhileError,
    DutyRefusedError.
    """
    value = {name: getattr(identity, name) for name in Identity.__slots__}
    return _set(Key.IDENTITY, value, expected_version=expected_version, staff_id=staff_id, now=now)


@operation
def set_signing(signing: Signing, *, expected_version: int, staff_id: int, now: datetime) -> bool:
    """Opens or closes signing, at once or at a moment. Raises as `set_identity`."""
    value = value_of_signing(signing)
    return _set(Key.SIGNING, value, expected_version=expected_version, staff_id=staff_id, now=now)


@operation
def set_days_off(days: DaysOff, *, expected_version: int, staff_id: int, now: datetime) -> bool:
    """Days on which nobody works, beside the shipped list; days by which an answer is due that were given stay.

    Raises as `set_identity`.
    """
    value = value_of_days_off(days)
    return _set(Key.HOLIDAYS, value, expected_version=expected_version, staff_id=staff_id, now=now)


def _set(key: Key, value: dict[str, Any], *, expected_version: int, staff_id: int, now: datetime) -> bool:
    require(staff_id, Right.SETTINGS)
    lock("centre", key)
    row = db.session.get(CentreSetting, key.value, with_for_update=True)
    before = {} if row is None else dict(row.value or {})
    if (0 if row is None else row.version) != expected_version:
        raise DecidedMeanwhileError(state=key.value, by_staff_name=_name_of(row))
    if value == before:
        return False
    changed = [name for name in value if value[name] != before.get(name)]
    if row is None:
        db.session.add(CentreSetting(key=key.value, value=value, version=1, staff_id=staff_id, set_at=now))
    else:
        row.value, row.version, row.staff_id, row.set_at = value, row.version + 1, staff_id, now
    if key is not Key.HOLIDAYS:
        _queue(now=now)
    add_audit(
        f"centre-{key.value}",
        staff_id=staff_id,
        subject="centre",
        subject_id=list(Key).index(key) + 1,
        now=now,
        before={name: before.get(name) for name in changed},
        after={name: value[name] for name in changed},
    )
    return True


def _name_of(row: CentreSetting | None) -> str | None:
    if row is None or row.staff_id is None:
        return None
    return db.session.scalars(select(StaffAccount.name).where(StaffAccount.id == row.staff_id)).first()


def _queue(*, now: datetime) -> None:
    db.session.add(LogEvent(kind="refresh", values={"centre": True}, effective_at=now))


def bring_out(*, now: datetime) -> None:
    """A step of a batch: from here on pages show what is set, and whether signing is open at this moment."""
    rows = {row.key: row for row in db.session.scalars(select(CentreSetting))}
    signing = signing_of(rows[Key.SIGNING].value if Key.SIGNING in rows else None)
    value = {
        "identity": rows[Key.IDENTITY].value if Key.IDENTITY in rows else None,
        "signing": value_of_signing(signing),
        "is_open": signing.is_open(now),
    }
    row = rows.get(Key.PUBLIC)
    if row is None:
        db.session.add(CentreSetting(key=Key.PUBLIC.value, value=value, version=1, staff_id=None, set_at=now))
    else:
        row.value, row.version, row.set_at = value, row.version + 1, now


@operation
def follow_clock(*, now: datetime) -> bool:
    """At the moment of opening or closing: queues a batch, unless one is queued; whether it did."""
    lock("centre", Key.PUBLIC)
    shown = db.session.get(CentreSetting, Key.PUBLIC.value)
    if not is_behind(shown, now=now) or _is_queued():
        return False
    _queue(now=now)
    return True


def is_behind(shown: CentreSetting | None, *, now: datetime) -> bool:
    """Whether pages say something else of signing than the clock does."""
    if shown is None or shown.value is None:
        return False
    signing = signing_of(shown.value.get("signing"))
    return signing.opening is Opening.WINDOW and signing.is_open(now) != shown.value.get("is_open")


def _is_queued() -> bool:
    queued = db.session.scalars(select(LogEvent.values).where(LogEvent.kind == "refresh"))
    return any("centre" in values for values in queued)
