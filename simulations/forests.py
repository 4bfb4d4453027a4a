"""Forest floors: what trees make of the raw values. Slower than linear floors, so they are asked for.

A class is predicted by scikit-learn's random forest (Breiman 2001, Mach Learn 45:5-32); survival by scikit-survival's
(Ishwaran et al. 2008, Ann Appl Stat 2:841-860), which is no dependency of mmfed: without it there is no such floor.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.cohort.patients import Patients
from shared.study import Study, SurvivalTask

__all__ = ["fit_forest", "forest_name", "forest_notes"]

Floats = NDArray[np.float64]
Inputs = Callable[[Patients], Floats]
TREES = 200
LEAF = 3  # patients
SURVIVAL_LEAF = 10  # a leaf's curve needs some deaths


def forest_name(study: Study) -> str:
    """The floor's name; "" where the forest of this task is not installed."""
    if not isinstance(study.task, SurvivalTask):
        return "random_forest"
    return "random_survival_forest" if find_spec("sksurv") else ""


def forest_notes(study: Study) -> list[str]:
    """A sentence when the forest that was asked for is not there."""
    if forest_name(study):
        return []
    return ["The random survival forest is left out: it needs scikit-survival, which is not installed."]


def fit_forest(train: Patients, study: Study, inputs: Inputs) -> Callable[[Patients], Floats]:
    """Fit the forest of the study's task, on one core and always with the same trees.

    Returns
    -------
    Patients -> scores
        Probabilities of classes (P, C), or survival at the ends of the study's time bins (P, K).
    """
    if isinstance(study.task, SurvivalTask):
        return _fit_survival(train, study.task, inputs)
    from sklearn.ensemble import RandomForestClassifier

    classes = max(study.task.outputs, 2)
    model = RandomForestClassifier(TREES, min_samples_leaf=LEAF, max_features="sqrt", random_state=0, n_jobs=1)
    model.fit(inputs(train), train.y)

    def predict(patients: Patients) -> Floats:
        probabilities = np.zeros((len(patients), classes))
        probabilities[:, model.classes_] = model.predict_proba(inputs(patients))
        return probabilities

    return predict


def _fit_survival(train: Patients, task: SurvivalTask, inputs: Inputs) -> Callable[[Patients], Floats]:
    from sksurv.ensemble import RandomSurvivalForest
    from sksurv.util import Surv

    model: Any = RandomSurvivalForest(
        TREES, min_samples_leaf=SURVIVAL_LEAF, max_features="sqrt", random_state=0, n_jobs=1
    )
    model.fit(inputs(train), Surv.from_arrays(train.cens == 0, train.time))
    ends = np.array([*task.time_edges, float(train.time.max())])

    def predict(patients: Patients) -> Floats:
        curves: Floats = model.predict_survival_function(inputs(patients), return_array=True)
        # a step function: its value at an end is that of the last time before it, 1 before the first
        place = np.searchsorted(model.unique_times_, ends, side="right")
        return np.hstack([np.ones((len(curves), 1)), curves])[:, place]

    return predict
