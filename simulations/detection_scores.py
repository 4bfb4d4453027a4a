"""Score trained detectors on patients, with the bootstrap draws that all arms share."""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from client.detection.evaluation import find_lesions
from client.detection.pictures import Example
from client.session import warm_model
from shared.metrics import bootstrap_weights, plain_mean
from shared.metrics.detection import Detected, measure_detected
from shared.metrics.ranking import divide
from shared.metrics.scored import Floats
from shared.models.yolo import Yolo
from shared.seeds import derive_seed
from shared.weights import Arrays, load_arrays
from simulations.bootstrap import DRAWS
from simulations.detection_arms import PictureFold, TrainedDetectors, training_device
from simulations.scores import Measured

__all__ = ["own_patients", "score_detectors", "unseen_patients"]


def score_detectors(fold: PictureFold, trained: TrainedDetectors) -> dict[str, Measured]:
    """`own`, `own_site_mean`, `unseen` and `sites.<id>` of one arm, differences between arms paired by patient."""
    seed, shared = (fold.study.seed, fold.study.split.repeat), "" in trained.networks
    own = own_patients(fold, {s: trained.networks[s if s in trained.networks else ""] for s in fold.training})
    weights = bootstrap_weights(len(own), DRAWS, derive_seed(*seed, "own"))
    rows = {site: np.flatnonzero(own.site == site) for site in fold.training}
    sites = {site: _measured(own.take(index), weights[:, index]) for site, index in rows.items()}
    mean = _site_mean(sites, {site: weights[:, index].sum(axis=1) for site, index in rows.items()}, len(own))
    result = {"own": _measured(own, weights) if shared else mean, "own_site_mean": mean}
    result |= {f"sites.{site}": measured for site, measured in sites.items()}
    if fold.unseen:
        strangers = [""] if shared else list(trained.networks)
        found = [unseen_patients(fold, trained.networks[name]) for name in strangers]
        weights = bootstrap_weights(len(found[0]), DRAWS, derive_seed(*seed, "unseen"))
        parts = [_measured(part, weights) for part in found]
        result["unseen"] = Measured(
            plain_mean([part.point for part in parts]),
            plain_mean([part.draws for part in parts]),
            parts[0].reasons,
            parts[0].n,
            None,
        )
    return result


def own_patients(fold: PictureFold, networks: Mapping[str, Arrays]) -> Detected:
    """The test patients of every training site, by the network given for the site."""
    return Detected.concat([_found(fold, networks[s], fold.sites[s].test, s) for s in fold.training])


def unseen_patients(fold: PictureFold, network: Arrays) -> Detected:
    """All patients of the sites that never train, by one network."""
    return Detected.concat([_found(fold, network, examples, site) for site, examples in fold.unseen.items()])


def _found(fold: PictureFold, network: Arrays, examples: Sequence[Example], site: str) -> Detected:
    model = cast(Yolo, warm_model(fold.study.canonical(), training_device()))
    load_arrays(model, network)
    return find_lesions(model, examples, site)


def _measured(detected: Detected, weights: Floats) -> Measured:
    point = measure_detected(detected)
    nulls = {name: "no lesion is marked" for name, value in point.items() if np.isnan(value[0])}
    return Measured(point, measure_detected(detected, weights), nulls, len(detected), None)


def _site_mean(sites: Mapping[str, Measured], patients: Mapping[str, Floats], n: int) -> Measured:
    """The patient-weighted mean over sites; `patients` (D,) says how many each draw has of a site."""
    names = next(iter(sites.values())).point
    point = {name: _mean([(m.point[name], np.array([float(m.n)])) for m in sites.values()]) for name in names}
    draws = {name: _mean([(m.draws[name], patients[site]) for site, m in sites.items()]) for name in names}
    nulls = {name: "no lesion is marked" for name, value in point.items() if np.isnan(value[0])}
    return Measured(point, draws, nulls, n, None)


def _mean(parts: Sequence[tuple[Floats, Floats]]) -> Floats:
    """The weighted mean (D,) of values and weights (D,), a NaN left out."""
    total = sum(np.where(np.isfinite(value), value * weight, 0.0) for value, weight in parts)
    share = sum(np.where(np.isfinite(value), weight, 0.0) for value, weight in parts)
    return divide(np.asarray(total), np.asarray(share))
