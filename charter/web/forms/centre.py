"""The forms of the Centre's own settings: who it is, when its Charter can be signed, on which days nobody works."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date, datetime
from typing import Any

from wtforms import Field, IntegerField, RadioField, StringField, TextAreaField
from wtforms.validators import StopValidation

from charter.domain.calendar import TIME_ZONE, is_working_day
from charter.domain.centre import DaysOff, Identity, Opening, Signing, is_bin
from charter.domain.email import EmailError, clean_email
from charter.domain.text import clean_line, clean_paragraph
from charter.i18n import LANGUAGES, _
from charter.i18n import lazy_gettext as _l
from charter.i18n import lazy_pgettext as _lp
from charter.web.forms.base import BaseForm, chosen, cleaned, options

SENTENCE_MAX_CHARS = 300
MOST_DAYS = 100
_TELEPHONE = re.compile(r"\+?[0-9][0-9 ()-]{4,38}")
_MOMENT = "%Y-%m-%dT%H:%M"


def _line(most: int) -> Any:
    return cleaned(lambda raw: clean_line(raw, max_chars=most))


class IdentityForm(BaseForm):
    """Who keeps the registry, as the consent texts name it."""

    version = IntegerField()
    name = StringField(_l("Name of the Centre"), validators=[_line(200)])
    bin = StringField(_l("Business identification number (BIN)"), validators=[_line(12)])
    address = StringField(
        _l("Postal address"), validators=[cleaned(lambda raw: clean_line(raw, max_chars=300), optional=True)]
    )
    email = StringField(_l("Email for questions about personal data"))
    telephone = StringField(_l("Telephone"))

    def validate_bin(self, field: Field) -> None:
        """With its check digit: a slip of the finger would stand in every consent."""
        if not is_bin(field.data):
            raise StopValidation(_("This is no BIN: 12 digits, the last of which checks the others"))

    def validate_email(self, field: Field) -> None:
        """Shape only."""
        field.data = (field.data or "").strip()
        if not field.data:
            raise StopValidation(_("Fill in this field"))
        try:
            field.data = clean_email(field.data).address
        except EmailError:
            raise StopValidation(_("This email address is not valid")) from None

    def validate_telephone(self, field: Field) -> None:
        """Optional."""
        field.data = (field.data or "").strip()
        if field.data and not _TELEPHONE.fullmatch(field.data):
            raise StopValidation(_("Write the telephone number with digits, such as +7 7172 00 00 00"))

    def identity(self) -> Identity:
        """What was filled in."""
        return Identity(**{name: getattr(self, name).data for name in Identity.__slots__})


class OpeningForm(BaseForm):
    """When the Charter can be signed, and what is said about it in public."""

    version = IntegerField()
    opening = RadioField(
        _l("Signing"),
        choices=options(
            (
                (Opening.OPEN.value, _lp("signing", "Open")),
                (Opening.CLOSED.value, _l("Closed")),
                (Opening.WINDOW.value, _l("Open from one moment to another")),
            )
        ),
        validators=[chosen(lambda: _("Choose whether the Charter can be signed"))],
        validate_choice=False,
    )
    opens_at = StringField(_l("From (time in Astana)"))
    closes_at = StringField(_l("Until (time in Astana)"))
    sentence_kk = TextAreaField(_l("Public sentence in Kazakh"))
    sentence_ru = TextAreaField(_l("Public sentence in Russian"))
    sentence_en = TextAreaField(_l("Public sentence in English"))

    @classmethod
    def filled(cls, signing: Signing, version: int) -> OpeningForm:
        """With what stands."""
        sentences = {f"sentence_{language}": (signing.sentence or {}).get(language, "") for language in LANGUAGES}
        moments = {name: _typed(getattr(signing, name)) for name in ("opens_at", "closes_at")}
        data = {"opening": signing.opening.value, "version": version, **moments, **sentences}
        return cls(formdata=None, data=data)

    def validate_opens_at(self, field: Field) -> None:
        """A moment, where there is a window."""
        self._first = _moment(field)
        if self.opening.data == Opening.WINDOW and not field.data and not self.closes_at.data:
            raise StopValidation(_("Give at least one of the two moments"))

    def validate_closes_at(self, field: Field) -> None:
        """After the other one."""
        last = _moment(field)
        first = getattr(self, "_first", None)
        if self.opening.data == Opening.WINDOW and first is not None and last is not None and last <= first:
            raise StopValidation(_("The end comes after the beginning"))

    def _check_sentence(self, field: Field) -> None:
        if self.opening.data == Opening.OPEN and not (field.data or "").strip():
            field.data = ""
            return
        cleaned(lambda raw: clean_paragraph(raw, max_chars=SENTENCE_MAX_CHARS))(self, field)

    validate_sentence_kk = validate_sentence_ru = validate_sentence_en = _check_sentence

    def signing(self) -> Signing:
        """What was filled in."""
        is_window = self.opening.data == Opening.WINDOW
        sentences = {"kk": self.sentence_kk.data, "ru": self.sentence_ru.data, "en": self.sentence_en.data}
        return Signing(
            opening=Opening(self.opening.data),
            opens_at=_read(self.opens_at.data) if is_window else None,
            closes_at=_read(self.closes_at.data) if is_window else None,
            sentence=sentences if any(sentences.values()) else {},
        )


def _moment(field: Field) -> datetime | None:
    field.data = (field.data or "").strip()
    try:
        return _read(field.data)
    except ValueError:
        raise StopValidation(_("Write the moment as 2026-12-01T09:00")) from None


def _read(text: str) -> datetime | None:
    """Raises ValueError, also for a year that is a slip of the finger: the first and last cannot be told in UTC."""
    moment = datetime.strptime(text, _MOMENT).replace(tzinfo=TIME_ZONE) if text else None
    if moment is not None and not 2000 <= moment.year < 3000:
        raise ValueError(text)
    return moment


def _typed(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(TIME_ZONE).strftime(_MOMENT)


class DaysOffForm(BaseForm):
    """What differs from the shipped list of holidays."""

    version = IntegerField()
    added = TextAreaField(_l("More days off"))
    removed = TextAreaField(_l("Days of the list on which you work"))

    @classmethod
    def filled(cls, days: DaysOff, version: int) -> DaysOffForm:
        """With what stands, a day a line."""
        lines = {name: "\n".join(day.isoformat() for day in sorted(getattr(days, name))) for name in DaysOff.__slots__}
        return cls(formdata=None, data={"version": version, **lines})

    def check(self, shipped: Collection[date]) -> bool:
        """Shape and meaning; the days are in `days` afterwards."""
        if not self.validate():
            return False
        added, removed = _days(self.added), _days(self.removed)
        if any(not is_working_day(day, holidays=shipped) for day in added):
            self.added.errors = [_("One of these days is free anyway: a Saturday, a Sunday or a day of the list")]
        if not removed <= frozenset(shipped):
            self.removed.errors = [_("One of these days is not in the list")]
        self.days = DaysOff(added, removed)
        return not self.errors


def _days(field: Field) -> frozenset[date]:
    try:
        days = frozenset(date.fromisoformat(word) for word in (field.data or "").split())
    except ValueError:
        field.errors = [_("Write each day as 2026-12-31, one a line")]
        return frozenset()
    if len(days) > MOST_DAYS:
        field.errors = [_("Use at most %(count)s days", count=MOST_DAYS)]
    return days
