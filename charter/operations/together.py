"""Calls of one verb that come while another is being carried out share the next transaction.

A commit waits for the disk, and a transaction costs as much as several rows. Whoever comes while nobody is at work goes
at once and alone; those who come meanwhile stand in line, and the first of them carries all of them out. Nobody waits
for company, and nobody is answered before the transaction that holds their rows is committed.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Generic, TypeVar

from sqlalchemy.exc import TimeoutError as WaitedTooLongError

from charter.models.breakdown import is_breakdown, is_kept_waiting

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Alone(Enum):
    """For an answer: this one has to go alone, somebody else is in its way and none of the others'."""

    ALONE = "alone"


ALONE = Alone.ALONE

#: Carries out what `close` returns, an answer or an exception for each. It calls `close` once it is inside of its
#: transaction, and again when it begins anew; the answer is the same.
CarryOut = Callable[[Callable[[], Sequence[Asked]]], Sequence[Answer | Exception | Alone]]


class _Place(Generic[Asked, Answer]):
    """One call. woken is released when it is answered, or has to act: leads its line, or goes alone.

    answer: until there is one, the error of a call that nobody answered.
    """

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.woken = threading.Lock()
        self.woken.acquire()
        self.answer: Answer | Exception = RuntimeError("nobody answered")
        self.leads = False
        self.is_alone = False


class Together(Generic[Asked, Answer]):
    """The line of one verb on one database in this process."""

    def __init__(
        self, carry_out: CarryOut[Asked, Answer], *, is_apart: Callable[[Asked, Asked], bool], most: int
    ) -> None:
        """is_apart: whether two calls must not share a transaction. most: calls in one transaction."""
        self._carry_out = carry_out
        self._is_apart = is_apart
        self._most = most
        self._mutex = threading.Lock()
        self._line: list[_Place[Asked, Answer]] = []
        self._is_busy = False

    def join(self, asked: Asked, *, seconds: float) -> Answer:
        """What came of this call; raises what it raised.

        seconds: how long to stand in line; then SQLAlchemy's TimeoutError, and nothing was stored.
        """
        mine: _Place[Asked, Answer] = _Place(asked)
        with self._mutex:
            mine.leads = not self._is_busy
            self._is_busy = True
            if not mine.leads:
                self._line.append(mine)
        if not mine.leads:
            try:
                self._wait(mine, time.monotonic() + seconds)
            except BaseException:
                self._leave(mine)
                raise
        if mine.leads:
            self._lead(mine)
        if mine.is_alone:
            (answer,) = self._carry_out(lambda: [asked])
            if not isinstance(answer, Alone):
                mine.answer = answer
        if isinstance(mine.answer, Exception):
            raise mine.answer
        return mine.answer

    def _wait(self, mine: _Place[Asked, Answer], until: float) -> None:
        if mine.woken.acquire(timeout=max(0.0, until - time.monotonic())):
            return
        with self._mutex:
            if mine in self._line:
                raise WaitedTooLongError("others were being carried out")
        # Somebody has taken it along, or is just handing the line over.
        mine.woken.acquire()

    def _leave(self, mine: _Place[Asked, Answer]) -> None:
        """It waits no longer, whatever ended it: nobody may be left waiting for it."""
        with self._mutex:
            if mine in self._line:
                self._line.remove(mine)
                return
        if mine.leads:
            self._hand_over()

    def _lead(self, mine: _Place[Asked, Answer]) -> None:
        """Carries out `mine` with those who have come until the transaction began; then the line is the next one's."""
        taken = [mine]
        is_closed = False

        def close() -> Sequence[Asked]:
            nonlocal is_closed
            if not is_closed:
                is_closed = True
                with self._mutex:
                    self._take_along(taken)
            return [place.asked for place in taken]

        try:
            answers = self._carry_out(close)
        except Exception as error:
            # Nothing is stored.
            if len(taken) == 1:
                raise
            if is_breakdown(error) and not is_kept_waiting(error):
                # Gone for one is gone for all. Each raises one of its own: a traceback grows where it is raised.
                for place in taken:
                    place.answer = copy.copy(error)
            else:
                # The fault of one of them, nobody knows whose.
                for place in taken:
                    place.is_alone = True
        except BaseException:
            # It may have been stored: to do it again could do it twice.
            for place in taken:
                place.answer = WaitedTooLongError("the process was told to end")
            raise
        else:
            for place, answer in list(zip(taken, answers, strict=True)):
                if isinstance(answer, Alone):
                    place.is_alone = True
                else:
                    place.answer = answer
        finally:
            self._hand_over()
            for place in taken[1:]:
                place.woken.release()

    def _take_along(self, taken: list[_Place[Asked, Answer]]) -> None:
        left = []
        for place in self._line:
            is_full = len(taken) == self._most
            if is_full or any(self._is_apart(place.asked, other.asked) for other in taken):
                left.append(place)
            else:
                taken.append(place)
        self._line = left

    def _hand_over(self) -> None:
        with self._mutex:
            if self._line:
                following = self._line.pop(0)
                following.leads = True
                following.woken.release()
            else:
                self._is_busy = False
