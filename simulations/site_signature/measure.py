"""The site signature of one fold: features before any model, the fused embedding, and the predictions.

Nobody is measured who trained or on whom a correction was fitted. A training hospital's test patients are measured
and its training patients are the reference of the corrections; of an unseen hospital one half is measured, and the
other half, without labels, is the reference.
"""

import math
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shared.cohort.patients import Patients
from shared.seeds import derive_seed
from shared.study import ClassificationTask, Study
from shared.tasks import task_of
from shared.weights import new_model
from simulations.arms import Trained, restored
from simulations.fold import Fold
from simulations.multiplicity import compared
from simulations.site_signature.correct import CORRECTIONS, fit_correction
from simulations.site_signature.meter import LEAST, Named, name_hospital

__all__ = ["Measurable", "measurable", "measure_signature", "modality_values", "with_gap"]

Floats = NDArray[np.float64]
Names = NDArray[np.str_]
MOST_SITES = 40  # the largest; a thousand hospitals would take minutes
MOST_PATIENTS = 50  # of one hospital, on each side
LEAST_REFERENCE = 2
SHUFFLES = 2
BATCH = 256  # patients a forward pass


@dataclass(frozen=True, eq=False)
class Measurable:
    """Who is measured, and on whom corrections are fitted. `labelled` (R,): the reference patients that trained."""

    measured: Patients
    reference: Patients
    labelled: NDArray[np.bool_]
    left_out: int  # patients of hospitals that are too small, or beyond the largest

    def with_modality(self, name: str) -> "Measurable":
        """Those who have the modality, at the hospitals with enough of them."""
        column = self.measured.modalities.index(name)
        measured, reference = (np.flatnonzero(part.present[:, column] > 0) for part in (self.measured, self.reference))
        sites = _enough(self.measured.site[measured], self.reference.site[reference])
        measured = measured[np.isin(self.measured.site[measured], sites)]
        reference = reference[np.isin(self.reference.site[reference], sites)]
        return Measurable(self.measured.take(measured), self.reference.take(reference), self.labelled[reference], 0)


