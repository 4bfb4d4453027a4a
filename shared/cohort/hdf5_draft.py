"""Write an HDF5 file so that neither a killed process nor a full disk leaves half of one."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from shared.cohort.drafts import replacing

__all__ = ["writing_hdf5"]


@contextmanager
def writing_hdf5(path: Path) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """An empty HDF5 file under a temporary name; on leaving it is synced and takes the place of `path`.

    The second value raises the fault of an earlier write, for those who write for hours. After a failure, or when the
    process is killed, `path` is as it was.

    Raises
    ------
    OSError
        Writing failed; errno is ENOSPC when the disk is full.
    """
    with replacing(path) as draft, DraftFile(draft, "w+b") as disk:
        try:
            with h5py.File(disk, "w") as file:
                yield file, disk.check
        finally:
            disk.check()


class DraftFile(io.FileIO):
    """A file whose writes never fail in the eyes of HDF5, which can crash the whole process when closing fails.

    The first failure is kept, and `check` raises it.
    """

    fault: OSError | None = None

    def check(self) -> None:
        """Raise what went wrong with writing, if anything did."""
        if self.fault is not None:
            raise self.fault

    def write(self, data: Any) -> int:
        """Write all of `data`; what the disk has no room for is lost."""
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left and self.fault is None:
                left = left[super().write(left) :]
        except OSError as exc:
            self.fault = exc
        return size

    def truncate(self, size: int | None = None) -> int:
        """Make the file `size` bytes long."""
        try:
            return super().truncate(size)
        except OSError as exc:
            self.fault = self.fault or exc
            return size or 0
