"""A new personal link, for whoever fears that others know the one there is."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.i18n import _
from charter.operations import links
from charter.operations.proving import Outcome
from charter.web.forms.signing import CodeForm
from charter.web.my.acting import act, proof_of, say_refusal
from charter.web.my.address import has_contact
from charter.web.my.door import blueprint, get_mine
from charter.web.signing import browser_digest, config, is_switch, key, open_personal


@act("renew", "my.renew")
@blueprint.route("/<lang:lang>/my/link/", methods=["GET", "POST"])
def renew() -> BaseResponse | str | tuple[str, int]:
    """Ends the link there is; this browser goes on with the new one, which also comes by mail."""
    mine = get_mine()
    if not has_contact(mine):
        return redirect(url_for("my.index"), code=303)
    form = CodeForm()
    if request.method == "POST" and not is_switch() and form.validate():
        result = links.renew(
            mine.signature_id, proof=proof_of(form), key=key(), code_tries=config().code_tries, now=clock.now()
        )
        if result.outcome is Outcome.DONE and result.personal_token is not None:
            return open_personal(result.personal_token, url_for("my.index", fresh="renewed", _anchor="contact"))
        if result.outcome is Outcome.NOT_POSSIBLE:
            form.form_errors.append(_("The link has been renewed very often today. Try again tomorrow."))
        say_refusal(form, result)
    return (
        render_template(
            "signing/renew.html",
            mine=mine,
            form=form,
            is_signing_browser=mine.is_signing_browser(browser_digest()),
            fresh=request.args.get("fresh"),
        ),
        422 if form.errors else 200,
    )
