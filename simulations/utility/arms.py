"""The arms of a utility curve: how each is trained, and by which of the two studies."""

from dataclasses import dataclass

from shared.privacy.terms import Terms
from shared.study import Study
from simulations.adapt import override
from simulations.ready import Ready
from simulations.utility.options import Options

__all__ = ["CurveArm", "arms_of"]


@dataclass(frozen=True)
class CurveArm:
    """One row of the table. `ready` holds the hospitals as the arm's study needs them prepared."""

    name: str
    way: str  # a key of simulations.arms.ARMS
    study: Study
    ready: Ready

    @property
    def terms(self) -> Terms | None:
        """Its privacy terms; None without privacy."""
        return self.study.terms


def arms_of(options: Options, plain: Ready, private: Ready) -> list[CurveArm]:
    """Local and federated training without privacy, the private ones from much to little epsilon, and pooled."""
    arms = [CurveArm("local", "local", plain.study, plain), CurveArm("federated", "federated", plain.study, plain)]
    for epsilon in options.descending:
        study = override(private.study, (f"privacy.epsilon={epsilon!r}",))
        arms.append(CurveArm(f"epsilon {epsilon:g}", "federated", study, private))
    return [*arms, CurveArm("pooled", "pooled", plain.study, plain)]
