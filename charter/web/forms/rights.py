"""The forms of rights: why somebody withdraws, an objection and its answer, a letter that staff record."""

from __future__ import annotations

from wtforms import BooleanField, Field, IntegerField, RadioField, SelectField, StringField, TextAreaField
from wtforms.validators import StopValidation

from charter.domain.reasons import WITHDRAWALS
from charter.domain.signature import Display
from charter.domain.text import clean_line, clean_paragraph
from charter.i18n import _
from charter.i18n import lazy_gettext as _l
from charter.queries.corrections import EntryDetails
from charter.web.forms.base import BaseForm, DayField, chosen, cleaned, options, ticked
from charter.web.forms.signing import OTHER, CodeForm, DetailsForm
from charter.web.labels import LETTERS, VERDICTS, WITHDRAWAL_REASONS

WORDS_MAX_CHARS = 2000
REFERENCE_MAX_CHARS = 80


def _words(raw: str) -> str:
    return clean_paragraph(raw, max_chars=WORDS_MAX_CHARS)


def _reference(raw: str) -> str:
    return clean_line(raw, max_chars=REFERENCE_MAX_CHARS)


class WithdrawForm(CodeForm):
    """The second of the two clicks; nobody has to say why."""

    reason = SelectField(
        _l("Why do you withdraw?"),
        choices=lambda: options([("", _("I would rather not say")), *WITHDRAWAL_REASONS.items()]),
        validate_choice=False,
    )

    @property
    def why(self) -> str | None:
        """A code of the list; anything else says nothing."""
        return self.reason.data if self.reason.data in WITHDRAWALS else None


class ObjectionForm(BaseForm):
    """What the signatory holds against a decision."""

    words = TextAreaField(_l("Why you object"), validators=[cleaned(_words)])


class ObjectionAnswerForm(BaseForm):
    """The answer of another reviewer than the one who decided."""

    version = IntegerField()
    verdict = RadioField(
        _l("Decision"),
        choices=options(VERDICTS.items()),
        validators=[chosen(lambda: _("Choose a decision"))],
        validate_choice=False,
    )
    answer = TextAreaField(_l("Answer to the signatory"), validators=[cleaned(_words, optional=True)])

    def validate_answer(self, field: Field) -> None:
        """Whoever is refused twice is told why."""
        if self.verdict.data == "rejected" and not field.data:
            raise StopValidation(_("Write why: the signatory has asked for it"))


class _LetterPart(BaseForm):
    """What is recorded of every letter."""

    version = IntegerField()
    reference = StringField(_l("Number of the letter in the Centre’s register"), validators=[cleaned(_reference)])
    received_on = DayField(_l("Day the letter came"))
    is_checked = BooleanField(
        _l("I have made sure that the letter comes from the signatory"),
        validators=[ticked(lambda: _("Make sure of it first: what is done cannot be undone"))],
    )

    def validate_received_on(self, field: Field) -> None:
        """A day that cannot be read has its fault already; an empty field has another one."""
        if not any(field.raw_data or ()):
            field.errors = []
            raise StopValidation(_("Give the day as it stands on the letter’s stamp"))


class LetterForm(_LetterPart):
    """A letter that asks for something that needs no further answers than this page."""

    kind = RadioField(
        _l("What the letter asks for"),
        choices=options((code, words) for code, words in LETTERS.items() if code != "correct"),
        validators=[chosen(lambda: _("Choose what the letter asks for"))],
        validate_choice=False,
    )
    words = TextAreaField(_l("The objection, in the words of the letter"), validators=[cleaned(_words, optional=True)])

    def validate_words(self, field: Field) -> None:
        """An objection without words says nothing to whoever answers it."""
        if self.kind.data == "object" and not field.data:
            raise StopValidation(_("Write what the letter objects to"))


class CorrectByLetterForm(DetailsForm, _LetterPart):
    """The details as the letter wants them. How the name is shown is the person's own choice, made on their page."""

    display = None

    @classmethod
    def filled(cls, stands: EntryDetails, *, version: int) -> CorrectByLetterForm:
        """The form with what stands now."""
        text = stands.affiliation_name or ""
        is_other = stands.kind == "party" and stands.affiliation_slug is None
        return cls(
            formdata=None,
            data={
                "version": version,
                "kind": stands.kind,
                "party": OTHER if is_other else stands.affiliation_slug,
                "party_other": text if is_other else "",
                "organisation": text if stands.kind == "independent" else "",
                "mission": text if stands.kind == "international" else "",
                "full_name": stands.full_name,
                "region": stands.region_code,
                "short_name": stands.short_name,
            },
        )

    def shown_as(self) -> str:
        """The display stays as it is, whatever this says."""
        return Display.FULL
