"""The site-signature meter: how well features name the hospital that a patient comes from.

Howard et al. 2021 (Nat Commun 12:4423) found that slide features name the hospital, and that this inflates results.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from shared.seeds import derive_seed
from simulations.site_signature.naming import macro_auc

__all__ = ["LEAST", "Named", "name_hospital"]

Floats = NDArray[np.float64]
Names = NDArray[np.str_]
Classes = NDArray[np.int64]
LEAST = 5  # patients of a hospital, one a fold
FOLDS = 5
COMPONENTS = 40  # 1,280 dimensions take minutes
RIDGE = 0.1


@dataclass(frozen=True)
class Named:
    """How well the hospital can be told. All figures are null with a `reason` when fewer than two hospitals are left.

    `auc` is the mean over hospitals of one against the rest, .5 = cannot be told, 1 = always told, with its 95 %
    interval; `within_class_auc` compares only patients of the same outcome class, so that a hospital is not named by
    which patients it has. `balanced_accuracy` has the chance level `chance`. `null` is the AUC with shuffled hospitals.
    """

    n: int  # patients compared
    sites: int
    left_out: int  # patients of hospitals with fewer than LEAST
    auc: float | None = None
    low: float | None = None
    high: float | None = None
    balanced_accuracy: float | None = None
    chance: float | None = None  # 1 / sites
    within_class_auc: float | None = None
    within_class_low: float | None = None
    within_class_high: float | None = None
    null: float | None = None  # mean over the shuffles; None without any
    null_highest: float | None = None
    reason: str | None = None


def name_hospital(
    features: Floats,
    site: Names,
    seed: int,
    *,
    classes: Classes | None = None,
    keys: Names | None = None,
    shuffles: int = 0,
) -> Named:
    """How well `features` (P, d) name the hospital `site` (P,), by cross-validated multinomial logistic regression.

    Five folds, stratified by hospital; scaling, PCA and regression are all fitted inside the training part. Patients
    are compared within a fold, since scores of two folds are of two models. The order of the patients changes nothing,
    and equal seeds give equal figures. Corrected features are to be corrected by a fit on other patients: one that has
    seen those who are measured pushes training and test part apart, and the AUC below .5.

    Parameters
    ----------
    classes
        (P,) outcome classes, for `within_class_auc`; None = not measured.
    keys
        (P,) different names of the patients: two sets of features of the same patients then have the same folds.
    shuffles
        How often all is repeated with shuffled hospitals.

    Raises
    ------
    ValueError
        The features have another number of rows than the sites, or are not all finite.
    """
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or len(features) != len(site) or not np.isfinite(features).all():
        raise ValueError(
            f"features: expected finite ({len(site)}, d), got {features.shape}; fill in or leave out what is missing"
        )
    names, counts = np.unique(site, return_counts=True)
    large = names[counts >= LEAST]
    rows = np.flatnonzero(np.isin(site, large))
    left_out = len(site) - len(rows)
    if len(large) < 2 or not features.shape[1]:
        reason = f"fewer than two hospitals with {LEAST} patients" if features.shape[1] else "no features"
        return Named(len(rows), len(large), left_out, reason=reason)
    rows = np.array(sorted(rows.tolist(), key=lambda row: _rank(row, features, site, classes, keys)))
    features, site = features[rows], site[rows]
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=seed % 2**32).split(features, site))
    fold = np.empty(len(site), np.int64)
    for number, (_, test) in enumerate(folds):
        fold[test] = number
    inputs = [_inputs(features, train) for train, _ in folds]
    scores, truth = _scores(inputs, site, folds)
    auc, low, high = macro_auc(scores, truth, fold)
    within: tuple[float | None, float | None, float | None] = (None, None, None)
    if classes is not None:
        kind = np.unique(classes[rows], return_inverse=True)[1]
        within = macro_auc(scores, truth, fold * (int(kind.max()) + 1) + kind)
    null = []
    for shuffle in range(shuffles):
        other = np.random.default_rng(derive_seed(seed, "shuffle", shuffle)).permutation(site)
        null.append(macro_auc(*_scores(inputs, other, folds), fold)[0] or 0.5)
    recall = [float((scores[truth == i].argmax(axis=1) == i).mean()) for i in range(len(large))]
    return Named(
        *(len(rows), len(large), left_out, auc, low, high, float(np.mean(recall)), 1 / len(large), *within),
        null=float(np.mean(null)) if null else None,
        null_highest=max(null, default=None),
    )


def _rank(
    row: int, features: Floats, site: Names, classes: Classes | None, keys: Names | None
) -> tuple[str, str | bytes, int]:
    """What patients are put in order by, before they are divided into folds."""
    own = features[row].tobytes() if keys is None else str(keys[row])
    return str(site[row]), own, 0 if classes is None else int(classes[row])


def _inputs(features: Floats, train: NDArray[np.intp]) -> Floats:
    """All patients (P, k), scaled and reduced as the training part says."""
    scaled = StandardScaler().fit(features[train]).transform(features)
    _, sizes, axes = np.linalg.svd(scaled[train], full_matrices=False)
    kept = min(COMPONENTS, len(train) - 1, features.shape[1])
    reduced = scaled @ axes[:kept].T
    # the first has variance 1, so that the ridge means the same for any width; features that do not vary are all 0
    inputs: Floats = reduced * np.sqrt(len(train)) / (sizes[0] if sizes[0] > 0 else 1.0)
    return inputs


def _scores(
    inputs: list[Floats], site: Names, folds: list[tuple[NDArray[np.intp], NDArray[np.intp]]]
) -> tuple[Floats, NDArray[np.intp]]:
    """Log-probabilities (P, S) of every hospital from the folds that left the patient out, and the true one (P,)."""
    names, truth = np.unique(site, return_inverse=True)
    scores = np.full((len(site), len(names)), -np.inf)
    for values, (train, test) in zip(inputs, folds, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a meter needs no last digit
            model = LogisticRegression(C=1 / RIDGE, max_iter=300).fit(values[train], truth[train])
        odds = model.decision_function(values[test])
        odds = odds if odds.ndim == 2 else np.stack([np.zeros_like(odds), odds], axis=1)  # two hospitals
        scores[np.ix_(test, model.classes_)] = log_softmax(odds, axis=1)
    return scores, truth
