"""The rows of a list of entries: fifty times the same few words, which a template needs ten times as long to write.

What stands in a row is escaped here and nowhere else: `escape` around everything that a person has typed. Texts and
shapes come from `templates/components/entries.html`, which is the only caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from flask import Flask, url_for
from markupsafe import Markup, escape

from charter.i18n import _, current_language, date_in, number_in
from charter.queries.registry import KINDS, RegistryEntry

_ID = "0" * 32
_SLUG = "x"


@dataclass(frozen=True)
class _Words:
    """What stands in many rows of one language, escaped. kinds: with their shapes."""

    kinds: Mapping[str, Markup]
    nobody: str
    nowhere: str
    own: str
    signed: str

    @classmethod
    def made(cls, kind_mark: Callable[[str], Markup]) -> _Words:
        return cls(
            kinds={kind: kind_mark(kind) for kind in KINDS},
            nobody=f'<span class="unlisted">{escape(_("Not listed by name"))}</span>',
            nowhere=f'<span class="quiet">{escape(_("affiliation not shown"))}</span>',
            own=f'<span class="quiet">{escape(_("on their own"))}</span>',
            signed=str(escape(_("Signed"))),
        )


_words: dict[str, _Words] = {}


def entry_rows(
    lines: Sequence[RegistryEntry],
    *,
    kind_mark: Callable[[str], Markup],
    ended_words: Callable[[str | None, date], Markup],
    with_region: bool,
) -> Markup:
    """Table rows. kind_mark, ended_words: macros, in the page's language."""
    # One address of each kind, of which the others differ in a part that needs no quoting.
    entry_url = url_for("registry.entry", entry=_ID).removesuffix(_ID)
    affiliation_url = url_for("registry.affiliation", slug=_SLUG).removesuffix(f"{_SLUG}/")
    language, rows, width = current_language(), [], 4 if with_region else 3
    words = _words.get(language) or _words.setdefault(language, _Words.made(kind_mark))
    kinds, nobody, nowhere, own, label = words.kinds, words.nobody, words.nowhere, words.own, words.signed
    for line in lines:
        day = f'<td class="when num" role="cell" data-label="{label}">{date_in(language, line.signed_on)}</td>'
        who = f'<td class="no num" role="cell">{number_in(language, line.number)}</td><td class="who" role="cell"'
        link = f'<a href="{entry_url}{line.entry}">'
        if line.ended_on:
            ended = ended_words(line.ended_by, line.ended_on)
            rows.append(f'<tr class="ended" role="row">{who} colspan="{width}">{link}{ended}</a></td>{day}</tr>')
            continue
        place = f'<td class="where" role="cell">{escape(line.region.short)}</td>' if with_region else ""
        name = escape(line.name) if line.name else nobody
        if line.display == "unlisted":
            whose = nowhere
        elif line.affiliation:
            whose = f'<a href="{affiliation_url}{line.affiliation}/">{escape(line.affiliation_name)}</a>'
        else:
            whose = escape(line.affiliation_name) if line.affiliation_name else own
        rows.append(
            f'<tr role="row">{who}>{link}{name}</a></td><td class="sort" role="cell">{kinds[line.kind]}</td>'
            f'<td class="for" role="cell">{whose}</td>{place}{day}</tr>'
        )
    return Markup("\n".join(rows))  # noqa: S704 - every part is escaped above


def init_app(app: Flask) -> None:
    """For the templates."""
    app.jinja_env.globals["entry_rows"] = entry_rows
