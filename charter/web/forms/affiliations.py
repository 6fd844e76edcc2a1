"""The forms for parties, organisations, missions and regions: three languages side by side, and the days they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wtforms import BooleanField, Field, IntegerField, RadioField, SelectField, StringField
from wtforms.validators import Optional, StopValidation

from charter.domain.affiliation import TYPES
from charter.domain.languages import LANGUAGES
from charter.domain.region import ABBR_MAX_CHARS, is_code, is_slug
from charter.domain.text import clean_line
from charter.i18n import LANGUAGE_NAMES, _
from charter.i18n import lazy_gettext as _l
from charter.operations import affiliations, regions
from charter.queries.affiliation_desk import View
from charter.queries.region_desk import RegionRow
from charter.web.forms.base import BaseForm, DayField, chosen, cleaned, options
from charter.web.labels import AFFILIATION_ONE

NAME_MAX_CHARS = 200
SHORT_MAX_CHARS = 60


def _name(raw: str) -> str:
    return clean_line(raw, max_chars=NAME_MAX_CHARS)


def _short(raw: str) -> str:
    return clean_line(raw, max_chars=SHORT_MAX_CHARS)


def _abbr(raw: str) -> str:
    return clean_line(raw, max_chars=ABBR_MAX_CHARS)


def _needed_for_renaming(form: Any, field: Field) -> None:
    if form.why.data == "rename" and not any(field.raw_data or ()):
        raise StopValidation(_("Give the day of the renaming"))


class _DaysPart(BaseForm):
    """From which day to which it can be chosen."""

    valid_from = DayField(_l("Can be chosen from"), validators=[Optional()])
    valid_to = DayField(_l("Can be chosen until"), validators=[Optional()])

    def texts(self, part: str) -> dict[str, str]:
        """Language → what was typed for this part."""
        return {language: self[f"{part}_{language}"].data or "" for language in LANGUAGES}

    def fields_of(self, part: str) -> list[Field]:
        """The three fields of a part, in the order of languages."""
        return [self[f"{part}_{language}"] for language in LANGUAGES]


class AffiliationForm(_DaysPart):
    """Names in three languages; abbreviations, all or none; whether and when it can be chosen."""

    version = IntegerField()
    name_kk = StringField(_l("Name in Kazakh"), validators=[cleaned(_name)])
    name_ru = StringField(_l("Name in Russian"), validators=[cleaned(_name)])
    name_en = StringField(_l("Name in English"), validators=[cleaned(_name)])
    abbr_kk = StringField(_l("Short form in Kazakh"), validators=[cleaned(_short, optional=True)])
    abbr_ru = StringField(_l("Short form in Russian"), validators=[cleaned(_short, optional=True)])
    abbr_en = StringField(_l("Short form in English"), validators=[cleaned(_short, optional=True)])
    is_selectable = BooleanField(_l("Observers can choose it when they sign"))
    why = RadioField(
        _l("If the name changes"),
        choices=options(
            [
                ("correct", _l("It was written wrongly and is put right")),
                ("rename", _l("It has been renamed: the former name stays on its public page")),
            ]
        ),
        default="correct",
        validate_choice=False,
    )
    renamed_on = DayField(_l("Bears the new name since"), validators=[_needed_for_renaming, Optional()])

    @classmethod
    def filled(cls, view: View) -> AffiliationForm:
        """The form with what stands now."""
        line = view.line
        data: dict[str, Any] = {
            "version": view.version,
            "is_selectable": view.is_selectable,
            "valid_from": line.valid_from,
            "valid_to": line.valid_to,
        }
        for language in LANGUAGES:
            data[f"name_{language}"] = line.name[language]
            data[f"abbr_{language}"] = line.abbr.get(language, "")
        return cls(formdata=None, data=data)

    def validate_abbr_kk(self, _field: Field) -> None:
        """All three short forms or none: each language shows its own."""
        given = self.texts("abbr")
        if any(given.values()) and not all(given.values()):
            lacking = ", ".join(LANGUAGE_NAMES[language] for language in LANGUAGES if not given[language])
            raise StopValidation(_("Give the short form in every language, or in none; missing: %(l)s", l=lacking))

    def wanted(self) -> affiliations.Wanted:
        """The clean answers."""
        abbr = self.texts("abbr")
        return affiliations.Wanted(
            name=self.texts("name"),
            abbr=abbr if any(abbr.values()) else None,
            is_selectable=bool(self.is_selectable.data),
            valid_from=self.valid_from.data,
            valid_to=self.valid_to.data,
        )


class NewAffiliationForm(AffiliationForm):
    """The same for one that is not there yet."""

    type = RadioField(
        _l("What it is"),
        choices=options(AFFILIATION_ONE.items()),
        validators=[chosen(lambda: _("Choose what it is"))],
        validate_choice=False,
    )

    @classmethod
    def begun(cls, type: str, words: str) -> NewAffiliationForm:
        """Ready to be filled in; words: what observers write, to begin with."""
        data: dict[str, Any] = {"type": type if type in TYPES else None, "is_selectable": True}
        data |= {f"name_{language}": words for language in LANGUAGES}
        return cls(formdata=None, data=data)


class AliasForm(BaseForm):
    """Further words under which people write it."""

    name = StringField(_l("Another name or spelling"), validators=[cleaned(_name)])


class TargetForm(BaseForm):
    """Another affiliation of the list."""

    into = SelectField(_l("Affiliation"), validate_choice=False)

    def offer(self, choices: Sequence[tuple[str, str]]) -> None:
        """Fills the list. choices: (id, name)."""
        self.into.choices = options([("", _("Choose one")), *choices])

    def validate_into(self, field: Field) -> None:
        """One of the list."""
        if not field.data or field.data not in {choice.value for choice in field.choices}:
            raise StopValidation(_("Choose one of the list"))


class MergeForm(TargetForm):
    """Into which one it goes; the version that the page saw."""

    version = IntegerField()


class RegionForm(_DaysPart):
    """A region's names in three languages, its place on the map, its days."""

    version = IntegerField()
    name_kk = StringField(_l("Name in Kazakh"), validators=[cleaned(_short)])
    name_ru = StringField(_l("Name in Russian"), validators=[cleaned(_short)])
    name_en = StringField(_l("Name in English"), validators=[cleaned(_short)])
    short_kk = StringField(_l("In lists, in Kazakh"), validators=[cleaned(_short)])
    short_ru = StringField(_l("In lists, in Russian"), validators=[cleaned(_short)])
    short_en = StringField(_l("In lists, in English"), validators=[cleaned(_short)])
    abbr_kk = StringField(_l("On the map, in Kazakh"), validators=[cleaned(_abbr)])
    abbr_ru = StringField(_l("On the map, in Russian"), validators=[cleaned(_abbr)])
    abbr_en = StringField(_l("On the map, in English"), validators=[cleaned(_abbr)])
    tile = SelectField(_l("Place on the map"), validate_choice=False)

    def offer(self, tiles: Sequence[tuple[int, int]]) -> None:
        """Fills the list of places. tiles: (column, row), from 0."""
        self.tile.choices = options(
            [("", _("Choose a place"))]
            + [
                (f"{col}-{row}", _("row %(row)s, column %(column)s", row=row + 1, column=col + 1))
                for col, row in sorted(tiles, key=lambda one: (one[1], one[0]))
            ]
        )

    def validate_tile(self, field: Field) -> None:
        """One of those that are free."""
        if not field.data or field.data not in {choice.value for choice in field.choices}:
            raise StopValidation(_("Choose a free place on the map"))

    @classmethod
    def filled(cls, row: RegionRow) -> RegionForm:
        """The form with what stands now."""
        data: dict[str, Any] = {
            "version": row.version,
            "tile": f"{row.tile[0]}-{row.tile[1]}",
            "valid_from": row.valid_from,
            "valid_to": row.valid_to,
        }
        parts: Mapping[str, Mapping[str, str]] = {"name": row.name, "short": row.short, "abbr": row.abbr}
        for part, words in parts.items():
            data |= {f"{part}_{language}": words[language] for language in LANGUAGES}
        return cls(formdata=None, data=data)

    def wanted(self) -> regions.Wanted:
        """The clean answers."""
        col, _dash, row = self.tile.data.partition("-")
        return regions.Wanted(
            name=self.texts("name"),
            short=self.texts("short"),
            abbr=self.texts("abbr"),
            tile=(int(col), int(row)),
            valid_from=self.valid_from.data,
            valid_to=self.valid_to.data,
        )


class NewRegionForm(RegionForm):
    """The same with what never changes: code and name in addresses."""

    code = StringField(_l("Code"))
    slug = StringField(_l("Name in addresses"))

    def validate_code(self, field: Field) -> None:
        """As ISO 3166-2 writes it."""
        field.data = (field.data or "").strip().upper()
        if not is_code(field.data):
            raise StopValidation(_("Write KZ- and one to three Latin letters or figures"))

    def validate_slug(self, field: Field) -> None:
        """As an address can hold it."""
        field.data = (field.data or "").strip().lower()
        if not is_slug(field.data):
            raise StopValidation(_("Write small Latin letters, with hyphens between words"))
