"""Who may be the same person: other signatures side by side with the one that is reviewed, over three alphabets."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, union_all

from charter.domain import hints
from charter.domain.signature import LIVE, State
from charter.models.affiliation import Affiliation, Region
from charter.models.base import db
from charter.models.signature import Signature
from charter.queries.names import affiliation_name
from charter.queries.namesakes import around

#: More columns than this nobody compares.
MOST_SHOWN = 4
_LOOKED_AT = 40
_KNOWN = (*sorted(LIVE), State.DECLINED.value, State.WITHDRAWN.value, State.EXPIRED.value)


@dataclass(frozen=True)
class Neighbour:
    """One column. is_here: of the reader's regions; elsewhere only state and region are told.

    differs: names of the fields that are not as in the signature under review; `name` only where it is another name
    in any alphabet and order.
    """

    signature_id: int
    is_here: bool
    state: str
    region: str
    full_name: str = ""
    kind: str = ""
    affiliation_name: str | None = None
    mail_domain: str = ""
    is_same_mailbox: bool = False
    submitted_at: datetime | None = None
    confirmed_at: datetime | None = None
    number: int | None = None
    differs: frozenset[str] = frozenset()


def find_neighbours(signature_id: int, language: str, *, regions: Collection[str] | None = None) -> list[Neighbour]:
    """Itself and, behind it, up to MOST_SHOWN others, the likeliest first; an empty list without any. Three queries.

    regions: codes that the reader is responsible for; None: all.
    """
    own = db.session.execute(
        select(Signature.full_name, Signature.mailbox, Signature.name_key, Signature.name_fold).where(
            Signature.id == signature_id, Signature.full_name != ""
        )
    ).first()
    if own is None:
        return []
    fold = own.name_fold or hints.name_fold(own.full_name)
    mailbox = select(Signature.id).where(Signature.mailbox == own.mailbox, Signature.state.in_(_KNOWN))
    names = around(fold, states=_KNOWN, same=_LOOKED_AT, beside=_LOOKED_AT * 2)
    ids = union_all(select(mailbox.limit(_LOOKED_AT).subquery().c.id), names).subquery()
    close = []
    for row in db.session.execute(
        select(Signature.id, Signature.mailbox, Signature.name_fold).where(
            Signature.id.in_(select(ids.c.id)), Signature.id != signature_id
        )
    ):
        alike = hints.likeness(row.name_fold or "", fold)
        score = (100.0 if row.mailbox == own.mailbox else 0.0) + (200.0 if row.name_fold == fold else alike)
        if row.mailbox == own.mailbox or alike >= hints.ALIKE:
            close.append((-score, -row.id, row.id))
    chosen = [signature_id, *(place[2] for place in sorted(close)[:MOST_SHOWN])]
    # Asked also where it is alone: a page costs the same whoever else has signed.
    rows = {
        row[0].id: row
        for row in db.session.execute(
            select(Signature, Region, Affiliation)
            .join(Region, Region.code == Signature.region_code)
            .outerjoin(Affiliation, Affiliation.id == Signature.affiliation_id)
            .where(Signature.id.in_(chosen))
        )
    }
    first = rows[signature_id][0]
    found = [_column(*rows[one], first, language, regions) for one in chosen if one in rows]
    return found if len(found) > 1 else []


def _column(
    signature: Signature,
    region: Region,
    affiliation: Affiliation | None,
    first: Signature,
    language: str,
    regions: Collection[str] | None,
) -> Neighbour:
    # Its own column is always there: whoever may not see it gets no dossier.
    is_here = signature is first or regions is None or signature.region_code in regions
    if not is_here:
        return Neighbour(signature.id, is_here=False, state=signature.state, region=region.short[language])
    pairs = {
        "name": (signature.name_fold, first.name_fold),
        "kind": (signature.kind, first.kind),
        "affiliation": (
            (signature.affiliation_id, signature.affiliation_text),
            (first.affiliation_id, first.affiliation_text),
        ),
        "region": (signature.region_code, first.region_code),
        "address": (signature.mailbox, first.mailbox),
    }
    return Neighbour(
        signature.id,
        is_here=True,
        state=signature.state,
        region=region.short[language],
        full_name=signature.full_name,
        kind=signature.kind,
        affiliation_name=affiliation_name(signature, affiliation, language),
        mail_domain=signature.email.rpartition("@")[2],
        is_same_mailbox=signature.mailbox == first.mailbox,
        submitted_at=signature.submitted_at,
        confirmed_at=signature.confirmed_at,
        number=signature.number,
        differs=frozenset(name for name, (one, other) in pairs.items() if one != other),
    )
