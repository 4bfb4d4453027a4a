"""Tasks: what is predicted, and the loss of one patient. A task never sees a model, only what it returned."""

from shared.tasks.classification import Classification, classes_in, count_classes
from shared.tasks.heads import Loss, head_output, loss_of
from shared.tasks.labels import Labels
from shared.tasks.survival import Survival
from shared.tasks.task import Task, task_of

__all__ = [
    "Classification",
    "Labels",
    "Loss",
    "Survival",
    "Task",
    "classes_in",
    "count_classes",
    "head_output",
    "loss_of",
    "task_of",
]
