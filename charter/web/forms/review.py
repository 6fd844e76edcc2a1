"""The reviewer's form."""

from __future__ import annotations

from wtforms import HiddenField, IntegerField, RadioField, SelectField, StringField, TextAreaField
from wtforms.validators import StopValidation

from charter.domain.name import clean_name
from charter.domain.reasons import reasons_for
from charter.domain.text import clean_line, clean_paragraph
from charter.i18n import _
from charter.i18n import lazy_gettext as _l
from charter.web.forms.base import BaseForm, chosen, cleaned, options
from charter.web.labels import ACTIONS, REASONS

NOTE_MAX_CHARS = 1000
VIEW_NAME_MAX_CHARS = 80


def _note(raw: str) -> str:
    return clean_paragraph(raw, max_chars=NOTE_MAX_CHARS)


class NotableNameForm(BaseForm):
    """One more name for the list of notable names."""

    name = StringField(_l("Name"), validators=[cleaned(clean_name)])


def _view_name(raw: str) -> str:
    return clean_line(raw, max_chars=VIEW_NAME_MAX_CHARS)


class ViewForm(BaseForm):
    """A name for the filters that are chosen just now. view: the query part of the queue's address."""

    name = StringField(_l("Name of the view"), validators=[cleaned(_view_name)])
    view = HiddenField()


class FindForm(BaseForm):
    """Whom somebody looks for. after: from where to look on, as the page before said it."""

    words = StringField(_l("Name, number or address"))
    after = HiddenField()


class DecisionForm(BaseForm):
    """Approve, decline or ask; the latter two with a reason of the catalogue."""

    version = IntegerField()
    view = HiddenField()
    action = RadioField(
        _l("Decision"),
        choices=options(ACTIONS.items()),
        validators=[chosen(lambda: _("Choose a decision"))],
        validate_choice=False,
    )
    decline_reason = SelectField(_l("Reason for declining"), validate_choice=False)
    ask_reason = SelectField(_l("What to ask"), validate_choice=False)
    note = TextAreaField(_l("Note to the signatory"), validators=[cleaned(_note, optional=True)])

    def offer(self) -> None:
        """Fills the two lists of reasons."""
        for field, action in ((self.decline_reason, "decline"), (self.ask_reason, "ask")):
            listed = [(reason.code, REASONS[reason.code]) for reason in reasons_for(action)]
            field.choices = options([("", _("Choose a reason")), *listed])

    @property
    def reason(self) -> str | None:
        """The reason of the chosen action."""
        if self.action.data == "decline":
            return self.decline_reason.data or None
        return (self.ask_reason.data or None) if self.action.data == "ask" else None

    def _check(self, field: SelectField, action: str) -> None:
        if self.action.data == action and field.data not in {reason.code for reason in reasons_for(action)}:
            raise StopValidation(_("Choose a reason"))

    def validate_decline_reason(self, field: SelectField) -> None:
        """Required for declining."""
        self._check(field, "decline")

    def validate_ask_reason(self, field: SelectField) -> None:
        """Required for asking."""
        self._check(field, "ask")

    def validate_note(self, field: TextAreaField) -> None:
        """Some reasons say nothing without a note."""
        if self.reason in {"other", "something-else"} and not field.data:
            raise StopValidation(_("Write a note: this reason alone tells the signatory nothing"))
