"""What every task can do, and which class serves which settings."""

from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from shared.cohort.batch import Batch, ModelOutput
from shared.errors import StudyError
from shared.study import ClassificationTask, DetectionTask, SurvivalTask
from shared.tasks.classification import Classification
from shared.tasks.labels import Labels
from shared.tasks.survival import Survival

__all__ = ["Task", "task_of"]


class Task(Protocol):
    """What training and evaluation ask of a task. A model's own `aux_loss` is added by the trainer."""

    @property
    def kind(self) -> str:
        """`classification` or `survival`."""

    @property
    def outputs(self) -> int:
        """C, the number of logits."""

    def labels(self, patients: pd.DataFrame) -> Labels:
        """One label a row of the patient table; CohortError if a value cannot be understood."""

    def strata(self, labels: Labels) -> NDArray[np.int64]:
        """What splits keep in proportion, -1 for patients that are left out: (P,)."""

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        """The loss of each patient: (B,)."""

    def scores(self, output: ModelOutput) -> Tensor:
        """What metrics are computed from: class probabilities (B, classes) or the survival curve (B, bins)."""


def task_of(settings: ClassificationTask | SurvivalTask | DetectionTask) -> Task:
    """The task of a resolved study; StudyError if its classes are not known yet, or if it is read from images."""
    if isinstance(settings, SurvivalTask):
        return Survival(settings)
    if isinstance(settings, DetectionTask):
        raise StudyError(
            "task.kind: expected classification or survival here, got detection; choose a study that predicts a label"
        )
    if not settings.classes:
        raise StudyError(
            "task.classes: expected at least two classes, got none; name them, or take those of the cohort"
        )
    return Classification(settings)
