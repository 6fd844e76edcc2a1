"""Hints for review: who else has this name, from where and when this came, and what the list of notable names says."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from charter.domain import hints
from charter.domain.hints import ALIKE, Hint
from charter.domain.selection import Selection
from charter.domain.signature import LIVE, State
from charter.models.base import db
from charter.models.limits import NotableName, SigningTrace
from charter.models.signature import Signature
from charter.queries import search, search_index, similar
from charter.queries.namesakes import around

#: Others that are named, and counted up to.
MOST_NAMED, MOST_COUNTED = 10, 200
#: Names that begin alike and are compared.
_MOST_COMPARED = 300
#: What came together: as many within so long are a burst.
BURST_WITHIN = timedelta(hours=1)
LEAST_BURST = {"burst-network": 5, "burst-affiliation": 20, "burst-minute": 30}
#: The list of notable names is kept by hand.
MOST_NOTABLE = 2000
#: Whose name is another signature of the same person, or of one who looks like it.
_KNOWN = (*sorted(LIVE), State.DECLINED, State.WITHDRAWN)


@dataclass(frozen=True)
class Subject:
    """What hints are asked about. affiliation: id, or the observer's own words."""

    signature_id: int
    full_name: str
    name_fold: str
    domain: str
    affiliation: int | str | None
    held_because: str | None
    at: datetime


def find_subject(signature_id: int) -> Subject | None:
    """The signature, None where nothing of the person is kept."""
    row = db.session.execute(
        select(
            Signature.full_name,
            Signature.name_fold,
            Signature.email,
            Signature.affiliation_id,
            Signature.affiliation_text,
            Signature.held,
            Signature.held_because,
            Signature.submitted_at,
        ).where(Signature.id == signature_id, Signature.full_name != "")
    ).first()
    if row is None:
        return None
    return Subject(
        signature_id=signature_id,
        full_name=row.full_name,
        name_fold=row.name_fold or hints.name_fold(row.full_name),
        domain=row.email.rpartition("@")[2],
        affiliation=row.affiliation_id or row.affiliation_text,
        held_because=row.held_because or ("people" if row.held else None),
        at=row.submitted_at,
    )


def hints_for(subject: Subject, *, throwaway: Collection[str], regions: Collection[str] | None = None) -> list[Hint]:
    """Everything that may be worth a second look, in the order of `hints.CODES`; a bounded number of small queries.

    throwaway: domains that give addresses away for minutes. regions: of whose people the reader may see the names;
    others are counted, and stand there without one; None: all.
    """
    found = [
        *_by_itself(subject, throwaway),
        *_same_name(subject, regions),
        *_alike_registered(subject),
        *_notable(subject),
        *_bursts(subject),
    ]
    return sorted(found, key=lambda hint: hints.CODES.index(hint.code))


def _by_itself(subject: Subject, throwaway: Collection[str]) -> list[Hint]:
    found = []
    if subject.held_because is not None:
        found.append(Hint("held", (subject.held_because,)))
    mixed = hints.mixed_words(subject.full_name)
    if mixed:
        letters = dict.fromkeys(letter for word in mixed for letter in hints.foreign_letters(word))
        found.append(Hint("mixed-scripts", (" ".join(mixed), ", ".join(letters))))
    disguised = hints.disguised_words(subject.full_name)
    if disguised:
        found.append(Hint("disguised", disguised))
    if hints.is_throwaway(subject.domain, throwaway):
        found.append(Hint("throwaway", (subject.domain,)))
    return found


