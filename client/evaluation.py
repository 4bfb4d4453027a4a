"""Score patients with a model."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shared.cohort.patients import Patients
from shared.metrics import Scored
from shared.study import Study, SurvivalTask
from shared.tasks import task_of

__all__ = ["predict", "score_patients"]

BATCH = 256  # patients a forward pass; bags are capped, so this bounds memory


def predict(model: nn.Module, patients: Patients, study: Study) -> NDArray[np.float64]:
    """Class probabilities, or the survival curve at the bins' ends.

    Returns
    -------
    (P, C) float64
    """
    task = task_of(study.task)
    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        parts = [
            task.scores(model(patients.batch(rows.numpy()).to(device))).cpu().double().numpy()
            for rows in torch.split(torch.arange(len(patients)), BATCH)
        ]
    return np.concatenate(parts)


def score_patients(scores: NDArray[np.float64], patients: Patients, study: Study) -> Scored:
    """Put predictions (P, C) beside the truth."""
    survival = isinstance(study.task, SurvivalTask)
    return Scored(
        kind=study.task.kind,
        scores=scores,
        y=patients.y,
        time=patients.time.astype(np.float64),
        event=(1 - patients.cens).astype(np.int64) if survival else np.zeros(len(patients), dtype=np.int64),
        site=patients.site,
        edges=study.task.time_edges if isinstance(study.task, SurvivalTask) else (),
    )
