"""Leaving: withdrawing the signature."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock, meters
from charter.operations import signing
from charter.operations.proving import Outcome
from charter.web.forms.signing import CodeForm
from charter.web.my.acting import act, proof_of, say_refusal
from charter.web.my.door import blueprint, get_mine
from charter.web.signing import browser_digest, config, is_switch, key


@act("withdraw", "my.withdraw")
@blueprint.route("/<lang:lang>/my/withdraw/", methods=["GET", "POST"])
def withdraw() -> BaseResponse | str | tuple[str, int]:
    """The second of the two clicks; asks for the signing browser or a fresh code."""
    mine = get_mine()
    if not mine.can_withdraw:
        return redirect(url_for("my.index"), code=303)
    form = CodeForm()
    if request.method == "POST" and not is_switch() and form.validate():
        result = signing.withdraw(
            mine.signature_id, proof=proof_of(form), key=key(), code_tries=config().code_tries, now=clock.now()
        )
        if result.outcome is Outcome.DONE:
            meters.withdrawn()
        if result.outcome in {Outcome.DONE, Outcome.NOT_POSSIBLE}:
            return redirect(url_for("my.index", fresh="withdrawn"), code=303)
        say_refusal(form, result)
    return (
        render_template(
            "signing/withdraw.html",
            mine=mine,
            form=form,
            is_signing_browser=mine.is_signing_browser(browser_digest()),
            fresh=request.args.get("fresh"),
        ),
        422 if form.errors else 200,
    )
