"""The observer's door: sign, look into the mail, confirm."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from functools import lru_cache
from typing import cast

from flask import Blueprint, Flask, current_app, make_response, redirect, render_template, request, url_for
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response as BaseResponse

from charter import clock, meters, shipped
from charter.centre import Known
from charter.domain import consent as consents
from charter.domain.centre import Signing
from charter.domain.consent import CONSENT_KINDS, Operator
from charter.domain.errors import FieldRefusedError
from charter.i18n import LANGUAGES, _, current_language
from charter.operations import signing
from charter.operations.proving import Outcome, Proof, Result
from charter.operations.sign_steps import GivenConsent, NewSignature
from charter.queries import importing, registry
from charter.queries import signing as queries
from charter.queries.corrections import EntryDetails
from charter.queries.signing import MySignature
from charter.settings import Settings
from charter.web import centre, errors, lists, origin, proof_of_work
from charter.web.forms.signing import CodeForm, DetailsForm, Offered, SignForm, offered
from charter.web.headers import forget_cookie, get_cookie, set_cookie
from charter.web.kept import as_published, last_known, public_day
from charter.web.outlook import outlook
from charter.web.public import EditionPage, get_edition

blueprint = Blueprint("signing", __name__)

SIGNER_COOKIE = "signer"
#: Under what name the lists of the form are kept.
_OFFERED = "what a form offers"


def config() -> Settings:
    """The settings of this application."""
    settings: Settings = current_app.config["CHARTER"]
    return settings


def key() -> bytes:
    """The key that links and codes are computed from."""
    return config().secret_key.encode()


def browser_digest() -> bytes | None:
    """SHA-256 of the cookie that the browser got when somebody signed in it."""
    value = get_cookie(SIGNER_COOKIE)
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest() if value else None


def is_switch() -> bool:
    """Whether the POST only changes the language: the page comes back with what was typed, unchecked."""
    return request.form.get("switch") in LANGUAGES


def offer_choices(form: DetailsForm, *, stands: MySignature | EntryDetails | None = None) -> None:
    """The lists to choose from, in the page's language. stands: what is corrected, and may stay."""
    language = current_language()

    def lists_now() -> Offered:
        day = public_day()
        return offered(registry.regions(language, on=day), queries.affiliation_choices(language, on=day))

    form.offer(as_published(_OFFERED, language, make=lists_now))
    if stands is not None:
        form.keep(stands)


def compose_consents(known: Known | None = None) -> dict[str, str]:
    """The exact words of both consents in the page's language, as they stand in the form and are stored.

    known: who keeps the registry, where the database cannot be asked.
    """
    who = known or centre.known()
    operator = Operator(name=who.name, bin=who.bin, address=who.address, contact=who.contact)
    return dict(_composed(current_language(), operator))


def digest_of(texts: Mapping[str, str]) -> str:
    """By what a form says which words of the consents stood beside it."""
    return consents.digest("\n".join(texts.values()))


def is_consent_new(read: str | None, texts: Mapping[str, str]) -> bool:
    """Whether other words stand there now than those that were read; a form of an older release does not say which."""
    return bool(read) and read != digest_of(texts)


@lru_cache(maxsize=len(LANGUAGES) * 4)
def _composed(language: str, operator: Operator) -> tuple[tuple[str, str], ...]:
    texts = shipped.consents()
    return tuple((kind, texts.compose(kind, lang=language, operator=operator)) for kind in CONSENT_KINDS)


@blueprint.route("/<lang:lang>/sign/", methods=["GET", "POST"])
def sign() -> BaseResponse | str | tuple[str, int]:
    """The form beside the statement. However it ends, the page never tells who is in the registry."""
    form = SignForm()
    offer_choices(form)
    texts = compose_consents()
    status = 200
    is_proof_asked = origin.is_proof_asked()
    closed = centre.closed_words(current_language(), now=clock.now())
    edition = get_edition()
    is_text_new = is_new = False
    if request.method == "POST" and not is_switch() and "preview" not in request.form:
        is_text_new, is_new = _is_text_new(form, edition.slug), is_consent_new(form.consents_read.data, texts)
        if closed is not None or is_text_new or is_new:
            # What was typed stays on the page; nothing is stored.
            status = 409
        elif form.validate():
            try:
                answer = _store(form, texts)
            except FieldRefusedError as error:
                _refuse(form, error)
                status = 422
            else:
                if answer is not None:
                    return answer
                is_proof_asked = True
        else:
            status = 422
    origin.keep_start(form, settings=config(), now=clock.now())
    if is_text_new or not form.edition.data:
        form.edition.data = edition.slug
    form.consents_read.data = digest_of(texts)
    page = render_template(
        "signing/sign.html",
        form=form,
        consents=texts,
        edition=edition,
        is_consent_new=is_new,
        is_preview="preview" in request.form,
        challenge=_challenge() if is_proof_asked else None,
        closed=closed,
        signing=centre.signing(),
        is_text_new=is_text_new,
    )
    return page, status


def _is_text_new(form: SignForm, slug: str) -> bool:
    """Whether another text is signed now than the one that stood beside this form.

    A form of an older release does not say which; as long as there was one only, it was that one.
    """
    read = form.edition.data
    return read != slug if read else len(lists.editions()) > 1


