"""The certificate: what stands on it, taken from the entry's record, its receipt and the text that was signed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from charter.certificate import guilloche
from charter.certificate.letters import MISSING, pieces, printable, tied
from charter.certificate.typesetting import make_pdf
from charter.domain.edition import EditionText
from charter.i18n import _, current_language, format_date, format_number
from charter.tlog import leaf, proof

#: Longest words that are set whole: in the smallest type these fill a line.
_LONGEST_IN_NAME, _LONGEST_IN_AFFILIATION = 24, 36
GOLD, WATER, INK = "#b07d12", "#e3edf1", "#16202c"


@dataclass(frozen=True)
class Paper:
    """What a certificate is made of. Everything but `own_name` is public.

    record: the entry's line, byte for byte. proof_text: its receipt. own_name: for a record without a name, the name
    that its holder knows. kind, region: of the record, in words. edition: the text in this language; edition_digest:
    of its bytes. vkey: of the log. public_url: without a path.
    """

    record: bytes
    proof_text: str
    own_name: str
    kind: str
    region: str
    edition: EditionText
    edition_digest: str
    vkey: str
    centre: str
    public_url: str

    @property
    def verify_url(self) -> str:
        """Where the QR code leads."""
        return f"{self.public_url}/{current_language()}/verify/?number={json.loads(self.record)['number']}"


def certificate(paper: Paper) -> bytes:
    """The PDF in the current language: the same bytes whenever it is made of the same. Raises BusyError."""
    record = json.loads(paper.record)
    digest = hashlib.sha256(paper.record).digest()
    drawn = guilloche.rosette(digest)
    return make_pdf(
        "certificate.typ",
        {
            "language": current_language(),
            "words": _words(paper, record, digest.hex()),
            "verify_url": paper.verify_url,
            "qr": qr_svg(paper.verify_url),
            "seal": guilloche.svg(drawn.seal, colour=GOLD, width=3.4),
            "watermark": guilloche.svg(drawn.ground, colour=WATER, width=2.4),
            "files": [
                {
                    "name": "record.json",
                    "text": paper.record.decode(),
                    "type": "application/json",
                    "about": _("The line of the entry, as it stands in the registry"),
                },
                {
                    "name": "receipt.tlog-proof",
                    "text": paper.proof_text,
                    "type": "text/plain",
                    "about": _("The receipt: the proof that the log contains this line"),
                },
            ],
        },
        at=published_at(paper.proof_text),
    )


def published_at(proof_text: str) -> datetime:
    """When the record was published: the time of the leaf that commits to it, UTC."""
    return leaf.parse_time(json.loads(proof.read(proof_text).extra)["t"])


def _words(paper: Paper, record: dict[str, Any], digest: str) -> dict[str, Any]:
    is_unlisted = "name" not in record
    edition, number = paper.edition, format_number(record["number"])
    name = record.get("name", paper.own_name)
    # One's own is said as well; of somebody unlisted nothing is.
    affiliation = None if is_unlisted else record.get("affiliation_name", _("on their own"))
    shown_url = paper.verify_url.partition("://")[2]
    words: dict[str, Any] = {
        "title": _("Certificate no. %(number)s", number=number),
        "centre": paper.centre,
        "kicker": _("Certificate"),
        "charter": edition.title,
        "sentence": _(
            "has signed the Charter and stands in its public registry under number %(number)s.", number=number
        ),
        "holder_only": None,
        "facts": [
            (_("Registry number"), number),
            (_("Signed"), format_date(date.fromisoformat(record["signed"]))),
            (_("Edition of the Charter"), record["charter"]),
            (_("Observer"), paper.kind),
            (_("Region"), paper.region),
            (_("Record published"), format_date(published_at(paper.proof_text))),
        ],
        "statement_title": edition.statement_heading,
        "statement": edition.statement,
        "check_title": _("How to check it"),
        "check": [
            _("Scan the code or open the address below: it shows whether the entry still stands."),
            _(
                "Two files are attached to this PDF, record.json and receipt.tlog-proof. With them anyone can check,"
                " without trusting us, that the registry’s log contains this entry."
            ),
        ],
        "verify_shown": shown_url,
        "qr_alt": _("QR code with the address %(address)s", address=shown_url),
        "digests": [
            (_("Text of the Charter, SHA-256"), paper.edition_digest),
            (_("Record, SHA-256"), digest),
            (_("Key of the log"), paper.vkey),
        ],
        "foot": [
            *([edition.specimen_note] if edition.specimen_note else []),
            _("Joining the Charter does not replace accreditation and gives no special rights at a polling station."),
        ],
    }
    if is_unlisted:
        words["holder_only"] = (
            _("For its holder only"),
            _(
                "The registry shows this entry without a name. Whoever sees this paper learns whose it is. The attached"
                " record holds no name, so the name is not proved by it."
            ),
        )
    words = _set_well(words)
    shown = printable(name), None if affiliation is None else printable(affiliation)
    if shown != (name, affiliation):
        words["foot"].append(
            _("%(sign)s stands for a letter that our fonts lack; the attached record has it.", sign=MISSING)
        )
    words["name"] = pieces(shown[0], _LONGEST_IN_NAME)
    words["affiliation"] = None if shown[1] is None else (printable(_("Affiliation")), _fitted(shown[1]))
    # With a long name and a long affiliation the rest stands closer.
    words["is_tight"] = len(name) + len(affiliation or "") > 150 or (is_unlisted and len(name) > 60)
    return words


def _fitted(affiliation: str) -> str | list[list[str]]:
    """As it is where it stands in a line or two in any case: measuring it takes time."""
    parts = pieces(affiliation, _LONGEST_IN_AFFILIATION)
    return affiliation if len(affiliation) <= 60 and all(len(word) == 1 for word in parts) else parts


def _set_well(value: Any) -> Any:
    """The same in printable letters and with no short word left alone, whatever it is made of."""
    if isinstance(value, str):
        return tied(printable(value))
    if isinstance(value, dict):
        return {key: _set_well(one) for key, one in value.items()}
    return [_set_well(one) for one in value] if isinstance(value, (list, tuple)) else value


def qr_svg(address: str) -> str:
    """The address as a QR code, without a margin."""
    # Late, like Typst.
    import segno

    # A fixed mask: choosing the best of eight takes longer than all the rest of the code, and any of them is read.
    code = segno.make(address, error="m", micro=False, boost_error=False, mask=2)
    side = len(code.matrix)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}"><path fill="{INK}" d="'
        + "".join(_row(y, row) for y, row in enumerate(code.matrix))
        + '"/></svg>'
    )


def _row(y: int, row: bytearray) -> str:
    """The dark modules of one row, as rectangles as long as they go."""
    runs, start = [], None
    for x, dark in enumerate((*row, 0)):
        if dark and start is None:
            start = x
        elif not dark and start is not None:
            runs.append(f"M{start} {y}h{x - start}v1h-{x - start}z")
            start = None
    return "".join(runs)
