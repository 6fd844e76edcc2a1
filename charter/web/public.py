"""Pages that are the same for everybody: home, the Charter, and what has to be known about the service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from flask import Blueprint, Flask, Response, abort, g, redirect, render_template, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import shipped
from charter.domain.edition import EditionText, parse_edition, words_of
from charter.domain.wording import differences
from charter.i18n import LANGUAGES, current_language, preferred_language
from charter.queries import editions, registry
from charter.queries.registry import EditionFile, EditionView
from charter.web import centre, languages, lists
from charter.web.headers import public_page
from charter.web.kept import as_published

blueprint = Blueprint("public", __name__)

NEWEST = 5


@dataclass(frozen=True)
class CommitmentPage:
    """A commitment with what it rests on: (document, article or None, topic)."""

    number: int
    title: str
    text: str
    rests_on: list[tuple[str, str | None, str]]


@dataclass(frozen=True)
class EditionPage:
    """The Charter as a reading page in one language."""

    slug: str
    is_specimen: bool
    published_on: date
    title: str
    note: str | None
    preamble_title: str
    preamble: list[str]
    intro: str
    commitments_title: str
    commitments: list[CommitmentPage]
    statement_title: str
    statement: list[str]
    files: list[EditionFile]
    is_current: bool


@lru_cache(maxsize=16)
def _parsed(body: bytes) -> EditionText:
    """An edition never changes, so its bytes are taken apart once."""
    return parse_edition(body)


def read_edition(view: EditionView, language: str) -> EditionPage:
    """The edition's bytes as a page; what commitments rest on is known for the shipped specimen only."""
    text = _parsed(view.body)
    rests_on = shipped.rests_on() if view.is_specimen else {}
    return EditionPage(
        slug=view.slug,
        is_specimen=view.is_specimen,
        published_on=view.published_on,
        title=text.title,
        note=text.specimen_note,
        preamble_title=text.preamble_heading,
        preamble=list(text.preamble[:-1]),
        intro=text.preamble[-1],
        commitments_title=text.commitments_heading,
        commitments=[
            CommitmentPage(
                number=one.number,
                title=one.title,
                text=one.text,
                rests_on=[
                    (rest.name[language], rest.where, rest.topic[language]) for rest in rests_on.get(one.number, ())
                ],
            )
            for one in text.commitments
        ],
        statement_title=text.statement_heading,
        statement=list(text.statement),
        files=view.files,
        is_current=view.is_current,
    )


def get_edition(slug: str | None = None) -> EditionPage:
    """The current edition, or the one of that name, in the page's language; 404 if there is none."""
    language = current_language()
    if slug is None:
        page = as_published("edition", language, make=lambda: _read(None, language))
    else:
        page = _read(slug, language)
    if page is None:
        abort(404)
    return page


def _read(slug: str | None, language: str) -> EditionPage | None:
    view = registry.find_edition(slug, language)
    return None if view is None else read_edition(view, language)


@blueprint.get("/")
def root() -> BaseResponse:
    """To the language that the browser asks for."""
    response = redirect(url_for("public.home", lang=preferred_language()), code=302)
    response.headers["Vary"] = "Accept-Language"
    response.headers["Cache-Control"] = "public, max-age=0"
    return response


@blueprint.get("/<lang:lang>/")
@public_page(names=True)
def home() -> str:
    """The Charter's name, how many signed, where, and who lately."""
    regions = lists.regions()
    edition = get_edition()
    return render_template(
        "public/home.html",
        totals=regions.totals,
        regions=regions.views,
        by_kind=regions.totals.by_kind,
        newest=registry.page(regions.views, size=NEWEST).lines,
        log_state=lists.log_state(),
        as_of=g.as_of,
        preamble=edition.preamble[0],
        is_open=centre.published().is_open,
        signing_words=centre.signing().words(current_language()),
        charter_title=edition.title,
    )


@blueprint.get("/<lang:lang>/charter/")
@public_page()
def charter() -> str:
    """The current text, for reading and for printing."""
    return _page(get_edition())


@blueprint.get("/<lang:lang>/charter/<slug:edition>/")
@public_page()
def edition(edition: str) -> str:
    """Any edition at its permanent address: what those signed whose entries name it."""
    return _page(get_edition(edition))


def _page(page: EditionPage) -> str:
    return render_template(
        "public/charter.html",
        edition=page,
        editions=lists.editions().values(),
        counts=lists.edition_counts(),
        is_open=centre.published().is_open,
        follows=lists.editions()[page.slug].follows if page.slug in lists.editions() else None,
    )


@blueprint.get("/<lang:lang>/charter/<slug:edition>/changes/")
@public_page()
def edition_changes(edition: str) -> str:
    """What an edition changed, word by word, against the one it follows; the first one says that it is the first."""
    if edition not in lists.editions():
        abort(404)
    found = editions.find_following(edition, current_language())
    return render_template(
        "public/edition_changes.html",
        slug=edition,
        following=found,
        passages=[] if found is None else differences(words_of(found.before), words_of(found.after)),
    )


@blueprint.get("/charter/<slug:edition>/<lang:lang>.txt")
@public_page()
def charter_text(edition: str) -> Response:
    """The exact bytes whose digest the log holds."""
    view = registry.find_edition(edition, current_language())
    if view is None:
        abort(404)
    response = Response(view.body, content_type="text/plain; charset=utf-8")
    response.headers["Content-Language"] = current_language()
    return response


@blueprint.get("/<lang:lang>/about/")
@public_page()
def about() -> str:
    """What this is and who keeps it."""
    return render_template("public/about.html")


@blueprint.get("/<lang:lang>/privacy/")
@public_page()
def privacy() -> str:
    """What is kept, shown, and for how long."""
    return render_template("public/privacy.html")


@blueprint.get("/<lang:lang>/accessibility/")
@public_page()
def accessibility() -> str:
    """How to use this without sight, mouse, script or a large screen."""
    return render_template("public/accessibility.html")


@blueprint.get("/<lang:lang>/help/")
@public_page()
def help_page() -> str:
    """Frequent questions."""
    return render_template("public/help_page.html")


def init_app(app: Flask) -> None:
    """Registers the room; the languages of addresses come with it."""
    languages.init_app(app)
    app.register_blueprint(blueprint)
    app.jinja_env.globals["all_languages"] = LANGUAGES
