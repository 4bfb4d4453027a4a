"""Messages: what is written is read back, and what is malformed is refused by the name of the field."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.common.serde import message_from_proto, message_to_proto

from shared.messages import EvaluateReply, HandshakeReply, Malformed, Order, TrainReply, branch_of, bucket

pytestmark = pytest.mark.usefixtures("flower_ids")
WEIGHT = np.array([[1.0, 2.0]], dtype=np.float32)
SUMS = np.array([[2.0, 0.0], [3.0, 0.0], [5.0, 0.0]])
ORDER = Order(
    digest="d",
    arrays={"branches.blood.w": WEIGHT, "head": WEIGHT},
    gene_statistics=SUMS[:2],
    gene_stats_sha256="s",
    round=3,
    attempt=1,
    learning_rate=0.5,
    echo_head="h",
    control={"head": WEIGHT + 1},
    control_round=2,
)
GREETING = HandshakeReply(
    "A", "0.1.0", {"slides": "", "imaging": "e"}, "g", {"blood": "<10", "fusion": "20-49"}, SUMS, stain="macenko"
)
UPDATE = TrainReply(
    "A", 3, {"head": WEIGHT}, {"blood": 4, "fusion": 9}, 2, 1.5, {"n": [3], "sum": [0.5]}, 0.1, "h", {"head": WEIGHT}
)
EVALUATION = EvaluateReply("A", {"n": [3], "brier_sum": [0.5]}, "h")


def sent(content: RecordDict) -> Message:
    return message_from_proto(message_to_proto(Message(content, 1, "train")))


def same(one: Any, two: Any) -> bool:
    """Dataclasses with arrays in them."""
    for name, value in vars(one).items():
        other = vars(two)[name]
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, other)
        elif name in ("arrays", "control"):
            assert set(value) == set(other)
            assert all(np.array_equal(value[key], other[key]) for key in value)
        else:
            assert value == other
    return True


@pytest.mark.parametrize("message", [ORDER, GREETING, UPDATE, EVALUATION])
def test_what_is_sent_is_what_is_read(message: Any) -> None:
    assert same(message, type(message).read(sent(message.content())))


def test_a_handshake_order_carries_nothing_but_its_config() -> None:
    content = Order("d").content()
    assert list(content) == ["config"]
    order = Order.read(sent(content))
    assert order.arrays == {}
    assert order.gene_statistics is None
    assert (order.control, order.control_round) == ({}, 0)


@pytest.mark.parametrize("kind", [Order, HandshakeReply, TrainReply, EvaluateReply])
def test_no_config_is_malformed(kind: Any) -> None:
    with pytest.raises(Malformed, match="^no config$"):
        kind.read(sent(RecordDict()))


@pytest.mark.parametrize("message", [ORDER, GREETING, UPDATE, EVALUATION])
def test_another_schema_is_malformed(message: Any) -> None:
    content = message.content()
    content["config"]["schema"] = 2
    with pytest.raises(Malformed, match="^schema 2, expected 1$"):
        type(message).read(sent(content))


@pytest.mark.parametrize("record", ["arrays", "metrics"])
def test_an_update_without_a_record_is_malformed(record: str) -> None:
    content = UPDATE.content()
    del content[record]
    with pytest.raises(Malformed, match=f"^no {record}$"):
        TrainReply.read(sent(content))


@pytest.mark.parametrize("key", ["steps", "loss_sum", "patients.blood"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1, 2]])
def test_a_number_that_is_none_is_malformed(key: str, value: Any) -> None:
    content = UPDATE.content()
    content["metrics"][key] = value
    with pytest.raises(Malformed, match=f"^no finite number {key}$"):
        TrainReply.read(sent(content))


def zipped() -> bytes:
    buffer = BytesIO()
    np.savez(buffer, head=WEIGHT)
    return buffer.getvalue()


def announced(shape: str, dtype: str = "<f4", body: bytes = bytes(8)) -> bytes:
    """The bytes of an array whose header says what the caller likes."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"",
            b"no array",
            Array(WEIGHT).data[:40],
            Array(WEIGHT).data + b"more",
            zipped(),
            zipped()[:30],
            b"PK\x03\x04",
        ),
        *(
            announced("(10000000000000,)"),
            announced("(-1, -2)"),
            announced("(2, 1)"),
            announced("(1, 2"),
            announced("(("),
        ),
        *(announced("(1, 2)", "|V0", b""), announced("(1, 2)", "<f8", bytes(16)), b"\x93NUMPY\x09\x00" + bytes(20)),
    ],
)
def test_arrays_that_cannot_be_decoded_are_malformed(data: bytes) -> None:
    broken = Array(dtype="float32", shape=(1, 2), stype="numpy.ndarray", data=data)
    update, greeting = UPDATE.content(), GREETING.content()
    update["arrays"] = ArrayRecord({"head": broken})
    greeting["gene_sums"] = ArrayRecord({"gene_sums": broken})
    with pytest.raises(Malformed, match="arrays that cannot be decoded"):
        TrainReply.read(sent(update))
    with pytest.raises(Malformed, match="an array gene_sums that cannot be decoded"):
        HandshakeReply.read(sent(greeting))


