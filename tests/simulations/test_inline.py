"""The in-process Grid: a Flower Grid to the apps, function calls underneath."""

import pytest
from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.supercore.run import Run

from shared.messages import Order
from simulations.inline import InlineGrid

app = ClientApp()
seen: list[tuple[object, object]] = []


@app.train()
def train(message: Message, context: Context) -> Message:
    seen.append((context.node_config["site"], context.run_config["digest"]))
    if context.node_config["site"] == "broken":
        raise RuntimeError("nobody catches this")
    return Message(Order(digest=str(context.node_config["site"])).content(), reply_to=message)


@pytest.fixture
def grid() -> InlineGrid:
    seen.clear()
    return InlineGrid(app, {"B": {"site": "B"}, "A": {"site": "A"}, "broken": {"site": "broken"}}, {"digest": "d"})


def order(grid: InlineGrid, site: str, kind: str = "train") -> Message:
    (node,) = [node.node_id for node in grid.get_nodes() if node.name == site]
    return Message(RecordDict(), node, kind, group_id="3")


def test_every_node_is_online_under_its_name(grid: InlineGrid) -> None:
    nodes = list(grid.get_nodes())
    assert [(node.name, node.status) for node in nodes] == [("B", "online"), ("A", "online"), ("broken", "online")]
    assert list(grid.get_node_ids()) == [node.node_id for node in nodes]


def test_a_message_is_delivered_when_its_reply_is_pulled(grid: InlineGrid) -> None:
    first, second = grid.push_messages([order(grid, "A"), order(grid, "B")])
    assert seen == []
    (reply,) = grid.pull_messages([second])
    assert seen == [("B", "d")]
    assert Order.read(reply).digest == "B"
    assert reply.metadata.reply_to_message_id == second
    assert (reply.metadata.group_id, reply.metadata.src_node_id) == ("3", next(iter(grid.get_node_ids())))
    assert grid.pull_messages([second, "unknown"]) == []
    assert len(list(grid.pull_messages([first]))) == 1


def test_both_at_once(grid: InlineGrid) -> None:
    replies = list(grid.send_and_receive([order(grid, "A"), order(grid, "B")]))
    assert [Order.read(reply).digest for reply in replies] == ["A", "B"]


def test_a_message_that_no_handler_takes_is_an_error_reply(grid: InlineGrid) -> None:
    (reply,) = grid.send_and_receive([order(grid, "A", "evaluate")])
    assert reply.has_error()
    assert isinstance(reply.error, Error)
    assert reply.error.reason == "CLIENT_FAILED"


def test_other_errors_of_an_app_are_not_hidden(grid: InlineGrid) -> None:
    with pytest.raises(RuntimeError, match="nobody catches this"):
        grid.send_and_receive([order(grid, "broken")])


def test_the_run_can_be_set(grid: InlineGrid) -> None:
    assert grid.run.run_id == 1
    grid.set_run(Run.create_empty(7))
    assert grid.run.run_id == 7


def test_flowers_old_way_to_make_a_message(grid: InlineGrid) -> None:
    message = grid.create_message(RecordDict(), "train", 100, "2")
    assert (message.metadata.dst_node_id, message.metadata.group_id) == (100, "2")
