"""A Grid that loses orders on their way, or answers with another reply than the site gave."""

from collections.abc import Callable, Iterable, Mapping

from flwr.app import Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.run import Run

from simulations.engine import Engine
from simulations.inline import InlineGrid

__all__ = ["Forges", "Loses", "StressedGrid", "stressed"]

Loses = Callable[[str, Message, int], bool]
"""(site, order, how often this site was sent an order of this round before) -> whether no answer ever comes."""

Forges = Callable[[str, Message, Message], Message]
"""(site, order, its honest reply) -> what the coordinator is given."""


class StressedGrid(Grid):
    """Stands between the coordinator and another Grid; both are the real ones."""

    def __init__(self, inner: Grid, loses: Loses | None = None, forges: Forges | None = None) -> None:
        self._inner, self._loses, self._forges = inner, loses, forges
        self._orders: dict[str, tuple[str, Message]] = {}
        self._sent: dict[tuple[str, str, str], int] = {}
        self._names = {node.node_id: node.name for node in inner.get_nodes()}
        self._lost = 0

    @property
    def run(self) -> Run:
        """The run of the Grid behind."""
        return self._inner.run

    def set_run(self, run: Run) -> None:
        """Take another run's description."""
        self._inner.set_run(run)

    def create_message(  # abstract in Flower, and deprecated there
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """A message to one node."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """Ids of all nodes."""
        return self._inner.get_node_ids()

    def get_nodes(self) -> Iterable[NodeInfo]:
        """All nodes; one that loses its orders is online all the same."""
        return self._inner.get_nodes()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send what is not lost; a lost order has an id like any other."""
        ids = []
        for message in messages:
            site = self._names[message.metadata.dst_node_id]
            key = site, message.metadata.message_type, message.metadata.group_id
            before = self._sent[key] = self._sent.get(key, -1) + 1
            if self._loses is not None and self._loses(site, message, before):
                self._lost += 1
                ids.append(f"lost{self._lost}")
                continue
            for message_id in self._inner.push_messages([message]):
                self._orders[message_id] = site, message
                ids.append(message_id)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Replies of the orders that arrived."""
        replies = []
        for message_id in message_ids:
            if message_id not in self._orders:
                continue
            for reply in self._inner.pull_messages([message_id]):
                site, order = self._orders.pop(message_id)
                forged = self._forges is not None and not reply.has_error()
                replies.append(self._forges(site, order, reply) if forged and self._forges else reply)
        return replies

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Deliver at once."""
        return self.pull_messages(self.push_messages(messages))


def stressed(loses: Loses | None = None, forges: Forges | None = None, engine: Engine = InlineGrid) -> Engine:
    """An engine whose Grids lose and forge."""

    def start(app: ClientApp, nodes: Mapping[str, Mapping[str, str]], run_config: Mapping[str, str]) -> Grid:
        return StressedGrid(engine(app, nodes, run_config), loses, forges)

    return start
