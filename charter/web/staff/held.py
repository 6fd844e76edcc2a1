"""The desk of what was set aside: bursts in groups, and letting through one group at a time."""

from __future__ import annotations

from datetime import datetime

from flask import abort, current_app, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock, meters
from charter.domain.duties import Right
from charter.i18n import _, current_language, format_datetime, ngettext
from charter.i18n import lazy_gettext as _l
from charter.operations import holding
from charter.queries import holding as queries
from charter.settings import Settings
from charter.web.gates import current_staff, duty
from charter.web.labels import HELD_BECAUSE
from charter.web.staff.desk import blueprint
from charter.web.staff.reads import note_read

#: By what groups are made, in words.
GROUPINGS = {
    "reason": _l("By reason"),
    "network": _l("By network"),
    "domain": _l("By mail domain"),
    "minute": _l("By minute"),
}
#: The greatest id that a database keeps.
_MOST_ID = 2**63 - 1


def group_name(by: str, key: str) -> str:
    """What a group is called. A network is a digest that nobody can turn back: six of its letters tell two apart."""
    if key == "-":
        return str(_("unknown"))
    if by == "reason":
        return str(HELD_BECAUSE.get(key, key))
    if by == "network":
        return str(_("network %(letters)s", letters=key[:6]))
    if by == "minute":
        return format_datetime(datetime.fromisoformat(f"{key}+00:00"))
    return key


def _by(chosen: str | None) -> str:
    by = chosen or "reason"
    if by not in queries.GROUPINGS:
        abort(404)
    return by


@blueprint.get("/held/")
@duty(Right.READ)
def held() -> str:
    """What was set aside, in groups; with `key` the signatures of one group."""
    by = _by(request.args.get("by"))
    key = request.args.get("key")
    regions = current_staff().regions
    found = queries.groups(by, regions)
    if key is not None:
        note_read("held", subject="signature", by=by)
    return render_template(
        "staff/held.html",
        section="held",
        by=by,
        groupings=GROUPINGS,
        found=found,
        group=next((group for group in found.groups if group.key == key), None),
        members=queries.members(by, key, current_language(), regions) if key is not None else None,
        most=holding.MOST_AT_ONCE,
        name_of=group_name,
    )


@blueprint.post("/held/release")
@duty(Right.REVIEW)
def release_group() -> BaseResponse:
    """Lets a group go on to its confirmation, as far as it was seen."""
    by = _by(request.form.get("by"))
    settings: Settings = current_app.config["CHARTER"]
    typed = request.form.get("up_to", "")
    count = holding.release_group(
        by,
        request.form.get("key", ""),
        up_to=min(int(typed), _MOST_ID) if typed.isascii() and typed.isdigit() and len(typed) < 20 else 0,
        staff_id=current_staff().id,
        confirm_link_days=settings.confirm_link_days,
        now=clock.now(),
    )
    if count:
        for _one in range(count):
            meters.decided("release")
        words = ngettext(
            "%(num)s signature goes on: the mail that asks for confirmation leaves now.",
            "%(num)s signatures go on: the mails that ask for confirmation leave now.",
            count,
        )
        flash(words, "good")
    else:
        flash(_("Nothing of this group is set aside any more."), "bad")
    return redirect(url_for("staff.held", by=by), code=303)
