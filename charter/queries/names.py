"""How a signature's name and affiliation read, for every query that shows them."""

from __future__ import annotations

from charter.models.affiliation import Affiliation
from charter.models.signature import Signature


def affiliation_name(signature: Signature, affiliation: Affiliation | None, language: str) -> str | None:
    """The matched affiliation's name in `language`, else the observer's own words; None on one's own."""
    return signature.affiliation_text if affiliation is None else affiliation.name[language]


def shown_name(signature: Signature) -> str | None:
    """The name that the public sees; None for one who is not listed by name."""
    return {"full": signature.full_name, "short": signature.short_name}.get(signature.display)
