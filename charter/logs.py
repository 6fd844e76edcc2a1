"""Log lines: one JSON object each, naming endpoints and codes, never names, addresses, paths or tokens."""

from __future__ import annotations

import logging
import sys

import structlog

from charter.settings import Settings


def configure(config: Settings) -> None:
    """One format for the whole process, to standard error."""
    level = getattr(logging, config.log_level.upper())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
