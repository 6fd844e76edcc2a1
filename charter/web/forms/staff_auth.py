"""Forms of the Centre's sign-in: shape only; whether a password or a code is right is asked in `web/staff/auth.py`."""

from __future__ import annotations

from typing import Any

from wtforms import HiddenField, PasswordField, StringField, SubmitField, ValidationError
from wtforms.validators import EqualTo, InputRequired

from charter.domain.email import EmailError, clean_email
from charter.domain.name import clean_name
from charter.domain.passkey import clean_passkey_name
from charter.domain.password import PASSWORD_MAX_CHARS, PASSWORD_MIN_CHARS, PasswordFault, password_faults
from charter.i18n import lazy_gettext as _l
from charter.web.forms.base import BaseForm, cleaned

PASSWORD_FAULTS = {
    PasswordFault.TOO_SHORT: _l("Choose a password of at least %(count)s characters", count=PASSWORD_MIN_CHARS),
    PasswordFault.TOO_LONG: _l("Choose a password of at most %(count)s characters", count=PASSWORD_MAX_CHARS),
    PasswordFault.COMMON: _l("This password is easy to guess; choose another, such as four words of your own"),
    PasswordFault.PERSONAL: _l("Choose a password that does not consist of your name or address"),
}

_PASSWORD_NEEDED = _l("Type your password")


def _email() -> StringField:
    return StringField(_l("Email"), [InputRequired(_l("Type your email address"))])


def _password(label: Any) -> PasswordField:
    return PasswordField(label, [InputRequired(_PASSWORD_NEEDED)])


def _new_password() -> PasswordField:
    return PasswordField(_l("New password"), [InputRequired(_l("Type a new password"))])


def _again() -> PasswordField:
    different = _l("The two passwords are not the same; type the same password twice")
    return PasswordField(
        _l("The same password again"),
        [InputRequired(_l("Type the new password once more")), EqualTo("new_password", different)],
    )


class NewPasswordForm(BaseForm):
    """A password that is chosen: by an invited person."""

    new_password = _new_password()
    again = _again()

    def suits(self, *, name: str, email: str) -> bool:
        """Whether this person may choose this password; if not, the field says why."""
        faults = password_faults(self.new_password.data or "", name=name, email=email)
        self.new_password.errors = [*self.new_password.errors, *(PASSWORD_FAULTS[fault] for fault in faults)]
        return not faults


class ChangePasswordForm(NewPasswordForm):
    """A new password for one's own account."""

    password = _password(_l("Present password"))


class FirstAccountForm(NewPasswordForm):
    """The first account of an installation."""

    name = StringField(_l("Your name"), [cleaned(clean_name)])
    email = _email()

    def validate_email(self, field: StringField) -> None:
        """In the form for comparison: who signs in should not have to mind capital letters."""
        try:
            field.data = clean_email(field.data or "").folded
        except EmailError:
            raise ValidationError(_l("This email address is not valid")) from None


class SignInForm(BaseForm):
    """First step: address and password."""

    email = _email()
    password = _password(_l("Password"))
    next = HiddenField()


class CodeForm(BaseForm):
    """Second step: the six digits that the app shows."""

    code = StringField(_l("Code from the app"), [InputRequired(_l("Type the six digits that the app shows"))])


class SecondFactorAgainForm(BaseForm):
    """The second factor once more. next: the page to go on to; kept: a form that was sent, sealed."""

    code = StringField(_l("Code from the app, or a recovery code"), [InputRequired(_l("Type a code"))])
    next = HiddenField()
    kept = HiddenField()


class SetUpForm(BaseForm):
    """Asks for a new secret; there is one kind of second factor."""

    setup = HiddenField()


class RecoveryCodeForm(BaseForm):
    """Second step without the app."""

    code = StringField(_l("Recovery code"), [InputRequired(_l("Type one of your recovery codes"))])


class RecoveryCodesForm(BaseForm):
    """Asks for new recovery codes. `show_codes` is a field that Flask-Security looks for."""

    show_codes = SubmitField()
    generate_new_codes = SubmitField()


class PasskeyForm(BaseForm):
    """A new passkey: how its owner calls it, and what the device answered, which the script fills in."""

    name = StringField(_l("Name of the passkey"), [cleaned(clean_passkey_name)])
    credential = HiddenField()


class PasswordCheckForm(BaseForm):
    """The password once more, before something that would let a stranger stay."""

    password = _password(_l("Password"))
