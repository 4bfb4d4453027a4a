"""Score patients with a model."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shared.cohort.patients import Patients
from shared.metrics import Scored
from shared.study import ClassificationTask, Head, Study, SurvivalTask
from shared.tasks import head_output, task_of

__all__ = ["predict", "score_patients"]

BATCH = 256  # patients a forward pass; bags are capped, so this bounds memory


def predict(model: nn.Module, patients: Patients, study: Study, head: Head | None = None) -> NDArray[np.float64]:
    """Class probabilities, or the survival curve at the bins' ends: of the main task, or of a further head.

    Returns
    -------
    (P, C) float64
    """
    task = task_of(head.task if head else study.task)
    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        parts = [
            task.scores(head_output(output, study, head) if head else output).cpu().double().numpy()
            for rows in torch.split(torch.arange(len(patients)), BATCH)
            for output in [model(patients.batch(rows.numpy()).to(device))]
        ]
    return np.concatenate(parts)


def score_patients(scores: NDArray[np.float64], patients: Patients, study: Study, head: Head | None = None) -> Scored:
    """Put predictions (P, C) beside the truth; those of a head beside the patients that `Patients.of_head` gave."""
    task = head.task if head else study.task
    survival = isinstance(task, SurvivalTask)
    return Scored(
        kind=task.kind,
        scores=scores,
        y=patients.y,
        time=patients.time.astype(np.float64),
        event=(1 - patients.cens).astype(np.int64) if survival else np.zeros(len(patients), dtype=np.int64),
        site=patients.site,
        edges=task.time_edges if isinstance(task, SurvivalTask) else (),
        ordered=isinstance(task, ClassificationTask) and task.ordered,
        who=patients.numbers,
    )
