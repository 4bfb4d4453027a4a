"""Model arrays as Flower carries them: by reference inside one process, serialised only when they leave it."""

import math
import tokenize
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord
from numpy.typing import NDArray

__all__ = ["LiveArray", "decode", "from_record", "to_record"]

HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
NUMBERS = "biuf"
"""Kinds of dtype that may arrive: truth values, whole numbers, floats."""


class LiveArray(Array):
    """A Flower Array that keeps its ndarray and makes bytes only when asked for `data`.

    The ndarray is shared, not copied: neither side may write to it after it was handed over.
    """

    __qualname__ = "Array"  # Flower writes the class's name into the bytes; the receiver must find its own Array

    _ndarray: NDArray[np.generic]

    def __init__(self, ndarray: NDArray[np.generic]) -> None:
        # past Flower's __setattr__, which looks for stale bytes at each of these, thousands of times a round
        self.__dict__.update(
            dtype=str(ndarray.dtype), shape=tuple(ndarray.shape), stype="numpy.ndarray", _ndarray=ndarray
        )

    @property
    def data(self) -> bytes:  # type: ignore[override]
        """The bytes that `numpy.save` writes."""
        buffer = BytesIO()
        np.save(buffer, self._ndarray, allow_pickle=False)
        return buffer.getvalue()

    def numpy(self) -> NDArray[np.generic]:
        """The shared ndarray itself."""
        return self._ndarray

    def __reduce__(self) -> tuple[Any, ...]:
        # to another process of this machine's user (simulations/ray_engine.py); by its name pickle would find Array
        return _received, (self._ndarray,)


def _received(ndarray: NDArray[np.generic]) -> LiveArray:
    """A LiveArray in the process it was sent to, where torch wants memory that may be written to."""
    return LiveArray(ndarray if ndarray.flags.writeable else ndarray.copy())


def to_record(arrays: Mapping[str, NDArray[np.generic]]) -> ArrayRecord:
    """An ArrayRecord that refers to `arrays`."""
    record = ArrayRecord()  # its constructor would copy every array through bytes
    for name, array in arrays.items():
        record[name] = LiveArray(array)
    return record


def from_record(record: ArrayRecord) -> dict[str, NDArray[np.generic]]:
    """The arrays of a record; shared when they never left this process. ValueError as `decode`."""
    return {name: decode(array) for name, array in record.items()}


def decode(array: Array) -> NDArray[np.generic]:
    """The ndarray of one Flower Array, whose bytes another machine may have made up.

    What its header announces is held against the bytes that are there before any memory is taken for it.

    Raises
    ------
    ValueError
        The bytes are not one numpy array of numbers, of the dtype and shape that stand beside them.
    """
    if isinstance(array, LiveArray):
        return array.numpy()
    try:
        _check(array)
        values: NDArray[np.generic] = array.numpy()
    except (
        ValueError,
        TypeError,
        EOFError,
        OSError,
        MemoryError,
        SyntaxError,
        RecursionError,
        tokenize.TokenError,
    ) as exc:
        raise ValueError("expected the bytes of a numpy array, got others") from exc
    if not isinstance(values, np.ndarray):
        raise ValueError(f"expected a numpy array, got {type(values).__name__}")
    return values


def _check(array: Array) -> None:
    """ValueError unless the header in the bytes fits their number and what is declared beside them."""
    stream = BytesIO(array.data)
    version = np.lib.format.read_magic(stream)
    if version not in HEADERS:
        raise ValueError(f"expected version 1.0 or 2.0, got {version}")
    shape, _, dtype = HEADERS[version](stream)
    if (str(dtype), shape) != (array.dtype, tuple(array.shape)) or dtype.kind not in NUMBERS:
        raise ValueError(f"expected {array.dtype} {tuple(array.shape)}, got {dtype} {shape}")
    if any(length < 0 for length in shape) or math.prod(shape) * dtype.itemsize != len(array.data) - stream.tell():
        raise ValueError(f"expected as many bytes as {dtype} {shape} has, got others")
