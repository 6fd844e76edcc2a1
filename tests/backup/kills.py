"""Kill -9 at a chosen step, for certain: in a child of the test that runs into it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any


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
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"{name} was never reached"
    assert os.WTERMSIG(status) == signal.SIGKILL
