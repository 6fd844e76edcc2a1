"""The Centre's own settings: name and contact, opening and closing of signing, days off."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import flash, redirect, render_template, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock, shipped
from charter.domain.calendar import due_on, local_date
from charter.domain.centre import Identity
from charter.domain.duties import Right
from charter.domain.errors import DecidedMeanwhileError
from charter.i18n import _
from charter.operations import centre as operations
from charter.queries import centre as queries
from charter.queries.centre import CentreSettings
from charter.web import centre as shown
from charter.web.forms.centre import DaysOffForm, IdentityForm, OpeningForm
from charter.web.gates import current_staff, duty
from charter.web.staff.desk import blueprint

#: Days of the shipped list that the page shows: those to come, and who has just been.
_SHOWN_BEFORE = timedelta(days=31)


@blueprint.get("/centre/")
@duty(Right.SETTINGS)
def centre() -> str:
    """All of them with who set them last."""
    return _page(queries.find_settings())


def _page(kept: CentreSettings, *, meanwhile: str | None = None, **forms: Any) -> str:
    now = clock.now()
    since = local_date(now) - _SHOWN_BEFORE
    known = shown.known()
    stands = kept.identity or Identity(known.name, known.bin, known.address, known.contact)
    identity = {name: getattr(stands, name) for name in Identity.__slots__}
    if kept.identity is None and "@" not in identity["email"]:
        # Of the settings file, where the contact is one line of any kind.
        identity["email"] = ""
    return render_template(
        "staff/centre.html",
        section="centre",
        kept=kept,
        is_open=kept.signing.is_open(now),
        listed=sorted(day for day in shipped.holidays() if day >= since),
        example_on=due_on(now, working_days=shown.working_days(), holidays=kept.days_off.beside(shipped.holidays())),
        meanwhile=meanwhile,
        **{
            "identity_form": IdentityForm(
                formdata=None, data={**identity, "version": kept.version(queries.IDENTITY).version}
            ),
            "opening_form": OpeningForm.filled(kept.signing, kept.version(queries.SIGNING).version),
            "days_form": DaysOffForm.filled(kept.days_off, kept.version(queries.HOLIDAYS).version),
            **forms,
        },
    )


@blueprint.post("/centre/identity")
@duty(Right.SETTINGS)
def set_identity() -> BaseResponse | tuple[str, int]:
    """Name, BIN, address, contact: consents given from the next batch on name them."""
    form = IdentityForm()
    if not form.validate():
        return _page(queries.find_settings(), identity_form=form), 422
    try:
        is_new = operations.set_identity(
            form.identity(),
            expected_version=form.version.data or 0,
            staff_id=current_staff().id,
            now=clock.now(),
        )
    except DecidedMeanwhileError as error:
        return _told_meanwhile(error, queries.IDENTITY, identity_form=form), 409
    return _done(is_new, "identity")


@blueprint.post("/centre/signing")
@duty(Right.SETTINGS)
def set_signing() -> BaseResponse | tuple[str, int]:
    """Opens or closes signing."""
    form = OpeningForm()
    if not form.validate():
        return _page(queries.find_settings(), opening_form=form), 422
    try:
        is_new = operations.set_signing(
            form.signing(),
            expected_version=form.version.data or 0,
            staff_id=current_staff().id,
            now=clock.now(),
        )
    except DecidedMeanwhileError as error:
        return _told_meanwhile(error, queries.SIGNING, opening_form=form), 409
    return _done(is_new, "signing")


@blueprint.post("/centre/days-off")
@duty(Right.SETTINGS)
def set_days_off() -> BaseResponse | tuple[str, int]:
    """Days on which nobody works; days that were given as due stay."""
    form = DaysOffForm()
    if not form.check(shipped.holidays()):
        return _page(queries.find_settings(), days_form=form), 422
    try:
        is_new = operations.set_days_off(
            form.days,
            expected_version=form.version.data or 0,
            staff_id=current_staff().id,
            now=clock.now(),
        )
    except DecidedMeanwhileError as error:
        return _told_meanwhile(error, queries.HOLIDAYS, days_form=form), 409
    return _done(is_new, "days-off")


def _told_meanwhile(error: DecidedMeanwhileError, key: str, **forms: Any) -> str:
    kept = queries.find_settings()
    for form in forms.values():
        form.version.raw_data = None
        form.version.data = kept.version(key).version
    who = error.by_staff_name or "–"
    words = _(
        "%(name)s has changed this meanwhile. What you typed is kept: look, and press the button again.", name=who
    )
    return _page(kept, meanwhile=words, **forms)


def _done(is_new: bool, anchor: str) -> BaseResponse:
    if is_new:
        flash(_("It is set. The public sees it with the next publication."), "good")
    else:
        flash(_("Nothing was different, so nothing was changed."))
    return redirect(url_for("staff.centre", _anchor=anchor), code=303)
