"""The life of a signature: its states, the moves between them, and who may make each."""

from __future__ import annotations

from enum import StrEnum

from charter.domain.errors import MoveRefusedError


class State(StrEnum):
    """Where a signature stands; stored as its value."""

    SUBMITTED = "submitted"
    CONFIRMED = "confirmed"
    CLARIFICATION = "clarification"
    APPROVED = "approved"
    PUBLISHED = "published"
    EXPIRED = "expired"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    REVOKED = "revoked"
    ERASED = "erased"


class Move(StrEnum):
    """What can happen to a signature; every move writes one append-only event with this value."""

    SIGN = "sign"
    CONFIRM = "confirm"
    ASK = "ask"
    ANSWER = "answer"
    APPROVE = "approve"
    DECLINE = "decline"
    PUBLISH = "publish"
    WITHDRAW = "withdraw"
    EXPIRE = "expire"
    CORRECT = "correct"
    UNDO = "undo"
    RELEASE = "release"
    REVOKE = "revoke"
    ERASE = "erase"
    SHOW = "show"  # how much of the entry is shown, and to whom
    PROPOSE = "propose"  # a correction of what is published
    RECALL = "recall"
    AMEND = "amend"  # the Centre agrees to it
    KEEP = "keep"  # the Centre leaves the entry as it is
    AFFIRM = "affirm"  # the signatory stands by a later edition of the Charter
    # These leave the state as it is, so the table below does not know them.
    RENEW = "renew"
    READDRESS = "readdress"
    OBJECT = "object"
    UPHOLD = "uphold"
    REJECT = "reject"
    REOPEN = "reopen"  # the first of an application that an upheld objection took up again, under a new entry
    HAND_OVER = "hand-over"
    ENTER = "enter"  # the first of an application that the Centre took from a list of people


class Actor(StrEnum):
    """The role that made a move; never a name."""

    SIGNATORY = "signatory"
    CENTRE = "centre"
    SERVICE = "service"


class Display(StrEnum):
    """How the public sees the name (LOG §1), from the least to the most."""

    UNLISTED = "unlisted"
    SHORT = "short"
    FULL = "full"


def is_larger(display: str, than: str) -> bool:
    """Whether the public sees more of a name by the first of these than by the second."""
    order = list(Display)
    return order.index(Display(display)) > order.index(Display(than))


#: The one table of transitions. An approval straight from `clarification` is allowed: an answer may have
#: reached the Centre by telephone, and making the reviewer invent a written one would falsify the history.
TRANSITIONS: dict[tuple[State, Move], State] = {
    (State.SUBMITTED, Move.CONFIRM): State.CONFIRMED,
    (State.SUBMITTED, Move.EXPIRE): State.EXPIRED,
    (State.SUBMITTED, Move.WITHDRAW): State.WITHDRAWN,
    (State.SUBMITTED, Move.RELEASE): State.SUBMITTED,
    (State.CONFIRMED, Move.ASK): State.CLARIFICATION,
    (State.CONFIRMED, Move.APPROVE): State.APPROVED,
    (State.CONFIRMED, Move.DECLINE): State.DECLINED,
    (State.CONFIRMED, Move.WITHDRAW): State.WITHDRAWN,
    (State.CONFIRMED, Move.CORRECT): State.CONFIRMED,
    (State.CLARIFICATION, Move.ANSWER): State.CONFIRMED,
    (State.CLARIFICATION, Move.APPROVE): State.APPROVED,
    (State.CLARIFICATION, Move.DECLINE): State.DECLINED,
    (State.CLARIFICATION, Move.WITHDRAW): State.WITHDRAWN,
    (State.CLARIFICATION, Move.CORRECT): State.CLARIFICATION,
    (State.APPROVED, Move.PUBLISH): State.PUBLISHED,
    (State.APPROVED, Move.WITHDRAW): State.WITHDRAWN,
    (State.PUBLISHED, Move.WITHDRAW): State.WITHDRAWN,
    (State.PUBLISHED, Move.REVOKE): State.REVOKED,
    # The entry stays, with its number, while a correction of it is asked for and decided on.
    **{
        (State.PUBLISHED, move): State.PUBLISHED
        for move in (Move.SHOW, Move.PROPOSE, Move.RECALL, Move.AMEND, Move.KEEP)
    },
    # A later edition of the Charter is affirmed wherever one stands; nobody reviews it.
    **{
        (state, Move.AFFIRM): state for state in (State.CONFIRMED, State.CLARIFICATION, State.APPROVED, State.PUBLISHED)
    },
    # What stands is withdrawn first (LOG §5).
    (State.SUBMITTED, Move.ERASE): State.ERASED,
    (State.EXPIRED, Move.ERASE): State.ERASED,
    (State.DECLINED, Move.ERASE): State.ERASED,
    (State.WITHDRAWN, Move.ERASE): State.ERASED,
    (State.REVOKED, Move.ERASE): State.ERASED,
}

#: The states a decision leads to, and so the only ones an undo may leave.
DECIDED = frozenset({State.APPROVED, State.DECLINED, State.CLARIFICATION})
#: What a reviewer has still to answer.
PENDING = frozenset({State.CONFIRMED, State.CLARIFICATION})
#: Confirmed by mail and not ended: a second signature under the same name and address adds nothing.
STANDING = frozenset({State.CONFIRMED, State.CLARIFICATION, State.APPROVED, State.PUBLISHED})
#: Counts as one of the people behind a mailbox.
LIVE = STANDING | {State.SUBMITTED}


def after(state: State, move: Move, *, back_to: State | None = None) -> State:
    """The state that `move` leads to.

    back_to: for `Move.UNDO` only, the state before the decision that is undone.
    Raises MoveRefusedError where the table has no such transition.
    """
    if move is Move.UNDO:
        if state in DECIDED and back_to in PENDING and back_to is not None:
            return back_to
        # Of an objection that was upheld seconds ago: what it took up again was never confirmed.
        if state is State.CONFIRMED and back_to is State.EXPIRED:
            return back_to
        # Of an invalidation that is undone: what was never confirmed waits for that again.
        if state is State.EXPIRED and back_to is State.SUBMITTED:
            return back_to
        raise MoveRefusedError(state, move)
    try:
        return TRANSITIONS[(state, move)]
    except KeyError:
        raise MoveRefusedError(state, move) from None


def may(state: State, move: Move) -> bool:
    """Whether the table has this transition, for pages that offer only what will work."""
    return (state, move) in TRANSITIONS