@blueprint.errorhandler(SQLAlchemyError)
def keep_typed(error: SQLAlchemyError) -> BaseResponse:
    """Where the database is gone, whoever has filled in the form gets it back with every word, to send it again."""
    response = errors.database_error(error)
    language = current_language()
    choices = cast("Offered | None", last_known(_OFFERED, language))
    edition = cast("EditionPage | None", last_known("edition", language))
    if request.endpoint != "signing.sign" or request.method != "POST" or not (choices and edition):
        return response
    form = SignForm()
    form.offer(choices)
    origin.keep_start(form, settings=config(), now=clock.now())
    form.edition.data = form.edition.data or edition.slug
    page = render_template(
        "signing/sign.html",
        form=form,
        consents=compose_consents(centre.last()),
        edition=edition,
        is_unavailable=True,
        closed=None,
        signing=Signing(),
    )
    return errors.unavailable(page)


def _challenge() -> str:
    return proof_of_work.make_challenge(key(), tries=config().proof_of_work_tries, now=clock.now())


def _store(form: SignForm, texts: dict[str, str]) -> BaseResponse | None:
    """None where the form has to come back with a proof of work."""
    settings = config()
    edition = get_edition()
    now = clock.now()
    browser = get_cookie(SIGNER_COOKIE) or secrets.token_urlsafe(32)
    is_stored = signing.sign(
        NewSignature(
            details=form.to_details(),
            email=form.address,
            language=form.language.data,
            signed_language=current_language(),
            consents=tuple(GivenConsent(kind, consents.digest(body), body) for kind, body in texts.items()),
        ),
        key=key(),
        edition_slug=edition.slug,
        browser_digest=hashlib.sha256(browser.encode("utf-8", "surrogatepass")).digest(),
        confirm_link_days=settings.confirm_link_days,
        people_per_mailbox=settings.people_per_mailbox,
        now=now,
        origin=origin.origin_of(form, form.address, settings=settings, now=now),
        limits=origin.limits_of(settings),
    )
    if not is_stored:
        return None
    meters.signed_up()
    response = redirect(url_for("signing.check_mail"), code=303)
    set_cookie(response, SIGNER_COOKIE, browser, max_age_seconds=settings.signing_browser_days * 86_400)
    # On a shared computer the next person signs: the page of the one before must not stay open.
    forget_cookie(response, "my")
    return response


def refusal_fields(form: DetailsForm) -> dict[str, str]:
    """Domain field → name of the form's field that the person sees."""
    return {
        "region": "region",
        "affiliation": {"party": "party", "international": "mission"}.get(form.kind.data, "organisation"),
    }


def _refuse(form: DetailsForm, error: FieldRefusedError) -> None:
    field = form[refusal_fields(form)[error.field]]
    field.errors = [*field.errors, _("This can no longer be chosen; choose again")]


@blueprint.get("/<lang:lang>/sign/check-mail/")
def check_mail() -> str:
    """The same page for everybody: what to do, and what if nothing comes."""
    return render_template("signing/check_mail.html", outlook=outlook())


@blueprint.route("/<lang:lang>/confirm/<token>", methods=["GET", "POST"])
def confirm(token: str) -> BaseResponse | str | tuple[str, int]:
    """GET shows what would be confirmed; POST confirms, from the signing browser or with the code."""
    settings = config()
    form = CodeForm()
    now = clock.now()
    if request.method == "POST" and not is_switch() and form.validate():
        result = signing.confirm(
            token,
            proof=Proof(browser_digest(), form.code.data),
            key=key(),
            code_tries=settings.code_tries,
            answer_due_working_days=settings.answer_due_working_days,
            holidays=centre.holidays(),
            now=now,
        )
        if result.outcome is Outcome.DONE and result.personal_token is not None:
            meters.confirmed()
            return open_personal(result.personal_token, url_for("my.index", fresh="confirmed"))
        say_code(form, result)
    view = queries.find_confirmation(token, browser_digest=browser_digest(), language=current_language(), now=now)
    if view is None or view.status == "expired":
        return render_template("signing/link_ended.html"), 404
    if view.status == "already":
        return render_template("signing/already_confirmed.html")
    if importing.find_entered(token, language=current_language(), now=now) is not None:
        # Whom the Centre entered from a list has given no consent yet: there is more to ask than a button can say.
        return redirect(url_for("entered.entered", token=token), code=303)
    return (
        render_template(
            "signing/confirm.html", view=view, form=form, tries_left=max(0, settings.code_tries - view.tries)
        ),
        422 if form.errors else 200,
    )


def say_code(form: CodeForm, result: Result) -> None:
    """Puts what happened to the code beside its field."""
    words = {
        Outcome.CODE_NEEDED: _("Enter the six-digit code from the mail"),
        Outcome.CODE_WRONG: _("This code is not right. Tries left: %(count)s", count=result.tries_left),
        Outcome.TRIES_USED_UP: _("Too many wrong codes. Ask for a new mail, or use the browser in which you signed"),
    }.get(result.outcome)
    if words is not None:
        form.code.errors = [words]


def open_personal(token: str, target: str) -> BaseResponse:
    """Leaves for an address without the token, which stays in a cookie."""
    response = make_response(redirect(target, code=303))
    set_cookie(response, "my", token, max_age_seconds=config().personal_cookie_hours * 3600)
    return response


def init_app(app: Flask) -> None:
    """Registers the room; without a header of their own its pages are kept by nobody."""
    app.register_blueprint(blueprint)
