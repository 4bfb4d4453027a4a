"""What would break the promise of a private training: the codes of PRIVACY.md section 10, each a rule over facts.

A code that is found refuses the training; there are no warnings. The rules lie in lint_noise, lint_cost, lint_patients
and lint_model.
"""

from collections.abc import Callable, Iterator

from shared.privacy import lint_cost, lint_model, lint_noise, lint_patients
from shared.privacy.facts import Facts
from shared.privacy.fault import Fault

__all__ = ["RULES", "Fault", "lint"]

RULES: dict[str, Callable[[Facts], Iterator[Fault]]] = {
    "DP001": lint_noise.loose_noise,
    "DP002": lint_cost.costlier_than_promised,
    "DP003": lint_cost.no_ledger,
    "DP004": lint_cost.engine_of_one_round,
    "DP005": lint_cost.uncounted_steps,
    "DP006": lint_model.batch_statistics,
    "DP007": lint_noise.unnoised_tensors,
    "DP008": lint_noise.final_noise,
    "DP009": lint_model.coupling_loss,
    "DP010": lint_patients.weighted_sampling,
    "DP011": lint_patients.fitted_to_patients,
    "DP012": lint_patients.shuffled_batches,
    "DP013": lint_noise.known_noise,
    "DP014": lint_patients.counted_patients,
    "DP015": lint_noise.heuristics,
    "DP016": lint_cost.loose_delta,
    "DP017": lint_cost.loose_accountant,
    "DP018": lint_patients.other_records,
    "DP019": lint_noise.open_replies,
    "DP020": lint_model.outside_the_step,
    "DP021": lint_cost.distributed,
}


def lint(facts: Facts) -> list[Fault]:
    """Every fault of a private training, in the order of the codes; empty when the promise holds."""
    return [fault for rule in RULES.values() for fault in rule(facts)]
