"""The form of an invalidation: conditions, the reason, words to colleagues."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from wtforms import BooleanField, Field, SelectField, StringField, TextAreaField
from wtforms.validators import StopValidation

from charter.domain.calendar import TIME_ZONE
from charter.domain.errors import FieldRefusedError
from charter.domain.sweep import LEAST_LETTERS, REASONS, Conditions
from charter.domain.text import clean_line, clean_paragraph
from charter.i18n import _
from charter.i18n import lazy_gettext as _l
from charter.web.forms.base import BaseForm, cleaned, options
from charter.web.labels import REASONS as REASON_WORDS

NOTE_MAX_CHARS = 400
WORDS_MAX_CHARS = 200
NAME_MAX_CHARS = 120
DIGEST_MAX_CHARS = 64
DOMAIN_MAX_CHARS = 255
#: As browsers write it.
MOMENT = "%Y-%m-%dT%H:%M"


def _note(raw: str) -> str:
    return clean_paragraph(raw, max_chars=NOTE_MAX_CHARS)


def _line(most: int) -> Any:
    # A domain is a link to whoever cleans texts of people; what staff look for is not shown to anybody.
    def clean(_form: Any, field: Field) -> None:
        field.data = (field.data or "").strip()
        if len(field.data) > most:
            raise StopValidation(_("Use at most %(count)s characters", count=most))
        if not field.data.isprintable():
            raise StopValidation(_("Some characters cannot be used here; type the text by hand"))

    return clean


def _words(raw: str) -> str:
    return clean_line(raw, max_chars=WORDS_MAX_CHARS)


class InvalidationForm(BaseForm):
    """All conditions that are filled in count together."""

    network = StringField(_l("Network"), validators=[_line(DIGEST_MAX_CHARS)])
    domain = StringField(_l("Mail domain"), validators=[_line(DOMAIN_MAX_CHARS)])
    since = StringField(_l("Came from"), validators=[_line(16)])
    until = StringField(_l("Came before"), validators=[_line(16)])
    affiliation = SelectField(_l("Affiliation"), validate_choice=False)
    words = StringField(_l("Affiliation in the observer’s own words"), validators=[cleaned(_words, optional=True)])
    name = StringField(_l("Words of the name begin with"), validators=[_line(NAME_MAX_CHARS)])
    published = BooleanField(_l("Entries of the registry as well"))
    reason = SelectField(
        _l("Reason"),
        choices=lambda: options([("", _("Choose a reason")), *((code, REASON_WORDS[code]) for code in REASONS)]),
        validate_choice=False,
    )
    note = TextAreaField(_l("Words to the colleagues"), validators=[cleaned(_note)])

    def offer(self, affiliations: list[tuple[int, str]]) -> None:
        """Fills the list of affiliations."""
        self.affiliation.choices = options(
            [("", _("Any")), *((str(affiliation_id), name) for affiliation_id, name in affiliations)]
        )

    def validate_since(self, field: Field) -> None:
        """Day and time in Kazakhstan."""
        _check_moment(field)

    def validate_until(self, field: Field) -> None:
        """The same."""
        _check_moment(field)

    def validate_affiliation(self, field: Field) -> None:
        """Empty for any."""
        if field.data and field.data not in {choice.value for choice in field.choices}:
            raise StopValidation(_("Choose an affiliation"))

    def validate_reason(self, field: Field) -> None:
        """One of the list."""
        if field.data not in REASONS:
            raise StopValidation(_("Choose a reason"))

    @property
    def conditions(self) -> Conditions:
        """What is asked; only once the form is valid."""
        return Conditions(
            network=self.network.data.lower() or None,
            domain=self.domain.data.lower().lstrip("@") or None,
            since=_moment(self.since.data),
            until=_moment(self.until.data),
            affiliation=int(self.affiliation.data) if self.affiliation.data else None,
            words=self.words.data or None,
            name=self.name.data or None,
            published=bool(self.published.data),
        )

    def refuse(self, error: FieldRefusedError) -> None:
        """Says in words what the operation refused."""
        words = _REFUSALS.get((error.field, error.code), lambda: _("This is not known here"))()
        if error.field == "conditions":
            self.form_errors.append(words)
        else:
            self[error.field].errors = [words]


_REFUSALS: dict[tuple[str, str], Any] = {
    ("conditions", "empty"): lambda: _("Fill in at least one condition: without any everybody would be meant"),
    ("since", "both"): lambda: _("Give both moments or neither"),
    ("until", "both"): lambda: _("Give both moments or neither"),
    ("until", "reversed"): lambda: _("The second moment does not come after the first"),
    ("until", "too-long"): lambda: _("At most 24 hours: a longer time says nothing of who belongs together"),
    ("network", "unknown"): lambda: _("Take the network from a group of what was set aside"),
    ("name", "too-short"): lambda: _(
        "Write at least %(count)s letters, or fill in another condition", count=LEAST_LETTERS
    ),
}


def shown_moment(at: datetime) -> str:
    """As the field holds it, in Kazakhstan's time."""
    return at.astimezone(TIME_ZONE).strftime(MOMENT)


def _moment(raw: str) -> datetime | None:
    return datetime.strptime(raw, MOMENT).replace(tzinfo=TIME_ZONE).astimezone(UTC) if raw else None


def _check_moment(field: Field) -> None:
    try:
        _moment(field.data)
    except (ValueError, OverflowError):
        raise StopValidation(_("Write day and time, such as 2026-11-20T09:30")) from None
