"""Survival in discrete time: the hazard of each time bin (SEEDS.md 1.3; Zadeh and Schmid 2020, eq. 8).

h_k = sigmoid(z_k) is the probability to die in bin k for who has reached it, S_k = prod_{j<=k} (1 - h_j) that of
living beyond it. All of it is computed in log space.
"""

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
from shared.study import SurvivalTask
from shared.tasks.labels import Labels, column_of, counted, numbers_of

__all__ = ["Survival"]


@dataclass(frozen=True)
class Survival:
    """Hazards of K = len(time_edges) + 1 bins of months."""

    settings: SurvivalTask
    kind: Literal["survival"] = "survival"

    @property
    def outputs(self) -> int:
        """Logits: one a bin."""
        return self.settings.outputs

    def labels(self, patients: pd.DataFrame) -> Labels:
        """One label a row: bin y with t_y <= time < t_{y+1}. Reasons: `time missing`, `event missing`, `time <= 0`.

        Raises
        ------
        CohortError
            No such column, a time that is no number, or an event other than 0 and 1.
        """
        time = numbers_of(patients, self.settings.time_column)
        event = self._events(patients)
        reason = tuple(_reason(t, e) for t, e in zip(time, event, strict=True))
        usable = np.array([not text for text in reason], dtype=np.bool_)
        bins = np.searchsorted(np.asarray(self.settings.time_edges), time, side="right")
        return Labels(
            y=np.where(usable, bins, -1).astype(np.int64),
            time=np.where(usable, time, 0).astype(np.float32),
            cens=np.where(usable, 1 - event, 0).astype(np.float32),
            reason=reason,
        )

    def _events(self, patients: pd.DataFrame) -> NDArray[np.float64]:
        column = self.settings.event_column
        event = numbers_of(patients, column)
        known = np.isnan(event) | np.isin(event, (0.0, 1.0))
        if not known.all():
            texts = column_of(patients, column)
            strangers = [text for text, fine in zip(texts, known, strict=True) if not fine]
            raise CohortError(
                f"clinical.tsv: {column}: expected 1 (event) or 0 (censored), got {counted(strangers)}; "
                "correct the table"
            )
        return event

    def strata(self, labels: Labels) -> NDArray[np.int64]:
        """What splits keep in proportion: 1 = event, 0 = censored, -1 for patients that are left out. (P,)."""
        return np.where(labels.usable, labels.event, -1).astype(np.int64)

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        """Negative log-likelihood of each patient in nats: L_unc + (1 - a) L_cens, (B,); a is `censored_discount`."""
        logits = self._own(output)
        log_survival = _log_survival(logits)  # (B, K), beyond each bin
        log_reached = functional.pad(log_survival, (1, -1))  # (B, K), up to each bin; S_{-1} = 1
        log_hazard = functional.logsigmoid(logits)
        y = batch.y[:, None]
        seen = -(log_reached.gather(1, y) + log_hazard.gather(1, y)).squeeze(1)
        censored = -log_survival.gather(1, y).squeeze(1)
        return (1 - batch.cens) * seen + batch.cens * (1 - self.settings.censored_discount) * censored

    def scores(self, output: ModelOutput) -> Tensor:
        """Probability to live beyond each bin, falling along the bins: (B, K). Higher = longer life."""
        return torch.exp(_log_survival(self._own(output)))

    def _own(self, output: ModelOutput) -> Tensor:
        """The task's logits (B, K), which come first; those of further heads follow."""
        return output["logits"][:, : self.outputs]


def _log_survival(logits: Tensor) -> Tensor:
    return functional.logsigmoid(-logits).cumsum(dim=1)


def _reason(time: float, event: float) -> str:
    if np.isnan(time):
        return "time missing"
    if np.isnan(event):
        return "event missing"
    return "time <= 0" if time <= 0 else ""
