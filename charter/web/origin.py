"""From where and how a sign form comes: its network, how long it was open, its proof of work."""

from __future__ import annotations

from datetime import date, datetime

from flask import current_app, request

from charter import shipped
from charter.domain.email import EmailAddress
from charter.domain.network import domain_of, network_of
from charter.domain.start import make_start, seconds_since
from charter.operations.limits import HOUR, Limits, Origin, keep_day_key, network_digest
from charter.settings import Settings
from charter.web import proof_of_work
from charter.web.forms.signing import SignForm

_KEPT = "day keys"


def limits_of(settings: Settings) -> Limits:
    """What signing is limited to."""
    return Limits(
        per_mailbox=settings.signings_per_mailbox_hour,
        per_network=settings.signings_per_network_hour,
        per_domain=settings.signings_per_domain_hour,
        per_minute=settings.signings_per_minute,
        proof_from=settings.proof_of_work_from,
    )


def origin_of(form: SignForm, address: EmailAddress, *, settings: Settings, now: datetime) -> Origin:
    """Where this request comes from. The network is that of the nearest machine that no proxy of ours vouches for."""
    key = settings.secret_key.encode()
    domain = domain_of(address.address)
    seconds = seconds_since(key, form.start.data, now)
    return Origin(
        networks=_networks(key, now),
        domain=domain,
        is_domain_shared=domain in shipped.large_mail_domains() or domain in settings.large_mail_domains,
        seconds=seconds,
        oddity=_oddity(form, seconds, least=settings.signing_least_seconds),
        work=proof_of_work.check(key, request.form["proof"], now=now) if is_proof_asked() else None,
    )


def is_proof_asked() -> bool:
    """Whether the form that came back had a place for a proof of work."""
    return "proof" in request.form


def keep_start(form: SignForm, *, settings: Settings, now: datetime) -> None:
    """A form keeps the moment when it was first shown, through errors and languages; one without gets this one."""
    key = settings.secret_key.encode()
    if seconds_since(key, form.start.data, now) is None:
        form.start.data = make_start(key, now)


def _oddity(form: SignForm, seconds: int | None, *, least: int) -> str | None:
    if form.website.data:
        return "trap"
    if not least:
        return None
    if seconds is None:
        return "start"
    # Below zero the clock went back: nothing is known, and nothing is said.
    return "haste" if 0 <= seconds < least else None


def _networks(key: bytes, now: datetime) -> tuple[bytes, ...]:
    network = network_of(request.remote_addr)
    if network is None:
        return ()
    days = dict.fromkeys((now.date(), (now - HOUR).date()))
    return tuple(network_digest(network, key=key, day_key=_day_key(day)) for day in days)


def _day_key(day: date) -> bytes:
    """Asked for once a day by each process."""
    kept: dict[date, bytes] = current_app.extensions.setdefault(_KEPT, {})
    if day not in kept:
        found = keep_day_key(day)
        # Only the last few: a process that ran for two weeks would know what must be forgotten.
        for old in sorted(kept)[:-1]:
            kept.pop(old, None)
        kept[day] = found
    return kept[day]
