"""`flask --app charter log-key …`: show the log's keys, exchange them, and give away the public ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy.exc import SQLAlchemyError

from charter import clock, guard, log_key, publishing
from charter.log_key import Held, LogKeyError
from charter.operations import keys as operations
from charter.queries import schema
from charter.queries import tree as queries
from charter.queries.tree import LoggedKey
from charter.settings import Settings

#: Whoever pinned the older key can go on checking for so long after the newer one was added (LOG §3).
OVERLAP = timedelta(days=90)

_ROTATED = """\
A second key is made. It stands in the log with the next publication and is the chief one from then on. Checkpoints
then carry both signatures, so that whoever knows only the older key can go on for {days} days. In that time give
everybody the new one (log-key export-public): certificates, partners, auditors. Make a copy of {name} and keep it
apart from the backups. After {days} days: flask --app charter log-key retire {old}"""
_LOST = """\
A new key is made for the log {origin}. Nothing signed by the lost one vouches for it: whoever checks the log has to
be given the new public key (log-key export-public) by a way they trust, and will ask why. Say publicly what happened.
Make a copy of {name} and keep it apart from the backups. After the next publication retire the lost one:
flask --app charter log-key show; flask --app charter log-key retire ID --now"""
_RETIRED_NOW = """\
The key signs nothing any more, from this moment, without the {days} days that others count on. Whoever knows only
that key can check no new checkpoint: give them the new one by a way they trust, and say publicly since when the old
key must not be believed. Its thief, if there is one, can still sign in its name: only who has heard of the `retire` in
the log is safe from that, and kept checkpoints and witnesses show a forged history."""


@click.group("log-key")
def log_key_group() -> None:
    """The keys that sign the public log."""


@log_key_group.command()
@with_appcontext
def show() -> None:
    """The log's name, its keys, since when they sign, and what was signed last. No secret is shown."""
    settings = _settings()
    with _sentences():
        held, logged = _held_or_none(settings), _logged()
        chief = publishing.who_signs(held, logged)[0].vkey if held else None
        last = guard.read(settings)
    if not held and not logged:
        click.echo("There is no key yet: the worker makes one at its first publication.")
        return
    origin = held[0].key.name if held else logged[0].vkey.partition("+")[0]
    click.echo(f"Log: {origin}")
    signed = "nothing yet" if last is None else f"{last.size} leaves"
    click.echo(f"Signed last, as the guard knows it: {signed}")
    named = {one.vkey: one for one in logged}
    for vkey in dict.fromkeys([*named, *(one.vkey for one in held)]):
        state = _state(vkey, named.get(vkey), held, logged, is_chief=vkey == chief)
        click.echo(f"\n{_id(vkey)}  {state}\n  {vkey}")


@log_key_group.command()
@click.option("--lost", is_flag=True, help="The only key is lost: begin with a new one, for which nothing vouches.")
@with_appcontext
def rotate(lost: bool) -> None:
    """Make a second key, which becomes the chief one. Both sign until the older one is retired, 90 days later."""
    settings = _settings()
    with _sentences():
        _replace_lost(settings) if lost else _rotate(settings)


@log_key_group.command()
@click.argument("which", metavar="KEY")
@click.option("--now", "at_once", is_flag=True, help="For a lost or stolen key: without waiting for the 90 days.")
@with_appcontext
def retire(which: str, at_once: bool) -> None:
    """Let a KEY (its id or the whole of it) sign no more, and destroy it here. The last one cannot be retired."""
    settings = _settings()
    with _sentences():
        _retire(settings, which, at_once=at_once)


@log_key_group.command("export-public")
@with_appcontext
def export_public() -> None:
    """Print the keys to check the log with, the chief one first, for everybody to keep."""
    settings = _settings()
    with _sentences():
        for one in publishing.who_signs(log_key.held(settings), _logged()):
            click.echo(one.vkey)


# ── what they do ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _rotate(settings: Settings) -> None:
    held, logged = log_key.held(settings), _logged()
    named = {one.vkey: one for one in logged}
    signing = [one for one in publishing.who_signs(held, logged) if one.vkey in named]
    if not signing or len(signing) < len([one for one in held if not _is_retired(named.get(one.vkey))]):
        raise click.ClickException("A key waits for its leaf in the log. Let the worker publish first.")
    if len(signing) > 1:
        raise click.ClickException(f"Two keys sign already. Retire the older one first: {_id(signing[-1].vkey)}.")
    made = log_key.add(settings)
    operations.announce(made.vkey, now=clock.now())
    click.echo(_ROTATED.format(days=OVERLAP.days, name=log_key.path_of(settings), old=_id(signing[0].vkey)), err=True)
    click.echo(made.vkey)


