"""Arrays cross one process by reference, and the wire as Flower's own bytes."""

import numpy as np
import pytest
from flwr.app import Array, Message, RecordDict
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto
from numpy.typing import NDArray

from shared.arrays import LiveArray, from_record, to_record

VALUES = np.array([[1.5, -2.0], [0.0, 3.25]], dtype=np.float32)


@pytest.mark.usefixtures("flower_ids")
def test_nothing_is_copied_inside_a_process() -> None:
    message = Message(RecordDict({"arrays": to_record({"a": VALUES})}), 1, "train")
    assert from_record(message.content.array_records["arrays"])["a"] is VALUES


@pytest.mark.parametrize("values", [VALUES, np.arange(3), np.zeros((0, 2), np.float32), np.array(1.0), VALUES.T])
def test_the_bytes_are_those_of_flower(values: NDArray[np.generic]) -> None:
    live, flowers = LiveArray(values), Array(values)
    assert (live.dtype, live.shape, live.stype, live.data) == (
        *(flowers.dtype, tuple(flowers.shape), flowers.stype),
        flowers.data,
    )


def test_arrays_survive_the_wire() -> None:
    sent = RecordDict({"arrays": to_record({"b": VALUES, "a": VALUES.T})})
    got = from_record(recorddict_from_proto(recorddict_to_proto(sent)).array_records["arrays"])
    assert sorted(got) == ["a", "b"]
    np.testing.assert_array_equal(got["b"], VALUES)
    assert got["b"].dtype == np.float32
