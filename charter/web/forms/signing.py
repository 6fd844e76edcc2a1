"""The observer's forms: sign, confirm, correct, answer, withdraw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from wtforms import BooleanField, Field, HiddenField, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import StopValidation

from charter.domain.affiliation import PARTY, TYPE_OF
from charter.domain.email import EmailAddress, EmailError, clean_email
from charter.domain.name import clean_name, clean_short_form, default_short_form
from charter.domain.text import clean_line, clean_paragraph
from charter.i18n import LANGUAGE_NAMES, LANGUAGES, _, current_language
from charter.i18n import lazy_gettext as _l
from charter.operations.steps import Details
from charter.queries.corrections import EntryDetails
from charter.queries.registry import RegionView
from charter.queries.signing import AffiliationChoice, MySignature
from charter.web.forms.base import BaseForm, chosen, cleaned, options, ticked
from charter.web.labels import DISPLAYS, KINDS

AFFILIATION_MAX_CHARS = 200
ANSWER_MAX_CHARS = 2000
OTHER = "other"


def _affiliation(raw: str) -> str:
    return clean_line(raw, max_chars=AFFILIATION_MAX_CHARS)


def _answer(raw: str) -> str:
    return clean_paragraph(raw, max_chars=ANSWER_MAX_CHARS)


def _unchecked(**kwargs: Any) -> dict[str, Any]:
    # `chosen` checks with our own words; WTForms' own check would add a second sentence.
    return {"validate_choice": False, **kwargs}


@dataclass(frozen=True)
class Offered:
    """What there is to choose from, in one language; one for all forms of it, so nobody may change it."""

    regions: tuple[SelectChoice, ...]
    parties: tuple[SelectChoice, ...]
    affiliations: tuple[AffiliationChoice, ...]


def offered(regions: Iterable[RegionView], affiliations: Iterable[AffiliationChoice]) -> Offered:
    """The lists of a form, in the page's language."""
    affiliations = tuple(affiliations)
    parties = [(one.slug, one.name) for one in affiliations if one.type == "party"]
    return Offered(
        regions=tuple(options([("", _("Choose a region")), *((one.code, one.name) for one in regions)])),
        parties=tuple(options([("", _("Choose a party")), *parties, (OTHER, _("Another party"))])),
        affiliations=affiliations,
    )


class DetailsForm(BaseForm):
    """What an observer says of themselves; shared by signing and correcting."""

    kind = RadioField(
        _l("As whom do you observe?"),
        choices=options(KINDS.items()),
        validators=[chosen(lambda: _("Choose as whom you observe"))],
        **_unchecked(),
    )
    party = SelectField(_l("Party"), **_unchecked())
    party_other = StringField(_l("Name of another party"), validators=[cleaned(_affiliation, optional=True)])
    organisation = StringField(_l("Organisation"), validators=[cleaned(_affiliation, optional=True)])
    mission = StringField(_l("Mission or state"), validators=[cleaned(_affiliation, optional=True)])
    full_name = StringField(_l("Full name"), validators=[cleaned(clean_name)])
    region = SelectField(
        _l("Region where you observe"),
        validators=[chosen(lambda: _("Choose the region where you observe"))],
        **_unchecked(),
    )
    display = RadioField(
        _l("How your name is shown in the registry"),
        choices=options(DISPLAYS.items()),
        default="full",
        validators=[chosen(lambda: _("Choose how your name is shown"))],
        **_unchecked(),
    )
    short_name = StringField(_l("Short form of your name"), validators=[cleaned(clean_short_form, optional=True)])

    def offer(self, offered: Offered) -> None:
        """Fills the lists to choose from."""
        self.affiliations: Sequence[AffiliationChoice] = offered.affiliations
        self.region.choices = offered.regions
        self.party.choices = offered.parties

    def keep(self, stands: MySignature | EntryDetails) -> None:
        """What stands already may stay, although nobody could choose it any more."""
        if stands.region_code not in {choice.value for choice in self.region.choices}:
            first, *others = self.region.choices
            self.region.choices = [first, SelectChoice(stands.region_code, stands.region), *others]
        slug, name = stands.affiliation_slug, stands.affiliation_name or ""
        if slug is None or slug in {one.slug for one in self.affiliations}:
            return
        self.affiliations = [*self.affiliations, AffiliationChoice(slug, TYPE_OF[stands.kind], name, (name,))]
        if stands.kind == PARTY:
            first, *others = self.party.choices
            self.party.choices = [first, SelectChoice(slug, name), *others]

    def suggestions(self, kind: str) -> list[str]:
        """Names for the type-ahead of one kind of affiliation."""
        return [one.name for one in self.affiliations if one.type == kind]

    def validate_party(self, field: Field) -> None:
        """Required for a party observer."""
        if self.kind.data == "party" and field.data not in {choice.value for choice in field.choices[1:]}:
            raise StopValidation(_("Choose your party"))

    def validate_party_other(self, field: Field) -> None:
        """Required where the party is not in the list."""
        if self.kind.data == "party" and self.party.data == OTHER and not field.data:
            raise StopValidation(_("Write the name of the party"))

    def validate_mission(self, field: Field) -> None:
        """Required for an international observer."""
        if self.kind.data == "international" and not field.data:
            raise StopValidation(_("Write the mission or the state that sent you"))

    def affiliation(self) -> tuple[str | None, str | None]:
        """(slug, None) for one of the list, (None, words) for another, (None, None) on one's own."""
        if self.kind.data == "party":
            return (None, self.party_other.data) if self.party.data == OTHER else (self.party.data, None)
        kind, text = (
            ("mission", self.mission.data)
            if self.kind.data == "international"
            else ("organisation", self.organisation.data)
        )
        if not text:
            return None, None
        wanted = _folded(text)
        for one in self.affiliations:
            if one.type == kind and any(_listed(spelling) == wanted for spelling in one.spellings):
                return one.slug, None
        return None, text

    def affiliation_words(self) -> str:
        """What is shown as affiliation, for the preview."""
        slug, text = self.affiliation()
        return text or next((one.name for one in self.affiliations if one.slug == slug), "")

    def shown_as(self) -> str:
        """How the name is to be shown."""
        return str(self.display.data)

    def to_details(self) -> Details:
        """The clean answers. An empty short form is made from the name, so that the choice "short" never fails."""
        slug, text = self.affiliation()
        return Details(
            kind=self.kind.data,
            full_name=self.full_name.data,
            short_name=self.short_name.data or default_short_form(self.full_name.data),
            display=self.shown_as(),
            affiliation_slug=slug,
            affiliation_text=text,
            region_code=self.region.data,
        )


