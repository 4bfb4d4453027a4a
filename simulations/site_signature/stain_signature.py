"""How well mean slide features name the hospital, corrected or not, when every patient may be measured."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shared.cohort.load import SitePatients
from shared.cohort.patients import Patients
from shared.seeds import derive_seed
from simulations.site_signature.correct import fit_correction
from simulations.site_signature.measure import modality_values
from simulations.site_signature.meter import Named, name_hospital

__all__ = ["stain_signature"]

SHUFFLES = 2
Z = 1.96


def stain_signature(sites: Mapping[str, SitePatients], correction: str, seed: int) -> dict[str, float]:
    """`within_class_auc`, its standard error `se`, `auc`, `balanced_accuracy` and `null`.

    Half of each hospital is measured while the other half is the reference, then the other way round; figures are
    means of the two. `null` is the first with patients given to hospitals at random, the correction fitted again.
    """
    everyone = Patients.concatenate([sites[site].patients for site in sorted(sites)])
    half = np.zeros(len(everyone), bool)
    for site in sorted(sites):
        rows = np.flatnonzero(everyone.site == site)
        half[np.random.default_rng(derive_seed(seed, "half", site)).permutation(rows)[: len(rows) // 2]] = True
    found = [_named(everyone, measured, correction, seed, None) for measured in (half, ~half)]
    random = [_named(everyone, measured, correction, seed, i) for measured in (half, ~half) for i in range(SHUFFLES)]
    widths = [_known(named.within_class_high) - _known(named.within_class_low) for named in found]
    return {
        "auc": float(np.mean([_known(named.auc) for named in found])),
        "se": float(np.mean(widths) / 2 / Z / np.sqrt(len(found))),
        "within_class_auc": float(np.mean([_known(named.within_class_auc) for named in found])),
        "balanced_accuracy": float(np.mean([_known(named.balanced_accuracy) for named in found])),
        "null": float(np.mean([_known(named.within_class_auc) for named in random])),
    }


def _named(everyone: Patients, measured: NDArray[np.bool_], correction: str, seed: int, shuffle: int | None) -> Named:
    """One half measured, the correction fitted on the other; with `shuffle` the hospitals of both are shuffled."""
    values, site, others = modality_values(everyone, "slides"), everyone.site[measured], everyone.site[~measured]
    if shuffle is not None:
        rng = np.random.default_rng(derive_seed(seed, "shuffle", shuffle))
        site, others = rng.permutation(site), rng.permutation(others)
    features = values[measured]
    if correction != "none":
        features = fit_correction(correction, values[~measured], others)(features, site)
    return name_hospital(features, site, seed, classes=everyone.y[measured], keys=everyone.case_id[measured])


def _known(value: float | None) -> float:
    """A figure that is there, since every hospital of the experiment is large enough."""
    assert value is not None
    return value
