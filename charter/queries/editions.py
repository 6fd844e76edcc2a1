"""Editions as staff work on them: drafts with what keeps them from being published, and what is published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select

from charter.domain.duties import Second
from charter.domain.edition import EditionError, digest, problems
from charter.models.base import db
from charter.models.desk import Proposal
from charter.models.edition import AffirmationRound, Edition, EditionDraft, EditionDraftText, EditionText
from charter.models.registry import EditionCount, RegionCount
from charter.models.staff import StaffAccount

SUBJECT = "edition-draft"
#: Drafts on the page: an edition is an event of years.
MOST_DRAFTS = 100


@dataclass(frozen=True)
class DraftLine:
    """A draft in the list. proposal_id: what waits for a second person."""

    draft_id: int
    slug: str
    by: str
    updated_at: datetime
    proposal_id: int | None


@dataclass(frozen=True)
class EditionLine:
    """A published edition in the list. shown: entries that name it. asked: how many were asked to affirm it; None
    where nobody is. is_asking: the worker is not through yet.
    """

    slug: str
    is_current: bool
    is_specimen: bool
    is_material: bool | None
    published_on: date
    shown: int
    asked: int | None
    is_asking: bool


@dataclass(frozen=True)
class Draft:
    """One draft. bodies: language → Markdown; published: of the edition it follows, as it is signed today."""

    draft_id: int
    slug: str
    follows: str | None
    is_current_followed: bool
    state: str
    is_material: bool
    version: int
    by: str
    updated_at: datetime
    bodies: Mapping[str, str]
    published: Mapping[str, str]
    proposal_id: int | None

    @property
    def is_open(self) -> bool:
        """Whether it can still be changed."""
        return self.state in {"draft", "proposed"}

    @property
    def is_different(self) -> bool:
        """Whether it says anything else than the edition it follows."""
        return dict(self.bodies) != dict(self.published)

    @property
    def problems(self) -> list[tuple[str | None, EditionError]]:
        """What keeps the texts from being published."""
        return problems(self.bodies)

    @property
    def is_ready(self) -> bool:
        """Whether it can be proposed."""
        return self.is_open and self.is_different and self.is_current_followed and not self.problems

    @property
    def digests(self) -> dict[str, str]:
        """language → SHA-256 of the bytes that would be published."""
        return {language: digest(body.encode()) for language, body in self.bodies.items()}


def drafts() -> list[DraftLine]:
    """Those that can still be changed, the newest first: one query."""
    waiting = _open_proposals()
    rows = db.session.execute(
        select(EditionDraft, StaffAccount.name)
        .join(StaffAccount, StaffAccount.id == EditionDraft.staff_id)
        .where(EditionDraft.state.in_(("draft", "proposed")))
        .order_by(EditionDraft.id.desc())
        .limit(MOST_DRAFTS)
    )
    return [DraftLine(row.id, row.slug, name, row.updated_at, waiting.get(row.id)) for row, name in rows]


def _open_proposals() -> dict[int, int]:
    rows = db.session.execute(
        select(Proposal.subject_id, Proposal.id).where(
            Proposal.kind == Second.EDITION, Proposal.subject == SUBJECT, Proposal.state == "open"
        )
    )
    return {row.subject_id: row.id for row in rows}


def find_draft(draft_id: int) -> Draft | None:
    """One draft with what it is compared with."""
    row = db.session.execute(
        select(EditionDraft, StaffAccount.name)
        .join(StaffAccount, StaffAccount.id == EditionDraft.staff_id)
        .where(EditionDraft.id == draft_id)
    ).first()
    if row is None:
        return None
    draft, name = row
    texts = db.session.scalars(select(EditionDraftText).where(EditionDraftText.draft_id == draft_id))
    current = db.session.scalar(select(Edition.slug).where(Edition.is_current))
    return Draft(
        draft_id=draft.id,
        slug=draft.slug,
        follows=draft.follows,
        is_current_followed=draft.follows == current,
        state=draft.state,
        is_material=draft.is_material,
        version=draft.version,
        by=name,
        updated_at=draft.updated_at,
        bodies={text.language: text.body for text in texts},
        published=bodies_of(draft.follows),
        proposal_id=_open_proposals().get(draft_id),
    )


def bodies_of(slug: str | None) -> dict[str, str]:
    """language → Markdown of a published edition; nothing for one that is not there."""
    rows = db.session.scalars(select(EditionText).where(EditionText.edition_slug == slug))
    return {row.language: row.body.decode() for row in rows}


@dataclass(frozen=True)
class Following:
    """What an edition follows, for the page of differences."""

    slug: str
    follows: str
    is_material: bool | None
    before: str
    after: str


def find_following(slug: str, language: str) -> Following | None:
    """The texts of an edition and of the one before it, in one language; None where there is none before."""
    edition = db.session.get(Edition, slug)
    if edition is None or edition.follows is None:
        return None
    before, after = bodies_of(edition.follows), bodies_of(slug)
    if language not in before or language not in after:
        return None
    return Following(slug, edition.follows, edition.is_material, before[language], after[language])


def counts() -> dict[str, int]:
    """edition → entries that name it now, from kept counters: three small queries.

    The first edition has what the others have not: entries from before the counter stand under it.
    """
    kept = {row.edition_slug: row.shown for row in db.session.scalars(select(EditionCount))}
    slugs = list(db.session.scalars(select(Edition.slug).order_by(Edition.published_on, Edition.slug)))
    first = _first(slugs)
    shown = sum(row.listed + row.unlisted for row in db.session.scalars(select(RegionCount)))
    found = {slug: kept.get(slug, 0) for slug in slugs}
    if first is not None:
        found[first] = shown - sum(count for slug, count in found.items() if slug != first)
    return found


def _first(slugs: list[str]) -> str | None:
    followers = set(db.session.scalars(select(Edition.slug).where(Edition.follows.is_not(None))))
    return next((slug for slug in slugs if slug not in followers), None)


def published() -> list[EditionLine]:
    """Every edition, the newest first, with how far its signatories were asked."""
    shown = counts()
    rounds = {row.edition_slug: row for row in db.session.scalars(select(AffirmationRound))}
    rows = db.session.scalars(select(Edition).order_by(Edition.is_current.desc(), Edition.published_on.desc()))
    return [
        EditionLine(
            slug=row.slug,
            is_current=row.is_current,
            is_specimen=row.is_specimen,
            is_material=row.is_material,
            published_on=row.published_on,
            shown=shown.get(row.slug, 0),
            asked=rounds[row.slug].asked if row.slug in rounds else None,
            is_asking=row.slug in rounds and rounds[row.slug].ended_at is None,
        )
        for row in rows
    ]
