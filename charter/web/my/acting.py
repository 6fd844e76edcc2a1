"""Dangerous acts: they ask for the browser that signed, or for a six-digit code that is mailed on request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from flask import redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.i18n import _
from charter.operations import proving
from charter.operations.proving import Outcome, Proof, Result
from charter.web.forms.signing import ButtonForm, CodeForm
from charter.web.my.door import blueprint, get_mine
from charter.web.signing import browser_digest, config, key, say_code

View = TypeVar("View", bound=Callable[..., object])

#: What an act is called where a code is asked for → the page that it is asked for from.
_ACTS: dict[str, str] = {}


def act(name: str, endpoint: str) -> Callable[[View], View]:
    """Makes a page one that codes can be asked for from: its form sends `act` = name to `my.request_code`."""
    _ACTS[name] = endpoint
    return lambda view: view


def proof_of(form: CodeForm) -> Proof:
    """What this request brings."""
    return Proof(browser_digest(), form.code.data)


def say_refusal(form: CodeForm, result: Result) -> None:
    """Puts beside the field why the act was not done."""
    if result.outcome is Outcome.CODE_NEEDED and form.code.data:
        form.code.errors = [_("There is no code that still works. Ask for a new one")]
    else:
        say_code(form, result)


@blueprint.post("/<lang:lang>/my/code/")
def request_code() -> BaseResponse:
    """Mails a fresh six-digit code, and goes back to the page of the act."""
    mine = get_mine()
    page = _ACTS.get(request.form.get("act", ""), "my.withdraw")
    if ButtonForm().validate():
        was_sent = proving.request_code(
            mine.signature_id, key=key(), code_minutes=config().code_minutes, now=clock.now()
        )
        return redirect(url_for(page, fresh="code" if was_sent else "no-code"), code=303)
    return redirect(url_for(page), code=303)
