"""What was perhaps meant: spellings near to a question that nobody answers to, taken from names that are shown."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice, product

from sqlalchemy import ColumnElement, and_, or_, select

from charter.domain.fold import fold, skeleton
from charter.domain.selection import Selection, Word
from charter.models.base import db
from charter.models.registry import RegistryWord
from charter.queries import search

#: Less than this is another name («Жанна», «Анна» are 0.92: hints may be wrong, and only say what may be tried).
NEAR = 0.72
#: Near words tried for each word asked, questions tried of all combinations, and answers given.
MOST_WORDS, MOST_TRIED, MOST_GIVEN = 4, 12, 3
#: Words that share a skeleton and are compared.
_MOST_KIN = 200
#: A word may be looked for without its last two letters if as many are left that it still says something.
_LONG_ENOUGH = 6


def similar(selection: Selection) -> list[str]:
    """Up to MOST_GIVEN questions that somebody answers to, each as it is spelled in the registry; empty if none.

    Asked only where a question was answered by nobody; the filters stay. A bounded number of small queries.
    """
    choices = [_near(word) for word in selection.words]
    found: dict[str, None] = {}
    for words in islice(product(*choices), MOST_TRIED):
        if list(words) == [word.text for word in selection.words]:
            continue
        rows, _, _ = search.find_rows(replace(selection, asked=" ".join(words), order="newest"), size=1)
        if rows:
            found[_as_spelled(rows[0], words)] = None
            if len(found) == MOST_GIVEN:
                break
    return list(found)


def _near(word: Word) -> list[str]:
    """The word itself where somebody is found by it, and words near to it, the nearest and most frequent first."""
    bones = skeleton(word.text)
    # A consonant too many: each one left out in turn.
    shorter = {bones[:place] + bones[place + 1 :] for place in range(len(bones))} if len(bones) > 2 else set()
    wanted: list[ColumnElement[bool]] = [RegistryWord.skeleton.in_({bones, *shorter})]
    if len(word.text) >= _LONG_ENOUGH:
        # Another ending than the one that is shown.
        start = word.text[:-2]
        wanted.append(and_(RegistryWord.word >= start, RegistryWord.word < start + "~"))
    kin = db.session.execute(
        select(RegistryWord.word, RegistryWord.entries)
        .where(or_(*wanted))
        .order_by(RegistryWord.entries.desc(), RegistryWord.word)
        .limit(_MOST_KIN)
    ).all()
    # Six megabytes that most processes never need.
    from rapidfuzz.distance import JaroWinkler

    scored = sorted(
        ((JaroWinkler.similarity(word.text, one.word), one.entries, one.word) for one in kin if one.word != word.text),
        reverse=True,
    )
    near = [one for score, _, one in scored if score >= NEAR][:MOST_WORDS]
    is_known = bool(search.find_rows(Selection(asked=f'"{word.text}"' if word.is_whole else word.text), size=1)[0])
    return [word.text, *near] if is_known else near


def _as_spelled(row: search.EntryRow, words: tuple[str, ...]) -> str:
    """The words of the name and affiliation shown that were found, in their own letters."""
    shown = f"{row.name or ''} {row.affiliation_name or ''}".split()
    return " ".join(
        one.strip("«»“”\"',.") for one in shown if any(part.startswith(word) for part in fold(one) for word in words)
    )
