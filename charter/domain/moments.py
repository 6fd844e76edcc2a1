"""Moments that were planned ahead, and a clock that may have gone back since.

Whatever waits for a moment knows how far ahead it was planned at most. If the moment lies further away than that, the
clock has gone back, and waiting on would take as long as it jumped: the moment counts as come.
"""

from __future__ import annotations

from datetime import datetime, timedelta

#: A decision can be taken back for so long at most (the greatest value of the setting `undo_seconds`).
LONGEST_UNDO = timedelta(seconds=600)
#: The last mail to somebody who has left is waited for so long at most before everything about them is destroyed.
LONGEST_FAREWELL = timedelta(hours=72)
#: Machines that share a database do not agree to the second; less than this is no jump.
CLOCK_SLACK = timedelta(minutes=5)


def has_come(moment: datetime, *, now: datetime, longest: timedelta) -> bool:
    """Whether `moment` lies in the past, or further ahead than `longest`, its greatest distance when it was planned."""
    return moment <= now or moment > now + longest + CLOCK_SLACK


def is_recent(moment: datetime, *, now: datetime, within: timedelta) -> bool:
    """Whether `moment` lies less than `within` back. One ahead of us by more than clocks disagree is not recent."""
    return now - within < moment <= now + CLOCK_SLACK
