"""SCAFFOLD (Karimireddy et al. 2020, ICML, algorithm 1, option II): a site's control variate c_i.

A step goes along g_i(y) - c_i + c: against the site's own drift. c_i stays here, in client/local_state.py; its change
is sent. The coordinator's part is server/strategies/scaffold.py.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor, from_numpy

from client.local_state import read_round, write_local
from shared.errors import WorkFailed
from shared.messages import Order
from shared.weights import Arrays

__all__ = ["CONTROL", "Control"]

CONTROL = "control"  # their name in client/local_state.py


@dataclass(frozen=True)
class Control:
    """The control variates of one round: c as it was received, c_i as the site kept it."""

    folder: Path
    order: Order
    common: Arrays  # c by parameter
    own: Arrays  # c_i

    @classmethod
    def of(cls, folder: Path, order: Order) -> "Control":
        """c_i as the round left it whose change is part of c; zeros before the first.

        Raises
        ------
        WorkFailed
            That round's c_i is gone: c would never again be the mean of all c_i.
        """
        own: Arrays | None = {}
        if order.control_round:
            own = read_round(folder, CONTROL, order.control_round)
        if own is None:
            raise WorkFailed(
                f"expected the control variate of round {order.control_round} in {folder}, got none; "
                "restore the site's state folder, or ask the coordinator to start a new run"
            )
        common = {name: np.asarray(array, dtype=np.float32) for name, array in order.control.items()}
        return cls(folder, order, common, {name: own.get(name, np.zeros_like(c)) for name, c in common.items()})

    def correction(self) -> dict[str, Tensor]:
        """What is added to the gradient of each parameter: c - c_i."""
        return {name: from_numpy(np.asarray(c - self.own[name])) for name, c in self.common.items()}

    def change(self, trained: Arrays, steps: int) -> Arrays:
        """Keep the new c_i = c_i - c + (x - y) / (steps x rate), and return it less the old one.

        Parameters
        ----------
        trained
            The site's arrays y after `steps` steps of SGD from the received x.
        """
        scale, new = np.float32(1 / (steps * self.order.learning_rate)), {}
        for name, own in self.own.items():
            way = np.asarray(self.order.arrays[name], dtype=np.float32) - trained[name]
            new[name] = np.asarray(own - self.common[name] + scale * way)
        write_local(self.folder, CONTROL, self.order.round, new, since=self.order.control_round)
        return {name: np.asarray(new[name] - own) for name, own in self.own.items()}
