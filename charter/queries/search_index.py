"""The search index as each engine has it: which entries hold these words, in order, reading little however many do.

SQLite: an FTS5 table (`registry_search`). It reads exact words and the beginnings it has stored one hit after the
other, but merges whole lists for longer beginnings, so those are asked for as the words that begin so, and where these
are many as the longest beginning that is stored, of whose entries the rows say which begin so.
PostgreSQL: for each word its list of numbers (`registry_search_term`), newest first without sorting, and an inverted
index over all words of an entry, which is right where few entries hold them together. Where every word is common, the
list of the rarest is followed for a while; how many of it fit tells which way is shorter.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, cast

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    Column,
    ColumnElement,
    Select,
    Text,
    any_,
    bindparam,
    column,
    func,
    literal,
    select,
    table,
    text,
    true,
    union_all,
)
from sqlalchemy.sql.visitors import replacement_traverse

from charter.domain.selection import Selection, Word
from charter.models.base import db
from charter.models.registry import PublicEntry, RegistryWord

_ENTRY = PublicEntry.__table__.c
_TERMS = table("registry_search_term", column("term"), column("number"))
_FTS = table("registry_search", column("registry_search"), column("rowid"))
#: Beginnings of these lengths are lists of their own: in FTS5 up to the longest; on PostgreSQL a shorter one than the
#: shortest is looked for as a whole word.
FTS_LONGEST = 5
SHORTEST, LONGEST = 2, 3
#: Longer beginnings become so many exact words at most; of more, either engine reads all their lists.
_EXACT_WORDS = 64
_MOST_WORDS = 500
#: Short beginnings are not counted: they are as common as a word can be.
_COMMON = 10**9
#: A word of so many entries is rare: the inverted index finds no more than that.
RARE = 1000
#: So few entries hold all words, if they have nothing to do with one another, that following a list finds them late.
FEW = 300
#: So many entries of a common word are looked at before the shorter way is chosen; GLANCED where few are expected: the
#: words of one organisation's name belong together, and their first entries tell it.
WALKED, GLANCED = 1500, 200
#: What a region or an affiliation leaves of the registry, about.
_SHARE = 0.05


@dataclass(frozen=True)
class Part:
    """Which part of the hits is wanted. bounds: such as ("<", 17), on the number. filters: conditions on the entry."""

    limit: int
    is_descending: bool = True
    bounds: Sequence[tuple[str, int]] = ()
    filters: Sequence[ColumnElement[bool]] = ()

    def within(self, number: ColumnElement[int]) -> list[ColumnElement[bool]]:
        """The bounds."""
        return [number.op(sign, is_comparison=True)(value) for sign, value in self.bounds]

    def cut(self, query: Select[int], number: ColumnElement[int]) -> Select[int]:
        """In order, no more than wanted."""
        return query.order_by(number.desc() if self.is_descending else number).limit(self.limit)


def is_sqlite() -> bool:
    """Which of the two this request reads from."""
    return db.session.get_bind().dialect.name == "sqlite"


def filters_in_index(selection: Selection) -> tuple[str, ...]:
    """The filters that the index knows as words: those that leave few entries."""
    found = []
    if selection.region is not None:
        found.append(f"_r{selection.region.lower()}")
    if selection.affiliation is not None:
        found.append(f"_a{selection.affiliation}")
    return tuple(found)


def find_numbers(selection: Selection, part: Part) -> list[int]:
    """Numbers of the entries that hold all words and pass what `filters_in_index` and `part` say, in order."""
    if is_sqlite():
        query = _sqlite(selection, part)
        return [] if query is None else list(db.session.scalars(query))
    return _on_postgresql(selection, part)


def among(numbers: Iterable[int], of: Any = PublicEntry.number) -> ColumnElement[bool]:
    """Rows with one of these numbers in a column, as one value whatever their count: the statement stays the same."""
    if is_sqlite():
        value: ColumnElement[int] = column("value")
        listed = select(value).select_from(func.json_each(json.dumps(list(numbers))).table_valued("value"))
        return cast("ColumnElement[bool]", of.in_(listed))
    return cast("ColumnElement[bool]", of == any_(bindparam(None, list(numbers), type_=ARRAY(BigInteger))))


def holds(selection: Selection, *, apart_from: Word | None = None) -> list[ColumnElement[bool]]:
    """The same question to a row that is being read anyway."""
    return _held([word for word in selection.words if word != apart_from], filters_in_index(selection))


def _held(words: Iterable[Word], filters: Iterable[str] = ()) -> list[ColumnElement[bool]]:
    padded = literal(" ") + PublicEntry.words + literal(" ")
    place = func.instr if is_sqlite() else func.strpos
    asked = [f" {word.text} " if _is_whole(word) else f" {word.text}" for word in words]
    return [place(padded, one) > 0 for one in (*asked, *(f" {word} " for word in filters))]


def _is_whole(word: Word) -> bool:
    """Whether it is looked for as it stands: asked so, or too short for the engine."""
    return word.is_whole or (len(word.text) < SHORTEST and not is_sqlite())


def _beginning(word: Word, limit: int) -> Select[str, int]:
    """The words shown that begin so, and how many entries have them."""
    behind = word.text[:-1] + chr(ord(word.text[-1]) + 1)
    return (
        select(RegistryWord.word, RegistryWord.entries)
        .where(RegistryWord.word >= word.text, RegistryWord.word < behind)
        .order_by(RegistryWord.word)
        .limit(limit)
    )


# ── SQLite ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _sqlite(selection: Selection, part: Part) -> Select[int] | None:
    asked: dict[Word, str] = {}
    #: What the rows are asked themselves, because the index would read too much for it.
    beside: list[Word] = []
    fewest = _COMMON
    for word in selection.words:
        if word.is_whole:
            asked[word] = f'"{word.text}"'
        elif len(word.text) <= FTS_LONGEST:
            asked[word] = f'"{word.text}" *'
        else:
            exact = db.session.execute(_beginning(word, _EXACT_WORDS + 1)).all()
            if not exact:
                return None
            entries = sum(one.entries for one in exact)
            if len(exact) <= _EXACT_WORDS:
                asked[word] = "(" + " OR ".join(f'"{one.word}"' for one in exact) + ")"
                fewest = min(fewest, entries)
            elif entries < RARE:
                asked[word] = f'"{word.text}" *'
            else:
                # Of a longer beginning FTS5 would first merge all lists.
                asked[word] = f'"{word.text[:FTS_LONGEST]}" *'
                beside.append(word)
    if fewest <= FEW:
        # The list of a letter or two is nearly everybody: longer than asking these few.
        for word in [word for word in asked if not word.is_whole and len(word.text) < SHORTEST]:
            del asked[word]
            beside.append(word)
    match = " AND ".join((*asked.values(), *(f'"{word}"' for word in filters_in_index(selection))))
    number = _FTS.c.rowid
    filters = (*part.filters, *_held(beside))
    # One hit after the other, in order, each with its entry where that has to be asked.
    source = _FTS.join(PublicEntry, PublicEntry.number == number) if filters else _FTS
    query = select(number.label("number")).select_from(source)
    query = query.where(_FTS.c.registry_search.op("MATCH")(match), *part.within(number), *filters)
    return part.cut(query, number)


# ── PostgreSQL ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Asked:
    """One word and the terms it stands for: None if there are too many. frequency: about how many entries have one."""

    word: Word
    terms: tuple[str, ...] | None
    frequency: int


def _look_up(words: Sequence[Word]) -> tuple[list[_Asked], int]:
    """What each word stands for, and how many entries there are, in one query."""
    is_stored = {word: not _is_whole(word) and len(word.text) <= LONGEST for word in words}
    newest = select(func.coalesce(func.max(PublicEntry.number), 0).label("entries")).subquery("newest")
    parts: list[Select[Any]] = [select(literal(-1).label("place"), literal("").label("word"), newest.c.entries)]
    for place, word in enumerate(words):
        if is_stored[word]:
            continue
        known = select(RegistryWord.word, RegistryWord.entries).where(RegistryWord.word == word.text)
        part = (known if _is_whole(word) else _beginning(word, _MOST_WORDS + 1)).subquery(f"part_{place}")
        parts.append(select(literal(place).label("place"), part.c.word, part.c.entries))
    found: dict[int, list[tuple[str, int]]] = {}
    for place, term, entries in db.session.execute(union_all(*parts)):
        found.setdefault(place, []).append((term, entries))
    asked = []
    for place, word in enumerate(words):
        if is_stored[word]:
            asked.append(_Asked(word, (f"^{word.text}",), _COMMON))
            continue
        # A whole word is its own term, whether or not it is counted.
        terms = found.get(place) or ([(word.text, 0)] if _is_whole(word) else [])
        is_few = len(terms) <= _MOST_WORDS
        asked.append(_Asked(word, tuple(term for term, _ in terms) if is_few else None, sum(n for _, n in terms)))
    return asked, found[-1][0][1]


def _list_of(asked: _Asked, part: Part) -> Select[int] | None:
    """The entries of one word, read in order; None for a beginning of too many different words."""
    if asked.terms is None:
        return None
    number = _TERMS.c.number
    query = select(number.label("number")).where(*part.within(number))
    if len(asked.terms) == 1:
        return part.cut(query.where(_TERMS.c.term == asked.terms[0]), number)
    # A list for each word that begins so, as many of each as are wanted of all.
    terms = func.unnest(bindparam(None, list(asked.terms), type_=ARRAY(Text)))
    words = terms.table_valued("word").render_derived("beginning")
    first = part.cut(query.where(_TERMS.c.term == words.c.word), number).lateral("first")
    found = select(first.c.number.label("number")).select_from(words.join(first, true())).distinct()
    return part.cut(found, first.c.number)


def _on_postgresql(selection: Selection, part: Part) -> list[int]:
    asked, count = _look_up(selection.words)
    if any(one.terms == () for one in asked):
        return []
    rarest = min(asked, key=lambda one: one.frequency)
    if len(asked) == 1 and not filters_in_index(selection) and not part.filters:
        listed = _list_of(rarest, part)
        if listed is not None:
            return list(db.session.scalars(listed))
    if rarest.frequency > RARE:
        is_few = _expected(asked, len(filters_in_index(selection)), count) <= FEW
        length = GLANCED if is_few else WALKED
        walked = _follow(selection, rarest, part, length)
        if walked is not None and len(walked) < part.limit:
            needed = _further(len(walked) / length, rarest.frequency, part.limit)
            walked = _follow(selection, rarest, part, needed) if needed else None
        if walked is not None and len(walked) == part.limit:
            return walked
    return list(db.session.scalars(_inverted(selection, asked, part)))


def _expected(asked: Sequence[_Asked], filters: int, count: int) -> float:
    """How many of `count` entries hold all words if each word has nothing to do with the others."""
    return count * prod(min(1.0, one.frequency / max(1, count)) for one in asked) * _SHARE**filters


def _further(density: float, frequency: int, limit: int) -> int:
    """How far to follow a list of which this part fits so far; 0 if the inverted index is the shorter way.

    Following costs limit / density, the inverted index as much as there are hits: density * frequency.
    """
    return int(1.5 * limit / density) if density and limit / density < density * frequency else 0


def _follow(selection: Selection, rarest: _Asked, part: Part, length: int) -> list[int] | None:
    """Who fits of the first `length` entries of the rarest word; None where there is no list to follow."""
    listed = _list_of(rarest, replace(part, filters=(), limit=length))
    if listed is None:
        return None
    walk = listed.subquery("walk")
    query = (
        select(walk.c.number.label("number"))
        .select_from(walk.join(PublicEntry, PublicEntry.number == walk.c.number))
        .where(*holds(selection, apart_from=rarest.word), *part.filters)
    )
    return list(db.session.scalars(part.cut(query, walk.c.number)))


def _inverted(selection: Selection, asked: Sequence[_Asked], part: Part) -> Select[int]:
    """All entries that hold the words, then those wanted of them.

    The words stand alone in a materialised part: with a bound, a filter or an order beside them the planner would
    sometimes walk the table instead and take each row's words apart, above all in a plan that it keeps for every value
    (the sixth time a connection asks).
    """
    # A beginning of very many words is asked of the rows instead, where another word leaves few.
    is_few = any(_is_exact(one) and one.frequency <= RARE for one in asked)
    beside = [one for one in asked if is_few and not _is_exact(one)]
    kept = [one for one in asked if one not in beside]
    terms = (*map(_in_query, kept), *(f"'{word}'" for word in filters_in_index(selection)))
    words = func.array_to_tsvector(func.registry_search_terms(_ENTRY.words))
    query = bindparam(None, " & ".join(terms)).op("::")(text("tsquery"))
    columns = (_ENTRY.number, _ENTRY.kind, _ENTRY.edition_slug, _ENTRY.signed_on, _ENTRY.ended_on)
    fitting = select(*columns).where(words.op("@@")(query), *_held([one.word for one in beside]))
    found = fitting.cte("found").prefix_with("MATERIALIZED", dialect="postgresql")
    filters = [_about(found, one) for one in part.filters]
    number = found.c.number
    return part.cut(select(number.label("number")).where(*part.within(number), *filters), number)


def _about(found: CTE, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """The same condition, asked of what was found."""

    def replaced(element: Any, **_: Any) -> Any:
        return found.c[element.name] if isinstance(element, Column) else None

    return replacement_traverse(condition, {}, replaced)


def _is_exact(asked: _Asked) -> bool:
    return asked.terms is not None and len(asked.terms) <= _EXACT_WORDS


def _in_query(asked: _Asked) -> str:
    """Exact terms where they are few: the index skips through those, and reads every list of a beginning whole."""
    if asked.terms is None or not _is_exact(asked):
        return f"'{asked.word.text}':*"
    return "(" + " | ".join(f"'{term}'" for term in asked.terms) + ")"
