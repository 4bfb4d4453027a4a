"""Stress: hospitals that do not answer in a round, so that the coordinator waits until its deadline and goes on."""

from flwr.app import Message, MessageType

from shared.seeds import derive_seed
from shared.study import Study
from simulations.stresses.curve import Base, Curve, Dosed, Line
from simulations.stresses.stressed_grid import Loses, stressed

__all__ = ["DROPOUT", "silent_with"]


def silent_with(chance: float, seed: int) -> Loses:
    """Each training order of each site is lost with this chance; a higher chance loses those of a lower one, and more.

    The draw is the site's, the round's and the attempt's, so that a run that goes on loses the same orders.
    """

    def loses(site: str, order: Message, before: int) -> bool:
        if order.metadata.message_type != MessageType.TRAIN:
            return False
        drawn = derive_seed(seed, "stress dropout", site, order.metadata.group_id, before)
        return (drawn % 2**32) / 2**32 < chance

    return loses


def _apply(base: Base, line: Line, dose: float) -> Dosed:
    engine = stressed(loses=silent_with(dose, base.study.seed))
    return Dosed(list(base.hospitals), engine, {"dropout": dose})


def _lines(study: Study) -> tuple[Line, ...]:
    return (Line("fedavg", "federated"),)


DROPOUT = Curve(
    name="dropout",
    title="Sites that drop out",
    axis="chance that a hospital does not answer in a round",
    doses=(0, 0.3, 0.6, 0.8),
    highest=1,
    lines=_lines,
    apply=_apply,
    says="Training orders are lost on their way; the coordinator's own round loop waits until the deadline and goes on "
    "with who answered, tries a round without a quorum again, and gives up after three attempts.",
)
