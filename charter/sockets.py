"""The listening socket, and what supervisors are told: nothing here needs the web server's library."""

from __future__ import annotations

import contextlib
import os
import socket

#: Connections that the kernel keeps for us while all threads are busy, or while one process follows another.
BACKLOG = 1024
#: systemd hands sockets over from here on (sd_listen_fds(3)).
_FIRST_HANDED_OVER = 3

#: What supervisors are told (sd_notify(3)).
READY = "READY=1"
STOPPING = "STOPPING=1"


def bind(host: str, port: int) -> socket.socket:
    """A socket that children inherit; nobody can connect before it is told to listen. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(address)
        listener.setblocking(False)
        listener.set_inheritable(True)
    except OSError:
        listener.close()
        raise
    return listener


def adopt(fd: int) -> socket.socket:
    """A listening socket that somebody else opened and keeps open. Raises OSError."""
    listener = socket.socket(fileno=fd)
    if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise OSError(f"file descriptor {fd} does not listen")
    listener.setblocking(False)
    listener.set_inheritable(True)
    return listener


def handed_over() -> int | None:
    """The number of the socket that systemd opened for us (sd_listen_fds(3)), if it did."""
    if os.environ.get("LISTEN_PID") == str(os.getpid()) and os.environ.get("LISTEN_FDS") == "1":
        return _FIRST_HANDED_OVER
    return None


def tell_systemd(what: str) -> None:
    """One word of sd_notify(3), where systemd listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifying, contextlib.suppress(OSError):
        notifying.sendto(what.encode(), address)
