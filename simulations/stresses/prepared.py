"""What `prepare`, the coordinator and the signature meter say of hospitals under a dose."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from client.prepare.report import PrepareReport
from client.prepare.settings import PrepareSettings, store_folder
from shared.cohort.patients import Patients
from shared.seeds import derive_seed
from shared.site import read_site
from shared.study import Study
from simulations.arms import Trained
from simulations.fold import Fold
from simulations.hospitals import Hospital

__all__ = ["lost_answers", "refusals", "slide_signature"]

PLACE = re.compile(r"line \d+: |^\S+: \d+ faults?;\s*")


def refusals(before: Sequence[Hospital], after: Sequence[Hospital], study: Study) -> list[dict[str, Any]]:
    """What `prepare` left out under the dose and would have used without it: file, reason, hospitals and inputs.

    Reasons name no patient; those that differ in a number alone are one.
    """
    untouched = {hospital.id: hospital for hospital in before}
    found: dict[tuple[str, str], dict[str, int]] = {}
    for hospital in after:
        known = _left_out(untouched[hospital.id], study)
        for what, count in (_left_out(hospital, study) - known).items():
            found.setdefault(what, {})[hospital.id] = count
    return [
        {"file": file, "reason": reason, "hospitals": sorted(sites), "inputs": sum(sites.values())}
        for (file, reason), sites in sorted(found.items())
    ]


def _left_out(hospital: Hospital, study: Study) -> Counter[tuple[str, str]]:
    """(kind of file, reason up to what was got) -> inputs that are not in the store."""
    site = read_site(hospital.site_file)
    folder = store_folder(site, PrepareSettings.of(study))
    report = PrepareReport.load(folder.with_suffix(".json"), folder)
    rows = [row for row in report.rows if row.state == "left out"] if report else []
    return Counter((row.file.split("/")[0], _form(row.reason)) for row in rows)


def _form(reason: str) -> str:
    """A reason without its place and without what was got, which differ from input to input."""
    return PLACE.sub("", reason).split(", got ")[0]


def lost_answers(trained: Trained) -> dict[str, int]:
    """Why answers of a training round were not used -> how many."""
    return dict(
        Counter(reason.split(", got ")[0] for record in trained.rounds for reason in record.get("missing", {}).values())
    )


def slide_signature(fold: Fold) -> dict[str, Any] | None:
    """AUC with which the frozen slide features name the hospital; None when too few patients have slides."""
    from simulations.site_signature.measure import measurable, modality_values
    from simulations.site_signature.meter import name_hospital

    people = measurable(fold).with_modality("slides")
    everyone = Patients.concatenate([people.measured, people.reference]) if len(people.measured) else people.measured
    if len(set(everyone.site.tolist())) < 2:
        return None
    features = modality_values(everyone, "slides")
    found = name_hospital(features, everyone.site, derive_seed(fold.study.seed, "signature"), keys=everyone.case_id)
    return {"auc": found.auc, "n": len(everyone)}
