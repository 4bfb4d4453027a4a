"""Score trained arms on patients, with the bootstrap draws that all arms of a fold share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from torch import nn

from client.evaluation import predict, score_patients
from shared.cohort.patients import Patients
from shared.metrics import (
    Scored,
    computed_at,
    measure,
    measure_site_mean,
    plain_mean,
    reasons,
    site_mean_reasons,
)
from shared.metrics.ranking import divide
from shared.metrics.scored import Floats
from shared.metrics.survival import MIN_EVENTS, pairs_by_site
from shared.study import Study
from simulations.arms import Trained, restored
from simulations.bootstrap import patient_weights, seed_of, site_copies, site_weights
from simulations.fold import Fold

__all__ = ["BySite", "Measured", "People", "Scores", "measure_by_site", "measure_scores", "score_arm", "subsets_of"]

UNSEEN_SITE = 10
"""An unseen hospital with fewer patients has no scores of its own."""


@dataclass(frozen=True)
class Scores:
    """Predictions of one arm in one fold."""

    own: Scored  # own test patients of all training sites, in site order
    unseen: tuple[Scored, ...]  # all unseen patients, once a model; empty when nobody is unseen
    one_model: bool
    without: Mapping[str, "Scores"] = field(default_factory=dict)  # modality -> the same with it taken away
    subsets: Mapping[str, "Scores"] = field(default_factory=dict)  # "slides+blood" -> the holders, by these alone


@dataclass(frozen=True)
class People:
    """Who was scored, so that a patient whom several folds score counts once."""

    who: frozenset[int]
    died: frozenset[int]
    sites: frozenset[str]

    @classmethod
    def of(cls, scored: Scored) -> "People":
        """Everybody of `scored`."""
        died = scored.who[scored.event == 1] if scored.kind == "survival" else scored.who[:0]
        return cls(frozenset(scored.who.tolist()), frozenset(died.tolist()), frozenset(scored.site.tolist()))

    def __or__(self, other: "People") -> "People":
        return People(self.who | other.who, self.died | other.died, self.sites | other.sites)


@dataclass(frozen=True)
class Measured:
    """Metrics of one set of patients: the value (1,) and bootstrap draws (D,) of each.

    `people` are these patients, None where only their number is known. `counted` is of a mean over hospitals: metric ->
    the patients of the hospitals that could compute it.
    """

    point: Mapping[str, Floats]
    draws: Mapping[str, Floats]
    reasons: Mapping[str, str]
    n: int
    events: int | None
    people: People | None = None
    counted: Mapping[str, People] = field(default_factory=dict)


def subsets_of(modalities: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Every single modality, every pair, and all of them, without repeats (SEEDS.md section 7, item 4)."""
    pairs = [pair for pair in combinations(modalities, 2) if pair != modalities]
    return (*((name,) for name in modalities), *pairs, *([modalities] if len(modalities) > 1 else []))


def score_arm(fold: Fold, trained: Trained, *, ablate: bool = False) -> Scores:
    """Score an arm; with `ablate`, again without each modality and by every subset of them.

    `without` scores every patient, as a user would who loses the modality. A subset scores the patients that have any
    of its modalities: of the others it knows nothing, so their scores would say nothing about it.
    """
    use, groups = fold.study.modalities.names, _Groups.of(fold, trained)
    full = groups.score(fold.study, use)
    if not ablate or len(use) == 1:
        return full
    rest = {name: tuple(other for other in use if other != name) for name in use}
    subsets = subsets_of(use)
    scored = {kept: groups.score(fold.study, kept) for kept in {*rest.values(), *subsets} - {use}} | {use: full}
    return replace(
        full,
        without={name: scored[kept] for name, kept in rest.items()},
        subsets={"+".join(kept): groups.holders(scored[kept], kept) for kept in subsets},
    )


@dataclass(frozen=True)
class _Groups:
    """Which patients each model of an arm scores, on the gene scale that it was trained on."""

    own: tuple[tuple[nn.Module, Patients], ...]  # in site order
    unseen: tuple[tuple[nn.Module, Patients], ...]
    one_model: bool

    @classmethod
    def of(cls, fold: Fold, trained: Trained) -> "_Groups":
        modules = {name: restored(fold.study, model) for name, model in trained.models.items()}
        names = {site: site if site in trained.models else "" for site in fold.training}
        own = [(modules[name], fold.test(site, trained.models[name].statistics)) for site, name in names.items()]
        strangers = ("",) if "" in trained.models else tuple(trained.models)  # a site's own layers are for its own
        unseen = [(modules[name], fold.unseen(trained.models[name].statistics)) for name in strangers]
        return cls(
            tuple((module, patients) for module, patients in own if len(patients)),
            tuple((module, patients) for module, patients in unseen if patients is not None),
            "" in trained.models,
        )

    def score(self, study: Study, kept: tuple[str, ...]) -> Scores:
        """Every patient, by the modalities `kept` alone."""
        own, unseen = (
            [score_patients(predict(module, patients.only(kept), study), patients, study) for module, patients in group]
            for group in (self.own, self.unseen)
        )
        return Scores(Scored.concat(own), tuple(unseen), self.one_model)

    def holders(self, scores: Scores, kept: tuple[str, ...]) -> Scores:
        """The patients of `scores` that have any of the modalities `kept`."""
        own = np.concatenate([_have(patients, kept) for _, patients in self.own])
        unseen = [_have(patients, kept) for _, patients in self.unseen]
        parts = tuple(part.take(rows) for part, rows in zip(scores.unseen, unseen, strict=True))
        return Scores(scores.own.take(own), parts, self.one_model)