def _replace_lost(settings: Settings) -> None:
    if log_key.path_of(settings).exists():
        raise click.ClickException(f"There is a {log_key.NAME}. Move it away first if it is useless.")
    with schema.connection() as connection:
        newest = queries.newest(connection) if queries.has_tree(connection) else None
    if newest is None:
        raise click.ClickException("The log has not begun: the worker makes its key at the first publication.")
    made = log_key.make(settings, origin=newest.origin)
    operations.announce(made.vkey, now=clock.now())
    click.echo(_LOST.format(origin=newest.origin, name=log_key.path_of(settings)), err=True)
    click.echo(made.vkey)


def _retire(settings: Settings, which: str, *, at_once: bool) -> None:
    held, logged = log_key.held(settings), _logged()
    named = {one.vkey: one for one in logged}
    known = dict.fromkeys([*named, *(one.vkey for one in held)])
    vkeys = [vkey for vkey in known if which in {vkey, _id(vkey)}]
    if len(vkeys) != 1:
        raise click.ClickException(f"There is no key {which}. They are: {', '.join(map(_id, known))}.")
    vkey = vkeys[0]
    if not _is_retired(named.get(vkey)):
        others = [one for one in publishing.who_signs(held, logged) if one.vkey != vkey and one.vkey in named]
        if not others:
            raise click.ClickException(
                "This is the last key that signs. Make another first (log-key rotate), and let the worker publish."
            )
        until = _counted_on_until(vkey, logged)
        if not at_once and (until is None or clock.now() < until):
            raise click.ClickException(
                f"Others may count on this key{'' if until is None else f' until {_day(until)}'}."
                " If it is lost or stolen, say --now."
            )
        operations.retire(vkey, now=clock.now())
        if at_once:
            click.echo(_RETIRED_NOW.format(days=OVERLAP.days), err=True)
    if any(one.vkey == vkey for one in held):
        log_key.remove(settings, vkey)
    click.echo(f"{_id(vkey)} signs nothing any more. The log says so with the next publication.")


# ── what is known of a key ───────────────────────────────────────────────────────────────────────────────────────────


def _settings() -> Settings:
    settings: Settings = current_app.config["CHARTER"]
    return settings


def _logged() -> list[LoggedKey]:
    with schema.connection() as connection:
        return queries.keys(connection) if queries.has_tree(connection) else []


def _held_or_none(settings: Settings) -> list[Held]:
    try:
        return log_key.held(settings)
    except LogKeyError as error:
        if error.code != "no_key":
            raise
        return []


def _state(vkey: str, one: LoggedKey | None, held: list[Held], logged: list[LoggedKey], *, is_chief: bool) -> str:
    """In words."""
    is_here = any(key.vkey == vkey for key in held)
    if one is None:
        return "signs, and waits for its leaf in the log" if is_chief else "waits for its leaf in the log"
    since = f"in the log since {_day(one.added_at)}"
    if one.retired_at is not None:
        return f"{since}, retired {_day(one.retired_at)}"
    if not is_here:
        return f"{since}, not here: put it back, or retire it if it is lost"
    if is_chief:
        return f"{since}, signs (chief)"
    until = _counted_on_until(vkey, logged)
    return f"{since}, signs too; may be retired from {'' if until is None else _day(until)}"


def _counted_on_until(vkey: str, logged: list[LoggedKey]) -> datetime | None:
    """The end of the overlap with the key that came after this one; None while none has."""
    order = [one.vkey for one in logged]
    after = logged[order.index(vkey) + 1 :] if vkey in order else []
    return after[0].added_at + OVERLAP if after else None


def _is_retired(one: LoggedKey | None) -> bool:
    return one is not None and one.retired_at is not None


def _id(vkey: str) -> str:
    """The eight digits by which people call a key."""
    return vkey.split("+")[1]


def _day(at: datetime) -> str:
    return at.strftime("%Y-%m-%d")


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except LogKeyError as error:
        text = str(error)
        raise click.ClickException(f"{text[0].upper()}{text[1:]}.") from None
    except guard.GuardError:
        raise click.ClickException(f"{guard.NAME} holds something that is no guard.") from None
    except OSError as error:
        raise click.ClickException(f"A file cannot be read or written: {error.strerror}.") from None
    except SQLAlchemyError as error:
        reason = type(getattr(error, "orig", None) or error).__name__
        raise click.ClickException(f"The database cannot be used ({reason}).") from None
