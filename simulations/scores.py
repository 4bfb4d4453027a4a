"""Score trained arms on patients, with the bootstrap draws that all arms of a fold share."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from client.evaluation import predict, score_patients
from shared.metrics import (
    Scored,
    bootstrap_weights,
    measure,
    measure_site_mean,
    plain_mean,
    reasons,
    site_mean_reasons,
)
from shared.metrics.scored import Floats
from shared.seeds import derive_seed
from simulations.arms import Model, Trained, restored
from simulations.fold import Fold

__all__ = ["DRAWS", "Measured", "Scores", "measure_scores", "score_arm"]

DRAWS = 1000


@dataclass(frozen=True)
class Scores:
    """Predictions of one arm in one fold."""

    own: Scored  # own test patients of all training sites, in site order
    unseen: tuple[Scored, ...]  # all unseen patients, once a model; empty when nobody is unseen
    one_model: bool
    without: Mapping[str, "Scores"] = field(default_factory=dict)  # modality -> the same with it taken away


@dataclass(frozen=True)
class Measured:
    """Metrics of one set of patients: the value (1,) and bootstrap draws (D,) of each."""

    point: Mapping[str, Floats]
    draws: Mapping[str, Floats]
    reasons: Mapping[str, str]
    n: int
    events: int | None


def score_arm(fold: Fold, trained: Trained, *, ablate: bool = False) -> Scores:
    """Score an arm; with `ablate`, again with each modality removed at test time."""
    use = fold.study.modalities.names
    without = {name: _score(fold, trained, tuple(m for m in use if m != name)) for name in use} if ablate else {}
    full = _score(fold, trained, use)
    return Scores(full.own, full.unseen, full.one_model, without if len(use) > 1 else {})


def _score(fold: Fold, trained: Trained, kept: tuple[str, ...]) -> Scores:
    modules = {name: restored(fold.study, model) for name, model in trained.models.items()}
    own = []
    for site in fold.training:
        name = site if site in trained.models else ""
        patients = fold.test(site, trained.models[name].statistics)
        if len(patients):
            own.append(score_patients(predict(modules[name], patients.only(kept), fold.study), patients, fold.study))
    unseen = [_unseen(fold, model, modules[name], kept) for name, model in trained.models.items()]
    return Scores(Scored.concat(own), tuple(s for s in unseen if s is not None), one_model="" in trained.models)


def _unseen(fold: Fold, model: Model, module: object, kept: tuple[str, ...]) -> Scored | None:
    patients = fold.unseen(model.statistics)
    if patients is None:
        return None
    return score_patients(predict(module, patients.only(kept), fold.study), patients, fold.study)  # type: ignore[arg-type]


def measure_scores(scores: Scores, fold: Fold) -> dict[str, Measured]:
    """`own`, `own_site_mean`, `unseen` and `sites.<id>` of one arm.

    Weights depend on the fold only, so that differences between arms are paired by patient.
    """
    survival = scores.own.kind == "survival"
    seed = (fold.study.seed, fold.study.split.repeat, fold.study.split.fold)
    weights = bootstrap_weights(len(scores.own), DRAWS, derive_seed(*seed, "own"))
    result: dict[str, Measured] = {}
    site_mean = Measured(
        measure_site_mean(scores.own),
        measure_site_mean(scores.own, weights),
        site_mean_reasons(scores.own),
        len(scores.own),
        scores.own.events if survival else None,
    )
    result["own"] = _measured(scores.own, weights, survival) if scores.one_model else site_mean
    result["own_site_mean"] = site_mean
    for site in fold.training:
        rows = np.flatnonzero(scores.own.site == site)
        result[f"sites.{site}"] = _measured(scores.own.take(rows), weights[:, rows], survival)
    if scores.unseen:
        weights = bootstrap_weights(len(scores.unseen[0]), DRAWS, derive_seed(*seed, "unseen"))
        parts = [_measured(scored, weights, survival) for scored in scores.unseen]
        result["unseen"] = Measured(
            plain_mean([part.point for part in parts]),
            plain_mean([part.draws for part in parts]),
            parts[0].reasons,
            parts[0].n,
            parts[0].events,
        )
    return result


def _measured(scored: Scored, weights: Floats, survival: bool) -> Measured:
    events = scored.events if survival else None
    return Measured(measure(scored), measure(scored, weights), reasons(scored), len(scored), events)
