from collections.abc import Callable, Sequence

import pytest
import torch

from shared.cohort.batch import Batch, ModelOutput


@pytest.fixture
def batch_of() -> Callable[..., Batch]:
    """A batch of labels without any input."""

    def batch(y: Sequence[int], cens: Sequence[float] | None = None) -> Batch:
        rows = len(y)
        empty, unseen = torch.zeros(rows, 0), torch.zeros(rows, 0, dtype=torch.bool)
        return Batch(
            slides=torch.zeros(rows, 0, 0),
            slides_mask=unseen,
            expression=empty,
            expression_observed=unseen,
            aux=empty,
            aux_observed=unseen,
            blood=empty,
            blood_observed=unseen,
            imaging=torch.zeros(rows, 0, 0),
            imaging_mask=unseen,
            clinical=empty,
            clinical_observed=unseen,
            present=empty,
            y=torch.tensor(y, dtype=torch.int64),
            time=torch.zeros(rows),
            cens=torch.tensor(cens if cens is not None else [0.0] * rows, dtype=torch.float32),
        )

    return batch


@pytest.fixture
def output_of() -> Callable[[torch.Tensor], ModelOutput]:
    """What a model with these logits returns."""

    def output(logits: torch.Tensor) -> ModelOutput:
        return ModelOutput(logits=logits, aux_loss=torch.zeros(len(logits)), embedding=logits, attention={})

    return output
