"""All data held: shown to whoever proves to be the signatory, on a page to print and as a file."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask import redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain.moments import is_recent
from charter.i18n import current_language
from charter.operations import rights
from charter.operations.proving import Outcome
from charter.queries import holdings as queries
from charter.queries.holdings import Holdings
from charter.queries.signing import MySignature
from charter.web.forms.signing import CodeForm
from charter.web.handing_over import as_file
from charter.web.my.acting import act, proof_of, say_refusal
from charter.web.my.door import blueprint, get_mine
from charter.web.signing import browser_digest, config, is_switch, key

#: Once proved, page and file are shown in this browser for so long.
SHOWN = timedelta(minutes=15)
_MARK = "data_shown"


@act("data", "my.data")
@blueprint.route("/<lang:lang>/my/data/", methods=["GET", "POST"])
def data() -> BaseResponse | str | tuple[str, int]:
    """Asks for the signing browser or a fresh code; then everything, to be read, printed and saved."""
    mine = get_mine()
    form = CodeForm()
    if request.method == "POST" and not is_switch() and form.validate():
        result = rights.prove(
            mine.signature_id, proof=proof_of(form), key=key(), code_tries=config().code_tries, now=clock.now()
        )
        if result.outcome is Outcome.DONE:
            session[_MARK] = {"signature": mine.signature_id, "at": clock.now().isoformat()}
            return redirect(url_for("my.data"), code=303)
        say_refusal(form, result)
    found = _shown(mine)
    if found is not None:
        return render_template("signing/data.html", mine=mine, held=found, made_at=clock.now())
    return (
        render_template(
            "signing/data_needed.html",
            mine=mine,
            form=form,
            is_signing_browser=mine.is_signing_browser(browser_digest()),
            fresh=request.args.get("fresh"),
        ),
        422 if form.errors else 200,
    )


@blueprint.get("/<lang:lang>/my/data/file/")
def data_file() -> BaseResponse:
    """The same as a file for programs."""
    found = _shown(get_mine())
    if found is None:
        return redirect(url_for("my.data"), code=303)
    return as_file(found, public_url=config().public_url, now=clock.now())


def _shown(mine: MySignature) -> Holdings | None:
    """None unless it was proved in this browser just now."""
    mark: Any = session.get(_MARK)
    try:
        proved_at = datetime.fromisoformat(mark["at"])
        is_ours = mark["signature"] == mine.signature_id
    except (TypeError, KeyError, ValueError):
        return None
    now = clock.now()
    if not is_ours or not is_recent(proved_at, now=now, within=SHOWN):
        return None
    return queries.holdings_of(mine.signature_id, language=current_language(), key=key(), now=now)
