"""The progress of a command: a bar for each thing that is being done, or a line now and then."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from simulations.ready import Progress

__all__ = ["EVERY_S", "progress_bars"]

EVERY_S = 10.0
"""Between two lines where there are no bars."""


@contextmanager
def progress_bars(console: Console) -> Iterator[Progress]:
    """What a command tells its progress to: bars on a terminal, elsewhere a line every EVERY_S seconds."""
    with (_bars if console.is_terminal else _lines)(console) as progress:
        yield progress


@contextmanager
def _lines(console: Console) -> Iterator[Progress]:
    started, over, now = time.monotonic(), Event(), ["starting"]

    def progress(what: str, done: int, total: int) -> None:
        now[0] = f"{what}: {done} of {total} done"

    def tell() -> None:
        while not over.wait(EVERY_S):
            console.print(
                f"{time.monotonic() - started:.0f} s, {now[0]}", soft_wrap=True, markup=False, highlight=False
            )

    teller = Thread(target=tell, name="progress", daemon=True)
    teller.start()
    try:
        yield progress
    finally:
        over.set()
        teller.join()


@contextmanager
def _bars(console: Console) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield progress
