"""Log lines: one JSON object each, naming endpoints and codes, never names, addresses, paths or tokens."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from charter.settings import Settings


def configure(config: Settings) -> None:
    """One format for the whole process, to standard error."""
    level = getattr(logging, config.log_level.upper())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(ensure_ascii=False)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    _speak_for_libraries(shared)


def _speak_for_libraries(shared: list[Any]) -> None:
    """What libraries have to warn of, in the same format. Their finer lines stay out: they may quote requests."""
    handler = _LibraryHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    for other in [one for one in root.handlers if isinstance(one, _LibraryHandler)]:
        root.removeHandler(other)
    root.addHandler(handler)
    logging.captureWarnings(True)


class _LibraryHandler(logging.StreamHandler[Any]):
    """Ours, so that configuring twice does not write twice."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setLevel(logging.WARNING)
