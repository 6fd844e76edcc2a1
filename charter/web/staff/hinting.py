"""Hints for review in words: each says why it is there, and none says what to decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from flask import current_app

from charter import shipped
from charter.domain.hints import Hint
from charter.i18n import _, ngettext
from charter.i18n import lazy_gettext as _l
from charter.queries import hints as queries
from charter.queries.queue import QueueRow
from charter.queries.selection import Chosen
from charter.settings import Settings
from charter.web.labels import HELD_BECAUSE

#: Short, for a row of the queue.
MARKS = {
    "same-name": _l("same name"),
    "notable": _l("notable name"),
    "notable-alike": _l("like a notable name"),
    "mixed-scripts": _l("mixed alphabets"),
    "throwaway": _l("throw-away address"),
}


@dataclass(frozen=True)
class Said:
    """One hint as it is shown. links: (endpoint, its arguments, words)."""

    words: str
    links: tuple[tuple[str, dict[str, object], str], ...] = ()


def throwaway() -> frozenset[str]:
    """Domains that give addresses away for minutes: shipped, and those of the settings."""
    settings: Settings = current_app.config["CHARTER"]
    return _known(settings.throwaway_domains)


@lru_cache(maxsize=4)
def _known(more: tuple[str, ...]) -> frozenset[str]:
    return shipped.throwaway_domains() | {one.lower() for one in more}


_WORDS: dict[str, Callable[[Hint], str]] = {
    "held": lambda hint: _(
        "%(reason)s: the form was set aside before its confirmation.",
        reason=HELD_BECAUSE.get(hint.words[0], hint.words[0]),
    ),
    "same-name": lambda hint: ngettext(
        "%(num)s other signature has the same name, perhaps in another alphabet or order.",
        "%(num)s other signatures have the same name, perhaps in another alphabet or order.",
        hint.count,
    ),
    "alike-name": lambda hint: ngettext(
        "%(num)s other signature has a name that is written nearly so.",
        "%(num)s other signatures have names that are written nearly so.",
        hint.count,
    ),
    "alike-registered": lambda hint: ngettext(
        "%(num)s entry of the registry has a name that sounds alike.",
        "%(num)s entries of the registry have names that sound alike.",
        hint.count,
    ),
    "notable": lambda hint: _("The name is on the list of notable names: %(name)s.", name=hint.words[0]),
    "notable-alike": lambda hint: _(
        "The name is like one on the list of notable names: %(names)s.", names=", ".join(hint.words)
    ),
    "mixed-scripts": lambda hint: _(
        "Latin and Cyrillic letters stand in one word: %(words)s (%(letters)s).",
        words=hint.words[0],
        letters=hint.words[1],
    ),
    "disguised": lambda hint: _(
        "Latin letters that all look like Cyrillic ones: %(words)s.", words=", ".join(hint.words)
    ),
    "throwaway": lambda hint: _("The mail domain gives addresses away for minutes: %(domain)s.", domain=hint.words[0]),
    "burst-network": lambda hint: _up_to(
        hint,
        ngettext(
            "%(num)s signature came from the same network within two hours; a training room looks like this too.",
            "%(num)s signatures came from the same network within two hours; a training room looks like this too.",
            hint.count,
        ),
    ),
    "burst-affiliation": lambda hint: _up_to(
        hint,
        ngettext(
            "%(num)s signature named the same affiliation within two hours.",
            "%(num)s signatures named the same affiliation within two hours.",
            hint.count,
        ),
    ),
    "burst-minute": lambda hint: _up_to(
        hint,
        ngettext(
            "%(num)s signature came in the same minute.", "%(num)s signatures came in the same minute.", hint.count
        ),
    ),
}


def _up_to(hint: Hint, words: str) -> str:
    if hint.count < queries.MOST_COUNTED:
        return words
    more = _("%(count)s or more: not counted further.", count=hint.count)
    return f"{more} {words}"


def say(found: Sequence[Hint]) -> list[Said]:
    """The hints in words, with ways to whom they point at."""
    said = []
    for hint in found:
        links: list[tuple[str, dict[str, object], str]] = [
            ("staff.dossier", {"signature_id": signature_id}, name)
            for signature_id, name, _state in hint.signatures
            if name
        ]
        links += [("registry.entry", {"entry": entry}, f"{name}, № {number}") for entry, name, number in hint.entries]
        said.append(Said(_WORDS[hint.code](hint), tuple(links)))
    return said


def marks_of(rows: Sequence[QueueRow | Chosen]) -> dict[int, list[str]]:
    """Short marks for a page of the queue."""
    found = queries.marks([(row.signature_id, row.full_name, row.mail_domain) for row in rows], throwaway=throwaway())
    return {signature_id: [str(MARKS[code]) for code in codes] for signature_id, codes in found.items()}
