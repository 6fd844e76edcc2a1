"""*My signature*: the door of whoever holds the personal link."""

from __future__ import annotations

from typing import NoReturn

from flask import Blueprint, Flask, abort, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock, meters
from charter.domain.errors import FieldRefusedError, MoveRefusedError
from charter.domain.signature import State
from charter.i18n import _, current_language
from charter.operations import signing
from charter.operations.signing import Outcome, Proof
from charter.queries import receipts
from charter.queries import signing as queries
from charter.queries.signing import MySignature
from charter.web.forms.signing import AnswerForm, ButtonForm, CodeForm, CorrectForm
from charter.web.headers import forget_cookie, get_cookie
from charter.web.signing import (
    browser_digest,
    config,
    is_switch,
    key,
    offer_choices,
    open_personal,
    refusal_fields,
    say_code,
)

blueprint = Blueprint("my", __name__)


def _refuse() -> NoReturn:
    # The cookie is gone or its link was ended: one page for both, telling how to get in again.
    abort(make_response(render_template("signing/personal_link_needed.html"), 403))


def _mine() -> MySignature:
    token = get_cookie("my")
    mine = queries.find_mine(token, language=current_language(), now=clock.now()) if token else None
    if mine is None:
        _refuse()
    return mine


@blueprint.get("/<lang:lang>/my/<token>")
def open_link(token: str) -> BaseResponse:
    """Opens the personal link: the secret moves from the address into a cookie; nothing else changes."""
    if queries.find_signature_id(token) is None:
        _refuse()
    return open_personal(token, url_for("my.index"))


@blueprint.get("/<lang:lang>/my/")
def index() -> str:
    """Where it stands, when an answer is due, what the public sees, what can be done."""
    mine = _mine()
    return _page(mine, AnswerForm())


def _page(mine: MySignature, form: AnswerForm) -> str:
    return render_template(
        "signing/my.html",
        mine=mine,
        form=form,
        answers=queries.clarification_answers(mine.signature_id),
        papers=receipts.papers_of(mine.entry),
        fresh=request.args.get("fresh"),
    )


@blueprint.get("/<lang:lang>/my/record/")
def record() -> BaseResponse:
    """The entry's line, byte for byte, as a file."""
    return _file("record.json")


@blueprint.get("/<lang:lang>/my/receipt/")
def receipt() -> BaseResponse:
    """What proves that the log commits to that line."""
    return _file("receipt.tlog-proof")


@blueprint.get("/<lang:lang>/my/application-record/")
def application_record() -> BaseResponse:
    """The application's line, byte for byte, as a file; nobody else has its salt."""
    return _file("application.json", is_application=True)


@blueprint.get("/<lang:lang>/my/application-receipt/")
def application_receipt() -> BaseResponse:
    """What proves that the log commits to the application."""
    return _file("application.tlog-proof", is_application=True)


def _file(name: str, *, is_application: bool = False) -> BaseResponse:
    mine = _mine()
    found = None if mine.state == State.WITHDRAWN else receipts.receipt_of(mine.entry, is_application=is_application)
    if found is None:
        # It comes with the next publication, or never again: the page says which.
        return redirect(url_for("my.index"), code=303)
    if name.endswith(".json"):
        response = make_response(found.record)
        response.mimetype = "application/json"
    else:
        response = make_response(found.proof_text)
        response.mimetype = "text/plain"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


@blueprint.route("/<lang:lang>/my/edit/", methods=["GET", "POST"])
def edit() -> BaseResponse | str | tuple[str, int]:
    """Correcting a detail before the decision."""
    mine = _mine()
    if not mine.can_correct:
        return redirect(url_for("my.index"), code=303)
    form = CorrectForm() if request.method == "POST" else CorrectForm.filled(mine)
    offer_choices(form)
    status = 200
    if request.method == "POST" and not is_switch():
        if form.validate():
            try:
                signing.correct(mine.signature_id, form.to_details(), now=clock.now())
                return redirect(url_for("my.index", fresh="corrected"), code=303)
            except FieldRefusedError as error:
                field = form[refusal_fields(form)[error.field]]
                field.errors = [*field.errors, _("This can no longer be chosen; choose again")]
            except MoveRefusedError:
                return redirect(url_for("my.index", fresh="too-late"), code=303)
        status = 422
    return render_template("signing/edit.html", mine=mine, form=form), status


@blueprint.post("/<lang:lang>/my/answer/")
def answer() -> BaseResponse | str | tuple[str, int]:
    """The answer to the Centre's question."""
    mine = _mine()
    form = AnswerForm()
    if is_switch():
        return _page(mine, form)
    if mine.question is None:
        return redirect(url_for("my.index", fresh="too-late"), code=303)
    if not form.validate():
        return _page(mine, form), 422
    try:
        signing.answer(mine.signature_id, form.answer.data, now=clock.now())
    except MoveRefusedError:
        return redirect(url_for("my.index", fresh="too-late"), code=303)
    return redirect(url_for("my.index", fresh="answered"), code=303)


@blueprint.get("/<lang:lang>/my/answer/")
def answer_page() -> BaseResponse:
    """Somebody loads the address of the form anew, or changes the language there: the question is on the page."""
    return redirect(url_for("my.index"), code=303)


@blueprint.route("/<lang:lang>/my/withdraw/", methods=["GET", "POST"])
def withdraw() -> BaseResponse | str | tuple[str, int]:
    """The second of the two clicks; asks for the signing browser or a fresh code."""
    mine = _mine()
    if not mine.can_withdraw:
        return redirect(url_for("my.index"), code=303)
    form = CodeForm()
    if request.method == "POST" and not is_switch() and form.validate():
        result = signing.withdraw(
            mine.signature_id,
            proof=Proof(browser_digest(), form.code.data),
            key=key(),
            code_tries=config().code_tries,
            now=clock.now(),
        )
        if result.outcome is Outcome.DONE:
            meters.withdrawn()
        if result.outcome in {Outcome.DONE, Outcome.NOT_POSSIBLE}:
            return redirect(url_for("my.index", fresh="withdrawn"), code=303)
        if result.outcome is Outcome.CODE_NEEDED and form.code.data:
            form.code.errors = [_("There is no code that still works. Ask for a new one")]
        else:
            say_code(form, result)
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


@blueprint.post("/<lang:lang>/my/code/")
def request_code() -> BaseResponse:
    """Mails a fresh six-digit code."""
    mine = _mine()
    if ButtonForm().validate():
        was_sent = signing.request_code(
            mine.signature_id, key=key(), code_minutes=config().code_minutes, now=clock.now()
        )
        return redirect(url_for("my.withdraw", fresh="code" if was_sent else "no-code"), code=303)
    return redirect(url_for("my.withdraw"), code=303)


@blueprint.post("/<lang:lang>/my/close/")
def close() -> BaseResponse:
    """Forgets the personal link in this browser: the next person at a shared computer finds nothing."""
    response = redirect(url_for("public.home"), code=303)
    if ButtonForm().validate():
        forget_cookie(response, "my")
    return response


def init_app(app: Flask) -> None:
    """Registers the room; without a header of their own its pages are kept by nobody."""
    app.register_blueprint(blueprint)
    app.jinja_env.globals["now"] = clock.now
