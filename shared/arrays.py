"""Model arrays as Flower carries them: by reference inside one process, serialised only when they leave it."""

from collections.abc import Mapping
from io import BytesIO

import numpy as np
from flwr.app import Array, ArrayRecord
from numpy.typing import NDArray

__all__ = ["LiveArray", "from_record", "to_record"]


class LiveArray(Array):
    """A Flower Array that keeps its ndarray and makes bytes only when asked for `data`.

    The ndarray is shared, not copied: neither side may write to it after it was handed over.
    """

    def __init__(self, ndarray: NDArray[np.generic]) -> None:
        self.dtype = str(ndarray.dtype)
        self.shape = tuple(ndarray.shape)
        self.stype = "numpy.ndarray"
        self._ndarray = ndarray

    @property
    def data(self) -> bytes:  # type: ignore[override]
        """The bytes that `numpy.save` writes."""
        buffer = BytesIO()
        np.save(buffer, self._ndarray, allow_pickle=False)
        return buffer.getvalue()

    def numpy(self) -> NDArray[np.generic]:
        """The shared ndarray itself."""
        return self._ndarray


def to_record(arrays: Mapping[str, NDArray[np.generic]]) -> ArrayRecord:
    """An ArrayRecord that refers to `arrays`."""
    record = ArrayRecord()  # its constructor would copy every array through bytes
    for name, array in arrays.items():
        record[name] = LiveArray(array)
    return record


def from_record(record: ArrayRecord) -> dict[str, NDArray[np.generic]]:
    """The arrays of a record; shared when they never left this process."""
    return {name: array.numpy() for name, array in record.items()}
