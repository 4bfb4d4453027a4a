"""The `[privacy]` section of a study file."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from shared.documents import Added, Document, contradictions
from shared.privacy.stated import STATED, stated_faults

__all__ = ["Privacy"]


class Privacy(Document):
    """Privacy terms (shared/privacy/terms.py): constants of the study, none of them computed from patients.

    `mode` is "off", or "local": every site adds the whole noise itself. `sigma` is filled in from `epsilon` when the
    study leaves it out, so that the digest holds it. "distributed" is refused until there is secure aggregation.
    """

    mode: Literal["off", "local", "distributed"] = "off"
    epsilon: Annotated[float | None, Field(gt=0), Added] = None
    delta: Annotated[float | None, Field(gt=0, lt=1), Added] = None
    clip: Annotated[float, Field(ge=1e-6, le=1e6), Added] = 1.0
    sigma: Annotated[float | None, Field(gt=0), Added] = None
    sample_rate: Annotated[float | None, Field(gt=0, le=1), Added] = None
    steps_per_round: Annotated[int | None, Field(ge=1), Added] = None
    expected_batch: Annotated[float | None, Field(ge=1), Added] = None
    backend: Annotated[Literal["auto", "vmap", "loop"], Added] = "auto"
    noise_source: Annotated[Literal["chacha20", "os-seeded", "test-seeded"], Added] = "chacha20"

    @property
    def on(self) -> bool:
        """Whether the study is trained with differential privacy."""
        return self.mode != "off"

    @model_validator(mode="after")
    def _agrees(self) -> "Privacy":
        contradictions(stated_faults(self.mode, {name: getattr(self, name) for name in STATED}))
        return self
