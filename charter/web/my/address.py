"""Another address and another language for mail; an address counts once the old and the new one have confirmed."""

from __future__ import annotations

from dataclasses import dataclass

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain.signature import State
from charter.i18n import _
from charter.operations import addresses
from charter.operations.links import WITH_PAGE
from charter.operations.proving import Outcome, Proof
from charter.queries import addresses as queries
from charter.queries import signing
from charter.queries.addresses import ChangeView, PendingChange
from charter.queries.signing import MySignature
from charter.web.forms.contact import AddressForm, LanguageForm
from charter.web.forms.signing import CodeForm
from charter.web.headers import get_cookie
from charter.web.my.acting import act, proof_of, say_refusal
from charter.web.my.door import blueprint, get_mine, section
from charter.web.signing import browser_digest, config, is_switch, key, open_personal, say_code


def has_contact(mine: MySignature) -> bool:
    """Whether there is somebody to write to, about something that has not ended."""
    return State(mine.state) in WITH_PAGE and not mine.is_forgotten


@dataclass(frozen=True)
class Contact:
    """What the page of *my signature* says about mail. form: the language that is chosen now."""

    form: LanguageForm
    change: PendingChange | None


@section("contact")
def contact(mine: MySignature) -> Contact | None:
    """None where there is nothing to change any more."""
    if not has_contact(mine):
        return None
    return Contact(LanguageForm.filled(mine.language), queries.find_pending(mine.signature_id, now=clock.now()))


@act("address", "my.address")
@blueprint.route("/<lang:lang>/my/address/", methods=["GET", "POST"])
def address() -> BaseResponse | str | tuple[str, int]:
    """Asks for the new address; both are written to, and each has to confirm."""
    mine = get_mine()
    if not has_contact(mine):
        return redirect(url_for("my.index"), code=303)
    form = AddressForm()
    if request.method == "POST" and not is_switch() and form.validate():
        result = addresses.begin(
            mine.signature_id,
            form.address,
            proof=proof_of(form),
            key=key(),
            code_tries=config().code_tries,
            confirm_link_days=config().confirm_link_days,
            now=clock.now(),
        )
        if result.outcome is Outcome.DONE:
            return redirect(url_for("my.index", fresh="address", _anchor="contact"), code=303)
        if result.outcome is Outcome.ALREADY:
            form.email.errors = [_("We write to this address already")]
        elif result.outcome is Outcome.NOT_POSSIBLE:
            form.form_errors.append(_("You have asked for another address several times today. Try again tomorrow."))
        say_refusal(form, result)
    return (
        render_template(
            "signing/address.html",
            mine=mine,
            form=form,
            is_signing_browser=mine.is_signing_browser(browser_digest()),
            fresh=request.args.get("fresh"),
        ),
        422 if form.errors else 200,
    )


@blueprint.route("/<lang:lang>/my/address/<token>", methods=["GET", "POST"])
def confirm_address(token: str) -> BaseResponse | str | tuple[str, int]:
    """GET shows what would be confirmed; POST confirms, from the signing browser or with the code from the mail."""
    settings = config()
    form = CodeForm()
    now = clock.now()
    view = queries.find_change(token, browser_digest=browser_digest(), now=now)
    if request.method == "POST" and not is_switch() and form.validate():
        is_open_here = view is not None and signing.find_signature_id(get_cookie("my") or "") == view.signature_id
        result = addresses.confirm(
            token,
            proof=Proof(browser_digest(), form.code.data),
            key=key(),
            code_tries=settings.code_tries,
            people_per_mailbox=settings.people_per_mailbox,
            now=now,
        )
        if result.personal_token is not None and is_open_here:
            # The link was renewed: whoever has the page open here must not be shut out.
            return open_personal(result.personal_token, url_for("my.index", fresh="readdressed", _anchor="contact"))
        if result.outcome is Outcome.NOT_POSSIBLE:
            return render_template("signing/address_refused.html"), 422
        if result.outcome is Outcome.DONE:
            return redirect(url_for("my.confirm_address", token=token), code=303)
        say_code(form, result)
        view = queries.find_change(token, browser_digest=browser_digest(), now=now)
    return _shown(view, form)


def _shown(view: ChangeView | None, form: CodeForm) -> tuple[str, int]:
    if view is None or view.status == "ended":
        return render_template("signing/address_ended.html"), 404
    if view.status != "waiting":
        return render_template("signing/address_confirmed.html", view=view), 200
    tries_left = max(0, config().code_tries - view.tries)
    page = render_template("signing/confirm_address.html", view=view, form=form, tries_left=tries_left)
    return page, 422 if form.errors else 200


@blueprint.post("/<lang:lang>/my/language/")
def language() -> BaseResponse:
    """The language of mail, at once."""
    mine = get_mine()
    if not has_contact(mine):
        return redirect(url_for("my.index"), code=303)
    form = LanguageForm()
    if not form.validate():
        # All that can be wrong with three buttons of which one is pressed is the age of the page.
        return redirect(url_for("my.index", fresh="stale", _anchor="contact"), code=303)
    addresses.choose_language(mine.signature_id, form.language.data, now=clock.now())
    return redirect(url_for("my.index", fresh="language", _anchor="contact"), code=303)


@blueprint.get("/<lang:lang>/my/language/")
def languageshow() -> BaseResponse:
    """Somebody loads the address of the form anew: the choice is on the page."""
    return redirect(url_for("my.index"), code=303)
