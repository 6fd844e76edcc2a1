"""The forms around editions: a draft in three languages, a new one, and the words that go with a proposal."""

from __future__ import annotations

from collections.abc import Mapping

from wtforms import IntegerField, RadioField, StringField, TextAreaField
from wtforms.validators import StopValidation

from charter.domain.edition import is_slug
from charter.domain.text import clean_paragraph
from charter.i18n import _
from charter.i18n import lazy_gettext as _l
from charter.queries.editions import Draft
from charter.web.forms.base import BaseForm, chosen, cleaned, options

REASON_MAX_CHARS = 400
MATERIAL, EDITORIAL = "material", "editorial"


def slug_words(code: str) -> str:
    """Why a permanent name cannot be taken."""
    if code == "taken":
        return str(_("There is an edition or a draft of this name already"))
    return str(_("Use small Latin letters, digits and hyphens, such as charter-2027"))


class NewDraftForm(BaseForm):
    """A draft begins as a copy of the edition that is signed today."""

    slug = StringField(_l("Permanent name of the new edition"))

    def validate_slug(self, field: StringField) -> None:
        """As addresses and record lines allow."""
        field.data = (field.data or "").strip()
        if not is_slug(field.data):
            raise StopValidation(slug_words("shape"))


class DraftForm(NewDraftForm):
    """A whole draft. Nothing that is typed into the texts is refused: what is wrong is said beside them."""

    version = IntegerField()
    kind = RadioField(
        _l("What changes"),
        choices=options(
            (
                (MATERIAL, _l("What is promised: signatories are asked to affirm it")),
                (EDITORIAL, _l("The wording only: nobody is asked")),
            )
        ),
        validators=[chosen(lambda: _("Choose what changes"))],
        validate_choice=False,
    )
    text_kk = TextAreaField(_l("Text in Kazakh"))
    text_ru = TextAreaField(_l("Text in Russian"))
    text_en = TextAreaField(_l("Text in English"))

    @classmethod
    def filled(cls, draft: Draft) -> DraftForm:
        """With what is kept."""
        texts = {f"text_{language}": body for language, body in draft.bodies.items()}
        kind = MATERIAL if draft.is_material else EDITORIAL
        return cls(formdata=None, data={"slug": draft.slug, "version": draft.version, "kind": kind, **texts})

    def bodies(self) -> Mapping[str, str]:
        """language → what was typed."""
        return {"kk": self.text_kk.data or "", "ru": self.text_ru.data or "", "en": self.text_en.data or ""}


class ProposeEditionForm(BaseForm):
    """Lets a second person publish the draft as it is kept."""

    version = IntegerField()
    reason = TextAreaField(
        _l("Words to your colleague"),
        validators=[cleaned(lambda raw: clean_paragraph(raw, max_chars=REASON_MAX_CHARS))],
    )


class DropDraftForm(BaseForm):
    """Puts a draft away."""

    version = IntegerField()
