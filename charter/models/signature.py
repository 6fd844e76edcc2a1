"""Signatures: what an observer wrote, the consents given, the append-only history, and the links that were mailed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    delete,
    event,
    insert,
    inspect,
    text,
)
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Mapped, mapped_column

from charter.domain.signature import Move, State, after
from charter.models.base import Base, BigId

_STATES = ", ".join(f"'{state}'" for state in State)
#: Ordered by bytes, whatever the locale of the database: SQLite does so anyway.
_BY_BYTES = String(400).with_variant(String(400, collation="C"), "postgresql")
#: Conditions of partial indexes: a query that is to use one says the same, letter by letter.
PENDING = text("state IN ('confirmed', 'clarification')")
OWN_WORDS = text("state IN ('confirmed', 'clarification') AND affiliation_text IS NOT NULL")
UNCONFIRMED = text("state IN ('submitted', 'expired')")
TO_REMIND = text("state = 'submitted' AND NOT held AND reminded_at IS NULL")
DECLINED = text("state = 'declined'")
REVOKED = text("state = 'revoked'")


class Signature(Base):
    """One observer's act of signing. Personal columns are for the signatory and the Centre's reviewers only."""

    __tablename__ = "signature"
    __table_args__ = (
        CheckConstraint(f"state IN ({_STATES})", name="state"),
        CheckConstraint("kind IN ('party', 'independent', 'international')", name="kind"),
        CheckConstraint("display IN ('full', 'short', 'unlisted')", name="display"),
        CheckConstraint("language IN ('kk', 'ru', 'en') AND signed_language IN ('kk', 'ru', 'en')", name="language"),
        CheckConstraint("affiliation_id IS NULL OR affiliation_text IS NULL", name="one_affiliation"),
        # The queue: oldest due first. Partial, so that a million decided ones cost it nothing.
        Index(
            "ix_signature_queue",
            "due_on",
            "id",
            postgresql_where=text("state IN ('confirmed', 'clarification')"),
            sqlite_where=text("state IN ('confirmed', 'clarification')"),
        ),
        Index(
            "ix_signature_held",
            "id",
            postgresql_where=text("held AND state = 'submitted'"),
            sqlite_where=text("held AND state = 'submitted'"),
        ),
        Index(
            "ix_signature_queue_region",
            "state",
            "region_code",
            "due_on",
            "id",
            postgresql_where=PENDING,
            sqlite_where=PENDING,
        ),
        Index(
            "ix_signature_queue_affiliation",
            "state",
            "affiliation_id",
            "due_on",
            "id",
            postgresql_where=PENDING,
            sqlite_where=PENDING,
        ),
        Index(
            "ix_signature_queue_kind", "state", "kind", "due_on", "id", postgresql_where=PENDING, sqlite_where=PENDING
        ),
        Index("ix_signature_queue_state", "state", "due_on", "id", postgresql_where=PENDING, sqlite_where=PENDING),
        Index(
            "ix_signature_own_words",
            "affiliation_text",
            "kind",
            "id",
            postgresql_where=OWN_WORDS,
            sqlite_where=OWN_WORDS,
        ),
        Index("ix_signature_mailbox", "mailbox", "name_key"),
        Index("ix_signature_name_fold", "name_fold"),
        # What has a term: never confirmed, by the day it was signed; declined, by the day it ended.
        Index(
            "ix_signature_unconfirmed",
            "submitted_at",
            "id",
            postgresql_where=UNCONFIRMED,
            sqlite_where=UNCONFIRMED,
        ),
        Index("ix_signature_to_remind", "submitted_at", "id", postgresql_where=TO_REMIND, sqlite_where=TO_REMIND),
        Index("ix_signature_declined", "ended_at", "id", postgresql_where=DECLINED, sqlite_where=DECLINED),
        Index("ix_signature_revoked", "ended_at", "id", postgresql_where=REVOKED, sqlite_where=REVOKED),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    entry: Mapped[str] = mapped_column(String(32), unique=True)  # random; the permanent public address once published
    state: Mapped[str] = mapped_column(String(16))
    version: Mapped[int] = mapped_column(default=1)  # rises with every change; a page that saw another one is told
    held: Mapped[bool] = mapped_column(default=False)  # silently set aside for a human before confirmation
    kind: Mapped[str] = mapped_column(String(16))  # public once published
    full_name: Mapped[str] = mapped_column(String(120))  # public as `display` says; erased with the person
    short_name: Mapped[str] = mapped_column(String(120))
    display: Mapped[str] = mapped_column(String(8))
    name_key: Mapped[str] = mapped_column(String(400))  # NFC, case-folded, one space: "same name"
    affiliation_id: Mapped[int | None] = mapped_column(ForeignKey("affiliation.id"))
    affiliation_text: Mapped[str | None] = mapped_column(String(200))  # as typed where none matched
    region_code: Mapped[str] = mapped_column(ForeignKey("region.code"))
    email: Mapped[str] = mapped_column(String(320))  # never public; where mail goes
    mailbox: Mapped[str] = mapped_column(String(320))  # the address in its form for comparison
    language: Mapped[str] = mapped_column(String(2))  # of the mails
    signed_language: Mapped[str] = mapped_column(String(2))  # of the text and consents that were read
    edition_slug: Mapped[str] = mapped_column(ForeignKey("edition.slug"))
    browser_digest: Mapped[bytes] = mapped_column(LargeBinary(32))  # SHA-256 of the signing browser's cookie
    submitted_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    due_on: Mapped[date | None]  # the day an answer is due; never moved later
    ended_at: Mapped[datetime | None]
    number: Mapped[int | None] = mapped_column(unique=True)  # registry number, given at first publication
    held_because: Mapped[str | None] = mapped_column(String(16))  # which limit or sign set it aside; staff only
    reminded_at: Mapped[datetime | None]  # the one reminder to confirm was queued
    name_fold: Mapped[str | None] = mapped_column(_BY_BYTES)  # folded words in order: similar names; erased with it
    is_indexable: Mapped[bool | None]  # whether search engines may keep the entry's page; None: as the service does
    application_line: Mapped[bytes | None] = mapped_column(
        LargeBinary
    )  # record line rev 0 with its salt, the applicant's

    def move(self, move: Move, *, back_to: State | None = None) -> State:
        """Makes a transition of the one table, or raises MoveRefusedError. Returns the state before."""
        before = State(self.state)
        self.state = after(before, move, back_to=back_to).value
        self.version += 1
        return before


class SignatureWord(Base):
    """A folded word of a name, by which staff find people in every state. For staff; goes with the name."""

    __tablename__ = "signature_word"
    __table_args__ = (Index("ix_signature_word_word", "word", "signature_id"),)

    signature_id: Mapped[int] = mapped_column(ForeignKey("signature.id"), primary_key=True, autoincrement=False)
    word: Mapped[str] = mapped_column(_BY_BYTES, primary_key=True)


def words_of(name_fold: str | None) -> tuple[str, ...]:
    """Each word of a folded name, once."""
    return tuple(dict.fromkeys((name_fold or "").split()))


def write_words(connection: Connection, signature_id: int, name_fold: str | None) -> None:
    """Writes the words of a signature that has none yet."""
    write_all_words(connection, [(signature_id, name_fold)])


def write_all_words(connection: Connection, folds: Sequence[tuple[int, str | None]]) -> None:
    """The same for many in one statement: (signature id, folded name)."""
    rows = [{"signature_id": signature_id, "word": word} for signature_id, fold in folds for word in words_of(fold)]
    if rows:
        connection.execute(_INSERT_WORDS, rows)


_INSERT_WORDS = insert(SignatureWord)


@event.listens_for(Signature, "after_insert")
def _words_with_name(_mapper: object, connection: Connection, signature: Signature) -> None:
    write_words(connection, signature.id, signature.name_fold)


@event.listens_for(Signature, "after_update")
def _words_follow_name(_mapper: object, connection: Connection, signature: Signature) -> None:
    # Here and not in each verb: whoever destroys a name must not be able to forget its words.
    changed = inspect(signature).attrs.name_fold.history
    if changed.has_changes():
        connection.execute(delete(SignatureWord).where(SignatureWord.signature_id == signature.id))
        write_words(connection, signature.id, signature.name_fold)


class SignatureConsent(Base):
    """A consent: which text, in which language, when. Append-only. For the signatory and the Centre."""

    __tablename__ = "signature_consent"

    signature_id: Mapped[int] = mapped_column(ForeignKey("signature.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)  # processing | publication
    text_sha256: Mapped[str] = mapped_column(ForeignKey("consent_text.sha256"))
    language: Mapped[str] = mapped_column(String(2))
    given_at: Mapped[datetime]


class SignatureEvent(Base):
    """One move in the life of a signature. Append-only; holds no personal data of the signatory."""

    __tablename__ = "signature_event"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    signature_id: Mapped[int] = mapped_column(ForeignKey("signature.id"), index=True)
    at: Mapped[datetime]
    move: Mapped[str] = mapped_column(String(16))
    state_before: Mapped[str | None] = mapped_column(String(16))
    state_after: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str] = mapped_column(String(16))  # signatory | centre | service
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    reason: Mapped[str | None] = mapped_column(String(40))  # a code of the catalogue


class Link(Base):
    """A secret that was mailed, as digest only: the token itself is computed when the mail is delivered."""

    __tablename__ = "link"
    __table_args__ = (CheckConstraint("purpose IN ('confirm', 'personal', 'act')", name="purpose"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    uid: Mapped[bytes] = mapped_column(LargeBinary(16))  # random; worthless without the key in `instance/`
    purpose: Mapped[str] = mapped_column(String(16))
    signature_id: Mapped[int] = mapped_column(ForeignKey("signature.id"), index=True)
    token_digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)  # SHA-256 of the token
    tries: Mapped[int] = mapped_column(default=0)  # wrong codes so far
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]


class Clarification(Base):
    """A question to the signatory and the answer. For the two of them; the texts go when the person is erased."""

    __tablename__ = "clarification"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    signature_id: Mapped[int] = mapped_column(ForeignKey("signature.id"), index=True)
    decision_id: Mapped[int] = mapped_column(ForeignKey("decision.id"), unique=True)
    answer: Mapped[str | None] = mapped_column(Text)
    answered_at: Mapped[datetime | None]
