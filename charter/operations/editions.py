"""Editions of the Charter: drafts that staff write, publishing one by two people, and how it becomes public."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from charter.domain import edition as rules
from charter.domain.calendar import local_date
from charter.domain.duties import Right, Second
from charter.domain.errors import CharterError, DecidedMeanwhileError, FieldRefusedError, NotFoundError
from charter.domain.languages import LANGUAGES
from charter.models.base import db
from charter.models.decision import Audit
from charter.models.desk import Proposal
from charter.models.edition import AffirmationRound, Edition, EditionDraft, EditionDraftText, EditionText
from charter.models.log import LogEvent
from charter.models.staff import StaffAccount
from charter.operations.duties import require
from charter.operations.logged import logged_digests
from charter.operations.proposals import add_proposal, takes_effect
from charter.operations.steps import add_audit
from charter.operations.unit import lock, operation

SUBJECT = "edition-draft"


class EditionNotReadyError(CharterError):
    """A draft that cannot be published as it stands; its page says why."""


@operation
def begin(slug: str, *, staff_id: int, now: datetime) -> int:
    """A draft with the texts of the edition that is signed today; returns its id.

    slug: the permanent name. Raises FieldRefusedError("slug", shape | taken), DutyRefusedError.
    """
    require(staff_id, Right.EDITIONS)
    lock("editions", "drafts")
    _insist_free(slug)
    current = db.session.scalars(select(Edition.slug).where(Edition.is_current)).first()
    draft = EditionDraft(
        slug=slug,
        follows=current,
        state="draft",
        is_material=True,
        version=1,
        staff_id=staff_id,
        created_at=now,
        updated_at=now,
    )
    db.session.add(draft)
    db.session.flush()
    bodies = _published(current)
    for language in LANGUAGES:
        db.session.add(EditionDraftText(draft_id=draft.id, language=language, body=bodies.get(language, "")))
    after = {"charter": slug, "follows": current}
    add_audit("edition-begin", staff_id=staff_id, subject=SUBJECT, subject_id=draft.id, now=now, after=after)
    return draft.id


@operation
def save(
    draft_id: int,
    *,
    slug: str,
    bodies: Mapping[str, str],
    is_material: bool,
    expected_version: int,
    staff_id: int,
    now: datetime,
) -> bool:
    """Keeps what was typed, whether or not it can be published yet; False where nothing was different.

    bodies: language → Markdown, tidied here. A proposal that waits for a second person is void with the first change.
    Raises DecidedMeanwhileError where a colleague saved since, FieldRefusedError, NotFoundError, DutyRefusedError.
    """
    require(staff_id, Right.EDITIONS)
    lock("editions", "drafts")
    draft = _take(draft_id, expected_version)
    texts = {row.language: row for row in _texts(draft_id)}
    before = _told(draft, {language: row.body for language, row in texts.items()})
    if slug != draft.slug:
        _insist_free(slug, besides=draft_id)
    draft.slug, draft.is_material = slug, is_material
    for language in LANGUAGES:
        texts[language].body = rules.tidy(bodies.get(language, ""))
    after = _told(draft, {language: row.body for language, row in texts.items()})
    changed = [name for name in after if after[name] != before[name]]
    if not changed:
        return False
    draft.version += 1
    draft.updated_at = now
    _void(draft, staff_id=staff_id, now=now)
    add_audit(
        "edition-save",
        staff_id=staff_id,
        subject=SUBJECT,
        subject_id=draft_id,
        now=now,
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed},
    )
    return True


@operation
def drop(draft_id: int, *, expected_version: int, staff_id: int, now: datetime) -> None:
    """Puts a draft away; its name is free again. Raises as `save`."""
    require(staff_id, Right.EDITIONS)
    draft = _take(draft_id, expected_version)
    _void(draft, staff_id=staff_id, now=now)
    draft.state = "dropped"
    draft.version += 1
    draft.updated_at = now
    add_audit(
        "edition-drop",
        staff_id=staff_id,
        subject=SUBJECT,
        subject_id=draft_id,
        now=now,
        before={"state": "draft"},
        after={"state": "dropped"},
    )


@operation
def propose(draft_id: int, *, expected_version: int, reason: str, staff_id: int, now: datetime) -> int:
    """Lets a second person publish exactly these bytes; returns the proposal's id. reason: words to the colleague.

    Raises EditionNotReadyError, AlreadyProposedError, DecidedMeanwhileError, NotFoundError, DutyRefusedError.
    """
    require(staff_id, Right.EDITIONS)
    draft = _take(draft_id, expected_version)
    digests = _checked(draft)
    proposal = add_proposal(
        Second.EDITION,
        subject=SUBJECT,
        subject_id=draft_id,
        payload={"charter": draft.slug, "material": draft.is_material, "files": digests},
        reason=reason,
        staff_id=staff_id,
        now=now,
    )
    draft.state = "proposed"
    return proposal.id


@takes_effect(Second.EDITION)
def publish(proposal: Proposal, now: datetime) -> None:
    """What the second person's word does: the bytes are fixed, and the next batch makes them public with their leaf.

    Raises DecidedMeanwhileError where the draft is no longer what was proposed, FieldRefusedError("charter", "changed")
    where it cannot be published any more, as after another edition.
    """
    draft = db.session.get(EditionDraft, proposal.subject_id, with_for_update=True)
    if draft is None or draft.state not in {"draft", "proposed"}:
        raise DecidedMeanwhileError(state="draft" if draft is None else draft.state, by_staff_name=None)
    lock("editions", "drafts")
    try:
        digests = _checked(draft)
    except EditionNotReadyError as error:
        raise FieldRefusedError("charter", "changed") from error
    said = {"charter": draft.slug, "material": draft.is_material, "files": digests}
    if said != proposal.payload:
        raise DecidedMeanwhileError(state=draft.state, by_staff_name=None)
    draft.state = "published"
    draft.version += 1
    draft.updated_at = now
    if logged_digests(draft.slug) is None:
        db.session.add(LogEvent(kind="charter", values={"charter": draft.slug, "files": digests}, effective_at=now))
    else:
        # A restore knew the leaf and had lost the texts.
        db.session.add(LogEvent(kind="refresh", values={"charter": draft.slug}, effective_at=now))
    add_audit(
        "edition-publish",
        staff_id=proposal.decided_by,
        subject=SUBJECT,
        subject_id=draft.id,
        now=now,
        detail={"proposed_by": proposal.proposed_by, "decided_by": proposal.decided_by},
        before={"charter": draft.follows},
        after=said,
    )


def enter(slug: str, *, now: datetime) -> None:
    """A step of the batch with its leaf: the edition is there, and is what is signed from here on.

    After a material change the worker begins to ask the signatories of earlier ones. One that is there already, such
    as a shipped one, stays as it is.
    """
    if db.session.get(Edition, slug) is not None:
        return
    draft = db.session.scalars(
        select(EditionDraft).where(EditionDraft.slug == slug, EditionDraft.state == "published")
    ).first()
    if draft is None:
        return
    bodies = {row.language: row.body.encode() for row in _texts(draft.id)}
    is_specimen = any(rules.parse_edition(body).specimen_note is not None for body in bodies.values())
    previous = None
    for row in db.session.scalars(select(Edition).where(Edition.is_current)):
        row.is_current = False
        previous = row.slug
    db.session.flush()
    db.session.add(
        Edition(
            slug=slug,
            is_specimen=is_specimen,
            published_on=local_date(now),
            is_current=True,
            is_material=draft.is_material,
            follows=draft.follows or previous,
        )
    )
    db.session.flush()
    for language, body in bodies.items():
        db.session.add(EditionText(edition_slug=slug, language=language, body=body, sha256=rules.digest(body)))
    if draft.is_material and previous is not None:
        db.session.add(AffirmationRound(edition_slug=slug, cursor=0, asked=0, began_at=now))
    db.session.flush()


# ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _take(draft_id: int, expected_version: int) -> EditionDraft:
    draft = db.session.get(EditionDraft, draft_id, with_for_update=True)
    if draft is None:
        raise NotFoundError
    if draft.version != expected_version or draft.state not in {"draft", "proposed"}:
        raise DecidedMeanwhileError(state=draft.state, by_staff_name=_last_editor(draft_id))
    return draft


def _last_editor(draft_id: int) -> str | None:
    return db.session.scalars(
        select(StaffAccount.name)
        .join(Audit, Audit.staff_id == StaffAccount.id)
        .where(Audit.subject == SUBJECT, Audit.subject_id == draft_id)
        .order_by(Audit.id.desc())
        .limit(1)
    ).first()


def _texts(draft_id: int) -> list[EditionDraftText]:
    return list(
        db.session.scalars(
            select(EditionDraftText).where(EditionDraftText.draft_id == draft_id).order_by(EditionDraftText.language)
        )
    )


def _published(slug: str | None) -> dict[str, str]:
    rows = db.session.scalars(select(EditionText).where(EditionText.edition_slug == slug))
    return {row.language: row.body.decode() for row in rows}


def _insist_free(slug: str, *, besides: int | None = None) -> None:
    if not rules.is_slug(slug):
        raise FieldRefusedError("slug", "shape")
    others = select(EditionDraft.id).where(
        EditionDraft.slug == slug, EditionDraft.state != "dropped", EditionDraft.id != (besides or 0)
    )
    if db.session.get(Edition, slug) is not None or db.session.scalars(others.limit(1)).first() is not None:
        raise FieldRefusedError("slug", "taken")


def _checked(draft: EditionDraft) -> dict[str, str]:
    """The digests of texts that may be published. Raises EditionNotReadyError."""
    bodies = {row.language: row.body for row in _texts(draft.id)}
    digests = {language: rules.digest(body.encode()) for language, body in bodies.items()}
    current = db.session.scalars(select(Edition.slug).where(Edition.is_current)).first()
    known = logged_digests(draft.slug)
    if (
        rules.problems(bodies)
        or draft.follows != current
        or _is_coming()
        or db.session.get(Edition, draft.slug) is not None
        or (known is not None and known != digests)
        or bodies == _published(current)
    ):
        raise EditionNotReadyError
    return digests


def _is_coming() -> bool:
    """Whether one that was approved waits for its batch: whatever comes next follows it, and is compared with it."""
    approved = (
        select(EditionDraft.id)
        .outerjoin(Edition, Edition.slug == EditionDraft.slug)
        .where(EditionDraft.state == "published", Edition.slug.is_(None))
    )
    return db.session.scalars(approved.limit(1)).first() is not None


def _told(draft: EditionDraft, bodies: Mapping[str, str]) -> dict[str, Any]:
    digests = {f"text_{language}": rules.digest(bodies[language].encode()) for language in LANGUAGES}
    return {"charter": draft.slug, "material": draft.is_material, **digests}


def _void(draft: EditionDraft, *, staff_id: int, now: datetime) -> None:
    """What waits for a second person is about words that are no longer there."""
    waiting = db.session.scalars(
        select(Proposal)
        .where(
            Proposal.kind == Second.EDITION,
            Proposal.subject == SUBJECT,
            Proposal.subject_id == draft.id,
            Proposal.state == "open",
        )
        .with_for_update()
    ).first()
    draft.state = "draft"
    if waiting is None:
        return
    waiting.state = "cancelled"
    add_audit(
        "proposal-cancelled",
        staff_id=staff_id,
        subject="proposal",
        subject_id=waiting.id,
        now=now,
        detail={"kind": waiting.kind, "about": [SUBJECT, draft.id], "proposed_by": waiting.proposed_by},
    )
