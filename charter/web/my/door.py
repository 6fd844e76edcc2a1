"""The way in and out, and the page itself, to which the other rooms add their parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from flask import Blueprint, abort, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.i18n import current_language
from charter.queries import receipts
from charter.queries import signing as queries
from charter.queries.signing import MySignature
from charter.web.forms.signing import AnswerForm, ButtonForm
from charter.web.headers import forget_cookie, get_cookie
from charter.web.signing import open_personal

blueprint = Blueprint("my", __name__)


def refuse() -> NoReturn:
    """Ends the request with the page that says how to get in again."""
    # The cookie is gone or its link was ended: one page for both, telling how to get in again.
    abort(make_response(render_template("signing/personal_link_needed.html"), 403))


def get_mine() -> MySignature:
    """The signature of whoever holds the cookie; everybody else is refused."""
    token = get_cookie("my")
    mine = queries.find_mine(token, language=current_language(), now=clock.now()) if token else None
    if mine is None:
        refuse()
    return mine


@blueprint.get("/<lang:lang>/my/<token>")
def open_link(token: str) -> BaseResponse:
    """Opens the personal link: the secret moves from the address into a cookie; nothing else changes."""
    if queries.find_signature_id(token) is None:
        refuse()
    return open_personal(token, url_for("my.index"))


@blueprint.get("/<lang:lang>/my/")
def index() -> str:
    """Where it stands, when an answer is due, what the public sees, what can be done."""
    mine = get_mine()
    return show(mine, AnswerForm())


#: What each room adds to the page: the name in the template → what is shown there.
Section = Callable[[MySignature], object]
_sections: dict[str, Section] = {}


def section(name: str) -> Callable[[Section], Section]:
    """Makes what the function finds known to the page of *my signature* under `name`."""

    def keep(find: Section) -> Section:
        _sections[name] = find
        return find

    return keep


def show(mine: MySignature, form: AnswerForm) -> str:
    """The whole page. form: an answer as it was typed."""
    return render_template(
        "signing/my.html",
        mine=mine,
        form=form,
        answers=queries.clarification_answers(mine.signature_id),
        papers=receipts.papers_of(mine.entry),
        fresh=request.args.get("fresh"),
        **{name: find(mine) for name, find in _sections.items()},
    )


@blueprint.post("/<lang:lang>/my/close/")
def close() -> BaseResponse:
    """Forgets the personal link in this browser: the next person at a shared computer finds nothing."""
    response = redirect(url_for("public.home"), code=303)
    if ButtonForm().validate():
        forget_cookie(response, "my")
    return response
