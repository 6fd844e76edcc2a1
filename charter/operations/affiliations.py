"""Parties, organisations and missions as staff keep them: added, renamed, valid by the day, never deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import null, select, update

from charter.domain.affiliation import TYPES, alias_fold, make_slug
from charter.domain.calendar import local_date
from charter.domain.duties import Right
from charter.domain.errors import DecidedMeanwhileError, FieldRefusedError, NotFoundError
from charter.models.affiliation import Affiliation, AffiliationAlias, Region, keep_face
from charter.models.base import db
from charter.models.decision import Audit
from charter.models.log import LogEvent
from charter.models.staff import StaffAccount
from charter.operations.duties import require
from charter.operations.naming import ALIAS, NameTakenError, add_alias, find_alias, note_names
from charter.operations.steps import add_audit
from charter.operations.unit import lock, operation

SUBJECT = "affiliation"
#: What the event of such a batch holds.
FACES = "faces"


@dataclass(frozen=True)
class Wanted:
    """An affiliation as staff want it. name, abbr: language → words, clean. valid_from, valid_to: both days belong."""

    name: Mapping[str, str]
    abbr: Mapping[str, str] | None
    is_selectable: bool
    valid_from: date | None
    valid_to: date | None


@operation
def add(wanted: Wanted, *, type: str, staff_id: int, now: datetime) -> int:
    """Adds one and returns its id; its name in addresses is made of the English one and stays for ever.

    Effects: waiting own words that are its name are matched by the worker; a batch shows it.
    Raises FieldRefusedError, NameTakenError where a name means another one already, DutyRefusedError.
    """
    require(staff_id, Right.AFFILIATIONS)
    lock_names()
    if type not in TYPES:
        raise FieldRefusedError("type", "unknown")
    _check(wanted, own_id=None)
    slug = make_slug(wanted.name["en"], taken=set(db.session.scalars(select(Affiliation.slug))))
    # The first version is the one that a release ships, and a release changes nothing beyond it.
    row = Affiliation(slug=slug, type=type, merged_into=None, former_names=[], version=2, **_values(wanted))
    keep_face(row, is_new=True)
    db.session.add(row)
    db.session.flush()
    _look_for(note_names([row], now=now, staff_id=staff_id), staff_id=staff_id)
    add_audit(
        "affiliation-add",
        staff_id=staff_id,
        subject=SUBJECT,
        subject_id=row.id,
        now=now,
        after={"slug": slug, "type": type, **_told(row)},
    )
    show_with_next_batch(now=now)
    return row.id


@operation
def edit(
    affiliation_id: int,
    wanted: Wanted,
    *,
    expected_version: int,
    renamed_on: date | None,
    staff_id: int,
    now: datetime,
) -> None:
    """Changes one. renamed_on: the day since when it bears its new name; the former one is kept with it.

    None: the name was written wrongly, and is put right without a trace on the public page. Published entries keep
    the name as signed either way (LOG §1).
    Raises DecidedMeanwhileError when somebody changed it since, NotFoundError, FieldRefusedError, NameTakenError.
    """
    require(staff_id, Right.AFFILIATIONS)
    lock_names()
    row = take(affiliation_id, expected_version=expected_version)
    _check(wanted, own_id=row.id)
    if row.merged_into is not None and wanted.is_selectable:
        raise FieldRefusedError("is_selectable", "merged")
    if renamed_on is not None and renamed_on > local_date(now):
        raise FieldRefusedError("renamed_on", "future")
    before, values = _told(row), _values(wanted)
    keep_face(row)
    if renamed_on is not None and values["name"] != row.name:
        former = {"name": dict(row.name), "until": renamed_on.isoformat()}
        row.former_names = [former, *(row.former_names or [])]
    for key, value in values.items():
        setattr(row, key, value)
    after = _told(row)
    changed = [key for key in after if after[key] != before[key]]
    if not changed:
        db.session.expire(row)
        return
    row.version += 1
    db.session.flush()
    _look_for(note_names([row], now=now, staff_id=staff_id), staff_id=staff_id)
    add_audit(
        "affiliation-edit",
        staff_id=staff_id,
        subject=SUBJECT,
        subject_id=row.id,
        now=now,
        before={key: before[key] for key in changed},
        after={key: after[key] for key in changed},
    )
    show_with_next_batch(now=now)


@operation
def give_alias(affiliation_id: int, name: str, *, staff_id: int, now: datetime) -> None:
    """Adds words under which people write it; those who wait with these words are matched by the worker.

    name: clean, at most 200 characters. Raises NotFoundError, FieldRefusedError, NameTakenError.
    """
    require(staff_id, Right.AFFILIATIONS)
    lock_names()
    if db.session.get(Affiliation, affiliation_id) is None:
        raise NotFoundError
    alias = add_alias(affiliation_id, name, now=now, staff_id=staff_id)
    _look_for([alias.id], staff_id=staff_id)
    add_audit(
        "affiliation-alias-add",
        staff_id=staff_id,
        subject=SUBJECT,
        subject_id=affiliation_id,
        now=now,
        after={"alias": name, "alias_id": alias.id},
    )


@operation
def take_alias(alias_id: int, *, staff_id: int, now: datetime) -> int:
    """Takes such words away and returns whose they were; who was matched by them stays. Raises NotFoundError."""
    require(staff_id, Right.AFFILIATIONS)
    lock_names()
    alias = db.session.get(AffiliationAlias, alias_id, with_for_update=True)
    if alias is None or alias.origin != ALIAS:
        raise NotFoundError
    affiliation_id = alias.affiliation_id
    db.session.delete(alias)
    add_audit(
        "affiliation-alias-remove",
        staff_id=staff_id,
        subject=SUBJECT,
        subject_id=affiliation_id,
        now=now,
        # Its number: they may be the words of a signatory (`matching.match`), and nothing here can be erased.
        before={"alias_id": alias_id},
    )
    return affiliation_id


# ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def lock_names() -> None:
    """Whoever changes names does so one after the other: no two may get the same."""
    lock("affiliations", "names")


def take(affiliation_id: int, *, expected_version: int) -> Affiliation:
    """The row, locked, as the page saw it. Raises NotFoundError, DecidedMeanwhileError."""
    row = db.session.get(Affiliation, affiliation_id, with_for_update=True)
    if row is None:
        raise NotFoundError
    if row.version != expected_version:
        raise DecidedMeanwhileError(state="changed", by_staff_name=who_changed(SUBJECT, row.id))
    return row


def who_changed(subject: str, subject_id: int | None) -> str | None:
    """The name of whoever of the staff changed it last."""
    return db.session.scalars(
        select(StaffAccount.name)
        .join(Audit, Audit.staff_id == StaffAccount.id)
        .where(Audit.subject == subject, Audit.subject_id == subject_id)
        .order_by(Audit.id.desc())
        .limit(1)
    ).first()


def show_with_next_batch(*, now: datetime) -> None:
    """Queues a batch without leaves: what is public changes with one and only then (LOG §3)."""
    db.session.add(LogEvent(kind="refresh", values={FACES: True}, effective_at=now))


def bring_out() -> None:
    """In a batch: from here on the public sees regions and affiliations as staff have them."""
    for table in (Affiliation, Region):
        db.session.execute(
            update(table).where(table.shown.is_not(None)).values(shown=null()),
            execution_options={"synchronize_session": "fetch"},
        )


def _look_for(alias_ids: list[int], *, staff_id: int) -> None:
    """The worker looks from the first signature on who waits with these words, in the name of whoever began it."""
    for alias in db.session.scalars(select(AffiliationAlias).where(AffiliationAlias.id.in_(alias_ids))):
        alias.cursor, alias.staff_id = 0, staff_id


def _check(wanted: Wanted, *, own_id: int | None) -> None:
    for language, name in wanted.name.items():
        folded = alias_fold(name)
        if not folded:
            raise FieldRefusedError(f"name_{language}", "unknown")
        alias = find_alias(folded)
        if alias is not None and alias.affiliation_id != own_id:
            raise NameTakenError(f"name_{language}", alias.affiliation_id)
    if wanted.valid_from and wanted.valid_to and wanted.valid_to < wanted.valid_from:
        raise FieldRefusedError("valid_to", "before")


def _values(wanted: Wanted) -> dict[str, Any]:
    return {
        "name": dict(wanted.name),
        "abbr": dict(wanted.abbr) if wanted.abbr else None,
        "is_selectable": wanted.is_selectable,
        "valid_from": wanted.valid_from,
        "valid_to": wanted.valid_to,
    }


def _told(row: Affiliation) -> dict[str, Any]:
    """What the audit keeps of it."""
    return {
        "name": dict(row.name),
        "abbr": dict(row.abbr) if row.abbr else None,
        "former_names": list(row.former_names or []),
        "is_selectable": row.is_selectable,
        "valid_from": row.valid_from and row.valid_from.isoformat(),
        "valid_to": row.valid_to and row.valid_to.isoformat(),
    }
