"""The forms around lists of people: bringing one, saying what its columns are, and the person's own page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask import request
from wtforms import BooleanField, FileField, HiddenField, RadioField, SelectField, StringField

from charter.domain.sheet import AFFILIATION_MAX_CHARS, FIELDS
from charter.domain.text import clean_line
from charter.i18n import LANGUAGE_NAMES, LANGUAGES, _
from charter.i18n import lazy_gettext as _l
from charter.queries.importing import EnteredView
from charter.queries.registry import RegionView
from charter.web.forms.base import BaseForm, chosen, cleaned, options, ticked
from charter.web.forms.signing import OTHER, DetailsForm
from charter.web.labels import KINDS

SOURCE_MAX_CHARS = 120
SHEET_MAX_CHARS = 31
#: What a column can be, in words.
COLUMNS = {
    "full_name": _l("Full name"),
    "surname": _l("Surname"),
    "given_name": _l("Given name"),
    "patronymic": _l("Patronymic"),
    "email": _l("Email"),
    "region": _l("Region"),
    "kind": _l("Kind of observer"),
    "affiliation": _l("Affiliation"),
    "language": _l("Language of messages"),
}


def _source(raw: str) -> str:
    return clean_line(raw, max_chars=SOURCE_MAX_CHARS)


def _affiliation(raw: str) -> str:
    return clean_line(raw, max_chars=AFFILIATION_MAX_CHARS)


class ListForm(BaseForm):
    """A file and what it is called. The file itself is looked at apart: words only are read here."""

    file = FileField(_l("File"))
    source = StringField(_l("Where the list comes from"), validators=[cleaned(_source)])
    sheet = StringField(_l("Name of the sheet"), validators=[cleaned(_source, optional=True)])


class ColumnsForm(BaseForm):
    """What holds for every row, and the version of the job; the columns themselves are fields of the file's making."""

    version = HiddenField()
    region = SelectField(_l("Region of every row that names none"), validate_choice=False)
    kind = SelectField(_l("Kind of observer of every row that names none"), validate_choice=False)
    affiliation = StringField(
        _l("Affiliation of every row that names none"), validators=[cleaned(_affiliation, optional=True)]
    )
    language = SelectField(_l("Language of messages of every row that names none"), validate_choice=False)
    again = BooleanField(_l("Import the same file again"))

    def offer(self, regions: Sequence[RegionView]) -> None:
        """Fills the lists to choose from, in the page's language."""
        self.region.choices = options([("", _("None")), *((one.code, one.name) for one in regions)])
        self.kind.choices = options([("", _("None")), *KINDS.items()])
        self.language.choices = options((code, LANGUAGE_NAMES[code]) for code in ("ru", "kk", "en"))

    def defaults(self) -> dict[str, str]:
        """Field → value, of what was chosen from the lists."""
        regions = {choice.value for choice in self.region.choices}
        return {
            "region": self.region.data if self.region.data in regions else "",
            "kind": self.kind.data if self.kind.data in KINDS else "",
            "affiliation": self.affiliation.data or "",
            "language": self.language.data if self.language.data in LANGUAGES else "",
        }


def chosen_columns(columns: int) -> dict[int, str]:
    """Column, from 0 → field, as the request says."""
    told = {place: request.form.get(f"column-{place}", "") for place in range(columns)}
    return {place: field for place, field in told.items() if field in FIELDS}


class EnteredForm(DetailsForm):
    """What a list says, for the person to correct, and what only they can give: both consents, and the mail's code."""

    #: The edition that stood beside the form.
    edition = HiddenField()
    #: The words of the consents that did.
    consents_read = HiddenField()
    language = RadioField(
        _l("Language of messages"),
        choices=options((code, LANGUAGE_NAMES[code]) for code in LANGUAGES),
        validators=[chosen(lambda: _("Choose the language of messages"))],
        validate_choice=False,
    )
    is_adult = BooleanField(
        _l("I am 18 or older"), validators=[ticked(lambda: _("Only people of 18 or older can sign"))]
    )
    consent_processing = BooleanField(
        _l("I consent to the collection and processing of my personal data"),
        validators=[ticked(lambda: _("You cannot sign without consent to the processing of your data"))],
    )
    consent_publication = BooleanField(
        _l("I consent to the publication of my data in the public registry"),
        validators=[ticked(lambda: _("You cannot sign without consent to publication"))],
    )
    code = StringField(_l("Six-digit code from the mail"))

    @classmethod
    def start_of(cls, view: EnteredView) -> Mapping[str, object]:
        """The values that the form begins with."""
        text = view.affiliation_name or ""
        is_other = view.kind == "party" and view.affiliation_slug is None
        return {
            "kind": view.kind,
            "party": OTHER if is_other else view.affiliation_slug,
            "party_other": text if is_other else "",
            "organisation": text if view.kind == "independent" else "",
            "mission": text if view.kind == "international" else "",
            "full_name": view.full_name,
            "region": view.region_code,
            "display": view.display,
            # Made from the name unless the person writes one.
            "short_name": "",
            "language": view.language,
        }