def _same_name(subject: Subject, regions: Collection[str] | None) -> list[Hint]:
    """The same words in any alphabet and order, and names in the files that are written nearly so."""
    near = around(subject.name_fold, states=_KNOWN, same=MOST_COUNTED, beside=_MOST_COMPARED // 2)
    rows = db.session.execute(
        select(Signature.id, Signature.full_name, Signature.state, Signature.name_fold, Signature.region_code)
        .where(Signature.id.in_(near), Signature.id != subject.signature_id)
        .order_by(Signature.id.desc())
    ).all()
    same, alike = [], []
    for row in rows:
        name = row.full_name if regions is None or row.region_code in regions else ""
        if row.name_fold == subject.name_fold:
            same.append((row.id, name, row.state))
        elif row.name_fold and hints.likeness(row.name_fold, subject.name_fold) >= ALIKE:
            alike.append((row.id, name, row.state))
    found = []
    if same:
        found.append(Hint("same-name", count=len(same), signatures=tuple(same[:MOST_NAMED])))
    if alike:
        found.append(Hint("alike-name", count=len(alike), signatures=tuple(alike[:MOST_NAMED])))
    return found


def _alike_registered(subject: Subject) -> list[Hint]:
    """Entries of the registry under another spelling, as its search would offer them."""
    entries: dict[str, tuple[str, str, int]] = {}
    for spelling in similar.similar(Selection(asked=subject.full_name)):
        rows, _before, _behind = search.find_rows(Selection(asked=spelling), size=3)
        for row in rows:
            fold = hints.name_fold(row.name or "")
            if row.name and fold != subject.name_fold and hints.likeness(fold, subject.name_fold) >= ALIKE:
                entries[row.entry] = (row.entry, row.name, row.number)
    return [Hint("alike-registered", count=len(entries), entries=tuple(entries.values()))] if entries else []


def _notable(subject: Subject) -> list[Hint]:
    exact, alike = _against(_notable_names(), subject.name_fold)
    if exact:
        return [Hint("notable", (exact,))]
    return [Hint("notable-alike", tuple(alike))] if alike else []


def _notable_names() -> Sequence[tuple[str, str]]:
    rows = db.session.execute(select(NotableName.name, NotableName.name_fold).limit(MOST_NOTABLE))
    return [(row.name, row.name_fold) for row in rows]


def _against(names: Iterable[tuple[str, str]], name_fold: str) -> tuple[str | None, list[str]]:
    alike = []
    words = set(name_fold.split())
    for name, fold in names:
        # A notable person is often named without the patronymic.
        if fold == name_fold or (len(fold.split()) >= 2 and set(fold.split()) <= words):
            return name, []
        if hints.likeness(fold, name_fold) >= ALIKE:
            alike.append(name)
    return None, alike[:MOST_NAMED]


def _bursts(subject: Subject) -> list[Hint]:
    """How many came from the same network, for the same affiliation, in the same minute; each counted so far only."""
    trace = db.session.execute(
        select(SigningTrace.network, SigningTrace.at).where(SigningTrace.signature_id == subject.signature_id)
    ).first()
    if trace is None:
        return []
    around = SigningTrace.at > trace.at - BURST_WITHIN, SigningTrace.at < trace.at + BURST_WITHIN
    minute = trace.at.replace(second=0, microsecond=0)
    together = (
        select(Signature.id)
        .join(SigningTrace, SigningTrace.signature_id == Signature.id)
        .where(*around)
        .order_by(SigningTrace.at)
        .limit(_MOST_COMPARED * 10)
    )
    counts = {
        "burst-network": select(SigningTrace.signature_id).where(SigningTrace.network == trace.network, *around),
        "burst-minute": select(SigningTrace.signature_id).where(
            SigningTrace.at >= minute, SigningTrace.at < minute + timedelta(minutes=1)
        ),
    }
    if subject.affiliation is not None:
        same = Signature.affiliation_id if isinstance(subject.affiliation, int) else Signature.affiliation_text
        counts["burst-affiliation"] = select(Signature.id).where(
            Signature.id.in_(together), same == subject.affiliation
        )
    row = db.session.execute(
        select(
            *(
                select(func.count()).select_from(query.limit(MOST_COUNTED).subquery()).scalar_subquery().label(code)
                for code, query in counts.items()
            )
        )
    ).one()
    return [Hint(code, count=count) for code, count in row._mapping.items() if count >= LEAST_BURST[code]]


# ── the queue ────────────────────────────────────────────────────────────────────────────────────────────────────────


def marks(names: Sequence[tuple[int, str, str]], *, throwaway: Collection[str]) -> dict[int, list[str]]:
    """Codes of hints for a page of the queue: two queries, whatever its length.

    names: (signature id, full name, domain of the mail address).
    """
    folds = {signature_id: hints.name_fold(name) for signature_id, name, _domain in names}
    other = aliased(Signature)
    others = select(other.id).where(
        other.name_fold == Signature.name_fold, other.id != Signature.id, other.state.in_(_KNOWN)
    )
    # Whether there is one: a name that thousands bear costs no more than one that two bear.
    twice = set(
        db.session.scalars(select(Signature.id).where(search_index.among(folds, Signature.id), others.exists()))
    )
    notable = _notable_names() if names else []
    found: dict[int, list[str]] = {}
    for signature_id, name, domain in names:
        codes = []
        if signature_id in twice:
            codes.append("same-name")
        exact, alike = _against(notable, folds[signature_id])
        if exact or alike:
            codes.append("notable" if exact else "notable-alike")
        if hints.mixed_words(name):
            codes.append("mixed-scripts")
        if hints.is_throwaway(domain, throwaway):
            codes.append("throwaway")
        if codes:
            found[signature_id] = codes
    return found


@dataclass(frozen=True)
class NotableLine:
    """One name of the list, for staff."""

    name_id: int
    name: str
    added_at: datetime


def notable_names() -> list[NotableLine]:
    """The whole list, by name; at most MOST_NOTABLE."""
    rows = db.session.scalars(select(NotableName).order_by(NotableName.name).limit(MOST_NOTABLE))
    return [NotableLine(row.id, row.name, row.added_at) for row in rows]


#: Signatures that one look of `find_unfolded` passes.
WINDOW = 5000


def find_unfolded(after: int) -> tuple[list[int], int | None]:
    """Of a window of signatures from `after` on those without a folded name; where to go on, None at the end."""
    window = select(Signature.id).where(Signature.id > after).order_by(Signature.id).limit(WINDOW).subquery()
    last = db.session.scalar(select(func.max(window.c.id)))
    if last is None:
        return [], None
    found = db.session.scalars(
        select(Signature.id)
        .where(Signature.id > after, Signature.id <= last, Signature.name_fold.is_(None))
        .where(Signature.full_name != "")
        .order_by(Signature.id)
    )
    return list(found), int(last)
