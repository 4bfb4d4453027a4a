"""Stress: one hospital that works against the others, by its updates or by its labels, and rules that resist it."""

from typing import Any

import numpy as np
from flwr.app import Message, MessageType

from shared.arrays import from_record, to_record
from shared.study import Study
from simulations.stresses.curve import Base, Curve, Dosed, Line
from simulations.stresses.label_noise import largest, mislabelled
from simulations.stresses.stressed_grid import Forges, stressed

__all__ = ["POISON", "POISON_LABELS", "reversed_by"]


def reversed_by(attacker: str, factor: float) -> Forges:
    """The attacker sends `received - factor x (trained - received)`: its update, the other way and that much longer."""

    def forges(site: str, order: Message, reply: Message) -> Message:
        if site != attacker or order.metadata.message_type != MessageType.TRAIN:
            return reply
        received: dict[str, Any] = from_record(order.content.array_records["arrays"])
        trained: dict[str, Any] = from_record(reply.content.array_records["arrays"])
        forged = {
            name: (received[name] - factor * (array - received[name])).astype(array.dtype)
            if np.issubdtype(array.dtype, np.floating) and name in received
            else array
            for name, array in trained.items()
        }
        reply.content["arrays"] = to_record(forged)
        return reply

    return forges


def _reverse(base: Base, line: Line, dose: float) -> Dosed:
    attacker = largest(base).id
    engine = stressed(forges=reversed_by(attacker, dose))
    return Dosed(list(base.hospitals), engine, {"poison": [attacker, dose]})


def _mislabel(base: Base, line: Line, dose: float) -> Dosed:
    return mislabelled(base, [largest(base)], dose)


def _lines(study: Study) -> tuple[Line, ...]:
    strategy, options = "federation.strategy={}", "federation.strategy_options={}"
    return (
        Line("fedavg", "FedAvg", (strategy.format("fedavg"),)),
        Line("fedmedian", "median", (strategy.format("fedmedian"),)),
        Line("fedtrimmedavg", "trimmed mean", (strategy.format("fedtrimmedavg"),)),
        Line(
            "krum",
            "Multi-Krum (1 odd, 4 kept)",
            (strategy.format("krum"), options.format("{num_malicious_nodes=1, num_nodes_to_select=4}")),
        ),
    )


POISON = Curve(
    name="poison",
    title="Reversed updates of one site",
    axis="length of the reversed update (0 = honest)",
    doses=(0, 1, 5, 20),
    highest=1e6,
    lines=_lines,
    apply=_reverse,
    says="The largest hospital trains and sends the reverse of its update, so many times as long; the coordinator's "
    "own checks and strategies take it or leave it.",
)
POISON_LABELS = Curve(
    name="poison_labels",
    title="Exchanged labels at one site",
    axis="share of its training labels that are another class",
    doses=(0, 0.5, 1),
    highest=1,
    lines=_lines,
    apply=_mislabel,
    says="The largest hospital trains honestly on exchanged labels.",
)
