"""The threads that the slides of a site share: some read tiles, some encode batches, and order is kept throughout.

What comes out depends on neither their number nor their timing, and what waits in between is bounded.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor, wait
from itertools import islice
from threading import Event
from types import TracebackType
from typing import TypeVar

__all__ = ["Crew", "in_batches"]

Given = TypeVar("Given")
Made = TypeVar("Made")


class Crew:
    """Readers and encoders, to be used as a context manager.

    Parameters
    ----------
    readers
        Threads that read, decode and filter tiles.
    encoders
        Encoding calls at once.
    """

    def __init__(self, readers: int, encoders: int) -> None:
        self.readers = readers
        self.encoders = encoders
        self._stopped = Event()
        self._reading = ThreadPoolExecutor(readers, "read")
        self._encoding = ThreadPoolExecutor(encoders, "encode")

    def __enter__(self) -> "Crew":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._reading.shutdown(cancel_futures=True)
        self._encoding.shutdown(cancel_futures=True)

    def stop(self) -> None:
        """Let every `read` and `encode` that is under way end with CancelledError."""
        self._stopped.set()

    def read(self, work: Callable[[Given], Made], items: Iterable[Given], ahead: int) -> Iterator[Made]:
        """`work` on every item by the readers, results in the order of the items, at most `ahead` waiting."""
        return self._in_order(self._reading, work, items, max(ahead, self.readers))

    def encode(self, work: Callable[[Given], Made], items: Iterable[Given]) -> Iterator[Made]:
        """`work` on every item by the encoders, results in the order of the items; each encoder has one in waiting."""
        return self._in_order(self._encoding, work, items, 2 * self.encoders)

    def _in_order(
        self, pool: Executor, work: Callable[[Given], Made], items: Iterable[Given], ahead: int
    ) -> Iterator[Made]:
        running: deque[Future[Made]] = deque()
        try:
            for item in items:
                if self._stopped.is_set():
                    raise CancelledError
                running.append(pool.submit(work, item))
                if len(running) == ahead:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()
            wait(running)  # nobody may close a slide while a tile of it is being read


def in_batches(items: Iterable[Given], size: int) -> Iterator[list[Given]]:
    """Lists of `size` items in order, the last one shorter."""
    every = iter(items)
    while batch := list(islice(every, size)):
        yield batch