def measurable(fold: Fold, trained: Trained | None = None) -> Measurable:
    """The patients of one fold, genes on the scale that `trained`, else the fold, agreed on."""
    statistics = fold.statistics if trained is None else trained.models[""].statistics
    measured, reference, labelled = [], [], []
    for site in sorted(fold.sites):
        everyone = fold.sites[site].normalised(fold.study, statistics)
        if site in fold.training:
            test = fold.sites[site].test
        else:  # halves by case_id, so that they do not depend on the order of the rows
            order = np.argsort(everyone.case_id, kind="stable")
            drawn = np.random.default_rng(derive_seed(fold.study.seed, "signature", site)).permutation(order)
            test = np.zeros(len(everyone), bool)
            test[drawn[len(drawn) // 2 :]] = True
        measured.append(everyone.take(np.flatnonzero(test)[:MOST_PATIENTS]))
        reference.append(everyone.take(np.flatnonzero(~test)[:MOST_PATIENTS]))
        labelled += [site in fold.training] * len(reference[-1])
    whole = Measurable(Patients.concatenate(measured), Patients.concatenate(reference), np.array(labelled), 0)
    sites = _enough(whole.measured.site, whole.reference.site)
    here, kept = np.isin(whole.measured.site, sites), np.isin(whole.reference.site, sites)
    left_out = int((~here).sum() + (~kept).sum())
    return Measurable(whole.measured.take(here), whole.reference.take(kept), whole.labelled[kept], left_out)


def _enough(measured: NDArray[np.str_], reference: NDArray[np.str_]) -> list[str]:
    """At most MOST_SITES hospitals with LEAST measured and LEAST_REFERENCE reference patients, the largest first."""
    names, counts = np.unique(measured, return_counts=True)
    others = {str(name): int((reference == name).sum()) for name in names}
    able = [
        (-int(count), str(name))
        for name, count in zip(names, counts, strict=True)
        if count >= LEAST and others[str(name)] >= LEAST_REFERENCE
    ]
    return [name for _, name in sorted(able)[:MOST_SITES]]


def measure_signature(fold: Fold, trained: Trained) -> dict[str, Any]:
    """The `signature` part of metrics.json, from the federated model of one fold; {} when nobody can be compared.

    One model scores everybody: a hospital's own layers would name it by themselves.
    """
    people = measurable(fold, trained)
    if len(set(people.measured.site.tolist())) < 2:
        return {}
    study, rows = fold.study, []
    for name in study.modalities.names:
        part = people.with_modality(name)
        if len(part.measured):
            values = modality_values(part.measured, name), modality_values(part.reference, name)
            rows += _rows(study, part, values, "features", name, "frozen", tuple(CORRECTIONS))
    before, after = new_model(study), restored(study, trained.models[""])
    start = (_through(before, people.measured, study)[0], np.zeros((0, 0)))
    rows += _rows(study, people, start, "embedding", "all", "before", ("none",))
    ends = [_through(after, part, study) for part in (people.measured, people.reference)]
    rows += _rows(study, people, (ends[0][0], ends[1][0]), "embedding", "all", "after", tuple(CORRECTIONS))
    rows += _rows(study, people, (ends[0][1], ends[1][1]), "predictions", "all", "after", ("none",))
    return {
        "n": len(people.measured),
        "sites": len(set(people.measured.site.tolist())),
        "left_out": people.left_out,
        "classes": _class_words(study),
        "rows": rows,
    }


def _rows(
    study: Study,
    people: Measurable,
    values: tuple[Floats, Floats],
    what: str,
    modality: str,
    when: str,
    corrections: tuple[str, ...],
) -> list[dict[str, Any]]:
    """One row a correction. `values` are those of the measured and of the reference patients.

    `null` is the AUC with patients given to hospitals at random, the correction fitted again: one that is fitted on
    few patients leaves its own error behind, and that names a hospital too.
    """
    seed, rows = derive_seed(study.seed, "signature"), []
    classes, site = _classes(people.measured, study), people.measured.site
    known = np.where(people.labelled, _classes(people.reference, study), -1)
    for kind in corrections:
        meter = partial(name_hospital, seed=seed, keys=people.measured.case_id)
        features = _corrected(kind, values, site, people.reference.site, known)
        found = meter(features, site, classes=classes)
        null = []
        for shuffle in range(SHUFFLES):
            rng = np.random.default_rng(derive_seed(seed, "shuffle", shuffle))
            sites = rng.permutation(site), rng.permutation(people.reference.site)
            null.append(meter(_corrected(kind, values, *sites, known), sites[0]).auc)
        level = [auc for auc in null if auc is not None]
        found = replace(found, null=float(np.mean(level)) if level else None, null_highest=max(level, default=None))
        rows.append({"what": what, "modality": modality, "when": when, "correction": kind, **_figures(found)})
    return rows


def _corrected(
    kind: str, values: tuple[Floats, Floats], site: Names, reference: Names, classes: NDArray[np.int64]
) -> Floats:
    """The features of the measured patients, corrected as the reference says."""
    return values[0] if kind == "none" else fit_correction(kind, values[1], reference, classes)(values[0], site)


def _figures(found: Named) -> dict[str, Any]:
    return {k: round(v, 5) if isinstance(v, float) and math.isfinite(v) else v for k, v in asdict(found).items()}


def modality_values(patients: Patients, name: str) -> Floats:
    """One modality as a matrix (P, d): tables as they are, patches and images as their mean."""
    if name in ("slides", "imaging"):
        bags = patients.bags if name == "slides" else patients.images
        return np.array([bag.mean(axis=0) if len(bag) else np.zeros(bag.shape[1]) for bag in bags], dtype=np.float64)
    if name == "expression":
        return np.hstack([patients.expression, patients.aux]).astype(np.float64)
    return np.asarray(getattr(patients, name), dtype=np.float64)


def _through(model: nn.Module, patients: Patients, study: Study) -> tuple[Floats, Floats]:
    """The fused embedding (P, d), and the class probabilities or survival (P, C)."""
    task, parts = task_of(study.task), []
    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        for rows in torch.split(torch.arange(len(patients)), BATCH):
            output = model(patients.batch(rows.numpy()).to(device))
            parts.append([t.cpu().double().numpy() for t in (output["embedding"], task.scores(output))])
    embedding, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
    return embedding.reshape(len(patients), -1), scores


def _classes(patients: Patients, study: Study) -> NDArray[np.int64]:
    """(P,) the outcome class within which hospitals are compared; for survival, whether the patient died."""
    return patients.y if isinstance(study.task, ClassificationTask) else (1 - patients.cens).astype(np.int64)


def _class_words(study: Study) -> str:
    return "the same class" if isinstance(study.task, ClassificationTask) else "the same outcome (died, or not seen to)"


def with_gap(signature: dict[str, Any], metrics: dict[str, Any]) -> dict[str, Any]:
    """The signature with what the federated model loses at unseen hospitals, over all folds and repeats of the run.

    `own` is the mean over sites, as where arms are compared. `difference` is own - unseen of `metric`; its interval
    joins the two (MOVER, Zou and Donner 2008), whose patients are different ones.
    """
    arm = metrics.get("arms", {}).get("federated") or {}
    metric = compared(metrics["study"]["task"], "own_site_mean")[0]
    own, unseen = ((arm.get(where) or {}).get(metric) or {} for where in ("own_site_mean", "unseen"))
    gap: dict[str, Any] = {"metric": metric, "own": own or None, "unseen": unseen or None}
    gap |= {"difference": None, "low": None, "high": None}
    value, other = own.get("value"), unseen.get("value")
    if value is not None and other is not None:
        gap["difference"] = value - other
        if None not in (own["low"], own["high"], unseen["low"], unseen["high"]):
            gap["low"] = gap["difference"] - math.hypot(value - own["low"], unseen["high"] - other)
            gap["high"] = gap["difference"] + math.hypot(own["high"] - value, other - unseen["low"])
    return {**signature, "gap": gap}
