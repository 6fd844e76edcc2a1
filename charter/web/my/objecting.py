"""Objecting to a decision, and what the page of *my signature* says about rights."""

from __future__ import annotations

from dataclasses import dataclass

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain.errors import MoveRefusedError
from charter.domain.signature import Move, State, may
from charter.operations import objections
from charter.queries import objections as queries
from charter.queries import rights
from charter.queries.objections import MyObjection
from charter.queries.rights import MyLetter
from charter.queries.signing import MySignature
from charter.web import centre
from charter.web.forms.rights import ObjectionForm
from charter.web.my.door import blueprint, get_mine, section
from charter.web.signing import config, is_switch


@dataclass(frozen=True)
class MyRights:
    """may_object: application | correction, or None."""

    may_object: str | None
    may_erase: bool
    objections: list[MyObjection]
    letters: list[MyLetter]


@section("rights")
def find_rights(mine: MySignature) -> MyRights:
    """For `signing/_my_objections.html` and `signing/_my_rights.html`."""
    return MyRights(
        may_object=queries.may_object(mine.signature_id, mine.state, now=clock.now()),
        may_erase=may_erase(mine),
        objections=queries.mine(mine.signature_id, now=clock.now()),
        letters=rights.my_letters(mine.signature_id),
    )


def may_erase(mine: MySignature) -> bool:
    """Whoever withdrew is being erased already."""
    state = State(mine.state)
    return not mine.is_forgotten and (mine.can_withdraw or (state != State.WITHDRAWN and may(state, Move.ERASE)))


@blueprint.route("/<lang:lang>/my/objection/", methods=["GET", "POST"])
def objection() -> BaseResponse | str | tuple[str, int]:
    """Asks that somebody else looks at the newest decision again."""
    mine = get_mine()
    about = queries.may_object(mine.signature_id, mine.state, now=clock.now())
    if about is None:
        return redirect(url_for("my.index"), code=303)
    form = ObjectionForm()
    if request.method == "POST" and not is_switch() and form.validate():
        try:
            objections.object_to(
                mine.signature_id,
                form.words.data,
                answer_due_working_days=config().answer_due_working_days,
                holidays=centre.holidays(),
                now=clock.now(),
            )
        except MoveRefusedError:
            return redirect(url_for("my.index", fresh="too-late"), code=303)
        return redirect(url_for("my.index", fresh="objected"), code=303)
    status = 422 if request.method == "POST" and not is_switch() else 200
    return render_template("signing/objection.html", mine=mine, form=form, about=about), status
