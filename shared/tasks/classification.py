"""Classification: one class a patient. Grading is the same task with ordered classes; the loss does not differ."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from shared.cohort.batch import Batch, ModelOutput
from shared.errors import CohortError
from shared.study import ClassificationTask
from shared.tasks.labels import Labels, column_of, counted

__all__ = ["Classification", "classes_in"]


@dataclass(frozen=True)
class Classification:
    """Classes of one column. Two classes share one logit, that of class index 1."""

    settings: ClassificationTask
    kind: Literal["classification"] = "classification"

    @property
    def outputs(self) -> int:
        """Logits: 1 for two classes, else one a class."""
        classes = len(self.settings.classes)
        return 1 if classes == 2 else classes

    def labels(self, patients: pd.DataFrame) -> Labels:
        """One label a row of the patient table; reason `label missing` for empty cells.

        Raises
        ------
        CohortError
            No such column, or values that neither `groups` nor `classes` knows: each is named with its count.
        """
        column, groups = self.settings.column, self.settings.groups
        index = {name: i for i, name in enumerate(self.settings.classes)}
        texts = column_of(patients, column)
        strangers = [text for text in texts if text and groups.get(text, text) not in index]
        if strangers:
            raise CohortError(
                f"clinical.tsv: {column}: expected one of {', '.join(index)}, got {counted(strangers)}; "
                f"add them to task.groups or task.classes, or map them in [values.{column}] of the site file"
            )
        rows = len(texts)
        return Labels(
            y=np.array([index[groups.get(text, text)] if text else -1 for text in texts], dtype=np.int64),
            time=np.zeros(rows, dtype=np.float32),
            cens=np.zeros(rows, dtype=np.float32),
            reason=tuple("" if text else "label missing" for text in texts),
        )

    def strata(self, labels: Labels) -> NDArray[np.int64]:
        """What splits keep in proportion: the class, -1 for patients that are left out. (P,)."""
        return labels.y

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        """Cross-entropy of each patient in nats: (B,)."""
        logits = output["logits"]
        if self.outputs == 1:
            return functional.binary_cross_entropy_with_logits(logits[:, 0], batch.y.to(logits.dtype), reduction="none")
        return functional.cross_entropy(logits, batch.y, reduction="none")

    def scores(self, output: ModelOutput) -> Tensor:
        """Class probabilities, which add up to 1: (B, C), two columns for two classes."""
        logits = output["logits"]
        if self.outputs == 1:
            return torch.sigmoid(torch.cat([-logits, logits], dim=1))
        return logits.softmax(dim=1)


def classes_in(patients: pd.DataFrame, settings: ClassificationTask) -> tuple[str, ...]:
    """The classes of a table after `groups`, sorted: what a simulation fills in when the study names none."""
    texts = column_of(patients, settings.column)
    return tuple(sorted({settings.groups.get(text, text) for text in texts if text}))