class SignForm(DetailsForm):
    """The whole of signing: five answers and three ticks."""

    #: When the page was shown, signed (domain/start.py).
    start = HiddenField()
    #: Which text stood beside the form: another may be signed when it is sent.
    edition = HiddenField()
    #: Which words of the consents did: they name the Centre, which may be called otherwise when it is sent.
    consents_read = HiddenField()
    #: No person sees it; a program that fills in whatever there is does.
    website = StringField(_l("Leave this field empty"))
    email = StringField(_l("Email"))
    language = RadioField(
        _l("Language of messages"),
        choices=options((code, LANGUAGE_NAMES[code]) for code in LANGUAGES),
        validators=[chosen(lambda: _("Choose the language of messages"))],
        **_unchecked(),
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

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.language.data not in LANGUAGES:
            self.language.data = current_language()

    def validate_email(self, field: Field) -> None:
        """Shape only: no look-up tells anybody that somebody is signing."""
        try:
            self.address: EmailAddress = clean_email(field.data or "")
        except EmailError as error:
            if not (field.data or "").strip():
                raise StopValidation(_("Fill in this field")) from None
            words = {"local_not_ascii": _("Only addresses in Latin letters can be used")}
            raise StopValidation(words.get(error.code.value, _("This email address is not valid"))) from None


class CorrectForm(DetailsForm):
    """A correction before the decision."""

    @classmethod
    def filled(cls, mine: MySignature) -> CorrectForm:
        """The form with what stands now."""
        text = mine.affiliation_name or ""
        is_other = mine.kind == "party" and mine.affiliation_slug is None
        return cls(
            formdata=None,
            data={
                "kind": mine.kind,
                "party": OTHER if is_other else mine.affiliation_slug,
                "party_other": text if is_other else "",
                "organisation": text if mine.kind == "independent" else "",
                "mission": text if mine.kind == "international" else "",
                "full_name": mine.full_name,
                "region": mine.region_code,
                "display": mine.display,
                "short_name": mine.short_name,
            },
        )


class CodeForm(BaseForm):
    """Proof for one act: nothing in the signing browser, else the six digits from the mail's text."""

    code = StringField(_l("Six-digit code from the mail"))


class AnswerForm(BaseForm):
    """The answer to the Centre's question."""

    answer = TextAreaField(_l("Your answer"), validators=[cleaned(_answer)])


class ButtonForm(BaseForm):
    """A button and nothing else."""


@lru_cache(maxsize=1024)
def _listed(spelling: str) -> str:
    # The same few with every form; what somebody typed is not kept.
    return _folded(spelling)


def _folded(text: str) -> str:
    """For matching typed names with the list: case, quotation marks and spaces do not count."""
    return " ".join(text.casefold().translate(str.maketrans("«»“”„\"'’", " " * 8)).split())
