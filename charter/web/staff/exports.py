"""Export of personal data: asked for with a purpose, approved by another administrator, fetched once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from flask import Flask, Response, current_app, flash, redirect, render_template, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain.calendar import local_date
from charter.domain.duties import Right, Second
from charter.domain.errors import AlreadyProposedError, NotFoundError
from charter.domain.exporting import KEEPS_FOR, Scope
from charter.i18n import _, current_language
from charter.operations import exporting as operations
from charter.queries import exporting, proposals, registry
from charter.queries.exporting import Reading
from charter.queries.proposals import ProposalView
from charter.web import sending
from charter.web.errors import error_page
from charter.web.forms.base import options
from charter.web.forms.proposals import ExportForm
from charter.web.gates import current_staff, duty
from charter.web.staff.desk import blueprint
from charter.web.staff.proposals import Part, proposal_part
from charter.web.staff.reads import note_read
from charter.web.takeaway import BUSY, CSV_BROKEN

logger = structlog.get_logger()


@blueprint.get("/exports/")
@duty(Right.EXPORT)
def exports() -> str:
    """One's own exports, and the form for another."""
    return _page(_form(None))


def _form(given: Any) -> ExportForm:
    form = ExportForm() if given else ExportForm(formdata=None)
    named = [(region.code, region.name) for region in registry.regions(current_language())]
    form.region.choices = options([("", _("All regions")), *named])
    return form


def _page(form: ExportForm, *, meanwhile: str | None = None) -> str:
    now = clock.now()
    made = proposals.made_by(current_staff().id, Second.EXPORT, now=now)
    return render_template(
        "staff/exports.html",
        section="exports",
        form=form,
        exports=[(one, _usable_until(one)) for one in made],
        now=now,
        meanwhile=meanwhile,
        nobody_else=not proposals.others_who_may(Second.EXPORT, proposed_by=current_staff().id),
    )


def _usable_until(one: ProposalView) -> Any:
    """Until when the approval can be used; None where it cannot."""
    if one.state != "approved" or one.used_at is not None or one.decided_at is None:
        return None
    until = one.decided_at + KEEPS_FOR
    return until if clock.now() < until else None


@blueprint.post("/exports/")
@duty(Right.EXPORT)
def propose_export() -> BaseResponse | tuple[str, int]:
    """Asks another administrator."""
    form = _form(True)
    if not form.validate():
        return _page(form), 422
    scope = Scope(
        states=tuple(dict.fromkeys(form.states.data)),
        region=form.region.data or None,
        first_on=form.first_on.data,
        last_on=form.last_on.data,
        with_addresses=form.with_addresses.data,
    )
    words = [form.purpose.data, form.why_addresses.data if scope.with_addresses else ""]
    try:
        proposal_id = operations.propose(
            scope, purpose="\n".join(filter(None, words)), staff_id=current_staff().id, now=clock.now()
        )
    except AlreadyProposedError:
        return _page(form, meanwhile=_("An export of yours waits already: one at a time.")), 409
    flash(_("It is proposed. Once somebody else has approved it you can fetch the file, once."), "good")
    return redirect(url_for("staff.proposal", proposal_id=proposal_id), code=303)


@blueprint.post("/exports/<row:proposal_id>/file")
@duty(Right.EXPORT)
def fetch_export(proposal_id: int) -> BaseResponse | Response:
    """The file. The approval is used up before its first byte leaves."""
    place = sending.find_place()
    if place is None:
        return error_page(503, page=BUSY)
    try:
        scope = operations.begin(proposal_id, staff_id=current_staff().id, now=clock.now())
        note_read("export", subject="proposal", subject_id=proposal_id)
        reading = Reading(scope, current_language())
    except NotFoundError:
        place.give_back()
        flash(_("This approval is used up, too old or not yours."), "bad")
        return redirect(url_for("staff.exports"), code=303)
    except BaseException:
        place.give_back()
        raise
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]

    def note(is_whole: bool) -> None:
        with app.app_context():
            operations.note_sent(proposal_id, count=reading.count, is_whole=is_whole, now=clock.now())

    response = Response(_Sent(reading, place, note), content_type="text/csv; charset=utf-8; header=present")
    name = f"charter-export-{proposal_id}-{local_date(clock.now()).isoformat()}.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


class _Sent(sending.Sending):
    """The file on its way; however it ends, it is recorded how many people's data have left."""

    def __init__(self, reading: Reading, place: sending.Place, note: Callable[[bool], None]) -> None:
        self._note: Callable[[bool], None] | None = note
        self._is_whole = False
        super().__init__(self._table(reading), reading, place, broken=CSV_BROKEN)

    def _table(self, reading: Reading) -> Any:
        yield from reading.table()
        self._is_whole = True

    def __del__(self) -> None:
        # Whoever collects what was never sent must not begin a transaction.
        self._note = None
        super().__del__()

    def close(self) -> None:
        """Once only, although the server and the end of the table both come by here."""
        super().close()
        note, self._note = self._note, None
        if note is not None:
            try:
                note(self._is_whole)
            except Exception as error:
                # The answer has left; that it was used stands in the audit already.
                logger.exception("export not counted", kind=type(error).__name__)


@proposal_part(Second.EXPORT)
def part(proposal: ProposalView) -> Part:
    """What would leave, and about how many people."""
    scope = Scope.of_payload(proposal.payload)
    member = current_staff()
    is_elsewhere = member.regions is not None and scope.region not in member.regions
    names = {region.code: region.name for region in registry.regions(current_language())}
    values = {
        "scope": scope,
        "region_name": None if scope.region is None else names.get(scope.region, scope.region),
        "people": exporting.count(scope) if proposal.is_open and not is_elsewhere else None,
        "most_counted": exporting.MOST_COUNTED,
        "usable_until": _usable_until(proposal),
    }
    return Part("staff/_proposal_export.html", values, is_hidden=is_elsewhere)
