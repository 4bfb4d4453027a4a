"""`check`: what a study would find at a site, before anything is prepared."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from client.prepare.expression.coverage import coverage
from client.prepare.expression.measured import measured
from client.prepare.patients import mapped_clinical, own_values
from shared.cohort.blood import analyte_codes
from shared.cohort.imaging_sheet import read_imaging
from shared.cohort.tables import read_blood, read_clinical, read_exclusions, read_slides
from shared.errors import CohortError
from shared.site import Site
from shared.study import ClassificationTask, Study, SurvivalTask, Task
from shared.tasks import task_of
from shared.tasks.classification import classes_in

__all__ = ["CheckReport", "TaskValue", "check"]

EVENTS = {"1": "event", "1.0": "event", "0": "censored", "0.0": "censored"}


@dataclass(frozen=True)
class TaskValue:
    """One value of the task column as the site writes it."""

    value: str
    count: int
    class_: str  # "" = no label; the patient is left out of the task and counted


@dataclass
class CheckReport:
    """What a study would find. While there are faults, `mmfed-client approve` refuses the study."""

    site: str
    patients: int
    excluded: int = 0
    values: tuple[TaskValue, ...] = ()
    labelled: int = 0
    modalities: dict[str, int] = field(default_factory=dict)  # modality -> patients that have it
    coverage: dict[str, tuple[int, int]] = field(default_factory=dict)  # gene group -> (measured, all)
    faults: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Plain text; faults last."""
        lines = [f"site {self.site}: {self.patients} patients, {self.labelled} with the task's label"]
        lines += [f"  {self.excluded} excluded by exclude.csv"] if self.excluded else []
        lines += [f"  {v.value or '(empty)':<24} {v.count:>6}   {v.class_ or '-'}" for v in self.values]
        lines += [f"modality {name}: {count} of {self.patients} patients" for name, count in self.modalities.items()]
        lines += [f"genes of {name!r}: {found} of {total}" for name, (found, total) in self.coverage.items()]
        return lines + [f"fault: {fault}" for fault in self.faults]


def check(site: Site, study: Study) -> CheckReport:
    """Read a site's tables as the study would; nothing is written.

    Raises
    ------
    CohortError
        A table is missing or malformed, or the site file maps a column that is not there.
    """
    clinical = read_clinical(site.data)
    out = clinical["case_id"].isin(read_exclusions(site.data))
    clinical = clinical[~out].reset_index(drop=True)
    report = CheckReport(site.id, len(clinical), excluded=int(out.sum()))
    _check_task(clinical, site, study.task, report)
    _count_modalities(clinical, site, study, report)
    return report


def _check_task(clinical: pd.DataFrame, site: Site, task: Task, report: CheckReport) -> None:
    """Every value of the task's column; what the task itself would refuse becomes a fault."""
    mapped = mapped_clinical(clinical, site)
    column = task.event_column if isinstance(task, SurvivalTask) else task.column
    own = own_values(clinical, site, column)
    if own is not None:
        meaning = EVENTS if isinstance(task, SurvivalTask) else _classes(mapped, task)
        counts = Counter(zip(own, mapped[column], strict=True))
        report.values = tuple(TaskValue(value, n, meaning.get(word, "")) for (value, word), n in sorted(counts.items()))
    try:
        if isinstance(task, ClassificationTask) and not task.classes:
            task = task.model_copy(update={"classes": classes_in(mapped, task)})
        report.labelled = int(task_of(task).labels(mapped).usable.sum())
    except CohortError as exc:
        report.faults += (str(exc),)


def _classes(mapped: pd.DataFrame, task: ClassificationTask) -> dict[str, str]:
    """Value after the site's mapping -> class; values that lead to none are not in it."""
    leads = {value: task.groups.get(value, value) for value in set(mapped[task.column]) if value}
    return {value: class_ for value, class_ in leads.items() if not task.classes or class_ in task.classes}


def _count_modalities(clinical: pd.DataFrame, site: Site, study: Study, report: CheckReport) -> None:
    use, cases = study.modalities, clinical["case_id"]
    if use.slides:
        slides = read_slides(site.data)
        there = (
            set[str]()
            if slides is None
            else set(slides["case_id"][slides["path"].notna() | slides["features"].notna()])
        )
        report.modalities["slides"] = int(cases.isin(there).sum())
    if use.expression:
        found_genes = measured(site, list(cases))
        report.modalities["expression"] = int(cases.isin(found_genes.patients).sum())
        report.coverage = coverage(use.expression.groups, found_genes.genes)
    if use.blood:
        blood = read_blood(site.data)
        known = set() if blood is None else set(blood["case_id"][blood["analyte"].str.lower().isin(analyte_codes())])
        report.modalities["blood"] = int(cases.isin(known).sum())
    if use.imaging:
        images = read_imaging(site.data) or []
        report.modalities["imaging"] = int(cases.isin([image.case_id for image in images if image.path]).sum())
    if use.clinical:
        columns = [own_values(clinical, site, name) for name in use.clinical.columns]
        filled = [(column != "").to_numpy() for column in columns if column is not None]
        report.modalities["clinical"] = int(np.any(filled, axis=0).sum()) if filled else 0
