"""One's own published entry: correcting it, how much of it is shown, and whether search engines may keep its page."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain.errors import FieldRefusedError, MoveRefusedError, TooOftenError
from charter.i18n import _, current_language
from charter.operations import corrections, showing
from charter.operations.corrections import Asked
from charter.operations.proving import Outcome
from charter.queries import corrections as queries
from charter.queries.corrections import EntryDetails, EntryNow
from charter.queries.signing import MySignature
from charter.web import centre
from charter.web.forms.entry import DisplayForm, EntryForm
from charter.web.forms.signing import ButtonForm
from charter.web.my.acting import act, proof_of, say_refusal
from charter.web.my.door import blueprint, get_mine, section
from charter.web.signing import browser_digest, config, is_switch, key, offer_choices, refusal_fields

#: What became of a wish → what *my signature* says about it.
_FRESH = {
    Asked.WAITS: "correction",
    Asked.SAME: "correction-same",
    Asked.RECALLED: "correction-recalled",
}


@section("entry_now")
def entry_now(mine: MySignature) -> object:
    """What stands in the registry and what is to come; None for whoever is not in it."""
    return _find(mine)


def _find(mine: MySignature) -> EntryNow | None:
    if not mine.is_public:
        return None
    return queries.find_entry_now(mine.signature_id, current_language(), now=clock.now())


@blueprint.route("/<lang:lang>/my/correction/", methods=["GET", "POST"])
def correction() -> BaseResponse | tuple[str, int]:
    """Other details of a published entry, for the Centre to decide on."""
    mine = get_mine()
    entry = _find(mine)
    if entry is None:
        return redirect(url_for("my.index"), code=303)
    waiting = entry.waiting if entry.waiting is not None and entry.waiting.is_pending else None
    stands = mine if waiting is None else waiting.after
    form = EntryForm() if request.method == "POST" else EntryForm.filled(stands)
    offer_choices(form, stands=stands)
    status = 200
    if request.method == "POST" and not is_switch():
        answer = _recall(mine, form) if waiting is not None and form.recall.data else _ask(mine, form, stands)
        if answer is not None:
            return answer
        status = 422
    return render_template("signing/correction.html", mine=mine, form=form, waiting=waiting), status


def _recall(mine: MySignature, form: EntryForm) -> BaseResponse | None:
    if not ButtonForm().validate():
        # The whole form says so.
        form.validate()
        return None
    corrections.recall(mine.signature_id, now=clock.now())
    return redirect(url_for("my.index", fresh=_FRESH[Asked.RECALLED]), code=303)


def _ask(mine: MySignature, form: EntryForm, stands: MySignature | EntryDetails) -> BaseResponse | None:
    """None where the form is shown again, with what is wrong. stands: what it was filled with."""
    if not form.validate():
        return None
    try:
        asked = corrections.ask(
            mine.signature_id,
            form.to_details_after(stands),
            answer_due_working_days=config().answer_due_working_days,
            holidays=centre.holidays(),
            now=clock.now(),
        )
    except FieldRefusedError as error:
        field = form[refusal_fields(form)[error.field]]
        field.errors = [*field.errors, _("This can no longer be chosen; choose again")]
        return None
    except TooOftenError:
        form.full_name.errors = [_too_often()]
        return None
    except MoveRefusedError:
        return redirect(url_for("my.index", fresh="too-late"), code=303)
    return redirect(url_for("my.index", fresh=_FRESH[asked]), code=303)


@act("display", "my.display")
@blueprint.route("/<lang:lang>/my/display/", methods=["GET", "POST"])
def display() -> BaseResponse | tuple[str, int]:
    """Less at once, more with the signing browser or a fresh code."""
    mine = get_mine()
    entry = _find(mine)
    if entry is None:
        return redirect(url_for("my.index"), code=303)
    stands = {"display": entry.wanted_display, "is_indexable": entry.wanted_indexable}
    form = DisplayForm() if request.method == "POST" else DisplayForm(formdata=None, data=stands)
    if request.method == "POST" and not is_switch() and form.validate():
        try:
            result = showing.show(
                mine.signature_id,
                display=form.display.data,
                is_indexable=form.is_indexable.data,
                proof=proof_of(form),
                key=key(),
                code_tries=config().code_tries,
                now=clock.now(),
            )
        except TooOftenError:
            form.display.errors = [_too_often()]
        else:
            if result.outcome in {Outcome.DONE, Outcome.NOT_POSSIBLE}:
                fresh = "shown" if result.outcome is Outcome.DONE else "too-late"
                return redirect(url_for("my.index", fresh=fresh), code=303)
            say_refusal(form, result)
    page = render_template(
        "signing/display.html",
        mine=mine,
        form=form,
        is_signing_browser=mine.is_signing_browser(browser_digest()),
        fresh=request.args.get("fresh"),
    )
    return page, 422 if form.errors else 200


def _too_often() -> str:
    words = _("You have changed this often today; more of it is possible tomorrow. Showing less is always possible.")
    return str(words)
