"""The personal link, asked for again: one page for everybody, whoever the address belongs to."""

from __future__ import annotations

from flask import Blueprint, Flask, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.i18n import current_language
from charter.operations import links
from charter.web import limits
from charter.web.forms.contact import AskForm
from charter.web.signing import is_switch, key

blueprint = Blueprint("links", __name__)


@blueprint.route("/<lang:lang>/my-link/", methods=["GET", "POST"])
@limits.of_link_requests
def ask() -> BaseResponse | str | tuple[str, int]:
    """A field for the address. What follows is the same whether or not anybody signed with it."""
    form = AskForm()
    status = 200
    if request.method == "POST" and not is_switch():
        if form.validate():
            links.ask(form.address, language=current_language(), key=key(), now=clock.now())
            return redirect(url_for("links.sent"), code=303)
        status = 422
    return render_template("links/ask.html", form=form), status


@blueprint.get("/<lang:lang>/my-link/check-mail/")
def sent() -> str:
    """What to do now, and what if nothing comes."""
    return render_template("links/sent.html")


def init_app(app: Flask) -> None:
    """Registers the room; without a header of their own its pages are kept by nobody."""
    app.register_blueprint(blueprint)
