"""How far `prepare` is: a bar a modality on a terminal, a JSON line every tenth of the way otherwise."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from shared.logs import get_logger

__all__ = ["shown_progress"]

log = get_logger()


class RateColumn(ProgressColumn):
    """Inputs a second, or a minute when they are slow."""

    def render(self, task: Task) -> Text:
        """The rate of one bar; nothing before the first input is done."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:.1f}/s" if speed >= 1 else f"{60 * speed:.1f}/min", style="progress.data.speed")


@contextmanager
def shown_progress(site: str) -> Iterator[Callable[[str, int, int], None]]:
    """A function to call with (what, done, total)."""
    if not sys.stderr.isatty():
        yield Lines(site).move
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), RateColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def move(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield move


@dataclass
class Lines:
    """JSON lines with rate and time left."""

    site: str
    started: dict[str, tuple[float, int]] = field(default_factory=dict)  # what -> when it was first heard of, done then

    def move(self, what: str, done: int, total: int) -> None:
        """A line when another tenth is done."""
        now = time.monotonic()
        since, before = self.started.setdefault(what, (now, done))
        if done != total and done * 10 // total == max(done - 1, 0) * 10 // total:
            return
        rate = (done - before) / (now - since) if now > since else 0.0
        left = {"per_second": round(rate, 2), "seconds_left": round((total - done) / rate)} if rate > 0 else {}
        log.info("preparing", site=self.site, what=what, done=done, total=total, **left)
