"""The desk of invalidations: whom conditions mean, beginning with or without a second person, progress, undoing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import abort, current_app, flash, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain.duties import ALONE, Right, Second
from charter.domain.errors import AlreadyProposedError, DecidedMeanwhileError, FieldRefusedError
from charter.i18n import _, current_language
from charter.i18n import lazy_gettext as _l
from charter.operations import sweeping as operations
from charter.operations.sweeping import NeedsSecondError, NothingMeantError
from charter.queries import proposals
from charter.queries import sweeping as queries
from charter.queries.proposals import ProposalView
from charter.queries.sweeping import SweepView
from charter.settings import Settings
from charter.web.forms.signing import ButtonForm
from charter.web.forms.sweeping import InvalidationForm, shown_moment
from charter.web.gates import current_staff, duty
from charter.web.staff.desk import blueprint
from charter.web.staff.proposals import Part, proposal_part
from charter.web.staff.reads import note_read

#: What state a sweep is in, and what became of a signature, in words.
SWEEP_STATES = {
    "draft": _l("Dry run"),
    "proposed": _l("Waits for a second person"),
    "running": _l("Under way"),
    "cancelled": _l("Stopped"),
    "done": _l("Done"),
    "undoing": _l("Being undone"),
    "undone": _l("Undone"),
}
OUTCOMES = {
    "done": _l("ended"),
    "skipped": _l("changed meanwhile, left alone"),
    "undone": _l("given back"),
    "kept": _l("could not be given back"),
}
#: A page about something that is on its way looks again so often, with and without script.
AGAIN_SECONDS = 5
#: Fields that a link may fill in.
_GIVEN = ("network", "domain", "words", "name")


@blueprint.get("/invalidations/")
@duty(Right.READ)
def invalidations() -> str:
    """All of them, the newest first."""
    before = request.args.get("before", "")
    if before and not (before.isascii() and before.isdigit() and len(before) <= 15):
        abort(404)
    page = queries.page(current_language(), before=int(before) if before else None)
    mine = [row for row in page.rows if row.is_for(current_staff().regions)]
    return render_template(
        "staff/invalidations.html",
        section="invalidations",
        rows=mine,
        states=SWEEP_STATES,
        next_url=None if page.next_before is None else url_for("staff.invalidations", before=page.next_before),
    )


@blueprint.route("/invalidations/new", methods=["GET", "POST"])
@duty(Right.INVALIDATE)
def new_invalidation() -> BaseResponse | str | tuple[str, int]:
    """Conditions, reason, words; what a link brings along is filled in."""
    if request.method != "POST":
        form = InvalidationForm(formdata=None, data=_given())
        form.offer(queries.affiliations(current_language()))
        return _form_page(form)
    form = InvalidationForm()
    form.offer(queries.affiliations(current_language()))
    if form.validate():
        try:
            made = operations.draft(
                form.conditions,
                reason=form.reason.data,
                note=form.note.data,
                staff_id=current_staff().id,
                now=clock.now(),
            )
        except FieldRefusedError as error:
            form.refuse(error)
        else:
            return redirect(url_for("staff.invalidation", invalidation_id=made), code=303)
    return _form_page(form), 422


def _form_page(form: InvalidationForm) -> str:
    return render_template("staff/invalidation_new.html", section="invalidations", form=form)


def _given() -> dict[str, Any]:
    """From a group of what was set aside, or from one signature (`like`) whose network and minutes are meant."""
    found: dict[str, Any] = {name: request.args[name][:255] for name in _GIVEN if name in request.args}
    minute = request.args.get("minute")
    if minute:
        try:
            at = datetime.strptime(minute, "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
            found |= {"since": shown_moment(at), "until": shown_moment(at + timedelta(minutes=1))}
        except (ValueError, OverflowError):
            abort(404)
    like = request.args.get("like", "")
    if like.isascii() and like.isdigit() and len(like) <= 15:
        traits = queries.traits_of(int(like))
        if traits is None or not current_staff().covers(traits.region_code):
            abort(404)
        found["network"] = traits.network or ""
        if traits.at is not None:
            found["since"] = shown_moment(traits.at - queries.AROUND)
            found["until"] = shown_moment(traits.at + queries.AROUND)
    return found


@blueprint.get("/invalidations/<row:invalidation_id>/")
@duty(Right.READ)
def invalidation(invalidation_id: int) -> BaseResponse:
    """One of them: before it begins whom it would mean, afterwards what became of whom."""
    sweep = _get(invalidation_id)
    note_read("invalidation", subject=operations.SUBJECT, subject_id=invalidation_id)
    is_ahead = sweep.state in {"draft", "proposed"}
    settings: Settings = current_app.config["CHARTER"]
    made = proposals.of_subject(Second.INVALIDATION, operations.SUBJECT, invalidation_id, now=clock.now())
    dry_run = queries.dry_run(sweep, current_language()) if is_ahead else None
    page = render_template(
        "staff/invalidation.html",
        section="invalidations",
        sweep=sweep,
        states=SWEEP_STATES,
        outcomes=OUTCOMES,
        dry_run=dry_run,
        report=None if is_ahead else queries.report(invalidation_id, current_language()),
        proposals=made,
        waits=any(one.is_open for one in made),
        is_mine=sweep.staff_id == current_staff().id,
        needs_second=dry_run is not None and (dry_run.count > ALONE or sweep.conditions.published),
        alone=ALONE,
        trace_days=settings.trace_keep_days,
        most=queries.MOST_COUNTED,
    )
    response = make_response(page)
    if sweep.is_on_its_way:
        response.headers["Refresh"] = str(AGAIN_SECONDS)
    return response


def _get(invalidation_id: int) -> SweepView:
    sweep = queries.find(invalidation_id, current_language())
    if sweep is None or not sweep.is_for(current_staff().regions):
        abort(404)
    return sweep


@blueprint.post("/invalidations/<row:invalidation_id>/start")
@duty(Right.INVALIDATE)
def start_invalidation(invalidation_id: int) -> BaseResponse:
    """Alone, where it is small."""
    return _do(operations.start, invalidation_id, _("It begins within a second."))


@blueprint.post("/invalidations/<row:invalidation_id>/propose")
@duty(Right.INVALIDATE)
def propose_invalidation(invalidation_id: int) -> BaseResponse:
    """With a second person."""
    return _do(
        operations.propose, invalidation_id, _("It is proposed. Until somebody else approves it, nothing happens.")
    )


@blueprint.post("/invalidations/<row:invalidation_id>/stop")
@duty(Right.INVALIDATE)
def stop_invalidation(invalidation_id: int) -> BaseResponse:
    """Before or while it runs."""
    return _do(operations.stop, invalidation_id, _("It is stopped. What was done stays and can be undone."))


@blueprint.post("/invalidations/<row:invalidation_id>/undo")
@duty(Right.INVALIDATE)
def undo_invalidation(invalidation_id: int) -> BaseResponse:
    """As it began: alone, or with a second person."""
    return _do(operations.undo, invalidation_id, _("What can be given back will be."))


def _do(verb: Callable[..., int | None], invalidation_id: int, words: str) -> BaseResponse:
    """One of the verbs; where it leads to a proposal, to that one's page."""
    here = redirect(url_for("staff.invalidation", invalidation_id=invalidation_id), code=303)
    typed = request.form.get("version", "")
    if not ButtonForm().validate():
        return here
    version = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else 0
    try:
        proposal_id = verb(invalidation_id, expected_version=version, staff_id=current_staff().id, now=clock.now())
    except DecidedMeanwhileError as error:
        state = SWEEP_STATES.get(error.state, error.state)
        flash(_("It changed while you looked at it, so nothing was done. State now: %(state)s", state=state), "bad")
    except NeedsSecondError:
        flash(_("That many, or entries of the registry, need a second person."), "bad")
    except NothingMeantError:
        flash(_("There is nobody to whom this would happen."), "bad")
    except AlreadyProposedError:
        flash(_("This is proposed already."), "bad")
    else:
        flash(words, "good")
        if proposal_id is not None:
            return redirect(url_for("staff.proposal", proposal_id=proposal_id), code=303)
    return here


@proposal_part(Second.INVALIDATION)
def part(proposal: ProposalView) -> Part:
    """Whom it would mean if it began now; of an undoing what was done."""
    template = "staff/_proposal_invalidation.html"
    sweep = queries.find(proposal.subject_id, current_language())
    if sweep is None or not sweep.is_for(current_staff().regions):
        return Part(template, {"sweep": None}, is_hidden=True)
    is_undo = bool(proposal.payload.get("undo"))
    expected = {"done", "cancelled"} if is_undo else {"proposed"}
    obstacle = None
    if proposal.is_open and sweep.state not in expected:
        obstacle = _("It was stopped or has changed since. State now: %(state)s", state=SWEEP_STATES[sweep.state])
    shows_run = proposal.is_open and not is_undo and obstacle is None
    values = {
        "sweep": sweep,
        "states": SWEEP_STATES,
        "outcomes": OUTCOMES,
        "is_undo": is_undo,
        "dry_run": queries.dry_run(sweep, current_language()) if shows_run else None,
        "trace_days": current_app.config["CHARTER"].trace_keep_days,
        "most": queries.MOST_COUNTED,
    }
    return Part(template, values, obstacle=None if obstacle is None else str(obstacle))
