"""`check`: what a study would find at a site, before anything is prepared."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from client.prepare.expression.coverage import coverage
from client.prepare.expression.measured import measured
from client.prepare.label_check import LabelCheck, check_labels
from client.prepare.patients import mapped_clinical, own_values
from shared.cohort.blood import analyte_codes
from shared.cohort.imaging_sheet import read_imaging
from shared.cohort.tables import read_blood, read_clinical, read_exclusions, read_slides
from shared.site import Site
from shared.study import DetectionTask, Study

__all__ = ["CheckReport", "check"]


@dataclass
class CheckReport:
    """What a study would find. While there are faults, `mmfed-client approve` refuses the study."""

    site: str
    patients: int
    excluded: int = 0
    labels: LabelCheck = field(default_factory=LabelCheck)
    heads: dict[str, LabelCheck] = field(default_factory=dict)  # further head -> what its task finds
    labelled: int = 0
    modalities: dict[str, int] = field(default_factory=dict)  # modality -> patients that have it
    coverage: dict[str, tuple[int, int]] = field(default_factory=dict)  # gene group -> (measured, all)
    faults: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Plain text; faults last."""
        lines = [f"site {self.site}: {self.patients} patients, {self.labelled} with the task's label"]
        lines += [f"  {self.excluded} excluded by exclude.csv"] if self.excluded else []
        lines += self.labels.lines()
        for name, found in self.heads.items():
            lines += [f"head {name}: {found.labelled} with its label", *found.lines()]
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
    if isinstance(study.task, DetectionTask):
        return _check_pictures(site)
    clinical = read_clinical(site.data)
    out = clinical["case_id"].isin(read_exclusions(site.data))
    clinical = clinical[~out].reset_index(drop=True)
    report = CheckReport(site.id, len(clinical), excluded=int(out.sum()))
    mapped = mapped_clinical(clinical, site)
    report.labels = check_labels(clinical, mapped, site, study.task)
    report.heads = {head.name: check_labels(clinical, mapped, site, head.task) for head in study.heads}
    report.labelled = report.labels.labelled
    report.faults += report.labels.faults
    report.faults += tuple(f"head {name}: {fault}" for name, found in report.heads.items() for fault in found.faults)
    _count_modalities(clinical, site, study, report)
    return report


def _check_pictures(site: Site) -> CheckReport:
    """What a detection study would find: pictures that imaging.csv lists, and the boxes drawn on them."""
    images, withdrawn = read_imaging(site.data) or [], read_exclusions(site.data)
    usable = [image for image in images if image.path and not image.fault and image.case_id not in withdrawn]
    cases, boxed = {image.case_id for image in usable}, {image.case_id for image in usable if image.boxes}
    left_out = {image.case_id for image in images} & set(withdrawn)
    report = CheckReport(site.id, len(cases), len(left_out), labelled=len(boxed), modalities={"imaging": len(cases)})
    if not boxed:
        report.faults = ("imaging.csv: expected boxes of lesions, got none; mark some, or leave this study out",)
    return report


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
        usable = frozenset() if found_genes.fault else found_genes.patients
        report.modalities["expression"] = int(cases.isin(usable).sum())
        report.coverage = coverage(use.expression.groups, found_genes.genes)
        report.faults += (found_genes.fault,) if found_genes.fault else ()
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
