"""structlog: people's lines on a terminal, JSON lines otherwise; times in UTC."""

import logging
import sys

import structlog

__all__ = ["configure_logs", "get_logger"]

get_logger = structlog.get_logger


def configure_logs(level: int = logging.INFO) -> None:
    """Send log lines to standard error: coloured on a terminal, JSON otherwise."""
    terminal = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(sort_keys=True)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
