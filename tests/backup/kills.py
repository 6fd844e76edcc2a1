"""Kill -9 at a chosen step, for certain: in a child of the test that runs into it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

#: No act of a test takes so long; a fork of a process with threads may stand still.
LONGEST_SECONDS = 120.0


def killed_at(module: Any, name: str, act: Callable[[], object], *, after: bool = False) -> None:
    """Runs `act` in a child that is killed when it calls `module.name`, or just after; fails if it never does."""
    child = os.fork()
    if child == 0:
        try:
            real = getattr(module, name)

            def fatal(*args: Any, **kwargs: Any) -> None:
                if after:
                    real(*args, **kwargs)
                os.kill(os.getpid(), signal.SIGKILL)

            setattr(module, name, fatal)
            act()
        finally:
            os._exit(1)
    status = _status_of(child, name)
    assert os.WIFSIGNALED(status), f"{name} was never reached"
    assert os.WTERMSIG(status) == signal.SIGKILL


def _status_of(child: int, name: str) -> int:
    give_up = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < give_up:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError(f"{name}: the child stands still")
