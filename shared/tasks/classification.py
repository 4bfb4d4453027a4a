"""Classification: one class a patient. Grading is the same task with ordered classes; the loss does not differ."""

from collections import Counter
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
from shared.tasks.labels import Labels, counted, joined_column

__all__ = ["Classification", "classes_in", "count_classes"]


@dataclass(frozen=True)
class Classification:
    """Classes of one column. Two classes share one logit, that of class index 1."""

    settings: ClassificationTask
    kind: Literal["classification"] = "classification"

    @property
    def outputs(self) -> int:
        """Logits: 1 for two classes, else one a class."""
        return self.settings.outputs

    def labels(self, patients: pd.DataFrame) -> Labels:
        """One label a row of the patient table. Reasons: `label missing`, and `left out: VALUE` for `left_out`.

        Raises
        ------
        CohortError
            No such column, or values that nothing in the task knows: each is named with its count.
        """
        task = self.settings
        index = {name: i for i, name in enumerate(task.classes)}
        texts = joined_column(patients, task.columns)
        reason = tuple(_reason(text, task) for text in texts)
        y = [-1 if why else index.get(task.groups.get(text, text), -1) for text, why in zip(texts, reason, strict=True)]
        strangers = [text for text, why, label in zip(texts, reason, y, strict=True) if label < 0 and not why]
        if strangers:
            places = " or ".join(f"[values.{name}]" for name in task.columns)
            raise CohortError(
                f"clinical.tsv: {task.column}: expected one of {', '.join(index)}, got {counted(strangers)}; "
                f"add them to task.groups, task.classes or task.left_out, or map them in {places} of the site file"
            )
        nothing = np.zeros(len(texts), dtype=np.float32)
        return Labels(y=np.array(y, dtype=np.int64), time=nothing, cens=nothing, reason=reason)

    def strata(self, labels: Labels) -> NDArray[np.int64]:
        """What splits keep in proportion: the class, -1 for patients that are left out. (P,)."""
        return labels.y

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        """Cross-entropy of each patient in nats, of the adjusted logits and times its class's weight: (B,)."""
        logits, task = self._own(output), self.settings
        if task.logit_adjustment:
            logits = logits + task.logit_adjustment * self._log_priors(logits)
        if self.outputs == 1:
            loss = functional.binary_cross_entropy_with_logits(logits[:, 0], batch.y.to(logits.dtype), reduction="none")
        else:
            loss = functional.cross_entropy(logits, batch.y, reduction="none")
        return loss * logits.new_tensor(task.class_weights)[batch.y] if task.class_weights else loss

    def scores(self, output: ModelOutput) -> Tensor:
        """Class probabilities without the adjustment, which add up to 1: (B, C), two columns for two classes."""
        logits = self._own(output)
        if self.outputs == 1:
            return torch.sigmoid(torch.cat([-logits, logits], dim=1))
        return logits.softmax(dim=1)

    def _own(self, output: ModelOutput) -> Tensor:
        """The task's logits (B, outputs), which come first; those of further heads follow."""
        return output["logits"][:, : self.outputs]

    def _log_priors(self, like: Tensor) -> Tensor:
        """Log of the priors (C,); for the one logit of two classes the log of their odds (1,)."""
        priors = like.new_tensor(self.settings.priors).log()
        return priors[1:] - priors[:1] if self.outputs == 1 else priors


def count_classes(patients: pd.DataFrame, settings: ClassificationTask) -> dict[str, int]:
    """Class after `groups` -> patients of a table; a value that no class knows counts as one of its own."""
    texts = joined_column(patients, settings.columns)
    return dict(Counter(settings.groups.get(text, text) for text in texts if not _reason(text, settings)))


def classes_in(patients: pd.DataFrame, settings: ClassificationTask) -> tuple[str, ...]:
    """The classes of a table, sorted: what a simulation fills in when the study names none."""
    return tuple(sorted(count_classes(patients, settings)))


def _reason(text: str, task: ClassificationTask) -> str:
    """Why a value of the column is no class; "" if it should be one."""
    if not text:
        return "label missing"
    return f"left out: {text}" if text in task.left_out else ""
