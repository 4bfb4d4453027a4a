"""Updates of made-up models, for the tests of aggregation."""

from collections.abc import Mapping, Sequence

import numpy as np

from server.strategies.mean import RunningMean
from server.updates import Updates
from shared.messages import TrainReply
from shared.weights import Arrays

SHAPES = {
    "branches.slides.w": (2, 3),
    "branches.expression.w": (4,),
    "branches.blood.w": (1, 1),
    "head.w": (3, 2),
}


def ones(value: float = 1.0, branches: Sequence[str] = ("slides", "expression", "blood")) -> Arrays:
    """A model of the given branches and `fusion`, every value the same."""
    return {
        name: np.full(shape, value, dtype=np.float32)
        for name, shape in SHAPES.items()
        if not name.startswith("branches.") or name.split(".")[1] in branches
    }


def update(site: str, patients: Mapping[str, int], arrays: Arrays, round_: int = 1) -> TrainReply:
    return TrainReply(site, round_, arrays, patients, steps=1, loss_sum=1.0, evaluation={})


def collected(replies: Sequence[TrainReply], sites: Sequence[str] = (), running: RunningMean | None = None) -> Updates:
    """`replies` taken in, in the order given."""
    updates = Updates(sites, running)
    for reply in replies:
        updates.add(reply)
    return updates
