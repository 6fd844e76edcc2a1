"""No test talks to the outside: a connection or a look-up that would leave this machine fails the test that made it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest


class OutsideSocketError(AssertionError):
    """A test tried to reach another machine."""


def is_here(host: object) -> bool:
    """Whether a host means this machine: no name is looked up to find out."""
    if host is None or host in {"", "localhost", b"localhost"}:
        return True
    text = host.decode() if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return text == socket.gethostname()


def _guarded(original: Callable[..., Any]) -> Callable[..., Any]:
    def connect(self: socket.socket, address: Any, *more: Any) -> Any:
        # Addresses of other families, such as a path of a Unix socket, cannot leave this machine.
        if self.family in {socket.AF_INET, socket.AF_INET6} and not is_here(address[0]):
            raise OutsideSocketError(f"a connection to {address[0]!r}")
        return original(self, address, *more)

    return connect


def _guarded_look_up(original: Callable[..., Any]) -> Callable[..., Any]:
    def look_up(host: Any, *more: Any, **options: Any) -> Any:
        if not is_here(host):
            raise OutsideSocketError(f"a look-up of {host!r}")
        return original(host, *more, **options)

    return look_up


@pytest.fixture(autouse=True, scope="session")
def only_here() -> Iterator[None]:
    """Holds for the whole run, so also for what other fixtures do."""
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex"):
        patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        patch.setattr(socket, name, _guarded_look_up(getattr(socket, name)))
    yield
    patch.undo()
