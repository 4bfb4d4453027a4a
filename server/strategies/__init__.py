"""How updates become the next global model: one rule, applied to every branch by itself."""

from dataclasses import dataclass, field

from server.strategies.flower import FlowerRule
from server.strategies.mean import weighted_mean
from server.updates import Updates
from shared.messages import branch_of
from shared.study import Study
from shared.weights import Arrays

__all__ = ["PerBranch"]

OWN = ("fedavg", "fedprox")  # FedProx differs at the sites only


@dataclass
class PerBranch:
    """Aggregate each branch over the sites that hold it, weighted by their patients that have it.

    A branch with fewer than `branch_quorum` holders keeps its arrays bit for bit.
    """

    study: Study
    rules: dict[str, FlowerRule] = field(default_factory=dict)  # branch -> Flower's strategy and its moments

    def aggregate(self, round_: int, current: Arrays, updates: Updates) -> tuple[Arrays, list[str]]:
        """The next global arrays, and the branches that kept theirs."""
        weights: dict[str, list[int]] = {branch_of(name): [] for name in current}
        for reply in updates.replies:
            for branch, patients in reply.patients.items():
                if branch in weights:
                    weights[branch].append(patients)
        enough = {b: float(sum(w)) for b, w in weights.items() if len(w) >= self.study.federation.branch_quorum}
        kept = sorted(set(weights) - set(enough))
        if self.study.federation.strategy in OWN:
            new = weighted_mean(updates, enough, current)
        else:
            new = self._by_flower(round_, current, updates, enough)
        return {name: new.get(name, array) for name, array in current.items()}, kept

    def _by_flower(self, round_: int, current: Arrays, updates: Updates, enough: dict[str, float]) -> Arrays:
        """Hand each branch's list of updates to its own Flower strategy."""
        every = [(reply, dict(arrays)) for reply, arrays in updates.arrays()]
        new: Arrays = {}
        for branch in enough:
            rule = self.rules.setdefault(branch, FlowerRule(self.study.federation))
            names = [name for name in current if branch_of(name) == branch]
            parts = [
                (reply.patients[branch], {name: arrays[name] for name in names})
                for reply, arrays in every
                if branch in reply.patients
            ]
            new |= rule.aggregate(round_, {name: current[name] for name in names}, parts)
        return new

    def state(self) -> Arrays:
        """Everything a resumed run needs, as arrays named `<branch>/<moment>/<parameter>`."""
        return {f"{branch}/{name}": array for branch, rule in self.rules.items() for name, array in rule.state().items()}

    def restore(self, state: Arrays) -> None:
        """Take up `state` of an earlier process."""
        for branch in {name.split("/")[0] for name in state}:
            part = {n.split("/", 1)[1]: a for n, a in state.items() if n.split("/")[0] == branch}
            self.rules[branch] = FlowerRule(self.study.federation)
            self.rules[branch].restore(part)
