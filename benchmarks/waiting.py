"""Fills a database with people who signed and wait: straight into the tables, rows as the service makes them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.applicants import BROWSER, REGIONS, SURNAMES, address, number_word
from benchmarks.installation import Installation, names
from charter.domain import token as tokens
from charter.domain.hints import name_fold
from charter.domain.name import default_short_form, same_name_key

CHUNK = 50_000
CONSENTS = (("processing", "a" * 64), ("publication", "b" * 64))
BROWSER_DIGEST = hashlib.sha256(BROWSER.encode()).digest()

SIGNATURE = names(
    "id entry state version held kind full_name short_name display name_key affiliation_text region_code email mailbox"
    " language signed_language edition_slug browser_digest submitted_at name_fold"
)
LINK = names("id uid purpose signature_id token_digest tries created_at expires_at")
WORD = names("signature_id word")
CONSENT = names("signature_id kind text_sha256 language given_at")
EVENT = names("id signature_id at move state_before state_after actor")
MESSAGE = names(
    "id uid kind language recipient signature_id link_id values on_hold created_at due_at attempts done_at sent_at"
)


@dataclass(frozen=True)
class Waiting:
    """first, last: numbers of the people, which are their ids too."""

    first: int
    last: int


def link_uid(number: int) -> bytes:
    """Random ones would have to be kept; these can be computed again."""
    return hashlib.md5(b"link %d" % number, usedforsecurity=False).digest()


def confirm_token(key: bytes, number: int) -> str:
    """What the mail of this person brings."""
    return tokens.token(key, "confirm", link_uid(number))


def add(made: Installation, count: int, *, mail_sent: bool = True) -> Waiting:
    """`count` people who signed and have not confirmed. mail_sent: False leaves their first mail in the outbox."""
    edition = str(made.scalar("SELECT slug FROM edition WHERE is_current"))
    before = int(made.scalar("SELECT coalesce(max(id), 0) FROM signature"))
    now = datetime.now(UTC).replace(microsecond=0)
    # Other tables may have grown meanwhile by what was done with the people before.
    ids = {
        table: int(made.scalar(f"SELECT coalesce(max(id), 0) FROM {table}")) - before
        for table in ("link", "signature_event", "message")
    }
    add_consent_texts(made, now)
    for first in range(before + 1, before + count + 1, CHUNK):
        numbers = range(first, min(first + CHUNK, before + count + 1))
        made.load("signature", SIGNATURE, typed(made, (signature_row(one, edition, now) for one in numbers)))
        made.load("signature_word", WORD, (row for one in numbers for row in word_rows(one)))
        made.load("link", LINK, typed(made, (link_row(one + ids["link"], one, made.key, now) for one in numbers)))
        made.load("signature_consent", CONSENT, typed(made, (row for one in numbers for row in consent_rows(one, now))))
        made.load("signature_event", EVENT, typed(made, (_event(one, ids, now) for one in numbers)))
        made.load("message", MESSAGE, typed(made, (_message(one, ids, now, mail_sent) for one in numbers)))
    raise_sequences(made, "signature", "link", "signature_event", "message")
    made.settle()
    return Waiting(before + 1, before + count)


def raise_sequences(made: Installation, *tables: str) -> None:
    """PostgreSQL does not see ids that were given."""
    if made.engine == "postgresql":
        with made.connect() as connection:
            for table in tables:
                connection.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"
                )


def write_tokens(made: Installation, path: Path, numbers: range) -> None:
    """A file for the load client: number and token."""
    path.write_text("".join(f"{one} {confirm_token(made.key, one)}\n" for one in numbers), encoding="ascii")


def add_consent_texts(made: Installation, now: datetime) -> None:
    """The words that the people agreed to, if they are not there yet."""
    columns = names("sha256 kind language body first_used_at")
    present = {row[0] for row in made.rows("SELECT sha256 FROM consent_text")}
    rows = [(digest, kind, "kk", "words", now) for kind, digest in CONSENTS if digest not in present]
    made.load("consent_text", columns, typed(made, iter(rows)))


def full_name(number: int) -> str:
    """Everybody's own, made of words that many share."""
    return f"{number_word(number)} {SURNAMES[number % len(SURNAMES)]}"


def word_rows(number: int) -> Iterator[tuple[int, str]]:
    """In the order of WORD."""
    for word in dict.fromkeys(name_fold(full_name(number)).split()):
        yield (number, word)


def signature_row(number: int, edition: str, now: datetime) -> tuple[Any, ...]:
    """In the order of SIGNATURE."""
    name = full_name(number)
    mail = address(number, "bulk")
    return (
        number,
        hashlib.md5(b"entry %d" % number, usedforsecurity=False).hexdigest(),
        "submitted",
        1,
        False,
        "independent",
        name,
        default_short_form(name),
        "full",
        same_name_key(name),
        None,
        REGIONS[number % len(REGIONS)],
        mail,
        mail,
        "kk",
        "kk",
        edition,
        BROWSER_DIGEST,
        now,
        name_fold(name),
    )


def link_row(own: int, number: int, key: bytes, now: datetime) -> tuple[Any, ...]:
    """The confirmation link `own` of the signature `number`."""
    uid = link_uid(number)
    digest = tokens.token_digest(tokens.token(key, "confirm", uid))
    return (own, uid, "confirm", number, digest, 0, now, now + timedelta(days=7))


def consent_rows(number: int, now: datetime) -> Iterator[tuple[Any, ...]]:
    """In the order of CONSENT."""
    for kind, digest in CONSENTS:
        yield (number, kind, digest, "kk", now)


def _event(number: int, ids: dict[str, int], now: datetime) -> tuple[Any, ...]:
    return (number + ids["signature_event"], number, now, "sign", None, "submitted", "signatory")


def _message(number: int, ids: dict[str, int], now: datetime, is_sent: bool) -> tuple[Any, ...]:
    uid = hashlib.md5(b"message %d" % number, usedforsecurity=False).hexdigest()
    done = now if is_sent else None
    recipient = None if is_sent else address(number, "bulk")
    own, link = number + ids["message"], number + ids["link"]
    return (own, uid, "signing", "kk", recipient, number, link, "{}", False, now, now, int(is_sent), done, done)


def typed(made: Installation, rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """SQLite keeps instants as the service writes them: without a zone, with microseconds."""
    if made.engine == "postgresql":
        return rows
    return (
        tuple(value.strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(value, datetime) else value for value in row)
        for row in rows
    )
