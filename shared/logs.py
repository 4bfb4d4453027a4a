"""structlog: people's lines on a terminal, JSON lines otherwise; times in UTC."""

import logging
import sys
from typing import Any

import structlog

__all__ = ["configure_logs", "get_logger"]

get_logger = structlog.get_logger


def configure_logs(level: int = logging.INFO, *, plain: bool = False) -> None:
    """Send log lines to standard error: coloured on a terminal, JSON otherwise; `plain`, as `warning: sentence`."""
    renderer: Any = structlog.processors.JSONRenderer(sort_keys=True)
    if plain:
        renderer = _sentence
    elif sys.stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer()
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


def _sentence(_: Any, __: str, event: Any) -> str:
    """`warning: what happened (name value, ...)`, for a person who started the command; a traceback below."""
    level, said, trace = event.pop("level"), event.pop("event"), event.pop("exception", "")
    facts = ", ".join(f"{name} {value}" for name, value in sorted(event.items()) if name != "timestamp")
    return f"{level}: {said}{f' ({facts})' if facts else ''}{f'{chr(10)}{trace}' if trace else ''}"
