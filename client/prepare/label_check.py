"""What a task would make of a site's clinical table: every value as the site writes it, and what is wrong."""

from collections import Counter
from dataclasses import dataclass

import pandas as pd

from client.prepare.patients import own_values
from shared.errors import CohortError
from shared.site import Site
from shared.study import ClassificationTask, SurvivalTask
from shared.tasks import classes_in, task_of
from shared.tasks.labels import joined_column

__all__ = ["LabelCheck", "TaskValue", "check_labels"]

EVENTS = {"1": "event", "1.0": "event", "0": "censored", "0.0": "censored"}


@dataclass(frozen=True)
class TaskValue:
    """One value of the task's column as the site writes it; that of joined columns is joined, too."""

    value: str
    count: int
    class_: str  # "" = no label; the patient is left out of the task and counted


@dataclass(frozen=True)
class LabelCheck:
    """What one task finds."""

    values: tuple[TaskValue, ...] = ()
    labelled: int = 0
    nobody: tuple[str, ...] = ()  # classes that no patient here has, which is no fault
    faults: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Plain text, without the faults."""
        lines = [f"  {v.value or '(empty)':<24} {v.count:>6}   {v.class_ or '-'}" for v in self.values]
        return lines + ([f"  no patient here: {', '.join(self.nobody)}"] if self.nobody else [])


def check_labels(
    clinical: pd.DataFrame, mapped: pd.DataFrame, site: Site, task: ClassificationTask | SurvivalTask
) -> LabelCheck:
    """Read the task's columns of clinical.tsv; what the task itself would refuse becomes a fault.

    `mapped` is the same table after the site file's [columns] and [values].
    """
    try:
        if isinstance(task, ClassificationTask) and not task.classes:
            task = task.model_copy(update={"classes": classes_in(mapped, task)})
        labels = task_of(task).labels(mapped)
    except CohortError as exc:
        return LabelCheck(_values(clinical, mapped, site, task), faults=(str(exc),))
    classes = task.classes if isinstance(task, ClassificationTask) else ()
    nobody = tuple(name for place, name in enumerate(classes) if place not in labels.y)
    return LabelCheck(_values(clinical, mapped, site, task), int(labels.usable.sum()), nobody)


def _values(
    clinical: pd.DataFrame, mapped: pd.DataFrame, site: Site, task: ClassificationTask | SurvivalTask
) -> tuple[TaskValue, ...]:
    """Every value with its count and class; none when a column is not there."""
    columns = task.columns if isinstance(task, ClassificationTask) else (task.event_column,)
    found = {name: own_values(clinical, site, name) for name in columns}
    own = pd.DataFrame({name: column for name, column in found.items() if column is not None})
    if len(own.columns) < len(columns):
        return ()
    words = joined_column(mapped, columns)
    counts = Counter(zip(joined_column(own, columns), words, strict=True))
    meaning = EVENTS if isinstance(task, SurvivalTask) else _classes(words, task)
    return tuple(TaskValue(value, n, meaning.get(word, "")) for (value, word), n in sorted(counts.items()))


def _classes(words: list[str], task: ClassificationTask) -> dict[str, str]:
    """Value after the site's mapping -> class; values that lead to none are not in it."""
    leads = {word: task.groups.get(word, word) for word in set(words) - {"", *task.left_out}}
    return {word: class_ for word, class_ in leads.items() if not task.classes or class_ in task.classes}
