"""What lies in a hospital's folder, which may be a share that is gone or hold links to nothing."""

import os
from collections.abc import Iterator
from pathlib import Path

from shared.errors import CohortError

__all__ = ["content", "files_below", "is_file", "readable"]


def is_file(path: Path) -> bool:
    """Whether there is such a file that can be looked at; no for a link to nothing, a pipe or a share that is gone."""
    try:
        return path.is_file()
    except OSError:
        return False


def readable(name: str) -> str:
    """A file name as text that can be written: bytes that are no UTF-8 become escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def content(folder: Path) -> list[Path]:
    """What lies in a folder, by name; nothing if there is no such folder.

    Raises
    ------
    CohortError
        The folder is there but cannot be read.
    """
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as exc:
        raise CohortError(
            f"{folder.name}: expected a folder that can be read, got {exc.strerror or type(exc).__name__}; "
            "check its permissions and that the share is mounted"
        ) from exc


def files_below(folder: Path) -> list[Path]:
    """Every file in a folder and its folders, links followed, sorted; folders that cannot be read have none."""
    return sorted(_walk(folder))


def _walk(folder: Path) -> Iterator[Path]:
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(place))
        # a folder that links to itself, or to one already looked at, would go on for ever
        folders[:] = [name for name in sorted(folders) if os.path.realpath(Path(place, name)) not in seen]
        yield from (path for path in (Path(place, name) for name in names) if is_file(path))
