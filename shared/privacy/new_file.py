"""A file that is there whole or not at all, and never takes the place of one that was there before."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["make_once"]


def make_once(file: Path, write: Callable[[Path], None], *, durable: bool = True) -> None:
    """Let `write` fill a new file of mode 600 and put it at `file`, synced; a file that lies there already stays.

    Of several processes that do so at once, one wins. OSError when the folder cannot be written. What is not `durable`
    is not synced: it outlives this process, and not a power failure.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    os.close(descriptor)
    new = Path(name)
    try:
        write(new)
        if durable:
            _sync(new)
        try:
            os.link(new, file)  # unlike a rename it fails when `file` is there
        except FileExistsError:
            return
    finally:
        new.unlink(missing_ok=True)
    if durable:
        _sync(file.parent)


def _sync(path: Path) -> None:
    """Wait until a file's bytes, or the names in a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