@pytest.mark.parametrize(("dtype", "shape"), [("float32", (10**13,)), ("complex64", (1,)), ("|V0", (10**13,))])
def test_what_is_declared_does_not_make_it_an_array_of_numbers(dtype: str, shape: tuple[int, ...]) -> None:
    data = announced(str(shape).replace(" ", ""), np.dtype(dtype).str)
    content = UPDATE.content()
    content["arrays"] = ArrayRecord({"head": Array(dtype=dtype, shape=shape, stype="numpy.ndarray", data=data)})
    with pytest.raises(Malformed, match="^arrays that cannot be decoded$"):
        TrainReply.read(Message(content, 1, "train"))


def test_a_pickled_array_is_never_loaded() -> None:
    buffer = np.array([{"a": 1}], dtype=object).dumps()
    content = UPDATE.content()
    content["arrays"] = ArrayRecord({"head": Array(dtype="object", shape=(1,), stype="numpy.ndarray", data=buffer)})
    with pytest.raises(Malformed, match="arrays that cannot be decoded"):
        TrainReply.read(sent(content))


def test_a_greeting_without_sums_is_malformed() -> None:
    content = GREETING.content()
    content["gene_sums"] = ArrayRecord()
    with pytest.raises(Malformed, match="^no array gene_sums$"):
        HandshakeReply.read(sent(content))
    del content["gene_sums"]
    with pytest.raises(Malformed, match="^no gene_sums$"):
        HandshakeReply.read(sent(content))


def test_only_lists_count_as_statistics() -> None:
    content = EVALUATION.content()
    content["metrics"] = MetricRecord({"eval.n": [3], "eval.x": 1, "other": [2]})
    assert EvaluateReply.read(sent(content)).evaluation == {"n": [3]}
    assert EvaluateReply.read(sent(RecordDict({"config": ConfigRecord({"schema": 1})}))).evaluation == {}


@pytest.mark.parametrize(
    ("name", "branch"),
    [
        ("branches.blood.encoder.0.weight", "blood"),
        ("branches.slides.bias", "slides"),
        ("head.weight", "fusion"),
        ("absent.blood", "fusion"),
    ],
)
def test_the_branch_of_a_parameter(name: str, branch: str) -> None:
    assert branch_of(name) == branch


@pytest.mark.parametrize(
    ("count", "size"),
    [(0, "<10"), (9, "<10"), (10, "10-19"), (19, "10-19"), (20, "20-49"), (999, "500-999"), (5000, "5000+")],
)
def test_buckets(count: int, size: str) -> None:
    assert bucket(count) == size
