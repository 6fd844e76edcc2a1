"""What each commitment of the Charter rests on in international documents."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from charter.domain.languages import Texts, texts


class StandardsError(ValueError):
    """A list of standards that cannot be used."""


@dataclass(frozen=True, slots=True)
class RestsOn:
    """document: key of the document; where: article or paragraph, None where that is not certain;
    topic: in our words, not a quotation.
    """

    document: str
    name: Texts
    year: int
    where: str | None
    topic: Texts


def parse_standards(data: bytes) -> Mapping[int, tuple[RestsOn, ...]]:
    """The standards by the number of the commitment, 1 … n without gaps. Raises StandardsError."""
    try:
        content = json.loads(data)
        documents = content["documents"]
        by_number = {
            entry["number"]: tuple(_rests_on(item, documents) for item in entry["rests_on"])
            for entry in content["commitments"]
        }
        in_order = [entry["number"] for entry in content["commitments"]] == list(range(1, len(by_number) + 1))
    except (ValueError, KeyError, TypeError) as error:
        raise StandardsError(f"the list of standards has not the expected shape: {error}") from error
    if not by_number or not in_order or not all(by_number.values()):
        raise StandardsError("each commitment is named once, in order, and rests on something")
    return MappingProxyType(by_number)


def _rests_on(item: dict[str, Any], documents: dict[str, Any]) -> RestsOn:
    document = documents[item["document"]]
    where = item["where"]
    if type(document["year"]) is not int or not (where is None or (isinstance(where, str) and where)):
        raise ValueError(f"{item['document']}: the year is a number, the place a text or null")
    return RestsOn(
        document=item["document"],
        name=texts(document["name"]),
        year=document["year"],
        where=where,
        topic=texts(item["topic"]),
    )
