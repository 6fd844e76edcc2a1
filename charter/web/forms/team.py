"""Forms of the team: shape only; what a role may and who decides on it is asked in `operations/roles.py`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wtforms import RadioField, SelectMultipleField, StringField, TextAreaField, ValidationError
from wtforms.validators import InputRequired
from wtforms.widgets import CheckboxInput, ListWidget

from charter.domain.duties import Role
from charter.domain.email import EmailError, clean_email
from charter.domain.languages import LANGUAGES
from charter.domain.name import clean_name
from charter.domain.text import clean_paragraph
from charter.i18n import LANGUAGE_NAMES, _
from charter.i18n import lazy_gettext as _l
from charter.operations.roles import Change
from charter.web.forms.base import BaseForm, chosen, cleaned, options
from charter.web.labels import ROLES

REASON_CHARS = 300


class _Regions(SelectMultipleField):
    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()


class _ChangeForm(BaseForm):
    role = RadioField(_l("Role"), [chosen(lambda: _("Choose a role"))], validate_choice=False)
    regions = _Regions(_l("Regions"), validate_choice=False)
    reason = TextAreaField(_l("Why"))

    def offer(self, regions: Iterable[tuple[str, str]]) -> None:
        """Which roles and regions there are, in the page's language. regions: (code, name)."""
        self.role.choices = options(ROLES.items())
        self.regions.choices = options(regions)

    def validate_regions(self, field: Any) -> None:
        """Regions are a limit of reviewers: whoever has another role is responsible for all of them."""
        if field.data and self.role.data in set(ROLES) - {Role.REVIEWER}:
            raise ValidationError(_("Only reviewers can be limited to regions"))
        known = {choice.value for choice in field.choices}
        if not set(field.data or ()) <= known:
            raise ValidationError(_("This can no longer be chosen; choose again"))

    def change(self) -> Change:
        """What the account is to become. Only of a form that was validated."""
        return Change(Role(self.role.data), tuple(sorted(set(self.regions.data or ()))))


class RoleForm(_ChangeForm):
    """Another role, or other regions, for a colleague."""

    reason = TextAreaField(_l("Why"), [cleaned(lambda text: clean_paragraph(text, max_chars=REASON_CHARS))])


class InvitationForm(_ChangeForm):
    """Somebody who is to join."""

    name = StringField(_l("Name"), [cleaned(clean_name)])
    email = StringField(_l("Email"), [InputRequired(_l("Type an email address"))])
    language = RadioField(_l("Language of the mail"), [chosen(lambda: _("Choose a language"))], validate_choice=False)
    reason = TextAreaField(
        _l("Why"), [cleaned(lambda text: clean_paragraph(text, max_chars=REASON_CHARS), optional=True)]
    )

    def offer(self, regions: Iterable[tuple[str, str]]) -> None:
        """The same, and languages."""
        super().offer(regions)
        self.language.choices = options((code, LANGUAGE_NAMES[code]) for code in LANGUAGES)

    def validate_email(self, field: StringField) -> None:
        """In the form for comparison: who signs in should not have to mind capital letters."""
        try:
            field.data = clean_email(field.data or "").folded
        except EmailError:
            raise ValidationError(_("This email address is not valid")) from None
