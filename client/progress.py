"""How far `prepare` is: a bar on a terminal, a JSON line every tenth of the way otherwise."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from shared.logs import get_logger

__all__ = ["shown_progress"]

log = get_logger()
COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


@contextmanager
def shown_progress(site: str) -> Iterator[Callable[[str, int, int], None]]:
    """A function to call with (what, done, total)."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: _line(site, what, done, total)
        return
    with Progress(*COLUMNS, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def move(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield move


def _line(site: str, what: str, done: int, total: int) -> None:
    if done == total or done * 10 // total > (done - 1) * 10 // total:
        log.info("preparing", site=site, what=what, done=done, total=total)
