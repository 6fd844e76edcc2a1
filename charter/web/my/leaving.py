"""Leaving: withdrawing the signature, and having everything erased."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock, meters
from charter.operations import rights, signing
from charter.operations.proving import Outcome
from charter.web.forms.rights import WithdrawForm
from charter.web.forms.signing import CodeForm
from charter.web.headers import forget_cookie
from charter.web.my.acting import act, proof_of, say_refusal
from charter.web.my.door import blueprint, get_mine
from charter.web.my.objecting import may_erase
from charter.web.signing import browser_digest, config, is_switch, key


@act("withdraw", "my.withdraw")
@blueprint.route("/<lang:lang>/my/withdraw/", methods=["GET", "POST"])
def withdraw() -> BaseResponse | str | tuple[str, int]:
    """The second of the two clicks; asks for the signing browser or a fresh code."""
    mine = get_mine()
    if not mine.can_withdraw:
        return redirect(url_for("my.index"), code=303)
    form = WithdrawForm()
    if request.method == "POST" and not is_switch() and form.validate():
        result = signing.withdraw(
            mine.signature_id,
            proof=proof_of(form),
            key=key(),
            code_tries=config().code_tries,
            now=clock.now(),
            reason=form.why,
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


@act("erase", "my.erase")
@blueprint.route("/<lang:lang>/my/erase/", methods=["GET", "POST"])
def erase() -> BaseResponse | str | tuple[str, int]:
    """Says what goes and what stays; asks for the signing browser or a fresh code."""
    mine = get_mine()
    if not may_erase(mine):
        return redirect(url_for("my.index"), code=303)
    form = CodeForm()
    if request.method == "POST" and not is_switch() and form.validate():
        result = rights.erase(
            mine.signature_id, proof=proof_of(form), key=key(), code_tries=config().code_tries, now=clock.now()
        )
        if result.outcome is Outcome.DONE:
            if mine.can_withdraw:
                meters.withdrawn()
            response = redirect(url_for("my.erased"), code=303)
            forget_cookie(response, "my")
            return response
        if result.outcome is Outcome.NOT_POSSIBLE:
            return redirect(url_for("my.index"), code=303)
        say_refusal(form, result)
    return (
        render_template(
            "signing/erase.html",
            mine=mine,
            form=form,
            is_signing_browser=mine.is_signing_browser(browser_digest()),
            fresh=request.args.get("fresh"),
        ),
        422 if form.errors else 200,
    )


@blueprint.get("/<lang:lang>/my/erased/")
def erased() -> str:
    """The same for everybody: there is nobody left to tell anything else to."""
    return render_template("signing/erased.html")
