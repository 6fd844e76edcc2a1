"""The forms of what two persons do together: a removal, a rejection, an export of personal data."""

from __future__ import annotations

from wtforms import BooleanField, Field, SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import Optional, StopValidation

from charter.domain.exporting import STATES as EXPORTED_STATES
from charter.domain.reasons import REVOCATIONS
from charter.domain.text import clean_line, clean_paragraph
from charter.i18n import _
from charter.i18n import lazy_gettext as _l
from charter.web.forms.base import BaseForm, DayField, cleaned, options
from charter.web.labels import REASONS, STATES

#: As the proposal keeps them.
WORDS_MAX_CHARS = 400
PURPOSE_MAX_CHARS = 250
ADDRESSES_MAX_CHARS = 140
#: Of days of signing.
_FIRST_YEAR, _LAST_YEAR = 2000, 2199


def _words(raw: str) -> str:
    return clean_paragraph(raw, max_chars=WORDS_MAX_CHARS)


def _purpose(raw: str) -> str:
    return clean_line(raw, max_chars=PURPOSE_MAX_CHARS)


def _why_addresses(raw: str) -> str:
    return clean_line(raw, max_chars=ADDRESSES_MAX_CHARS)


class RejectionForm(BaseForm):
    """Why not; the proposer reads it."""

    words = TextAreaField(_l("Why not"), validators=[cleaned(_words)])


class RevocationForm(BaseForm):
    """Why a published entry is to be removed, for the person and for the colleague."""

    reason = SelectField(
        _l("Reason"),
        choices=lambda: options([("", _("Choose a reason")), *((one.code, REASONS[one.code]) for one in REVOCATIONS)]),
        validate_choice=False,
    )
    words = TextAreaField(_l("Words to the colleague"), validators=[cleaned(_words)])

    def validate_reason(self, field: Field) -> None:
        """One of the list."""
        if field.data not in {one.code for one in REVOCATIONS}:
            raise StopValidation(_("Choose a reason"))


class ExportForm(BaseForm):
    """What is to leave the service, and what for."""

    purpose = StringField(_l("What the data is needed for"), validators=[cleaned(_purpose)])
    states = SelectMultipleField(
        _l("Which applications"),
        choices=lambda: options((state, STATES[state]) for state in EXPORTED_STATES),
        validate_choice=False,
    )
    region = SelectField(_l("Region"), validate_choice=False)
    first_on = DayField(_l("Signed from"), validators=[Optional()])
    last_on = DayField(_l("Signed until"), validators=[Optional()])
    with_addresses = BooleanField(_l("Mail addresses as well"))
    why_addresses = StringField(_l("Why the addresses are needed"), validators=[cleaned(_why_addresses, optional=True)])

    def validate_states(self, field: Field) -> None:
        """At least one, and of the list."""
        if not field.data or not set(field.data) <= set(EXPORTED_STATES):
            raise StopValidation(_("Choose at least one"))

    def validate_region(self, field: Field) -> None:
        """Empty for everywhere."""
        if field.data and field.data not in {choice.value for choice in field.choices}:
            raise StopValidation(_("Choose a region"))

    def validate_first_on(self, field: Field) -> None:
        """A day with which one can reckon."""
        if field.data and not _FIRST_YEAR <= field.data.year <= _LAST_YEAR:
            raise StopValidation(_("Give the day with its month and year"))

    def validate_last_on(self, field: Field) -> None:
        """The same; and not before the first day."""
        self.validate_first_on(field)
        if field.data and self.first_on.data and field.data < self.first_on.data:
            raise StopValidation(_("The last day lies before the first"))

    def validate_why_addresses(self, field: Field) -> None:
        """Addresses leave only for a reason of their own."""
        if self.with_addresses.data and not field.data:
            raise StopValidation(_("Write why: without it addresses do not leave"))
