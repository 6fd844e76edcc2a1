"""What keeps a draft from being published, in the editor's language."""

from __future__ import annotations

from charter.domain.edition import MOST_BYTES, EditionError
from charter.i18n import _, format_number


def problem_words(error: EditionError) -> str:
    """A sentence that says what to do; the line is counted with empty lines, as the form shows the text."""
    words = _words(error)
    return str(_("Line %(line)s: %(words)s", line=error.line, words=words) if error.line is not None else words)


def _words(error: EditionError) -> str:
    match error.code:
        case "empty":
            words = _("There is no text in this language.")
        case "long":
            words = _("The text is too long: at most %(count)s bytes.", count=format_number(MOST_BYTES))
        case "title":
            words = _("The text begins with its title: # and the words.")
        case "heading":
            words = _(
                "Here a heading is expected: ## and the words. There are three: preamble, commitments, statement."
            )
        case "paragraph":
            words = _("Here a paragraph of plain words is expected.")
        case "commitment":
            words = _(
                "Here commitment %(number)s is expected, written as **%(number)s. Title.** and its text.",
                number=error.number,
            )
        case "behind":
            words = _("Nothing may follow the statement of the signatory.")
        case "markup":
            words = _("Only plain words may stand here, without signs of markup and addresses.")
        case "unseen":
            words = _("There is a character that cannot be seen. Type the line anew.")
        case "commitments-differ":
            words = _("The languages have different numbers of commitments.")
        case "paragraphs-differ":
            words = _("The languages have different numbers of paragraphs before or after the commitments.")
        case "note-differs":
            words = _("Only some of the languages say that the text is a specimen.")
        case _other:
            words = _("The text has not the shape of an edition.")
    return str(words)
