"""The task sections of a study file: what is predicted, and from which columns it is learnt."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from shared.documents import Added, Document, contradictions

__all__ = ["ClassificationTask", "DetectionTask", "Head", "LabelTask", "SurvivalTask", "Task"]

Fraction = Annotated[float, Field(ge=0, lt=1)]


class ClassificationTask(Document):
    """Predict a class: the value of `column`, after `groups`; `classes` gives their order.

    `column` may join columns: "grade + idh_codel_subtype" has values such as "G4 + IDHwt". Patients with a value of
    `left_out` do not belong to the task; they are counted. `ordered` = the classes are grades, from low to high.
    `priors` are public shares of the classes and `class_weights` public factors of a patient's loss by class.
    `logit_adjustment` is tau of Menon et al. 2021 (ICLR, equation 10): the loss sees logits + tau log(prior), so that
    rare classes are not given up; 1 is the balanced softmax (Ren et al. 2020, NeurIPS, equation 4).
    """

    kind: Literal["classification"]
    column: str
    classes: tuple[str, ...] = ()
    groups: dict[str, str] = {}
    ordered: bool = False
    priors: tuple[Annotated[float, Field(ge=0, le=1)], ...] = ()
    left_out: Annotated[tuple[str, ...], Added] = ()
    class_weights: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Added] = ()
    logit_adjustment: Annotated[float, Field(ge=0), Added] = 0.0

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of clinical.tsv that are read: one, or those that " + " joins."""
        return tuple(self.column.split(" + "))

    @property
    def outputs(self) -> int:
        """Logits: 1 for two classes, else one a class; 0 while the classes are not known."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    @model_validator(mode="after")
    def _agrees(self) -> "ClassificationTask":
        faults = []
        if not all(name.strip() for name in self.columns):
            faults.append(f"expected columns joined by ' + ', got {self.column!r}; name each of them")
        if len(set(self.classes)) != len(self.classes):
            faults.append(f"expected distinct classes, got {list(self.classes)}; remove the repeated one")
        if len(self.classes) == 1:
            faults.append(f"expected at least two classes, got {list(self.classes)}; add the others")
        strangers = sorted(set(self.groups.values()) - set(self.classes)) if self.classes else []
        if strangers:
            faults.append(f"expected groups that lead to a class, got {strangers}; add them to classes")
        if self.priors and (len(self.priors) != len(self.classes) or abs(sum(self.priors) - 1) > 1e-6):
            faults.append(f"expected one prior a class, adding up to 1, got {list(self.priors)}; correct priors")
        if self.class_weights and len(self.class_weights) != len(self.classes):
            faults.append(f"expected one weight a class, got {list(self.class_weights)}; correct class_weights")
        if self.logit_adjustment and not all(prior > 0 for prior in self.priors or (0,)):
            got = list(self.priors) or "none"
            faults.append(f"expected priors above 0, since logit_adjustment uses them, got {got}; write public shares")
        both = sorted(set(self.left_out) & {*self.classes, *self.groups})
        if both:
            faults.append(f"expected left_out to be no class and in no group, got {both}; remove them there or here")
        contradictions(faults)
        return self


class SurvivalTask(Document):
    """Predict the hazard of each time bin. Times are months; 0 and infinity are implied at the ends.

    `censored_discount` is a of the loss: the part of a censored patient's log-likelihood that is left out.
    """

    kind: Literal["survival"]
    time_column: str = "os_months"
    event_column: str = "os_event"
    time_edges: Annotated[tuple[float, ...], Field(min_length=1)] = (12.0, 24.0, 60.0)
    censored_discount: Annotated[Fraction, Added] = 0.5

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of clinical.tsv that are read."""
        return self.time_column, self.event_column

    @property
    def outputs(self) -> int:
        """Logits: one a bin."""
        return len(self.time_edges) + 1

    @model_validator(mode="after")
    def _agrees(self) -> "SurvivalTask":
        edges = self.time_edges
        if edges[0] <= 0 or any(a >= b for a, b in pairwise(edges)):
            contradictions([f"expected time_edges that rise from above 0, got {list(edges)}; sort them"])
        return self


class DetectionTask(Document):
    """Find lesions on clinical images: the boxes of imaging.csv, all of one class.

    The architecture is `yolo`, and the one modality imaging, of which only `max_images` is written: pictures are read
    as they are, so nothing is prepared. Never under differential privacy: BatchNorm and the loss couple patients.
    """

    kind: Literal["detection"]

    @property
    def outputs(self) -> int:
        """1: lesion."""
        return 1


LabelTask = Annotated[ClassificationTask | SurvivalTask, Field(discriminator="kind")]
"""What is predicted of a patient; its labels are columns of clinical.tsv."""
Task = Annotated[ClassificationTask | SurvivalTask | DetectionTask, Field(discriminator="kind")]


class Head(Document):
    """A further task, `[[heads]]` and `[heads.task]`, trained beside the main one on logits of its own.

    Its loss times `weight` is added to that of the main task. A patient without its label adds nothing to it.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
    weight: Annotated[float, Field(gt=0)] = 1.0
    task: LabelTask
