"""What is set about the Centre: as everybody sees it, and as those see it who change it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import select

from charter.domain.centre import DaysOff, Identity, Signing, days_off_of, identity_of, signing_of
from charter.models.base import db
from charter.models.desk import CentreSetting
from charter.models.staff import StaffAccount

IDENTITY, SIGNING, HOLIDAYS, PUBLIC = "identity", "signing", "holidays", "public"


@dataclass(frozen=True)
class Centre:
    """As a batch brought it out. identity: None where staff have set none. is_open: at the moment of that batch."""

    identity: Identity | None = None
    signing: Signing = field(default_factory=Signing)
    is_open: bool = True


@dataclass(frozen=True)
class Version:
    """Of one setting: 0 before anybody set it. by: name of whoever did last."""

    version: int = 0
    by: str | None = None
    set_at: datetime | None = None


@dataclass(frozen=True)
class CentreSettings:
    """All of it, with versions by key. identity: None where nobody has set one."""

    identity: Identity | None
    signing: Signing
    days_off: DaysOff
    versions: dict[str, Version]

    def version(self, key: str) -> Version:
        """Of one setting."""
        return self.versions.get(key, Version())


def find_public() -> Centre:
    """One row by its key."""
    value = db.session.scalar(select(CentreSetting.value).where(CentreSetting.key == PUBLIC))
    if value is None:
        return Centre()
    identity = value.get("identity")
    return Centre(
        identity=None if identity is None else identity_of(identity),
        signing=signing_of(value.get("signing")),
        is_open=bool(value.get("is_open", True)),
    )


def find_settings() -> CentreSettings:
    """The few rows with who set them: one query."""
    rows = db.session.execute(
        select(CentreSetting, StaffAccount.name).outerjoin(StaffAccount, StaffAccount.id == CentreSetting.staff_id)
    ).all()
    values = {row.key: row.value for row, _name in rows}
    return CentreSettings(
        identity=identity_of(values[IDENTITY]) if values.get(IDENTITY) else None,
        signing=signing_of(values.get(SIGNING)),
        days_off=days_off_of(values.get(HOLIDAYS)),
        versions={row.key: Version(row.version, name, row.set_at) for row, name in rows},
    )


def days_off(shipped: Collection[date]) -> frozenset[date]:
    """Days on which nobody works besides Saturdays and Sundays: those of the list, as the Centre has changed it."""
    return days_off_of(db.session.scalar(select(CentreSetting.value).where(CentreSetting.key == HOLIDAYS))).beside(
        shipped
    )


def has_moment(now: datetime) -> bool:
    """Whether signing opened or closed since the last batch, so that pages say otherwise than the clock."""
    shown = find_public()
    return shown.signing.is_open(now) != shown.is_open
