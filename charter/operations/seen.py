"""What was signed lately, for the limits of signing: one statement for all who sign together.

Every count looks at a bounded number of rows of an index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import TextClause, bindparam, text

from charter.domain.moments import CLOCK_SLACK
from charter.domain.signature import LIVE, State
from charter.models.base import Instant, db
from charter.operations.limits import HOUR, MINUTE, MOST_OF_A_MAILBOX, Limits, Origin, Seen

#: A minute's newest signings that are looked at, for each that the overall limit allows.
_LOOK_BACK = 4

_NEAR = "FROM signature WHERE mailbox = given.mailbox LIMIT :mailbox_most"
_STANDS = f"""
state IN ({", ".join(f"'{state.value}'" for state in sorted(LIVE))}) AND NOT held
AND (state <> '{State.SUBMITTED.value}' OR submitted_at > :waiting_since)
"""
#: Written out: built of pieces it would be three times as long, and psycopg forgets how it read what is longer than
#: 4,096 characters or has more than fifty parameters. The limits are inside of what is counted, so that what lies
#: beyond them is not even looked at.
_SEEN = f"""
WITH given (place, mailbox, name_key, network, former_network, domain) AS (VALUES %s)
SELECT given.place,
(SELECT count(*) FROM (SELECT 1 {_NEAR}) AS near),
(SELECT count(*) FROM (SELECT submitted_at {_NEAR}) AS near WHERE submitted_at > :hour_ago AND submitted_at <= :soon),
(SELECT count(DISTINCT near.name_key) FROM (SELECT name_key, state, held, submitted_at {_NEAR}) AS near
WHERE near.name_key <> given.name_key AND {_STANDS}),
(SELECT count(*) FROM (SELECT name_key, state, held, submitted_at {_NEAR}) AS near
WHERE near.name_key = given.name_key AND {_STANDS}),
(SELECT count(*) FROM (SELECT 1 FROM signing_trace WHERE network IN (given.network, given.former_network)
AND at > :hour_ago AND at <= :soon LIMIT :network_most) AS near),
(SELECT count(*) FROM (SELECT 1 FROM signing_trace WHERE domain = given.domain
AND at > :hour_ago AND at <= :soon LIMIT :domain_most) AS near),
lately.signed, lately.worked
FROM given CROSS JOIN (
SELECT count(*) AS signed, count(CASE WHEN proof IS NULL OR proof = 'solved' THEN 1 END) AS worked
FROM (SELECT proof FROM signing_trace WHERE at > :minute_ago AND at <= :soon
ORDER BY at DESC LIMIT :minute_most) AS near) AS lately
ORDER BY given.place
"""  # noqa: S608 - constants of ours only


@dataclass(frozen=True)
class Asking:
    """Whose signings are looked for."""

    mailbox: str
    name_key: str
    origin: Origin


def look_back(askings: Sequence[Asking], *, limits: Limits, waiting_since: datetime, now: datetime) -> list[Seen]:
    """What was signed lately, for each of a few; the same statement for everybody.

    Rows that lie ahead of the clock by more than clocks disagree are from before it was set back, and do not count.
    """
    given: dict[str, Any] = {
        "waiting_since": waiting_since,
        "hour_ago": now - HOUR,
        "minute_ago": now - MINUTE,
        "soon": now + CLOCK_SLACK,
        "mailbox_most": MOST_OF_A_MAILBOX,
        "network_most": limits.per_network,
        "domain_most": limits.per_domain,
        "minute_most": max(limits.per_minute * _LOOK_BACK, limits.proof_from),
    }
    for place, asking in enumerate(askings):
        # What is empty is nobody's; a provider of many people has no limit.
        networks = asking.origin.networks or (b"",)
        given[f"mailbox_{place}"] = asking.mailbox
        given[f"name_key_{place}"] = asking.name_key
        given[f"network_{place}"] = networks[0]
        given[f"former_network_{place}"] = networks[-1]
        given[f"domain_{place}"] = "" if asking.origin.is_domain_shared else (asking.origin.domain or "")
    return [Seen(*row[1:]) for row in db.session.connection().execute(_seen_by(len(askings)), given)]


@cache
def _seen_by(count: int) -> TextClause:
    """The statement for so many, made once."""
    rows = (
        f"({place}, :mailbox_{place}, :name_key_{place}, :network_{place}, :former_network_{place}, :domain_{place})"
        for place in range(count)
    )
    moments = ("waiting_since", "hour_ago", "minute_ago", "soon")
    return text(_SEEN % ", ".join(rows)).bindparams(*(bindparam(name, type_=Instant()) for name in moments))
