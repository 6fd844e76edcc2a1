"""What all forms share: our own words for every refusal, and a CSRF token that costs no typed word when it expires."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import request
from flask_wtf import FlaskForm
from wtforms import DateField, Field, HiddenField
from wtforms.csrf.core import CSRFTokenField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import StopValidation, ValidationError

from charter.domain.text import TextError, TextFault
from charter.i18n import _

_FAULTS: dict[TextFault, Callable[[TextError], str]] = {
    TextFault.EMPTY: lambda error: _("Fill in this field"),
    TextFault.TOO_LONG: lambda error: _("Use at most %(count)s characters", count=error.max_chars or 0),
    TextFault.LINK: lambda error: _("Write without links and addresses"),
    TextFault.FORMULA: lambda error: _("Begin with a letter, not with = + - or @"),
    TextFault.EMOJI: lambda error: _("Write without emoji and symbols"),
    TextFault.DIGIT: lambda error: _("Write the name without figures"),
    TextFault.SCRIPT: lambda error: _("Use Kazakh, Russian or Latin letters"),
    TextFault.NO_LETTER: lambda error: _("Write the name with letters"),
}


def fault_words(error: TextError) -> str:
    """What to do about a text that was refused."""
    words = _FAULTS.get(error.code)
    return words(error) if words else _("Some characters cannot be used here; type the text by hand")


class DayField(DateField):
    """A day, whose fault is said in our own words."""

    def process_formdata(self, valuelist: list[str]) -> None:
        """As WTForms does."""
        try:
            super().process_formdata(valuelist)
        except ValueError:
            raise ValueError(_("Give the day with its month and year")) from None


#: Read the words of the request, if it is a POST.
_REQUEST: Any = object()


class _Token(CSRFTokenField):
    """Makes its token when the form is shown: most that are sent are not shown again."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # By which templates know it.
        self.type = CSRFTokenField.__name__

    def process(self, *args: Any, **kwargs: Any) -> None:
        """Past the token, which the field of WTForms makes here."""
        HiddenField.process(self, *args, **kwargs)

    def _value(self) -> str:
        token: str = self.csrf_impl.generate_csrf_token(self)
        return token


class _Guard(FlaskForm.Meta.csrf_class):
    field_class = _Token


class BaseForm(FlaskForm):
    """A form of ours. It reads words only: Flask-WTF would also take JSON and files for answers."""

    class Meta(FlaskForm.Meta):
        """As Flask-WTF's, with a token of ours."""

        csrf_class = _Guard

    def __init__(self, formdata: Any = _REQUEST, **kwargs: Any) -> None:
        if formdata is _REQUEST:
            formdata = request.form if request.method == "POST" else None
        super().__init__(formdata, **kwargs)

    def validate(self, extra_validators: Any = None) -> bool:
        """As WTForms does, with our sentence for a token that is missing, wrong or too old."""
        is_valid = super().validate(extra_validators)
        token = getattr(self, "csrf_token", None)
        if token is not None and token.errors:
            token.errors = [_("This page was open for too long. Nothing is lost: press the button once more.")]
        return bool(is_valid)


def options(pairs: Iterable[tuple[str, Any]]) -> list[SelectChoice]:
    """Choices for a list or for radio buttons: (value, label)."""
    return [SelectChoice(value, label) for value, label in pairs]


def cleaned(rule: Callable[[str], str], *, optional: bool = False) -> Callable[[Any, Field], None]:
    """A validator that stores the text as `rule` cleans it, or says in words why it cannot."""

    def check(_form: Any, field: Field) -> None:
        raw = field.data or ""
        if optional and not raw.strip():
            field.data = ""
            return
        try:
            field.data = rule(raw)
        except TextError as error:
            raise StopValidation(fault_words(error)) from None

    # WTForms puts `required` into the HTML where this flag stands.
    check.field_flags = {} if optional else {"required": True}  # type: ignore[attr-defined]
    return check


def chosen(message: Callable[[], str]) -> Callable[[Any, Field], None]:
    """A validator for lists of choices with our own words."""

    def check(_form: Any, field: Field) -> None:
        values = {choice.value for choice in field.choices}
        if not field.data or field.data not in values:
            raise StopValidation(message())

    check.field_flags = {"required": True}  # type: ignore[attr-defined]
    return check


def ticked(message: Callable[[], str]) -> Callable[[Any, Field], None]:
    """A validator for a box that has to be ticked."""

    def check(_form: Any, field: Field) -> None:
        if not field.data:
            raise ValidationError(message())

    check.field_flags = {"required": True}  # type: ignore[attr-defined]
    return check
