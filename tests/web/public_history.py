"""A public side with a past: batches that publish, correct and end entries, as the publisher writes them."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

from flask import Flask
from sqlalchemy import func, select

from charter.models.base import db, writing
from charter.models.log import LogBatch
from charter.models.registry import PublicEntry
from charter.operations import public_side
from charter.operations.public_side import Changes

BEGAN = datetime(2026, 11, 16, 4, 0, tzinfo=UTC)
SURNAMES = ("Жұмабайұлы", "Оспанова", "Кимбаев", "Өтегенова", "O'Neil", "Әбдіғаппаров")
NAMES = ("Қайрат", "Әсел", "Айгүл", "Anna", "Ғани", "Үміт")
AFFILIATIONS = ((None, None), ("fprk", "Федерация профсоюзов"), ("amanat", "«AMANAT»"), (None, "Клуб «Дала»"))
REGIONS = ("KZ-75", "KZ-71", "KZ-10", "ZZ")
KINDS = ("party", "independent", "international")


class History:
    """One instance's public side; the same seed tells the same story."""

    def __init__(self, app: Flask, seed: int = 1) -> None:
        self.app = app
        self.chance = random.Random(seed)

    def batch(self, *, new: int = 0, corrected: int = 0, ended: int = 0) -> int:
        """One publication of so many; returns its revision."""
        with self.app.app_context(), writing():
            last = db.session.scalars(select(LogBatch).order_by(LogBatch.revision.desc()).limit(1)).one()
            revision, at = last.revision + 1, max(last.at, BEGAN) + timedelta(minutes=7)
            changes = Changes(revision)
            number = db.session.scalar(select(func.max(PublicEntry.number))) or 0
            live = list(
                db.session.scalars(
                    select(PublicEntry).where(PublicEntry.ended_on.is_(None)).order_by(PublicEntry.number)
                )
            )
            for row in self.chance.sample(live, min(ended, len(live))):
                live.remove(row)
                by = self.chance.choice(("signatory", "signatory", "centre"))
                public_side.end_entry(row, by=by, at=at, changes=changes)
            for row in self.chance.sample(live, min(corrected, len(live))):
                fresh = self._entry(row.number, rev=row.rev + 1, signed_on=row.signed_on)
                public_side.replace_entry(row, fresh, changes=changes)
            for place in range(1, new + 1):
                row = self._entry(number + place, rev=1, signed_on=at.date() - timedelta(days=self.chance.randrange(3)))
                db.session.add(row)
                public_side.count_entry(row, changes)
            public_side.append_batch(revision=revision, at=at, first_index=last.tree_size, data=[])
            public_side.move_counters(changes)
            db.session.commit()
            return revision

    def some(self) -> int:
        """One publication of this and that."""
        return self.batch(
            new=self.chance.randrange(9), corrected=self.chance.randrange(4), ended=self.chance.randrange(4)
        )

    def entries(self) -> dict[int, PublicEntry]:
        """Every row of the registry by its number, out of the session."""
        with self.app.app_context():
            rows = {row.number: row for row in db.session.scalars(select(PublicEntry))}
            db.session.expunge_all()
            db.session.rollback()
        return rows

    def _entry(self, number: int, *, rev: int, signed_on: date) -> PublicEntry:
        slug, affiliation_name = self.chance.choice(AFFILIATIONS)
        display = self.chance.choice(("full", "full", "short", "unlisted"))
        is_unlisted = display == "unlisted"
        return PublicEntry(
            number=number,
            entry=f"{number:032x}",
            rev=rev,
            line=b"{}",
            kind=self.chance.choice(KINDS),
            display=display,
            name=None if is_unlisted else f"{self.chance.choice(NAMES)} {self.chance.choice(SURNAMES)}",
            region_code=self.chance.choice(REGIONS),
            affiliation_slug=None if is_unlisted else slug,
            affiliation_name=None if is_unlisted else affiliation_name,
            edition_slug="specimen-1",
            signed_on=signed_on,
        )
