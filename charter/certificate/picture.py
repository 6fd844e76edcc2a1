"""A picture to share: that somebody signed the Charter, with as much of a name as they choose."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from charter.certificate import guilloche
from charter.certificate.letters import pieces, printable, tied
from charter.certificate.paper import GOLD, WATER
from charter.certificate.typesetting import make_png
from charter.i18n import _, current_language, format_number

FULL: Final = "full"
SHORT: Final = "short"
NONE: Final = "none"
CHOICES: Final = (FULL, SHORT, NONE)


@dataclass(frozen=True)
class Picture:
    """record: the entry's line. name: as chosen, empty for none. charter: title of the edition in this language.

    edition_digest: of its bytes, 64 hex digits. address: under which the registry is found, without a scheme.
    """

    record: bytes
    name: str
    charter: str
    edition_digest: str
    address: str


def picture(chosen: Picture) -> bytes:
    """PNG, 1200 × 630 pixels, in the current language. Raises BusyError."""
    record = json.loads(chosen.record)
    # Number and rosette lead to the entry. A picture that says another name than the registry, or none, has neither:
    # whoever chose that would otherwise be found by them.
    is_same = bool(chosen.name) and chosen.name == record.get("name")
    digest = hashlib.sha256(chosen.record).digest() if is_same else bytes.fromhex(chosen.edition_digest)
    drawn = guilloche.rosette(digest)
    return make_png(
        "picture.typ",
        {
            "language": current_language(),
            "sentence": tied(_("I have signed the Charter")),
            "charter": tied(printable(chosen.charter)),
            "name": pieces(printable(chosen.name), 24) if chosen.name else None,
            "number": _("Registry no. %(number)s", number=format_number(record["number"])) if is_same else None,
            "address": chosen.address,
            "seal": guilloche.svg(drawn.seal, colour=GOLD, width=3.4),
            "watermark": guilloche.svg(drawn.ground, colour=WATER, width=3),
        },
    )
