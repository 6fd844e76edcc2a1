"""Decisions over a selection of the queue: what would happen, doing it, what became of it, taking all of it back."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping

from flask import abort, current_app, flash, redirect, render_template, request, session, url_for
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.wrappers import Response as BaseResponse

from charter import clock, mail, meters
from charter.domain.calendar import local_date
from charter.domain.duties import Right
from charter.domain.errors import NotFoundError, TooLateError
from charter.i18n import _, current_language, ngettext
from charter.operations import selection as operations
from charter.queries import selection as queries
from charter.queries.selection import Chosen
from charter.settings import Settings
from charter.web.forms.review import DecisionForm
from charter.web.gates import current_staff, duty
from charter.web.staff import filtering, hinting
from charter.web.staff.desk import blueprint, compose_preview
from charter.web.staff.reads import note_read

#: A list older than this was looked at too long ago.
LIST_SECONDS = 3600


def _config() -> Settings:
    settings: Settings = current_app.config["CHARTER"]
    return settings


def _signer() -> URLSafeTimedSerializer:
    # For this person: nobody can be made to decide on a list that somebody else put together.
    return URLSafeTimedSerializer(_config().secret_key, salt=f"selection-{current_staff().id}")


def _signed(versions: Mapping[int, int]) -> str:
    return _signer().dumps([[signature_id, version] for signature_id, version in versions.items()])


def _read_list(raw: str) -> dict[int, int] | None:
    try:
        pairs = _signer().loads(raw, max_age=LIST_SECONDS)
    except (BadData, zlib.error):
        return None
    return {int(signature_id): int(version) for signature_id, version in pairs}


def _picked() -> dict[int, int]:
    """id → version of the boxes that were ticked."""
    found: dict[int, int] = {}
    for raw in request.form.getlist("pick"):
        signature_id, _dot, version = raw.partition(".")
        if all(part.isascii() and part.isdigit() and len(part) < 19 for part in (signature_id, version)):
            found[int(signature_id)] = int(version)
    return found


@blueprint.post("/bulk/")
@duty(Right.BULK)
def bulk() -> BaseResponse | str | tuple[str, int]:
    """Shows a selection, shows what a decision on it does, or decides: each time every one is looked at anew."""
    wanted = filtering.read_query(request.form.get("view", ""))
    is_first = "list" not in request.form
    versions = _picked() if is_first else _read_list(request.form["list"])
    if versions is None:
        flash(_("This selection is too old. Choose again."), "bad")
        return redirect(filtering.queue_url(wanted), code=303)
    if not versions or len(versions) > operations.MOST_AT_ONCE:
        words = ngettext(
            "Choose at least one application, and at most %(num)s.",
            "Choose at least one application, and at most %(num)s.",
            operations.MOST_AT_ONCE,
        )
        flash(words, "bad")
        return redirect(filtering.queue_url(wanted), code=303)
    form = DecisionForm(formdata=None, data={"view": filtering.query_of(wanted)}) if is_first else DecisionForm()
    form.offer()
    if is_first:
        return _page(form, versions)
    if not form.validate():
        return _page(form, versions), 422
    if "decide" not in request.form:
        return _page(form, versions, is_previewed=True)
    return _decide(form, versions)


def _page(form: DecisionForm, versions: Mapping[int, int], *, is_previewed: bool = False) -> str:
    member, now = current_staff(), clock.now()
    rows = queries.chosen(
        dict(versions),
        current_language(),
        regions=member.regions,
        staff_id=member.id,
        today=local_date(now),
        now=now,
    )
    note_read("selection", subject="signature", found=len(rows))
    marks = hinting.marks_of(rows)
    return render_template(
        "staff/bulk.html",
        section="queue",
        form=form,
        list=_signed(versions),
        rows=rows,
        left_out=len(versions) - len(rows),
        marks=marks,
        hinted=len(marks),
        kinds=Counter(row.kind for row in rows),
        regions=Counter(row.region for row in rows).most_common(),
        late=sum(row.is_late for row in rows),
        claimed=sum(row.claimed_by is not None for row in rows),
        previews=_previews(form, rows) if is_previewed else None,
        undo_seconds=max(_config().undo_seconds, operations.UNDO_SECONDS),
        queue_url=filtering.queue_url(filtering.read_query(form.view.data or "")),
    )


def _previews(form: DecisionForm, rows: list[Chosen]) -> list[tuple[str, int, mail.Words]]:
    """Of each language of the selection: how many get the mail, and its words."""
    counts = Counter(row.language for row in rows)
    return [
        (
            language,
            count,
            compose_preview(language, "…", action=form.action.data, reason=form.reason, note=form.note.data or None),
        )
        for language, count in counts.most_common()
    ]


def _decide(form: DecisionForm, versions: Mapping[int, int]) -> BaseResponse:
    outcome = operations.decide_all(
        versions,
        action=form.action.data,
        reason=form.reason,
        note=form.note.data or None,
        staff_id=current_staff().id,
        undo_seconds=_config().undo_seconds,
        now=clock.now(),
    )
    for _one in range(outcome.decided):
        meters.decided(form.action.data)
    if outcome.mark is None:
        flash(_("All of them were decided or changed meanwhile; nothing was done."), "bad")
        return redirect(filtering.queue_url(filtering.read_query(form.view.data or "")), code=303)
    session.pop("last_decision", None)
    session["last_bulk"] = outcome.mark
    return redirect(url_for("staff.bulk_report", mark=outcome.mark), code=303)


@blueprint.get("/bulk/<entry:mark>/")
@duty(Right.READ)
def bulk_report(mark: str) -> str:
    """What became of a selection: decided, skipped and why, and the way back while it lasts."""
    member = current_staff()
    found = queries.find_report(mark, staff_id=member.id, regions=member.regions, now=clock.now())
    if found is None:
        abort(404)
    note_read("selection", subject="signature", found=len(found.decided))
    return render_template("staff/bulk_report.html", section="queue", report=found)


@blueprint.post("/bulk/<entry:mark>/undo")
@duty(Right.BULK)
def undo_bulk(mark: str) -> BaseResponse:
    """Takes back one's own selection while its seconds last."""
    try:
        count, late = operations.undo_all(mark, staff_id=current_staff().id, now=clock.now())
    except NotFoundError:
        abort(404)
    except TooLateError:
        flash(_("It is too late to take these decisions back."), "bad")
    else:
        for _one in range(count):
            meters.decided("undo")
        session.pop("last_bulk", None)
        words = ngettext("%(num)s decision is taken back.", "%(num)s decisions are taken back.", count)
        if late:
            rest = ngettext(
                "%(num)s could no longer be: the signatory acted first.",
                "%(num)s could no longer be: the signatories acted first.",
                len(late),
            )
            words = f"{words} {rest}"
        flash(words, "good")
    return redirect(url_for("staff.bulk_report", mark=mark), code=303)
