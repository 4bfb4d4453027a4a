"""Flower's own strategies as the rule of one branch (FLOWER.md sections 2 and 9)."""

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAdam, FedAvg
from numpy.typing import NDArray

from shared.arrays import from_record, to_record
from shared.strategy_names import STRATEGIES
from shared.study import Federation
from shared.weights import Arrays

__all__ = ["BUILDERS", "FlowerRule"]

BUILDERS: dict[str, Callable[..., FedAvg]] = {"fedadam": FedAdam}
"""Strategy name -> Flower's class. Its options and defaults stand in shared/strategy_names.py."""

MOMENTS = ("m_t", "v_t")


class FlowerRule:
    """One branch's Flower strategy. It never waits for sites: the quorum was checked before."""

    def __init__(self, federation: Federation) -> None:
        options = STRATEGIES[federation.strategy] | federation.strategy_options
        self._strategy = BUILDERS[federation.strategy](
            weighted_by_key="patients", min_train_nodes=1, min_available_nodes=1, fraction_evaluate=0.0, **options
        )

    def aggregate(
        self, round_: int, current: Arrays, updates: Sequence[tuple[int, Mapping[str, NDArray[np.generic]]]]
    ) -> Arrays:
        """The branch's next arrays from (patients, arrays) of each site, in site order."""
        nodes = cast(Grid, SimpleNamespace(get_node_ids=lambda: [1]))
        # adaptive strategies take note of their starting point here; the message is not sent
        list(self._strategy.configure_train(round_, to_record(current), ConfigRecord(), nodes))
        replies = [_reply(patients, arrays) for patients, arrays in updates]
        record, _ = self._strategy.aggregate_train(round_, replies)
        new = from_record(cast(ArrayRecord, record))
        # integer buffers and adaptive steps come back as float64
        return {name: np.asarray(new[name]).astype(array.dtype) for name, array in current.items()}

    def state(self) -> Arrays:
        """The strategy's moments as `<moment>/<parameter>`."""
        found: Arrays = {}
        for moment in MOMENTS:
            for name, array in (cast(Any, getattr(self._strategy, moment, None)) or {}).items():
                found[f"{moment}/{name}"] = np.asarray(array)
        return found

    def restore(self, state: Arrays) -> None:
        """Take up the moments of an earlier process."""
        for moment in MOMENTS:
            part = {n.split("/", 1)[1]: a for n, a in state.items() if n.split("/")[0] == moment}
            if part:
                setattr(self._strategy, moment, part)


def _reply(patients: int, arrays: Mapping[str, NDArray[np.generic]]) -> Message:
    """One site's update in the only form Flower's strategies take."""
    order = Message(RecordDict(), 1, "train")
    content = RecordDict({"arrays": to_record(arrays), "metrics": MetricRecord({"patients": patients})})
    return Message(content, reply_to=order)
