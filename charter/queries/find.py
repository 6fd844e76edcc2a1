"""Finding anybody in any state: by number, by address, by the words of a name in any alphabet. For staff."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select, tuple_

from charter.domain.email import EmailError, clean_email
from charter.domain.fold import fold
from charter.models.affiliation import Region
from charter.models.base import db
from charter.models.signature import Signature, SignatureWord

PAGE_SIZE = 50
#: Of the words of a name so many are looked for; the rest would not make it any rarer.
MOST_WORDS = 6
#: So many places of the index are looked through for a page, however common the words are.
_PART = 2000
_ENTRY = re.compile("[0-9a-f]{32}")
_NUMBER = re.compile(r"[№#]?[\s\u00a0]*([0-9][0-9\s\u00a0]{0,14})")
#: The greatest number that a database keeps in the column.
_MOST_NUMBER = 2**31 - 1
#: Behind every letter and figure that a folded word is made of.
_BEHIND = "~"


@dataclass(frozen=True)
class Asked:
    """What somebody is looked for by. by: number | entry | address | name. words: folded, rarest unknown."""

    by: str
    number: int = 0
    entry: str = ""
    mailbox: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class FoundRow:
    """One signature in whatever state. full_name: "" where it is destroyed."""

    signature_id: int
    full_name: str
    state: str
    kind: str
    region: str
    number: int | None
    submitted_at: datetime


@dataclass(frozen=True)
class FoundPage:
    """after: from where to look on, None at the end. is_part: looking stopped before a whole page was found."""

    rows: list[FoundRow]
    after: tuple[str, int] | None = None
    is_part: bool = False


def read(typed: str) -> Asked | None:
    """What the typed words ask for; None where nothing can be looked for by them."""
    text = typed.strip()
    number = _NUMBER.fullmatch(text)
    if number:
        value = int(re.sub(r"\D", "", number[1]))
        return Asked("number", number=value) if 0 < value <= _MOST_NUMBER else None
    if _ENTRY.fullmatch(text.lower()):
        return Asked("entry", entry=text.lower())
    if "@" in text:
        try:
            return Asked("address", mailbox=clean_email(text).mailbox)
        except EmailError:
            return None
    words = tuple(sorted(fold(text[:400]), key=len, reverse=True))[:MOST_WORDS]
    return Asked("name", words=words) if words and len(words[0]) > 1 else None


def find(
    asked: Asked, language: str, *, regions: Collection[str] | None = None, after: tuple[str, int] | None = None
) -> FoundPage:
    """Whom it leads to, a page at a time; a bounded number of small looks into indexes, however many have signed.

    regions: codes that the reader is responsible for; None: all. after: of the page before.
    """
    if asked.by == "name":
        return _by_words(asked.words, language, regions=regions, after=after)
    conditions: dict[str, ColumnElement[bool]] = {
        "number": Signature.number == asked.number,
        "entry": Signature.entry == asked.entry,
        "address": Signature.mailbox == asked.mailbox,
    }
    seen = (Signature.id > after[1],) if after else ()
    rows = _rows(conditions[asked.by], *seen, language=language, regions=regions, limit=PAGE_SIZE + 1)
    return _page(rows[:PAGE_SIZE], rows[PAGE_SIZE - 1].signature_id if len(rows) > PAGE_SIZE else None)


def _page(rows: list[FoundRow], last: int | None) -> FoundPage:
    return FoundPage(rows, None if last is None else ("", last))


def _rows(
    *conditions: ColumnElement[bool], language: str, regions: Collection[str] | None, limit: int
) -> list[FoundRow]:
    query = select(
        Signature.id,
        Signature.full_name,
        Signature.state,
        Signature.kind,
        Signature.number,
        Signature.submitted_at,
        Region.short,
    ).join(Region, Region.code == Signature.region_code)
    if regions is not None:
        query = query.where(Signature.region_code.in_(sorted(regions)))
    rows = db.session.execute(query.where(*conditions).order_by(Signature.id).limit(limit))
    return [
        FoundRow(row.id, row.full_name, row.state, row.kind, row.short[language], row.number, row.submitted_at)
        for row in rows
    ]


def _begins(word: str) -> ColumnElement[bool]:
    return (SignatureWord.word >= word) & (SignatureWord.word < word + _BEHIND)


def _part(word: str, after: tuple[str, int] | None) -> Sequence[Any]:
    """A stretch of the index from `after` on: (word, signature id), each word that begins so."""
    query = select(SignatureWord.word, SignatureWord.signature_id).where(_begins(word))
    if after is not None:
        query = query.where(
            SignatureWord.word >= after[0], tuple_(SignatureWord.word, SignatureWord.signature_id) > after
        )
    return db.session.execute(query.order_by(SignatureWord.word, SignatureWord.signature_id).limit(_PART)).all()


def _by_words(
    words: Sequence[str], language: str, *, regions: Collection[str] | None, after: tuple[str, int] | None
) -> FoundPage:
    """Walks through whichever word is rarest and keeps those who have all the others."""
    # The word that is walked is chosen anew for each page, and always the same: by the number of its first places.
    first = {word: _part(word, None) for word in words}
    driver = min(words, key=lambda word: len(first[word]))
    part = first[driver] if after is None else _part(driver, after)
    ids = [row.signature_id for row in part]
    keeps = set(ids)
    for word in words:
        if word != driver and keeps:
            having = select(SignatureWord.signature_id).where(SignatureWord.signature_id.in_(keeps), _begins(word))
            keeps &= set(db.session.scalars(having))
    places = {row.signature_id: (row.word, row.signature_id) for row in reversed(part) if row.signature_id in keeps}
    chosen = sorted(places.values())
    found: list[FoundRow] = []
    taken = 0
    while taken < len(chosen) and len(found) < PAGE_SIZE:
        window = [signature_id for _word, signature_id in chosen[taken : taken + PAGE_SIZE]]
        known = {
            row.signature_id: row
            for row in _rows(Signature.id.in_(window), language=language, regions=regions, limit=PAGE_SIZE)
        }
        for signature_id in window:
            taken += 1
            if signature_id in known:
                found.append(known[signature_id])
                if len(found) == PAGE_SIZE:
                    break
    if taken < len(chosen):
        return FoundPage(found, chosen[taken - 1])
    if len(part) == _PART:
        last = part[-1]
        return FoundPage(found, (last.word, last.signature_id), is_part=len(found) < PAGE_SIZE)
    return FoundPage(found)


# ── words of signatures from an older release ────────────────────────────────────────────────────────────────────────

#: Signatures that one look passes.
WINDOW = 500


def find_wordless(after: int) -> tuple[list[tuple[int, str]], int | None]:
    """Of a window of signatures from `after` on those with a name and no words; where to go on, None at the end."""
    window = db.session.execute(
        select(Signature.id, Signature.name_fold).where(Signature.id > after).order_by(Signature.id).limit(WINDOW)
    ).all()
    if not window:
        return [], None
    ids = [row.id for row in window]
    having = set(db.session.scalars(select(SignatureWord.signature_id).where(SignatureWord.signature_id.in_(ids))))
    return [(row.id, row.name_fold) for row in window if row.name_fold and row.id not in having], ids[-1]
