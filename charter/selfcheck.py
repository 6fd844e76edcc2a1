"""The worker looks whether what is shown is still what the log says: slowly, all the time, a few rows at once.

Triggers stop whoever forgets that the log only grows; whoever drops them first can change any row. What was changed so
is found here, and from outside by `charter.tlog.verify`. Until it is mended nothing is published, and so nothing is
signed that stands on it. Findings are kept in a file beside the guard: they outlast the process, and every process of
the machine can tell of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import structlog

from charter import lasting
from charter.queries import schema, selfcheck
from charter.queries.selfcheck import WALKS, Finding
from charter.settings import Settings

logger = structlog.get_logger()

NAME = "selfcheck.json"
FOUND = "the registry differs from its log"
LINE = (
    "the database shows what its log does not say (selfcheck.json beside log.guard says where): somebody has changed it"
    " by hand; nothing is published until it is mended"
)

#: Between two steps, each of which reads some hundred rows in a few hundredths of a second: a round through a million
#: entries takes about an hour.
STEP_SECONDS = 1.0
#: Between two rounds through everything.
ROUND_SECONDS = 900.0
#: What was found is looked at again so often.
AGAIN_SECONDS = 10.0
#: No more are kept: the first ones say where to look.
MOST_KEPT = 100

_MODE = 0o644


class NotYetError(Exception):
    """The tree does not cover all leaves yet, so that nothing can be compared."""


class SelfCheck:
    """One worker's walk through the database. Where it was is forgotten with the process; what it found is not."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._walks = list(WALKS)
        self._walk, self._position = 0, 0
        self._not_before = self._again_at = 0.0
        self._found: list[Finding] = []

    def step(self, *, at_once: bool = False) -> bool:
        """Looks at a little, if it is time; returns whether the round goes on. Needs an application context.

        at_once: as if it were time. Raises SQLAlchemyError.
        """
        now = time.monotonic()
        if at_once or now >= self._again_at:
            self._again_at = now + AGAIN_SECONDS
            # Another worker may have found or mended something.
            self._found = list(kept(self._settings))
            self._look_again()
        if now < self._not_before and not at_once:
            return False
        self._not_before = now + STEP_SECONDS
        if not selfcheck.is_possible():
            schema.let_go()
            return False
        name = self._walks[self._walk]
        seen = selfcheck.look(name, self._position)
        schema.let_go()
        self._add(seen.findings)
        if seen.following is not None:
            self._position = seen.following
            return True
        self._position = 0
        self._walk = (self._walk + 1) % len(self._walks)
        if self._walk == 0:
            self._not_before = now + ROUND_SECONDS
        return self._walk != 0

    def _add(self, found: Sequence[Finding]) -> None:
        new = [one for one in found if one not in self._found][: MOST_KEPT - len(self._found)]
        if not new:
            return
        for one in new:
            logger.error("self-check", code=one.code, walk=one.walk)
        self._found += new
        self._keep()

    def _look_again(self) -> None:
        """What was mended is struck out."""
        if not self._found:
            return
        steps = {(one.walk, one.position) for one in self._found}
        still = {
            finding for walk, position in sorted(steps) for finding in selfcheck.look(walk, position, most=1).findings
        }
        schema.let_go()
        left = [one for one in self._found if one in still]
        if left != self._found:
            self._found = left
            self._keep()
            logger.info("self-check", left=len(left))

    def _keep(self) -> None:
        path = path_of(self._settings)
        if self._found:
            data = json.dumps([asdict(one) for one in self._found], indent=1, sort_keys=True)
            lasting.replace(path, f"{data}\n".encode(), mode=_MODE)
        else:
            path.unlink(missing_ok=True)


def path_of(settings: Settings) -> Path:
    """Where findings are kept; no file where there are none."""
    return settings.log_path / NAME


def kept(settings: Settings) -> Sequence[Finding]:
    """What was found and is not mended. A file that cannot be read counts as one finding."""
    try:
        return [Finding(**one) for one in json.loads(path_of(settings).read_text())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError):
        return [Finding("entries", 0, "file", NAME)]


def may_publish(settings: Settings) -> bool:
    """Whether nothing is known that speaks against it; costs one look at a folder."""
    return not path_of(settings).exists()


def check_all(settings: Settings) -> Sequence[Finding]:
    """One whole round at once; what was found. Needs an application context. Raises NotYetError and SQLAlchemyError."""
    is_possible = selfcheck.is_possible()
    schema.let_go()
    if not is_possible:
        raise NotYetError
    walker = SelfCheck(settings)
    while walker.step(at_once=True):
        pass
    return kept(settings)
