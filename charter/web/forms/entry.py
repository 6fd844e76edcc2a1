"""The forms around a published entry: what it says, how much of it is shown, and the answer to a correction."""

from __future__ import annotations

from dataclasses import replace

from wtforms import BooleanField, HiddenField, IntegerField, RadioField, SelectField, TextAreaField
from wtforms.validators import StopValidation

from charter.domain.name import default_short_form
from charter.domain.reasons import CORRECTIONS
from charter.domain.signature import Display
from charter.domain.text import clean_paragraph
from charter.i18n import _
from charter.i18n import lazy_gettext as _l
from charter.operations.steps import Details
from charter.queries.corrections import EntryDetails
from charter.queries.signing import MySignature
from charter.web.forms.base import BaseForm, chosen, cleaned, options
from charter.web.forms.review import NOTE_MAX_CHARS
from charter.web.forms.signing import OTHER, CodeForm, DetailsForm
from charter.web.labels import ACTIONS, DISPLAYS, REASONS


class EntryForm(DetailsForm):
    """What a published entry is to say. How the name is shown is asked elsewhere, and needs no review."""

    display = None
    #: A tick beside the button, because robots press buttons.
    recall = BooleanField(_l("I no longer want the correction: leave the entry as it is"))

    @classmethod
    def filled(cls, details: EntryDetails | MySignature) -> EntryForm:
        """The form with what stands now, or with what was asked for."""
        text = details.affiliation_name or ""
        is_other = details.kind == "party" and details.affiliation_slug is None
        return cls(
            formdata=None,
            data={
                "kind": details.kind,
                "party": OTHER if is_other else details.affiliation_slug,
                "party_other": text if is_other else "",
                "organisation": text if details.kind == "independent" else "",
                "mission": text if details.kind == "international" else "",
                "full_name": details.full_name,
                "region": details.region_code,
                "short_name": details.short_name,
            },
        )

    def to_details_after(self, stands: EntryDetails | MySignature) -> Details:
        """The clean answers. stands: what the form was filled with.

        A short form that was only made from the name follows the name, also without script.
        """
        details = self.to_details()
        was_made = details.short_name == stands.short_name == default_short_form(stands.full_name)
        if not was_made or details.full_name == stands.full_name:
            return details
        return replace(details, short_name=default_short_form(details.full_name))

    def shown_as(self) -> str:
        """The display stays as it is, whatever this says."""
        return Display.FULL


class DisplayForm(CodeForm):
    """How much is shown, and to whom; the code is needed for more than now, and elsewhere than where one signed."""

    display = RadioField(
        _l("How your name is shown in the registry"),
        choices=options(DISPLAYS.items()),
        validators=[chosen(lambda: _("Choose how your name is shown"))],
        validate_choice=False,
    )
    is_indexable = BooleanField(_l("Search engines may show the page of my entry"))


class AffirmForm(CodeForm):
    """A later edition is affirmed; which one was read stands in the form."""

    edition = HiddenField()


class AnswerCorrectionForm(BaseForm):
    """Approve or decline a correction; the latter with a reason of the catalogue."""

    version = IntegerField()
    action = RadioField(
        _l("Decision"),
        choices=options((action, ACTIONS[action]) for action in ("approve", "decline")),
        validators=[chosen(lambda: _("Choose a decision"))],
        validate_choice=False,
    )
    reason = SelectField(_l("Reason for declining"), validate_choice=False)
    note = TextAreaField(
        _l("Note to the signatory"),
        validators=[cleaned(lambda raw: clean_paragraph(raw, max_chars=NOTE_MAX_CHARS), optional=True)],
    )

    def offer(self) -> None:
        """Fills the list of reasons."""
        listed = [(reason.code, REASONS[reason.code]) for reason in CORRECTIONS]
        self.reason.choices = options([("", _("Choose a reason")), *listed])

    def validate_reason(self, field: SelectField) -> None:
        """Required for declining."""
        if self.action.data == "decline" and field.data not in {reason.code for reason in CORRECTIONS}:
            raise StopValidation(_("Choose a reason"))

    def validate_note(self, field: TextAreaField) -> None:
        """Some reasons say nothing without a note."""
        if self.action.data == "decline" and self.reason.data == "other" and not field.data:
            raise StopValidation(_("Write a note: this reason alone tells the signatory nothing"))

    def answer(self) -> dict[str, str | None]:
        """What `corrections.decide` is told: an approval has neither reason nor note."""
        is_declined = self.action.data == "decline"
        return {
            "action": self.action.data,
            "reason": (self.reason.data or None) if is_declined else None,
            "note": (self.note.data or None) if is_declined else None,
        }
