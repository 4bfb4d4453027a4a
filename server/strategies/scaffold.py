"""SCAFFOLD (Karimireddy et al. 2020, ICML, algorithm 1, option II): the server's control variate c.

The model is FedAvg's mean (global step size 1). c is kept equal to the mean of the sites' c_i with the weights of that
mean, so that one full-batch step at every site is a step of FedAvg. A site's weight in c is that of its first answer,
since c also holds what earlier answers added with it. The sites' part is client/scaffold.py.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shared.messages import TrainReply, branch_of
from shared.weights import Arrays, is_running

__all__ = ["ControlVariate"]


@dataclass
class ControlVariate:
    """c, and what is needed to keep it the mean over all sites that ever answered: line 17 of algorithm 1."""

    arrays: Arrays = field(default_factory=dict)
    patients: dict[str, dict[str, int]] = field(default_factory=dict)  # branch -> site -> its weight, as it first came
    taken: dict[str, int] = field(default_factory=dict)  # site -> the last round whose change of c_i was added

    def of(self, current: Arrays, held: Collection[str]) -> Arrays:
        """The c of the `held` branches and of `fusion`; zeros at first."""
        return {
            name: self.arrays[name] if name in self.arrays else np.zeros_like(array)
            for name, array in current.items()
            if not is_running(name) and (branch_of(name) in held or branch_of(name) == "fusion")
        }

    def take(self, round_: int, changes: Iterable[tuple[TrainReply, Mapping[str, NDArray[np.generic]]]]) -> None:
        """Add every site's change of its c_i, in site order; also where a branch is below its quorum.

        A site that is new starts with c_i = 0 and so makes the mean of the others smaller.
        """
        before = {branch: sum(sites.values()) for branch, sites in self.patients.items()}
        received = list(changes)
        for reply, _ in received:
            self.taken[reply.site] = round_
            for branch, count in reply.patients.items():
                self.patients.setdefault(branch, {}).setdefault(reply.site, count)
        total = {branch: sum(sites.values()) for branch, sites in self.patients.items()}
        for name, array in self.arrays.items():
            branch = branch_of(name)
            self.arrays[name] = np.asarray(array * np.float32(before[branch] / total[branch]))
        for reply, change in received:
            for name, value in change.items():
                branch = branch_of(name)
                share = np.float32(self.patients[branch][reply.site] / total[branch])
                added = share * np.asarray(value, dtype=np.float32)
                self.arrays[name] = np.asarray(self.arrays[name] + added) if name in self.arrays else added

    def state(self) -> Arrays:
        """Everything a resumed run needs."""
        weights = {f"patients/{b}/{s}": np.array(n) for b, sites in self.patients.items() for s, n in sites.items()}
        taken = {f"taken/{site}": np.array(round_) for site, round_ in self.taken.items()}
        return {**{f"control/{name}": array for name, array in self.arrays.items()}, **weights, **taken}

    def restore(self, state: Arrays) -> None:
        """Take up the state of an earlier process."""
        for key, array in state.items():
            kind, name = key.split("/", 1)
            if kind == "control":
                self.arrays[name] = array
            elif kind == "taken":
                self.taken[name] = int(array)
            else:
                branch, site = name.split("/")
                self.patients.setdefault(branch, {})[site] = int(array)
