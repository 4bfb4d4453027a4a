"""Files that are whole or not there: written under a temporary name, synced, renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["remove_drafts", "replacing"]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`; on leaving, its content is synced and takes the place of `path`.

    After a failure, or when the process is killed, `path` is as it was.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield draft
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def remove_drafts(folder: Path) -> None:
    """Delete the temporary files in `folder` whose processes are gone: what a killed one leaves behind."""
    for draft in folder.glob(".*.tmp"):
        process = draft.name.split(".")[-2]
        if not process.isdigit():
            continue
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:
            draft.unlink(missing_ok=True)
        except PermissionError:  # alive, another user's
            continue
