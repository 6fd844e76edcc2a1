"""Who keeps the registry, as pages and mails name it: what staff have set, over the settings file."""

from __future__ import annotations

import time
from dataclasses import dataclass

from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from charter.domain.centre import Identity
from charter.queries import centre as queries
from charter.queries import schema
from charter.queries.centre import Centre
from charter.settings import Settings

#: A mail names the Centre as it was called so long ago at most.
RECENT_SECONDS = 1.0
_KEPT = "charter.centre"


@dataclass(frozen=True)
class Known:
    """The values that pages and mails show; empty ones were never entered. As settings they are called `centre_…`."""

    name: str
    bin: str
    address: str
    contact: str


def known_of(identity: Identity | None, config: Settings) -> Known:
    """What staff have set is the whole truth; before that the settings file is."""
    if identity is None:
        return Known(config.centre_name, config.centre_bin, config.centre_address, config.centre_contact)
    return Known(identity.name, identity.bin, identity.address, identity.contact)


def recent(config: Settings) -> Known:
    """Outside of requests, where mails are written: read from the database at most once a second.

    Leaves no transaction open. Needs an application context.
    """
    at, found = current_app.extensions.get(_KEPT, (-RECENT_SECONDS, Centre()))
    if time.monotonic() - at >= RECENT_SECONDS:
        try:
            found = queries.find_public()
        except SQLAlchemyError:
            # A mail is not given up for a name at its foot: whatever else is broken will say so itself.
            return known_of(found.identity, config)
        finally:
            schema.let_go()
        current_app.extensions[_KEPT] = (time.monotonic(), found)
    return known_of(found.identity, config)
