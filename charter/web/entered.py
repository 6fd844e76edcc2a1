"""The page of whom the Centre entered from a list: what it says, corrected by the person, with both consents."""

from __future__ import annotations

from flask import Blueprint, Flask, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock, meters
from charter.domain import consent as consents
from charter.domain.errors import FieldRefusedError
from charter.i18n import _, current_language
from charter.operations import signing
from charter.operations.proving import Outcome, Proof, Result
from charter.operations.sign_steps import GivenConsent
from charter.operations.signing import Taken
from charter.queries import importing as queries
from charter.web import centre
from charter.web.forms.importing import EnteredForm
from charter.web.public import get_edition
from charter.web.signing import (
    browser_digest,
    compose_consents,
    config,
    digest_of,
    is_consent_new,
    is_switch,
    key,
    offer_choices,
    open_personal,
    refusal_fields,
    say_code,
)

blueprint = Blueprint("entered", __name__)


@blueprint.route("/<lang:lang>/entered/<token>", methods=["GET", "POST"])
def entered(token: str) -> BaseResponse | str | tuple[str, int]:
    """GET shows what the list says; POST confirms it as the person corrected it, with the code from the mail."""
    settings = config()
    now = clock.now()
    view = queries.find_entered(token, language=current_language(), now=now)
    if view is None:
        # Confirmed, ended or unknown: that page says which.
        return redirect(url_for("signing.confirm", token=token), code=303)
    form = EnteredForm() if request.method == "POST" else EnteredForm(formdata=None, data=EnteredForm.start_of(view))
    offer_choices(form)
    texts = compose_consents()
    edition = get_edition()
    closed = centre.closed_words(current_language(), now=now)
    is_sent = request.method == "POST" and not is_switch()
    is_text_new = is_sent and form.edition.data != edition.slug
    is_new = is_sent and is_consent_new(form.consents_read.data, texts)
    status = 200
    if closed is not None or is_text_new or is_new:
        # What was typed stays on the page; nothing is stored.
        status = 409 if is_sent else 200
    elif is_sent and form.validate():
        result = _confirm(token, form, texts)
        if result is not None and result.outcome is Outcome.DONE and result.personal_token is not None:
            meters.confirmed()
            return open_personal(result.personal_token, url_for("my.index", fresh="confirmed"))
        if result is not None:
            say_code(form, result)
            if not form.code.errors:
                return redirect(url_for("signing.confirm", token=token), code=303)
            view = queries.find_entered(token, language=current_language(), now=now) or view
    form.edition.data = edition.slug
    form.consents_read.data = digest_of(texts)
    page = render_template(
        "signing/entered.html",
        view=view,
        form=form,
        consents=texts,
        edition=edition,
        closed=closed,
        is_text_new=is_text_new,
        is_consent_new=is_new,
        tries_left=max(0, settings.code_tries - view.tries),
    )
    return page, 422 if form.errors else status


def _confirm(token: str, form: EnteredForm, texts: dict[str, str]) -> Result | None:
    """None where a region or an affiliation can no longer be chosen: the form says which."""
    settings = config()
    try:
        return signing.confirm(
            token,
            proof=Proof(browser_digest(), form.code.data),
            key=key(),
            code_tries=settings.code_tries,
            answer_due_working_days=settings.answer_due_working_days,
            holidays=centre.holidays(),
            now=clock.now(),
            taken=Taken(
                details=form.to_details(),
                edition_slug=get_edition().slug,
                language=current_language(),
                mail_language=form.language.data,
                consents=tuple(GivenConsent(kind, consents.digest(body), body) for kind, body in texts.items()),
            ),
        )
    except FieldRefusedError as error:
        field = form[refusal_fields(form)[error.field]]
        field.errors = [*field.errors, _("This can no longer be chosen; choose again")]
        return None


def init_app(app: Flask) -> None:
    """Registers the room; without a header of their own its pages are kept by nobody."""
    app.register_blueprint(blueprint)
