"""Forms about mail: ask for the link, another address, another language."""

from __future__ import annotations

from typing import Any

from wtforms import Field, RadioField, StringField
from wtforms.validators import StopValidation

from charter.domain.email import EmailAddress, EmailError, clean_email
from charter.i18n import LANGUAGE_NAMES, LANGUAGES, _
from charter.i18n import lazy_gettext as _l
from charter.web.forms.base import BaseForm, chosen, options
from charter.web.forms.signing import CodeForm


def _address(field: Field) -> EmailAddress:
    """Shape only: no look-up tells anybody whose address was typed."""
    try:
        return clean_email(field.data or "")
    except EmailError as error:
        if not (field.data or "").strip():
            raise StopValidation(_("Fill in this field")) from None
        words = {"local_not_ascii": _("Only addresses in Latin letters can be used")}
        raise StopValidation(words.get(error.code.value, _("This email address is not valid"))) from None


class AskForm(BaseForm):
    """The address that somebody signed with."""

    email = StringField(_l("Email"))

    def validate_email(self, field: Field) -> None:
        """See `_address`."""
        self.address = _address(field)


class AddressForm(CodeForm):
    """The address that mail shall go to from now on, with proof."""

    email = StringField(_l("New email address"))

    def validate_email(self, field: Field) -> None:
        """See `_address`."""
        self.address = _address(field)


class LanguageForm(BaseForm):
    """The language that mail comes in."""

    language = RadioField(
        _l("Language of messages"),
        choices=options((code, LANGUAGE_NAMES[code]) for code in LANGUAGES),
        validators=[chosen(lambda: _("Choose the language of messages"))],
        validate_choice=False,
    )

    @classmethod
    def filled(cls, language: str) -> LanguageForm:
        """The form with what stands now."""
        data: dict[str, Any] = {"language": language}
        return cls(formdata=None, data=data)
