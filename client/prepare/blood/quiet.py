"""transformers without its progress bars and loading reports, which would land between our own lines."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["quiet_transformers"]


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Only errors are logged inside, and no progress bar is drawn; afterwards as before."""
    from transformers.utils import logging

    log: Any = logging  # its functions carry no types
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()
