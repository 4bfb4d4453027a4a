"""One rule, applied to every branch by itself, over the sites that hold the branch."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.strategies.fedbn import FedBN
from server.strategies.flower import FlowerRule
from server.strategies.mean import RunningMean
from server.strategies.scaffold import ControlVariate
from server.updates import Updates
from shared.messages import TrainReply, branch_of
from shared.study import Study
from shared.weights import Arrays, is_running

__all__ = ["PerBranch", "branch_weights"]

MEANS = {"fedavg": RunningMean, "fedprox": RunningMean, "scaffold": RunningMean, "fedbn": FedBN, "fedper": RunningMean}
"""Strategies whose next model is the mean; FedProx differs at the sites only."""


@dataclass
class PerBranch:
    """Aggregate each branch over the sites that hold it, weighted by their patients that have it.

    A branch with fewer than `branch_quorum` holders keeps its arrays bit for bit.
    """

    study: Study
    rules: dict[str, FlowerRule] = field(default_factory=dict)  # branch -> Flower's strategy and its moments
    control: ControlVariate | None = field(init=False)  # SCAFFOLD's only

    def __post_init__(self) -> None:
        self.control = ControlVariate() if self.study.federation.strategy == "scaffold" else None

    def collect(self, current: Arrays, sites: Collection[str], last: Mapping[str, Any] | None) -> Updates:
        """An empty collection for the updates of one round.

        Parameters
        ----------
        sites
            The sites that will be asked.
        last
            The record of the round before. If the same sites are asked again, their weights are known, so their
            updates can be added up as they come instead of waiting for all.
        """
        known = last is not None and set(last["sites"]) == set(sites)
        mean = MEANS.get(self.study.federation.strategy)
        if not known or last is None or mean is None:
            return Updates()
        return Updates(sites, mean(last["patients"], current))

    def aggregate(self, round_: int, current: Arrays, updates: Updates) -> tuple[Arrays, list[str]]:
        """The next global arrays, and the branches that kept theirs."""
        weights = branch_weights(updates.replies)
        branches = {branch_of(name) for name in current}
        enough = {
            b: sum(weights[b]) for b in branches if len(weights.get(b, [])) >= self.study.federation.branch_quorum
        }
        mean = MEANS.get(self.study.federation.strategy)
        if mean is None:
            new = self._by_flower(round_, current, updates, enough)
        else:
            new = _mean(updates.running or mean(enough, current), updates)
        if self.control is not None:
            self.control.take(round_, updates.controls())
        merged = {name: new[name] if branch_of(name) in enough else array for name, array in current.items()}
        return merged, sorted(branches - set(enough))

    def _by_flower(self, round_: int, current: Arrays, updates: Updates, enough: Mapping[str, int]) -> Arrays:
        """Hand each branch's list of updates to its own Flower strategy.

        Running statistics of BatchNorm are no parameters: they are averaged, whatever the strategy.
        """
        every = list(updates.waiting())
        new: Arrays = {}
        if any(map(is_running, current)):
            new = _mean(RunningMean(enough, current), updates)
        for branch in enough:
            rule = self.rules.setdefault(branch, FlowerRule(self.study.federation))
            names = [name for name in current if branch_of(name) == branch and not is_running(name)]
            parts = [
                (reply.patients[branch], {name: arrays[name] for name in names})
                for reply, arrays in every
                if branch in reply.patients
            ]
            new |= rule.aggregate(round_, {name: current[name] for name in names}, parts)
        return new

    def state(self) -> Arrays:
        """Everything a resumed run needs, as arrays named `<branch>/<moment>/<parameter>`."""
        if self.control is not None:
            return self.control.state()
        return {
            f"{branch}/{name}": array for branch, rule in self.rules.items() for name, array in rule.state().items()
        }

    def restore(self, state: Arrays) -> None:
        """Take up `state` of an earlier process."""
        if self.control is not None:
            self.control.restore(state)
            return
        for branch in {name.split("/")[0] for name in state}:
            part = {n.split("/", 1)[1]: a for n, a in state.items() if n.split("/")[0] == branch}
            self.rules[branch] = FlowerRule(self.study.federation)
            self.rules[branch].restore(part)


def _mean(mean: RunningMean, updates: Updates) -> Arrays:
    """The mean with the updates that were not added as they came."""
    for reply, arrays in updates.waiting():
        mean.add(reply.patients, arrays)
    return mean.result()


def branch_weights(replies: Sequence[TrainReply]) -> dict[str, list[int]]:
    """Branch -> the patients of every site that holds it, in site order."""
    weights: dict[str, list[int]] = {}
    for reply in replies:
        for branch, patients in reply.patients.items():
            weights.setdefault(branch, []).append(patients)
    return weights
