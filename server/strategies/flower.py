"""Flower's own strategies as the rule of one branch (FLOWER.md sections 2 and 9)."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAdam, FedAvg, FedAvgM, FedMedian, FedTrimmedAvg, FedYogi, MultiKrum
from numpy.typing import NDArray

from shared.arrays import from_record, to_record
from shared.strategy_names import STRATEGIES
from shared.study import Federation
from shared.weights import Arrays

__all__ = ["BUILDERS", "FlowerRule"]

BUILDERS: dict[str, Callable[..., FedAvg]] = {
    "fedavgm": FedAvgM,
    "fedadam": FedAdam,
    "fedyogi": FedYogi,
    "fedmedian": FedMedian,
    "fedtrimmedavg": FedTrimmedAvg,
    "krum": MultiKrum,  # selecting one is Krum
}
"""Strategy name -> Flower's class. Its options and defaults stand in shared/strategy_names.py.

FedAvgM: Hsu et al. 2019. FedAdam, FedYogi: Reddi et al. 2021, algorithm 2. FedMedian and the trimmed mean: Yin et al.
2018, definitions 1 and 2. Krum: Blanchard et al. 2017. The last three count every holder once, however many patients
it has; which sites Krum selects may differ from branch to branch.
"""

MOMENTS = ("m_t", "v_t")


class FlowerRule:
    """One branch's Flower strategy. It never waits for sites: the quorum was checked before."""

    def __init__(self, federation: Federation) -> None:
        defaults = STRATEGIES[federation.strategy]
        options = {name: type(defaults[name])(value) for name, value in federation.strategy_options.items()}
        self._strategy: Any = BUILDERS[federation.strategy](
            weighted_by_key="patients", min_train_nodes=1, min_available_nodes=1, **options
        )
        self._momentum: Arrays = {}  # FedAvgM's, which Flower keeps without names

    def aggregate(
        self, round_: int, current: Arrays, updates: Sequence[tuple[int, Mapping[str, NDArray[np.generic]]]]
    ) -> Arrays:
        """The branch's next arrays from (patients, arrays) of each site, in site order."""
        nodes = cast(Grid, SimpleNamespace(get_node_ids=lambda: [1]))
        # Krum's distances are ||x||^2 + ||y||^2 - 2xy: of near models nothing would be left of them in fp32
        width = np.float64 if isinstance(self._strategy, MultiKrum) else None
        replies = [
            _reply(patients, {name: np.asarray(arrays[name], dtype=width) for name in current})
            for patients, arrays in updates
        ]
        self._strategy.current_arrays = None  # FedAvgM would go on from its own copy, not from ours
        self._strategy.momentum_vector = [self._momentum[name] for name in current] if self._momentum else None
        with _quiet():
            # adaptive strategies take note of their starting point here; the message is not sent
            list(self._strategy.configure_train(round_, to_record(current), ConfigRecord(), nodes))
            record, _ = self._strategy.aggregate_train(round_, replies)
        self._momentum = dict(zip(current, self._strategy.momentum_vector or (), strict=False))
        new = from_record(cast(ArrayRecord, record))
        # integer buffers and adaptive steps come back as float64
        return {name: np.asarray(new[name]).astype(array.dtype) for name, array in current.items()}

    def state(self) -> Arrays:
        """The strategy's moments as `<moment>/<parameter>`."""
        kept = {moment: getattr(self._strategy, moment, None) or {} for moment in MOMENTS}
        kept["momentum"] = self._momentum
        return {f"{moment}/{name}": np.asarray(array) for moment, part in kept.items() for name, array in part.items()}

    def restore(self, state: Arrays) -> None:
        """Take up the moments of an earlier process."""
        parts: dict[str, Arrays] = {}
        for key, array in state.items():
            moment, name = key.split("/", 1)
            parts.setdefault(moment, {})[name] = array
        self._momentum = parts.pop("momentum", {})
        for moment, part in parts.items():
            setattr(self._strategy, moment, part)


@contextmanager
def _quiet() -> Iterator[None]:
    """Flower would log two lines a branch and round."""
    logger = logging.getLogger("flwr")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _reply(patients: int, arrays: Mapping[str, NDArray[np.generic]]) -> Message:
    """One site's update in the only form Flower's strategies take."""
    order = Message(RecordDict(), 1, "train")
    content = RecordDict({"arrays": to_record(arrays), "metrics": MetricRecord({"patients": patients})})
    return Message(content, reply_to=order)
