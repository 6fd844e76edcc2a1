"""The typed refusals that operations raise and doors translate, each carrying only data that may be shown."""

from __future__ import annotations


class CharterError(Exception):
    """Something the caller asked for cannot be done; never a fault of the service."""


class NotFoundError(CharterError):
    """No such thing, or not for this audience: the two are never told apart."""


class MoveRefusedError(CharterError):
    """The signature is not in a state that allows this move."""

    def __init__(self, state: str, move: str) -> None:
        super().__init__(f"{move} is not possible while {state}")
        self.state = state
        self.move = move


class DecidedMeanwhileError(CharterError):
    """Somebody, a colleague or the signatory, changed the application after the page was shown."""

    def __init__(self, *, state: str, by_staff_name: str | None) -> None:
        super().__init__("changed meanwhile")
        self.state = state
        self.by_staff_name = by_staff_name


class DutyRefusedError(CharterError):
    """The role of this account does not include the act, or its regions do not include the place."""


class AlreadyProposedError(CharterError):
    """The same thing waits for a second person already."""


class SamePersonError(CharterError):
    """What needs a second person was to be approved by the one who proposed it."""


class SameReviewerError(CharterError):
    """An objection is answered by somebody else than who decided."""


class TooLateError(CharterError):
    """The ten seconds for undoing have passed."""


class TooOftenError(CharterError):
    """The same person has changed this as often as a day allows."""


class FieldRefusedError(CharterError):
    """A field has the right shape but no meaning here, such as a party that no longer exists."""

    def __init__(self, field: str, code: str) -> None:
        super().__init__(f"{field}: {code}")
        self.field = field
        self.code = code


class NotYoursError(CharterError):
    """The act asks for the browser that signed, or for a fresh code, and has neither."""