def _have(patients: Patients, kept: tuple[str, ...]) -> NDArray[np.bool_]:
    """The patients with any of the modalities `kept`: (P,)."""
    columns = [patients.modalities.index(name) for name in kept]
    return np.asarray(patients.present[:, columns].any(axis=1))


def measure_scores(scores: Scores, fold: Fold) -> dict[str, Measured]:
    """`own`, `own_site_mean`, `unseen`, `sites.<id>`, and `unseen.<id>` of an unseen hospital of 10 patients or more.

    Draws belong to patients (simulations/bootstrap.py), so that differences between arms are paired by patient.
    """
    survival, seed = scores.own.kind == "survival", seed_of(fold.study)
    weights = patient_weights(scores.own, seed)
    result: dict[str, Measured] = {}
    site_mean = Measured(
        measure_site_mean(scores.own),
        measure_site_mean(scores.own, weights),
        site_mean_reasons(scores.own),
        len(scores.own),
        scores.own.events if survival else None,
        People.of(scores.own),
        {
            name: People.of(scores.own.take(np.isin(scores.own.site, sites)))
            for name, sites in computed_at(scores.own).items()
        },
    )
    result["own"] = _measured(scores.own, weights, survival) if scores.one_model else site_mean
    result["own_site_mean"] = site_mean
    for site in fold.training:
        rows = np.flatnonzero(scores.own.site == site)
        result[f"sites.{site}"] = _measured(scores.own.take(rows), weights[:, rows], survival)
    if scores.unseen:
        weights = patient_weights(scores.unseen[0], seed)
        parts = [_measured(scored, weights, survival) for scored in scores.unseen]
        result["unseen"] = _mean_over_models(parts)
        strangers = np.unique(scores.unseen[0].site).tolist()
        for site in strangers:
            rows = np.flatnonzero(scores.unseen[0].site == site)
            if len(strangers) == 1 and len(rows) >= UNSEEN_SITE:
                result[f"unseen.{site}"] = result["unseen"]
            elif len(rows) >= UNSEEN_SITE:
                parts = [_measured(scored.take(rows), weights[:, rows], survival) for scored in scores.unseen]
                result[f"unseen.{site}"] = _mean_over_models(parts)
    return result


@dataclass(frozen=True)
class BySite:
    """Metrics of one fold with draws (D,) of whole hospitals; `drawn` (D,): how often each draw has them."""

    point: Mapping[str, Floats]
    draws: Mapping[str, Floats]
    drawn: Floats
    counted: Mapping[str, frozenset[str]]  # metric -> the hospitals that it is of


def measure_by_site(scores: Scores, fold: Fold) -> dict[str, BySite]:
    """`own_site_mean` and `unseen` with draws of whole hospitals.

    Their intervals ask what another choice of hospitals would have given, not only of patients.
    """
    parts = {"own_site_mean": (scores.own,), "unseen": scores.unseen}
    found = {}
    for where, every in parts.items():
        if every:
            weights = site_weights(every[0], seed_of(fold.study))
            score = measure_site_mean if where == "own_site_mean" else measure
            point = plain_mean([score(scored) for scored in every])
            names = np.unique(every[0].site).tolist()
            copies = site_copies(names, seed_of(fold.study))
            draws = plain_mean([score(scored, weights) | _within(scored, copies) for scored in every])
            drawn = copies.mean(axis=1)
            at = computed_at(every[0]) if where == "own_site_mean" else dict.fromkeys(point, names)
            counted = {name: frozenset(at.get(name, [])) for name in point if np.isfinite(point[name][0])}
            found[where] = BySite(point, draws, drawn, counted)
    return found


def _within(scored: Scored, copies: Floats) -> dict[str, Floats]:
    """The c-index within sites when hospitals are drawn so often: each copy has pairs of its own."""
    if scored.kind != "survival" or scored.events < MIN_EVENTS:
        return {}
    pairs = [(float(a[0]), float(b[0])) for a, b in pairs_by_site(scored, np.ones((1, len(scored)))).values()]
    return {"c_index_within_site": divide(*(copies @ np.array(pairs)).T)}


def _mean_over_models(parts: Sequence[Measured]) -> Measured:
    first = parts[0]
    point, draws = plain_mean([part.point for part in parts]), plain_mean([part.draws for part in parts])
    return Measured(point, draws, first.reasons, first.n, first.events, first.people)


def _measured(scored: Scored, weights: Floats, survival: bool) -> Measured:
    events = scored.events if survival else None
    return Measured(measure(scored), measure(scored, weights), reasons(scored), len(scored), events, People.of(scored))
