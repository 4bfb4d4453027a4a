"""An in-process Flower Grid: the deployment's apps in one process, a few milliseconds a round (FLOWER.md section 9)."""

from collections.abc import Iterable, Mapping

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

__all__ = ["InlineGrid"]

FIRST_NODE = 100


class InlineGrid(Grid):
    """A Grid whose nodes are function calls.

    A message is delivered when its reply is pulled. Arrays go by reference, so a reply is good until the next is pulled
    (shared/arrays.py). Never run two of these at once in one process: Flower's TaskIdentity is global.

    Parameters
    ----------
    app
        The ClientApp that every site runs.
    node_configs
        Site name -> node config.
    run_config
        What every node gets as `context.run_config`.
    run_id
        The run, by which a site's ledger tells a round from that of another run.
    """

    def __init__(
        self,
        app: ClientApp,
        node_configs: Mapping[str, Mapping[str, str]],
        run_config: Mapping[str, str],
        run_id: int = 1,
    ) -> None:
        TaskIdentity.run_id = TaskIdentity.task_id = TaskIdentity.node_id = 1
        self._app, self._run = app, Run.create_empty(run_id)
        self._nodes = [
            NodeInfo(node_id=node_id, name=site, status="online")
            for node_id, site in enumerate(node_configs, start=FIRST_NODE)
        ]
        self._contexts = {
            node.node_id: Context(
                run_id=run_id,
                node_id=node.node_id,
                node_config=dict(node_configs[node.name]),
                state=RecordDict(),
                run_config=dict(run_config),
                series_id=1,
            )
            for node in self._nodes
        }
        self._waiting: dict[str, Message] = {}
        self._sent = 0

    @property
    def run(self) -> Run:
        """The run of this Grid."""
        return self._run

    def set_run(self, run: Run) -> None:
        """Take another run's description."""
        self._run = run

    def create_message(  # abstract in Flower, and deprecated there
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """A message to one node."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """Ids of all nodes."""
        return [node.node_id for node in self._nodes]

    def get_nodes(self) -> Iterable[NodeInfo]:
        """All nodes; they are always online."""
        return list(self._nodes)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Keep messages until their replies are pulled."""
        ids = []
        for message in messages:
            self._sent += 1
            ids.append(f"m{self._sent}")
            # a reply takes its reply_to_message_id from here
            message.metadata.__dict__["_message_id"] = ids[-1]
            self._waiting[ids[-1]] = message
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Deliver the messages and return their replies."""
        return [self._deliver(self._waiting.pop(i)) for i in message_ids if i in self._waiting]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Deliver at once."""
        return self.pull_messages(self.push_messages(messages))

    def _deliver(self, message: Message) -> Message:
        try:
            return self._app(message=message, context=self._contexts[message.metadata.dst_node_id])
        except ValueError:  # what Flower raises for a message that no handler takes
            return Message(Error(code=2, reason="CLIENT_FAILED"), reply_to=message)
