"""One `prepare`, and one `train-detector`, at a time in a state folder; the lock of a process that died is free."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from shared.logs import get_logger
from shared.site import Site

__all__ = ["detector_lock", "prepare_lock"]

log = get_logger()


@contextmanager
def prepare_lock(site: Site) -> Iterator[None]:
    """Hold <state>/prepare.lock; another process that holds it is waited for.

    The operating system releases the lock when its owner ends, however it ends.
    """
    with _held(site, "prepare"):
        yield


@contextmanager
def detector_lock(site: Site) -> Iterator[None]:
    """Hold <state>/detector.lock, under which copies of pictures lie in detector/work; waits as `prepare_lock` does."""
    with _held(site, "detector", "train-detector"):
        yield


@contextmanager
def _held(site: Site, name: str, command: str = "") -> Iterator[None]:
    site.state.mkdir(parents=True, exist_ok=True)
    lock = FileLock(site.state / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info(f"another {command or name} is at work at this site; waiting for it", site=site.id)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
