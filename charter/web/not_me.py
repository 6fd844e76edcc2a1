""" "This was not me": whoever was sent a mail that they never asked for ends it here."""

from __future__ import annotations

from flask import Blueprint, Flask, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.operations import addresses, mailboxes
from charter.operations.proving import Outcome, Proof
from charter.queries import mailboxes as queries
from charter.web.forms.signing import CodeForm
from charter.web.signing import browser_digest, config, is_switch, key, say_code

blueprint = Blueprint("not_me", __name__)


@blueprint.route("/<lang:lang>/not-me/<token>", methods=["GET", "POST"])
def not_me(token: str) -> BaseResponse | str | tuple[str, int]:
    """GET says what would happen; POST does it, from the signing browser or with the code in the mail."""
    settings = config()
    form = CodeForm()
    view = queries.find_stoppable(token, browser_digest=browser_digest())
    if request.method == "POST" and not is_switch() and form.validate():
        stop = addresses.refuse if view is not None and view.is_change else mailboxes.stop
        result = stop(
            token,
            proof=Proof(browser_digest(), form.code.data),
            key=key(),
            code_tries=settings.code_tries,
            stop_days=settings.mail_stop_days,
            now=clock.now(),
        )
        if result.outcome is Outcome.DONE:
            return render_template("signing/not_me_done.html", view=view)
        say_code(form, result)
        view = queries.find_stoppable(token, browser_digest=browser_digest())
    if view is None:
        return render_template("signing/link_ended.html"), 404
    if view.status == "already" and view.is_change:
        return redirect(url_for("my.confirm_address", token=token), code=303)
    if view.status == "already":
        return render_template("signing/already_confirmed.html")
    page = render_template(
        "signing/not_me.html", view=view, form=form, tries_left=max(0, settings.code_tries - view.tries)
    )
    return page, 422 if form.errors else 200


def init_app(app: Flask) -> None:
    """Registers the room; without a header of their own its pages are kept by nobody."""
    app.register_blueprint(blueprint)
