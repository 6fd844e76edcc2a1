"""Finding anybody in any state, by name in any alphabet, by number, by address or by the entry's address."""

from __future__ import annotations

from flask import render_template

from charter.domain.duties import Right
from charter.i18n import _, current_language
from charter.queries import find as queries
from charter.queries.find import FoundPage
from charter.web.forms.review import FindForm
from charter.web.gates import current_staff, duty
from charter.web.staff.desk import blueprint
from charter.web.staff.reads import note_read

#: What is typed has at most so many characters; the longest address has 320.
_MOST_CHARS = 400


@blueprint.get("/find/")
@duty(Right.READ)
def find() -> str:
    """Asks whom to look for. The answer comes to a form: a name or an address must not stand in an address line."""
    return _page(FindForm(formdata=None), None)


def _page(form: FindForm, found: FoundPage | None, *, by: str = "") -> str:
    after = None if found is None or found.after is None else f"{found.after[1]}.{found.after[0]}"
    return render_template(
        "staff/find.html",
        section="find",
        form=form,
        found=found,
        by=by,
        after=after,
        is_further=bool(form.after.data),
    )


def _after(raw: str | None) -> tuple[str, int] | None:
    last, _dot, word = (raw or "").partition(".")
    is_place = last.isascii() and last.isdigit() and len(last) <= 18 and len(word) <= 400 and "\0" not in word
    return (word, int(last)) if is_place else None


@blueprint.post("/find/")
@duty(Right.READ)
def show_found() -> str | tuple[str, int]:
    """Whom the typed words lead to, a page at a time; changes nothing but that the reading is recorded."""
    form = FindForm()
    typed = (form.words.data or "")[:_MOST_CHARS]
    asked = queries.read(typed)
    if not form.validate() or asked is None:
        if asked is None:
            form.words.errors = [
                _("Fill in this field") if not typed.strip() else _("Type a name, a number or a whole address")
            ]
        return _page(form, None), 422
    found = queries.find(asked, current_language(), regions=current_staff().regions, after=_after(form.after.data))
    note_read("find", subject="signature", by=asked.by, found=len(found.rows))
    return _page(form, found, by=asked.by)
