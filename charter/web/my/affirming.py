"""After a material change of the Charter: its signatory reads what changed, and affirms it or leaves it."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain.edition import words_of
from charter.domain.wording import differences
from charter.i18n import current_language
from charter.operations import affirming as operations
from charter.operations.proving import Outcome
from charter.queries import affirming as queries
from charter.queries.affirming import Asked
from charter.queries.signing import MySignature
from charter.web.forms.entry import AffirmForm
from charter.web.my.acting import act, proof_of, say_refusal
from charter.web.my.door import blueprint, get_mine, section
from charter.web.signing import browser_digest, config, is_switch, key


@section("affirming")
def affirming(mine: MySignature) -> Asked | None:
    """What is asked of this signatory; None of whoever signed the text of today."""
    return None if mine.is_forgotten else queries.find_asked(mine.signature_id)


@act("affirm", "my.affirm")
@blueprint.route("/<lang:lang>/my/affirm/", methods=["GET", "POST"])
def affirm() -> BaseResponse | tuple[str, int]:
    """GET shows what changed; POST affirms, from the signing browser or with a fresh code."""
    mine = get_mine()
    asked = queries.find_asked(mine.signature_id)
    if asked is None:
        return redirect(url_for("my.index"), code=303)
    form = AffirmForm()
    is_text_new = False
    if request.method == "POST" and not is_switch() and form.validate():
        # The text that was read is affirmed, and no other.
        is_text_new = form.edition.data != asked.edition
        if not is_text_new:
            result = operations.affirm(
                mine.signature_id,
                edition_slug=asked.edition,
                language=current_language(),
                proof=proof_of(form),
                key=key(),
                code_tries=config().code_tries,
                now=clock.now(),
            )
            if result.outcome in {Outcome.DONE, Outcome.ALREADY}:
                return redirect(url_for("my.index", fresh="affirmed"), code=303)
            if result.outcome is Outcome.NOT_POSSIBLE:
                return redirect(url_for("my.index", fresh="too-late"), code=303)
            say_refusal(form, result)
    form.edition.data = asked.edition
    texts = queries.find_texts(asked.signed, asked.edition, current_language())
    page = render_template(
        "my/affirm.html",
        mine=mine,
        form=form,
        asked=asked,
        passages=[] if texts is None else differences(*map(words_of, texts)),
        is_text_new=is_text_new,
        is_signing_browser=mine.is_signing_browser(browser_digest()),
        fresh=request.args.get("fresh"),
    )
    return page, 409 if is_text_new else 422 if form.errors else 200
