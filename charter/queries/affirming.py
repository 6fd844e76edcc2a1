"""What a signatory of an earlier edition is asked: which text they signed, which is signed today, what differs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select

from charter.domain.signature import Move, State, may
from charter.models.base import db
from charter.models.edition import Affirmation, AffirmationRound, Edition, EditionText, changed_since
from charter.models.signature import Signature


@dataclass(frozen=True)
class Asked:
    """An affirmation that is open. signed: the edition that was signed; edition: the one that is signed today."""

    signed: str
    edition: str
    published_on: date
    asked_at: datetime | None


def find_asked(signature_id: int) -> Asked | None:
    """Whether this signatory is asked to affirm; None where they need not be: one query, seldom another.

    Asked is whoever signed before the newest material change, also where later ones were editorial.
    """
    row = db.session.execute(
        select(Signature.state, Signature.edition_slug, Edition)
        .select_from(Signature)
        .join(Edition, Edition.is_current.is_(True))
        .where(Signature.id == signature_id)
    ).first()
    if row is None or row.edition_slug == row.Edition.slug or not may(State(row.state), Move.AFFIRM):
        return None
    if changed_since(row.edition_slug) is None:
        return None
    kept = db.session.get(Affirmation, (signature_id, row.Edition.slug))
    asked_at = None if kept is None else kept.asked_at
    return Asked(row.edition_slug, row.Edition.slug, row.Edition.published_on, asked_at)


def is_asking() -> bool:
    """Whether a round goes on: one look into a table of a few rows."""
    going_on = select(AffirmationRound.edition_slug).where(AffirmationRound.ended_at.is_(None))
    return db.session.scalar(going_on.limit(1)) is not None


def find_texts(signed: str, current: str, language: str) -> tuple[str, str] | None:
    """Both texts in one language, as Markdown; None where one is not there."""
    rows = db.session.execute(
        select(EditionText.edition_slug, EditionText.body).where(
            EditionText.edition_slug.in_((signed, current)), EditionText.language == language
        )
    )
    bodies = {row.edition_slug: row.body.decode() for row in rows}
    return (bodies[signed], bodies[current]) if {signed, current} <= set(bodies) else None
