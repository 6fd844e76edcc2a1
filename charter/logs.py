"""Log lines: one JSON object each, naming endpoints and codes, never names, addresses, paths or tokens."""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any, TextIO

import structlog

from charter import clock, meters
from charter.settings import Settings

#: Libraries whose words are about the machinery only. Of all others a line tells where it was written, not what it
#: says: they quote requests, rows and addresses.
_SPEAK_FREELY = ("alembic", "_granian")
_MOST_FRAMES = 30
_MOST_CAUSES = 5

_RENDER = structlog.processors.JSONRenderer(ensure_ascii=False)
_STAMP = structlog.processors.TimeStamper(fmt="iso", utc=True)


def configure(config: Settings) -> None:
    """One format for the whole process, to standard error."""
    global _lines, _tells_requests
    stream = _Lenient(sys.stderr)
    _lines = structlog.PrintLogger(stream)  # type: ignore[arg-type]
    _tells_requests = getattr(logging, config.log_level.upper()) <= logging.INFO
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _STAMP,
            _without_words,
            _count_errors,
            _RENDER,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, config.log_level.upper())),
        logger_factory=structlog.PrintLoggerFactory(stream),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
    _speak_for_libraries()


class _Lenient:
    """A stream that loses a line rather than a request: its disk may be full, or its reader gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


_lines: structlog.PrintLogger | None = None
_tells_requests = False


def request_answered(*, endpoint: str | None, method: str, status: int, seconds: float, request_id: str | None) -> None:
    """The line of one request, written out here because it is the one that every answer waits for."""
    if not _tells_requests or _lines is None:
        return
    if not (method.isascii() and method.isalpha()):
        method = "?"
    _lines.msg(
        f'{{"event": "request", "endpoint": {_quoted(endpoint)}, "method": "{method}", "status": {status},'
        f' "milliseconds": {seconds * 1000:.1f}, "request_id": {_quoted(request_id)}, "level": "info",'
        f' "timestamp": "{clock.now().isoformat()[:-6]}Z"}}'
    )


def _quoted(word: str | None) -> str:
    """As JSON. Endpoints are names of ours, and an id is hexadecimal: neither has anything to escape."""
    return "null" if word is None else f'"{word}"'


def speak_for_process() -> None:
    """What would end a thread, or be lost in a destructor, becomes a line too; for web and worker, not for commands."""

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if not isinstance(args.exc_value, SystemExit):
            structlog.get_logger().error("bug in a thread", exc_info=args.exc_value)

    def unraisable(args: Any) -> None:
        structlog.get_logger().warning("ignored", exc_info=args.exc_value)

    threading.excepthook = in_thread
    sys.unraisablehook = unraisable


def about_granian() -> dict[str, Any]:
    """How the web server's own processes write: in the same format, and never a line for each request."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"lines": {"class": "charter.logs.LibraryHandler"}},
        "loggers": {
            "_granian": {"handlers": ["lines"], "level": "ERROR", "propagate": False},
            # Its lines hold paths, and paths hold tokens.
            "granian.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
        },
    }


# ── what an exception may say ────────────────────────────────────────────────────────────────────────────────────────


def described(error: BaseException) -> dict[str, Any]:
    """An exception without its words, which may quote a person: the types it consists of, and where it came about."""
    return {"exception": [_type_name(one) for one in _causes(error)], "where": _frames(error.__traceback__)}


def _type_name(error: BaseException) -> str:
    # The driver's own error tells more than the wrapper: its class is its SQLSTATE's name.
    inner = getattr(error, "orig", None)
    name = type(error).__qualname__
    return f"{name} ({type(inner).__qualname__})" if isinstance(inner, BaseException) else name


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    count = 0
    while error is not None and count < _MOST_CAUSES:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        count += 1


def _frames(trace: TracebackType | None) -> list[str]:
    """Innermost last, as module, line and function: a file's path would say where we are installed."""
    found = []
    for frame, line in traceback.walk_tb(trace):
        module = frame.f_globals.get("__name__", "?")
        found.append(f"{module}:{line} {frame.f_code.co_name}")
    return found[-_MOST_FRAMES:]


def _without_words(_logger: Any, _method: str, entry: Any) -> Any:
    error = entry.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    elif isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        entry.update(described(error))
    entry.pop("stack_info", None)
    return entry


def _count_errors(_logger: Any, _method: str, entry: Any) -> Any:
    if entry.get("level") in {"error", "critical"}:
        meters.error_written()
    return entry


# ── libraries ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _speak_for_libraries() -> None:
    """What libraries have to warn of, in the same format. Their finer lines stay out: they may quote requests."""
    root = logging.getLogger()
    for other in [one for one in root.handlers if isinstance(one, LibraryHandler)]:
        root.removeHandler(other)
    root.addHandler(LibraryHandler())
    logging.captureWarnings(True)
    # Flask would add a handler of its own that writes plain text as soon as it has something to say.
    logging.getLogger("charter").addHandler(logging.NullHandler())
    granian = about_granian()["loggers"]
    for name in granian:
        # Its workers have set these up before the application was loaded.
        for handler in list(logging.getLogger(name).handlers):
            logging.getLogger(name).removeHandler(handler)
    logging.getLogger("_granian").propagate = True
    logging.getLogger("granian.access").disabled = True


class LibraryHandler(logging.StreamHandler[Any]):
    """A library's record as one of our lines. A class of its own, so that configuring twice does not write twice."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setLevel(logging.WARNING)

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object; of the words only what cannot quote anybody."""
        entry: dict[str, Any] = {
            "event": "library",
            "logger": record.name,
            "at": f"{record.module}:{record.lineno}",
            "level": record.levelname.lower(),
        }
        words = _harmless_words(record)
        if words:
            entry["words"] = words
        if record.exc_info:
            entry["exc_info"] = record.exc_info
        structlog.contextvars.merge_contextvars(None, record.levelname, entry)
        line = _RENDER(None, "", _count_errors(None, "", _without_words(None, "", _STAMP(None, "", entry))))
        return str(line)

    def handleError(self, record: logging.LogRecord) -> None:
        """A record that cannot be written is let go: the base class would print it with all its values."""


def _harmless_words(record: logging.LogRecord) -> str | None:
    if record.name.partition(".")[0] in _SPEAK_FREELY:
        return record.getMessage().splitlines()[0] if record.msg else None
    if record.name == "py.warnings":
        # "file:line: Category: text" has become the one value of "%s"; the category is a class of some library.
        found = re.search(r":([0-9]+): (\w+): ", str(record.args[0]) if isinstance(record.args, tuple) else "")
        return found[2] if found else None
    if record.args and isinstance(record.msg, str):
        return record.msg  # the pattern, without what would be put into it
    return None
