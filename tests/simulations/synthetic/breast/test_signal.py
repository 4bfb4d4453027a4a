"""What can be learnt from the breast cohort: expression knows most, the slide some, both more than either."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from simulations.synthetic.breast.expression import draw_breast_expression
from simulations.synthetic.breast.hospitals import BREAST_HOSPITALS
from simulations.synthetic.breast.patients import BreastPatient, draw_breast_patients
from simulations.synthetic.expression import draw_batch

Array = NDArray[np.float64]


def auc(x: Array, y: NDArray[np.bool_]) -> float:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return float(roc_auc_score(y, cross_val_predict(model, x, y, cv=folds, method="predict_proba")[:, 1]))


def genes(patients: list[BreastPatient], seed: int) -> Array:
    batches = {hospital.code: draw_batch(hospital.code, seed) for hospital in BREAST_HOSPITALS}
    return np.array([draw_breast_expression(p, batches[p.hospital], seed) for p in patients])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_expression_is_strong_the_slide_weaker_and_both_together_best(seed: int) -> None:
    everyone = [patient for hospital in BREAST_HOSPITALS for patient in draw_breast_patients(hospital, seed)]
    patients = [patient for patient in everyone if patient.pam50 != "Normal"]
    positive = np.array([patient.pam50 in ("Basal", "Her2") for patient in patients])
    expression = genes(patients, seed)
    # what a frozen encoder sees of a morphology, it sees through noise
    noise = np.random.default_rng(0).normal(0, 0.15, (len(patients), 1))
    slide = np.array([[patient.morphology.level] for patient in patients]) + noise
    alone = {"expression": auc(expression, positive), "slide": auc(slide, positive)}
    assert 0.87 < alone["expression"] < 0.96
    assert 0.65 < alone["slide"] < alone["expression"]
    assert auc(np.hstack([expression, 10 * slide]), positive) > alone["expression"]
