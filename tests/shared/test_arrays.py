"""Arrays cross one process by reference, and the wire as Flower's own bytes."""

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Message, RecordDict
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
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


def test_a_receiver_rebuilds_the_arrays_from_the_objects_that_are_pushed() -> None:
    """As a SuperNode pushes a reply: every nested object by itself, named by its class."""
    sent = RecordDict({"arrays": to_record({"b": VALUES, "a": VALUES.T})})
    plain = RecordDict({"arrays": ArrayRecord({"b": Array(VALUES), "a": Array(VALUES.T)})})
    objects = get_all_nested_objects(sent)
    assert objects.keys() == get_all_nested_objects(plain).keys()
    contents = {name: item.deflate() for name, item in objects.items()}
    got = inflate_object_from_contents(sent.object_id, contents)
    assert isinstance(got, RecordDict)
    np.testing.assert_array_equal(from_record(got.array_records["arrays"])["a"], VALUES.T)
